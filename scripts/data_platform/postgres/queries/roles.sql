-- Roles that an object of this database refers to, with the roles that they are members of.
WITH RECURSIVE referred(oid) AS (
    SELECT refobjid FROM pg_shdepend
    WHERE refclassid = 'pg_authid'::regclass AND classid <> 'pg_user_mapping'::regclass AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
    UNION
    SELECT oid FROM pg_roles WHERE rolname = ANY (%(also)s)
    UNION
    SELECT m.roleid FROM pg_auth_members AS m JOIN referred ON referred.oid = m.member)
SELECT r.rolname AS name, r.rolcanlogin AS login, r.rolinherit AS inherit, r.rolcreatedb AS create_database, r.rolcreaterole AS create_role,
       r.rolreplication AS replication, r.rolbypassrls AS bypass_row_security, r.rolsuper AS superuser,
       (SELECT array_agg(DISTINCT p.rolname::text ORDER BY p.rolname::text) FROM pg_auth_members AS m JOIN pg_roles AS p ON p.oid = m.roleid WHERE m.member = r.oid) AS member_of,
       shobj_description(r.oid, 'pg_authid') AS comment
FROM pg_roles AS r
JOIN referred ON referred.oid = r.oid
WHERE r.rolname !~ '^pg_'
ORDER BY r.rolname
