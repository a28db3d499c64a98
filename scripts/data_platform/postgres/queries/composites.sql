-- Free-standing composite types with their attributes in order.
SELECT n.nspname AS schema, t.typname AS name,
       (SELECT jsonb_agg(jsonb_build_object(
                   'name', a.attname, 'type', format_type(a.atttypid, a.atttypmod), 'comment', col_description(a.attrelid, a.attnum),
                   'collation', CASE WHEN a.attcollation <> at.typcollation THEN
                                    CASE WHEN cn.nspname = 'pg_catalog' THEN c.collname::text
                                         ELSE format('%I."%s"', cn.nspname, replace(c.collname, '"', '""')) END END) ORDER BY a.attnum)
        FROM pg_attribute AS a
        JOIN pg_type AS at ON at.oid = a.atttypid
        LEFT JOIN pg_collation AS c ON c.oid = a.attcollation
        LEFT JOIN pg_namespace AS cn ON cn.oid = c.collnamespace
        WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped) AS attributes,
       obj_description(t.oid, 'pg_type') AS comment, pg_get_userbyid(t.typowner) AS owner
FROM pg_type AS t
JOIN pg_class AS r ON r.oid = t.typrelid AND r.relkind = 'c'
JOIN pg_namespace AS n ON n.oid = t.typnamespace
WHERE t.typtype = 'c' AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
  AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e')
ORDER BY n.nspname, t.typname
