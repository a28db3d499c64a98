-- Trigger functions: the only functions that a model holds so far.
SELECT n.nspname AS schema, p.proname AS name, format_type(p.prorettype, NULL) AS returns, l.lanname AS language, p.prosrc AS body
FROM pg_proc AS p
JOIN pg_namespace AS n ON n.oid = p.pronamespace
JOIN pg_language AS l ON l.oid = p.prolang
WHERE p.prorettype = 'trigger'::regtype AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
  AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
ORDER BY n.nspname, p.proname
