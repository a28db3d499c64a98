-- Functions and procedures; aggregates have their own form, range constructors belong to their type.
SELECT n.nspname AS schema, p.proname AS name, l.lanname AS language, p.prokind AS kind,
       pg_get_function_arguments(p.oid) AS arguments, pg_get_function_result(p.oid) AS returns,
       p.prosrc AS body, p.probin AS library, pg_get_function_sqlbody(p.oid) AS sql_body,
       p.provolatile AS volatility, p.proisstrict AS strict, p.prosecdef AS security_definer, p.proleakproof AS leakproof,
       p.proparallel AS parallel, p.procost AS cost, p.prorows AS rows, p.proretset AS returns_set, p.proconfig AS settings,
       sn.nspname AS support_schema, s.proname AS support_name,
       obj_description(p.oid, 'pg_proc') AS comment, pg_get_userbyid(p.proowner) AS owner
FROM pg_proc AS p
JOIN pg_namespace AS n ON n.oid = p.pronamespace
JOIN pg_language AS l ON l.oid = p.prolang
LEFT JOIN pg_proc AS s ON s.oid = p.prosupport AND p.prosupport <> 0
LEFT JOIN pg_namespace AS sn ON sn.oid = s.pronamespace
WHERE p.prokind <> 'a' AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
  AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype IN ('e', 'i'))
ORDER BY n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)
