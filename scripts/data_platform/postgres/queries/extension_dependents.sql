-- Objects of the user that were marked to go with an extension.
SELECT o.type AS kind, o.identity AS object, e.extname AS extension
FROM pg_depend AS d
JOIN pg_extension AS e ON d.refclassid = 'pg_extension'::regclass AND e.oid = d.refobjid
CROSS JOIN LATERAL pg_identify_object(d.classid, d.objid, d.objsubid) AS o
WHERE d.deptype = 'x'
ORDER BY o.type, o.identity, e.extname
