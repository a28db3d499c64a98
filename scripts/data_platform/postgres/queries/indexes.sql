-- Indexes of the relations %(tables)s, those of constraints included; one JSON object for each key.
SELECT i.indrelid AS table_oid, i.indexrelid AS oid, r.relname AS name, m.amname AS method, i.indisunique AS unique,
       coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::boolean, false) AS nulls_not_distinct,
       EXISTS (SELECT FROM pg_constraint AS k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x')) AS of_constraint,
       pg_get_expr(i.indpred, i.indrelid) AS predicate,
       r.reloptions AS options, r.relkind = 'I' AND NOT i.indisvalid AS only,
       obj_description(i.indexrelid, 'pg_class') AS comment,
       (SELECT jsonb_agg(jsonb_build_array(a.attnum, a.attstattarget) ORDER BY a.attnum)
        FROM pg_attribute AS a WHERE a.attrelid = i.indexrelid AND a.attstattarget >= 0) AS statistics,
       (SELECT array_agg(a.attname::text ORDER BY n)
        FROM generate_series(i.indnkeyatts + 1, i.indnatts) AS n
        JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[n - 1]) AS include,
       (SELECT jsonb_agg(jsonb_build_object(
                   'column', a.attname,
                   'expression', CASE WHEN i.indkey[n - 1] = 0 THEN pg_get_indexdef(i.indexrelid, n, false) END,
                   'collation', CASE WHEN i.indcollation[n - 1] <> coalesce(a.attcollation, i.indcollation[n - 1]) THEN c.spelled END,
                   'expression_collation', CASE WHEN i.indkey[n - 1] = 0 THEN c.spelled END,
                   'opclass', CASE WHEN NOT o.opcdefault OR own.attoptions IS NOT NULL THEN
                                  CASE WHEN o.opcnamespace IN ('pg_catalog'::regnamespace, 'public'::regnamespace) THEN o.opcname::text
                                       ELSE (SELECT nspname FROM pg_namespace WHERE oid = o.opcnamespace) || '.' || o.opcname END END,
                   'opclass_options', own.attoptions,
                   'option', CASE WHEN m.amname = 'btree' THEN i.indoption[n - 1] ELSE 0 END) ORDER BY n)
        FROM generate_series(1, i.indnkeyatts) AS n
        JOIN pg_attribute AS own ON own.attrelid = i.indexrelid AND own.attnum = n
        JOIN pg_opclass AS o ON o.oid = i.indclass[n - 1]
        LEFT JOIN (SELECT pc.oid, CASE WHEN cn.nspname = 'pg_catalog' THEN pc.collname::text
                                       ELSE format('%%I."%%s"', cn.nspname, replace(pc.collname, '"', '""')) END AS spelled
                   FROM pg_collation AS pc JOIN pg_namespace AS cn ON cn.oid = pc.collnamespace) AS c ON c.oid = i.indcollation[n - 1]
        LEFT JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[n - 1] AND a.attnum <> 0) AS elements
FROM pg_index AS i
JOIN pg_class AS r ON r.oid = i.indexrelid
JOIN pg_am AS m ON m.oid = r.relam
WHERE i.indrelid = ANY (%(tables)s) AND (i.indisvalid OR r.relkind = 'I')
ORDER BY i.indrelid, r.relname
