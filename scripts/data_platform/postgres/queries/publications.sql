-- Publications with their tables.
SELECT p.oid, p.pubname AS name, p.puballtables AS all_tables, p.pubinsert AS insert, p.pubupdate AS update, p.pubdelete AS delete, p.pubtruncate AS truncate,
       p.pubviaroot AS via_root, to_jsonb(p) ->> 'pubgencols' AS generated,
       (SELECT jsonb_agg(jsonb_build_object(
                   'schema', n.nspname, 'name', r.relname,
                   'where', pg_get_expr(pr.prqual, pr.prrelid),
                   'columns', (SELECT jsonb_agg(a.attname ORDER BY a.attnum) FROM pg_attribute AS a
                               WHERE a.attrelid = pr.prrelid
                                 AND a.attnum = ANY (pr.prattrs::int2[]))) ORDER BY n.nspname, r.relname)
        FROM pg_publication_rel AS pr JOIN pg_class AS r ON r.oid = pr.prrelid JOIN pg_namespace AS n ON n.oid = r.relnamespace
        WHERE pr.prpubid = p.oid) AS tables,
       obj_description(p.oid, 'pg_publication') AS comment, pg_get_userbyid(p.pubowner) AS owner
FROM pg_publication AS p
ORDER BY p.pubname
