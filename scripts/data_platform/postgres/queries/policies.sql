-- Policies of the tables %(tables)s.
SELECT p.polrelid AS table_oid, p.polname AS name, p.polpermissive AS permissive,
       CASE p.polcmd WHEN 'r' THEN 'select' WHEN 'a' THEN 'insert' WHEN 'w' THEN 'update' WHEN 'd' THEN 'delete' ELSE 'all' END AS command,
       (SELECT array_agg(CASE role WHEN 0 THEN 'public' ELSE pg_get_userbyid(role)::text END ORDER BY 1) FROM unnest(p.polroles) AS role) AS roles,
       pg_get_expr(p.polqual, p.polrelid) AS using, pg_get_expr(p.polwithcheck, p.polrelid) AS with_check,
       obj_description(p.oid, 'pg_policy') AS comment
FROM pg_policy AS p
WHERE p.polrelid = ANY (%(tables)s)
ORDER BY p.polrelid, p.polname
