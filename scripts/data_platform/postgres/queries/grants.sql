-- What access lists add to PostgreSQL's defaults and what they take from them, one row a privilege.
WITH objects AS (
    SELECT CASE r.relkind WHEN 'S' THEN 'sequence' ELSE 'table' END AS kind, format('%I.%I', n.nspname, r.relname) AS object, '' AS "column",
           r.relacl AS acl, acldefault(CASE r.relkind WHEN 'S' THEN 's'::"char" ELSE 'r'::"char" END, r.relowner) AS given,
           'pg_class'::regclass AS class, r.oid, n.nspname AS schema
    FROM pg_class AS r JOIN pg_namespace AS n ON n.oid = r.relnamespace
    WHERE r.relacl IS NOT NULL AND r.relkind IN ('r', 'p', 'f', 'v', 'm', 'S')
    UNION ALL
    SELECT 'table', format('%I.%I', n.nspname, r.relname), a.attname, a.attacl, NULL, 'pg_class', r.oid, n.nspname
    FROM pg_attribute AS a JOIN pg_class AS r ON r.oid = a.attrelid JOIN pg_namespace AS n ON n.oid = r.relnamespace
    WHERE a.attacl IS NOT NULL AND NOT a.attisdropped
    UNION ALL
    SELECT CASE p.prokind WHEN 'p' THEN 'procedure' ELSE 'function' END, p.oid::regprocedure::text, '', p.proacl, acldefault('f', p.proowner), 'pg_proc', p.oid, n.nspname
    FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
    WHERE p.proacl IS NOT NULL
    UNION ALL
    SELECT CASE t.typtype WHEN 'd' THEN 'domain' ELSE 'type' END, format('%I.%I', n.nspname, t.typname), '', t.typacl, acldefault('T', t.typowner), 'pg_type', t.oid, n.nspname
    FROM pg_type AS t JOIN pg_namespace AS n ON n.oid = t.typnamespace
    WHERE t.typacl IS NOT NULL
    UNION ALL
    SELECT 'schema', quote_ident(n.nspname), '', n.nspacl,
           acldefault('n', n.nspowner), 'pg_namespace', n.oid, n.nspname
    FROM pg_namespace AS n
    WHERE n.nspacl IS NOT NULL
    UNION ALL
    SELECT 'language', quote_ident(l.lanname), '', l.lanacl, acldefault('l', l.lanowner), 'pg_language', l.oid, 'public'
    FROM pg_language AS l
    WHERE l.lanacl IS NOT NULL AND l.oid >= 16384
    UNION ALL
    SELECT 'foreign server', quote_ident(s.srvname), '', s.srvacl, acldefault('S', s.srvowner), 'pg_foreign_server', s.oid, 'public'
    FROM pg_foreign_server AS s
    WHERE s.srvacl IS NOT NULL
    UNION ALL
    SELECT 'foreign data wrapper', quote_ident(w.fdwname), '', w.fdwacl, acldefault('F', w.fdwowner), 'pg_foreign_data_wrapper', w.oid, 'public'
    FROM pg_foreign_data_wrapper AS w
    WHERE w.fdwacl IS NOT NULL),
ours AS (
    -- What an extension or initdb gave is given too.
    SELECT o.kind, o.object, o.column, o.acl,
           coalesce((SELECT i.initprivs FROM pg_init_privs AS i WHERE i.classoid = o.class AND i.objoid = o.oid AND i.objsubid = 0 AND o.column = ''),
                    o.given) AS given
    FROM objects AS o
    WHERE o.schema <> 'information_schema' AND o.schema !~ '^pg_'),
has AS (
    SELECT o.kind, o.object, o.column, e.grantee, e.privilege_type, e.is_grantable, e.place
    FROM ours AS o, aclexplode(o.acl) WITH ORDINALITY AS e(grantor, grantee, privilege_type, is_grantable, place)),
given AS (SELECT o.kind, o.object, o.column, e.grantee, e.privilege_type, e.is_grantable FROM ours AS o, aclexplode(o.given) AS e),
changes AS (
    SELECT h.*, false AS revoked FROM has AS h
    WHERE NOT EXISTS (SELECT FROM given AS g
                      WHERE (g.kind, g.object, g.column, g.grantee, g.privilege_type, g.is_grantable)
                          = (h.kind, h.object, h.column, h.grantee, h.privilege_type, h.is_grantable))
    UNION ALL
    SELECT missing.*, 0, true FROM (SELECT * FROM given EXCEPT SELECT kind, object, "column", grantee, privilege_type, is_grantable FROM has) AS missing)
SELECT kind, object, "column", CASE grantee WHEN 0 THEN 'public' ELSE pg_get_userbyid(grantee)::text END AS role,
       is_grantable AS grantable, revoked, array_agg(privilege_type ORDER BY privilege_type) AS privileges
FROM changes
GROUP BY kind, object, "column", grantee, is_grantable, revoked
-- As the access lists have them, so that lists made again are the same.
ORDER BY kind, object, "column", revoked DESC, min(place), role, grantable
