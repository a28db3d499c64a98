-- Comments that no field of a model holds: on the indexes behind constraints, which are not those of the constraints, on
-- NOT NULL constraints, and on extensions where they are not the extension's own.
SELECT 'index' AS kind, format('%I.%I', n.nspname, r.relname) AS object, d.description AS comment
FROM pg_description AS d
JOIN pg_class AS r ON r.oid = d.objoid AND d.classoid = 'pg_class'::regclass AND d.objsubid = 0
JOIN pg_namespace AS n ON n.oid = r.relnamespace
WHERE r.relkind IN ('i', 'I') AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
  AND EXISTS (SELECT FROM pg_constraint AS k WHERE k.conindid = r.oid AND k.contype IN ('p', 'u', 'x'))
UNION ALL
SELECT 'constraint', format('%I ON %I.%I', k.conname, n.nspname, r.relname), d.description
FROM pg_description AS d
JOIN pg_constraint AS k ON k.oid = d.objoid AND d.classoid = 'pg_constraint'::regclass AND k.contype = 'n'
JOIN pg_class AS r ON r.oid = k.conrelid
JOIN pg_namespace AS n ON n.oid = r.relnamespace
WHERE n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
UNION ALL
SELECT 'extension', quote_ident(e.extname), d.description
FROM pg_description AS d
JOIN pg_extension AS e ON e.oid = d.objoid AND d.classoid = 'pg_extension'::regclass
LEFT JOIN pg_available_extensions AS a ON a.name = e.extname
WHERE e.extname <> 'plpgsql' AND d.description IS DISTINCT FROM a.comment
ORDER BY 1, 2
