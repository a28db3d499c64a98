-- Event triggers.
SELECT e.evtname AS name, e.evtevent AS event, e.evttags AS tags, e.evtenabled AS enabled, n.nspname AS function_schema, p.proname AS function_name,
       obj_description(e.oid, 'pg_event_trigger') AS comment, pg_get_userbyid(e.evtowner) AS owner
FROM pg_event_trigger AS e
JOIN pg_proc AS p ON p.oid = e.evtfoid
JOIN pg_namespace AS n ON n.oid = p.pronamespace
WHERE NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = 'pg_event_trigger'::regclass AND d.objid = e.oid AND d.deptype = 'e')
ORDER BY e.evtname
