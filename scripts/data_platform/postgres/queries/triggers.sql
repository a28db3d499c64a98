-- Triggers of the relations %(tables)s; those that follow a partitioned table's are the parent's.
-- tgtype bits: 1 row, 2 before, 4 insert, 8 delete, 16 update, 32 truncate, 64 instead.
SELECT t.tgrelid AS table_oid, t.tgname AS name, t.tgtype AS bits, n.nspname AS function_schema, p.proname AS function_name,
       t.tgargs AS arguments, t.tgnargs AS argument_count, t.tgenabled AS enabled,
       t.tgoldtable AS old_table, t.tgnewtable AS new_table,
       t.tgconstraint <> 0 AS constraint, t.tgdeferrable AS deferrable, t.tginitdeferred AS deferred,
       fn.nspname AS from_schema, f.relname AS from_name,
       (SELECT array_agg(a.attname::text ORDER BY key.position)
        FROM unnest(t.tgattr) WITH ORDINALITY AS key(number, position)
        JOIN pg_attribute AS a ON a.attrelid = t.tgrelid AND a.attnum = key.number) AS update_of,
       CASE WHEN t.tgqual IS NOT NULL THEN pg_get_triggerdef(t.oid, false) END AS definition,
       obj_description(t.oid, 'pg_trigger') AS comment
FROM pg_trigger AS t
JOIN pg_proc AS p ON p.oid = t.tgfoid
JOIN pg_namespace AS n ON n.oid = p.pronamespace
LEFT JOIN pg_class AS f ON f.oid = t.tgconstrrelid
LEFT JOIN pg_namespace AS fn ON fn.oid = f.relnamespace
WHERE NOT t.tgisinternal AND t.tgparentid = 0 AND t.tgrelid = ANY (%(tables)s)
ORDER BY t.tgrelid, t.tgname
