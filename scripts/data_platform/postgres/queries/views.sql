-- Views and materialized views.
SELECT r.oid, n.nspname AS schema, r.relname AS name, r.relkind AS kind, pg_get_viewdef(r.oid) AS query, r.reloptions AS options,
       r.relispopulated AS populated, ci.relname AS cluster_on, CASE WHEN am.amname <> 'heap' THEN am.amname END AS access_method,
       obj_description(r.oid, 'pg_class') AS comment, pg_get_userbyid(r.relowner) AS owner,
       (SELECT jsonb_object_agg(a.attname, pg_get_expr(d.adbin, d.adrelid))
        FROM pg_attrdef AS d JOIN pg_attribute AS a ON a.attrelid = d.adrelid AND a.attnum = d.adnum WHERE d.adrelid = r.oid) AS defaults,
       (SELECT jsonb_object_agg(a.attname, col_description(a.attrelid, a.attnum))
        FROM pg_attribute AS a
        WHERE a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped AND col_description(a.attrelid, a.attnum) IS NOT NULL) AS column_comments
FROM pg_class AS r
JOIN pg_namespace AS n ON n.oid = r.relnamespace
LEFT JOIN pg_am AS am ON am.oid = r.relam
LEFT JOIN pg_index AS cx ON cx.indrelid = r.oid AND cx.indisclustered
LEFT JOIN pg_class AS ci ON ci.oid = cx.indexrelid
WHERE r.relkind IN ('v', 'm') AND r.relpersistence <> 't' AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
  AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = 'pg_class'::regclass AND d.objid = r.oid AND d.deptype = 'e')
ORDER BY n.nspname, r.relname
