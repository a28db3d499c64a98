-- Comments on the indexes behind constraints, which are not those of the constraints themselves.
SELECT n.nspname AS schema, r.relname AS name, d.description AS comment
FROM pg_description AS d
JOIN pg_class AS r ON r.oid = d.objoid AND d.classoid = 'pg_class'::regclass AND d.objsubid = 0
JOIN pg_namespace AS n ON n.oid = r.relnamespace
WHERE r.relkind IN ('i', 'I') AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
  AND EXISTS (SELECT FROM pg_constraint AS k WHERE k.conindid = r.oid AND k.contype IN ('p', 'u', 'x'))
ORDER BY n.nspname, r.relname
