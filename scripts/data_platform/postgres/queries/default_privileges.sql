-- ALTER DEFAULT PRIVILEGES; one for a schema only adds, one for the whole database may also take away.
WITH lists AS (
    SELECT d.oid, CASE d.defaclobjtype WHEN 'r' THEN 'tables' WHEN 'S' THEN 'sequences' WHEN 'f' THEN 'functions' WHEN 'T' THEN 'types'
                                       WHEN 'n' THEN 'schemas' ELSE 'large objects' END AS kind,
           pg_get_userbyid(d.defaclrole) AS owner, n.nspname AS schema, d.defaclacl AS acl,
           CASE d.defaclnamespace WHEN 0 THEN acldefault(CASE d.defaclobjtype WHEN 'S' THEN 's'::"char" ELSE d.defaclobjtype END, d.defaclrole) END AS given
    FROM pg_default_acl AS d LEFT JOIN pg_namespace AS n ON n.oid = d.defaclnamespace),
has AS (SELECT l.kind, l.owner, l.schema, e.grantee, e.privilege_type, e.is_grantable FROM lists AS l, aclexplode(l.acl) AS e),
given AS (SELECT l.kind, l.owner, l.schema, e.grantee, e.privilege_type, e.is_grantable FROM lists AS l, aclexplode(l.given) AS e),
changes AS (
    SELECT *, false AS revoked FROM (SELECT * FROM has EXCEPT SELECT * FROM given) AS added
    UNION ALL
    SELECT *, true FROM (SELECT * FROM given EXCEPT SELECT * FROM has) AS missing)
SELECT kind, owner, schema, CASE grantee WHEN 0 THEN 'public' ELSE pg_get_userbyid(grantee)::text END AS role,
       is_grantable AS grantable, revoked, array_agg(privilege_type ORDER BY privilege_type) AS privileges
FROM changes
GROUP BY kind, owner, schema, grantee, is_grantable, revoked
ORDER BY kind, owner, schema NULLS FIRST, role, revoked DESC, grantable
