-- Columns of the relations %(tables)s, in order.
SELECT a.attrelid AS table_oid, a.attname AS name,
       format_type(a.atttypid, a.atttypmod) AS type,
       a.attnotnull AS not_null,
       pg_get_expr(d.adbin, d.adrelid) AS expression,
       a.attidentity AS identity,
       a.attgenerated AS generated,
       CASE WHEN a.attcollation <> t.typcollation THEN
           CASE WHEN cn.nspname = 'pg_catalog' THEN c.collname::text
                ELSE format('%%I."%%s"', cn.nspname, replace(c.collname, '"', '""')) END END AS collation,
       col_description(a.attrelid, a.attnum) AS comment,
       CASE WHEN a.attstorage <> t.typstorage THEN
           CASE a.attstorage WHEN 'p' THEN 'plain' WHEN 'e' THEN 'external' WHEN 'm' THEN 'main' ELSE 'extended' END END AS storage,
       -- Read as JSON because the column exists from PostgreSQL 14 on.
       CASE to_jsonb(a) ->> 'attcompression' WHEN 'p' THEN 'pglz' WHEN 'l' THEN 'lz4' END AS compression,
       nullif(a.attstattarget, -1)::int AS statistics,
       a.attoptions AS options, a.attfdwoptions AS fdw_options,
       NOT a.attislocal AS inherited,
       k.conname AS not_null_name, coalesce(k.connoinherit, false) AS not_null_no_inherit, coalesce(k.convalidated, true) AS not_null_validated,
       s.seqincrement AS increment, s.seqstart AS start, s.seqmin AS minimum, s.seqmax AS maximum, s.seqcache AS cache, s.seqcycle AS cycle,
       format_type(s.seqtypid, NULL) AS sequence_type, sc.relname AS sequence_name, sn.nspname AS sequence_schema
FROM pg_attribute AS a
JOIN pg_type AS t ON t.oid = a.atttypid
LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
LEFT JOIN pg_collation AS c ON c.oid = a.attcollation
LEFT JOIN pg_namespace AS cn ON cn.oid = c.collnamespace
LEFT JOIN pg_constraint AS k ON k.conrelid = a.attrelid AND k.contype = 'n' AND k.conkey = ARRAY[a.attnum]
LEFT JOIN pg_depend AS own ON a.attidentity <> '' AND own.refclassid = 'pg_class'::regclass AND own.refobjid = a.attrelid
     AND own.refobjsubid = a.attnum AND own.classid = 'pg_class'::regclass AND own.deptype = 'i'
LEFT JOIN pg_sequence AS s ON s.seqrelid = own.objid
LEFT JOIN pg_class AS sc ON sc.oid = s.seqrelid
LEFT JOIN pg_namespace AS sn ON sn.oid = sc.relnamespace
WHERE a.attrelid = ANY (%(tables)s) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attrelid, a.attnum
