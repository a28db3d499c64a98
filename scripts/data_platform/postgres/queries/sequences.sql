-- Sequences that are not behind an identity column.
SELECT n.nspname AS schema, r.relname AS name, format_type(s.seqtypid, NULL) AS sequence_type,
       s.seqincrement AS increment, s.seqstart AS start, s.seqmin AS minimum, s.seqmax AS maximum, s.seqcache AS cache, s.seqcycle AS cycle,
       r.relpersistence = 'u' AS unlogged, obj_description(r.oid, 'pg_class') AS comment, pg_get_userbyid(r.relowner) AS owner,
       tn.nspname AS table_schema, t.relname AS table_name, a.attname AS column_name
FROM pg_sequence AS s
JOIN pg_class AS r ON r.oid = s.seqrelid
JOIN pg_namespace AS n ON n.oid = r.relnamespace
LEFT JOIN pg_depend AS d ON d.classid = 'pg_class'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0 AND d.deptype = 'a'
LEFT JOIN pg_class AS t ON t.oid = d.refobjid
LEFT JOIN pg_namespace AS tn ON tn.oid = t.relnamespace
LEFT JOIN pg_attribute AS a ON a.attrelid = t.oid AND a.attnum = d.refobjsubid
WHERE r.relpersistence <> 't' AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
  AND NOT EXISTS (SELECT FROM pg_depend AS e WHERE e.classid = 'pg_class'::regclass AND e.objid = r.oid AND e.deptype IN ('e', 'i'))
ORDER BY n.nspname, r.relname
