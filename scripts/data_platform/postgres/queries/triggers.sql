-- Row-level triggers of the tables %(tables)s. tgtype bits: 1 row, 2 before, 4 insert, 8 delete, 16 update.
SELECT t.tgrelid AS table_oid, t.tgname AS name, t.tgtype AS bits, n.nspname AS function_schema, p.proname AS function_name
FROM pg_trigger AS t
JOIN pg_proc AS p ON p.oid = t.tgfoid
JOIN pg_namespace AS n ON n.oid = p.pronamespace
WHERE NOT t.tgisinternal AND t.tgrelid = ANY (%(tables)s)
ORDER BY t.tgrelid, t.tgname
