-- Foreign servers.
SELECT s.srvname AS name, w.fdwname AS wrapper, s.srvtype AS type, s.srvversion AS version, s.srvoptions AS options,
       obj_description(s.oid, 'pg_foreign_server') AS comment, pg_get_userbyid(s.srvowner) AS owner
FROM pg_foreign_server AS s
JOIN pg_foreign_data_wrapper AS w ON w.oid = s.srvfdw
WHERE NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = 'pg_foreign_server'::regclass AND d.objid = s.oid AND d.deptype = 'e')
ORDER BY s.srvname
