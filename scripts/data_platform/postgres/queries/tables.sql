-- Tables of the user: plain, partitioned, partitions, foreign.
SELECT r.oid, n.nspname AS schema, r.relname AS name, obj_description(r.oid, 'pg_class') AS comment,
       r.relkind AS kind, r.relispartition AS is_partition, r.relpersistence = 'u' AS unlogged,
       CASE WHEN r.relforcerowsecurity THEN 'forced' WHEN r.relrowsecurity THEN 'on' ELSE 'off' END AS row_security,
       CASE WHEN r.relkind = 'f' THEN 'default' WHEN r.relreplident = 'f' THEN 'full' WHEN r.relreplident = 'n' THEN 'nothing' WHEN r.relreplident = 'i' THEN ri.relname ELSE 'default' END AS replica_identity,
       ci.relname AS cluster_on,
       CASE WHEN am.amname <> 'heap' THEN am.amname END AS access_method,
       pg_get_userbyid(r.relowner) AS owner,
       ot.typname AS of_name, otn.nspname AS of_schema,
       r.reloptions AS options, toast.reloptions AS toast_options,
       pg_get_expr(r.relpartbound, r.oid) AS bound,
       (SELECT jsonb_agg(jsonb_build_array(pn.nspname, p.relname) ORDER BY h.inhseqno)
        FROM pg_inherits AS h JOIN pg_class AS p ON p.oid = h.inhparent JOIN pg_namespace AS pn ON pn.oid = p.relnamespace
        WHERE h.inhrelid = r.oid) AS parents,
       CASE part.partstrat WHEN 'r' THEN 'range' WHEN 'l' THEN 'list' WHEN 'h' THEN 'hash' END AS strategy,
       pg_get_expr(part.partexprs, r.oid) AS key_expressions,
       (SELECT jsonb_agg(jsonb_build_object(
                   'column', a.attname,
                   'collation', CASE WHEN c.oid <> coalesce(a.attcollation, 0) THEN
                                    CASE WHEN cn.nspname = 'pg_catalog' THEN c.collname::text
                                         ELSE format('%I."%s"', cn.nspname, replace(c.collname, '"', '""')) END END,
                   'opclass', CASE WHEN NOT o.opcdefault THEN
                                  CASE WHEN o.opcnamespace IN ('pg_catalog'::regnamespace, 'public'::regnamespace) THEN o.opcname::text
                                       ELSE (SELECT nspname FROM pg_namespace WHERE oid = o.opcnamespace) || '.' || o.opcname END END) ORDER BY k)
        FROM generate_series(0, part.partnatts - 1) AS k
        JOIN pg_opclass AS o ON o.oid = part.partclass[k]
        LEFT JOIN pg_collation AS c ON c.oid = part.partcollation[k]
        LEFT JOIN pg_namespace AS cn ON cn.oid = c.collnamespace
        LEFT JOIN pg_attribute AS a ON a.attrelid = r.oid AND a.attnum = part.partattrs[k] AND a.attnum <> 0) AS key,
       s.srvname AS server, f.ftoptions AS server_options
FROM pg_class AS r
JOIN pg_namespace AS n ON n.oid = r.relnamespace
LEFT JOIN pg_class AS toast ON toast.oid = r.reltoastrelid
LEFT JOIN pg_am AS am ON am.oid = r.relam
LEFT JOIN pg_partitioned_table AS part ON part.partrelid = r.oid
LEFT JOIN pg_foreign_table AS f ON f.ftrelid = r.oid
LEFT JOIN pg_foreign_server AS s ON s.oid = f.ftserver
LEFT JOIN pg_type AS ot ON ot.oid = r.reloftype
LEFT JOIN pg_namespace AS otn ON otn.oid = ot.typnamespace
LEFT JOIN pg_index AS rx ON rx.indrelid = r.oid AND rx.indisreplident AND r.relreplident = 'i'
LEFT JOIN pg_class AS ri ON ri.oid = rx.indexrelid
LEFT JOIN pg_index AS cx ON cx.indrelid = r.oid AND cx.indisclustered
LEFT JOIN pg_class AS ci ON ci.oid = cx.indexrelid
WHERE r.relkind IN ('r', 'p', 'f') AND r.relpersistence <> 't' AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
  AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = 'pg_class'::regclass AND d.objid = r.oid AND d.deptype = 'e')
ORDER BY n.nspname, r.relname
