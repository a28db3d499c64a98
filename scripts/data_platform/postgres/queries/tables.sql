-- Tables of the user.
SELECT r.oid, n.nspname AS schema, r.relname AS name, obj_description(r.oid, 'pg_class') AS comment
FROM pg_class AS r
JOIN pg_namespace AS n ON n.oid = r.relnamespace
WHERE r.relkind IN ('r', 'p') AND r.relpersistence <> 't' AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
  AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = 'pg_class'::regclass AND d.objid = r.oid AND d.deptype = 'e')
ORDER BY n.nspname, r.relname
