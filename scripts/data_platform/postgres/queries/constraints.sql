-- Constraints of the tables %(tables)s; columns by name, in the constraint's order. NOT NULL is a column's matter, what
-- only follows from a parent table is the parent's; a partition's keys are its own, since they have names of their own.
SELECT k.conrelid AS table_oid, k.conname AS name, k.contype AS kind, k.condeferrable AS deferrable, k.condeferred AS deferred,
       k.conindid AS index_oid, k.connoinherit AS no_inherit, k.convalidated AS validated,
       -- Read as JSON because these columns are younger than PostgreSQL 13.
       coalesce((to_jsonb(k) ->> 'conenforced')::boolean, true) AS enforced,
       coalesce((to_jsonb(k) ->> 'conperiod')::boolean, false) AS period,
       obj_description(k.oid, 'pg_constraint') AS comment,
       pg_get_expr(k.conbin, k.conrelid) AS expression,
       (SELECT array_agg(a.attname::text ORDER BY key.position)
        FROM unnest(k.conkey) WITH ORDINALITY AS key(number, position)
        JOIN pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = key.number) AS columns,
       fn.nspname AS target_schema, f.relname AS target_name,
       (SELECT array_agg(a.attname::text ORDER BY key.position)
        FROM unnest(k.confkey) WITH ORDINALITY AS key(number, position)
        JOIN pg_attribute AS a ON a.attrelid = k.confrelid AND a.attnum = key.number) AS target_columns,
       k.confdeltype AS on_delete, k.confupdtype AS on_update, k.confmatchtype AS match,
       (SELECT array_agg(a.attname::text ORDER BY key.position)
        FROM jsonb_array_elements_text(CASE jsonb_typeof(to_jsonb(k) -> 'confdelsetcols') WHEN 'array' THEN to_jsonb(k) -> 'confdelsetcols' END)
             WITH ORDINALITY AS key(number, position)
        JOIN pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = key.number::int) AS set_columns,
       (SELECT array_agg(CASE WHEN o.oprnamespace = 'pg_catalog'::regnamespace THEN o.oprname::text
                              ELSE format('OPERATOR(%%s.%%s)', o.oprnamespace::regnamespace, o.oprname) END ORDER BY op.position)
        FROM unnest(k.conexclop) WITH ORDINALITY AS op(oid, position)
        JOIN pg_operator AS o ON o.oid = op.oid) AS operators
FROM pg_constraint AS k
LEFT JOIN pg_class AS f ON f.oid = k.confrelid
LEFT JOIN pg_namespace AS fn ON fn.oid = f.relnamespace
WHERE k.conrelid = ANY (%(tables)s) AND k.contype IN ('p', 'u', 'c', 'x', 'f')
  AND NOT (k.contype = 'f' AND k.conparentid <> 0) AND NOT (k.contype = 'c' AND NOT k.conislocal)
ORDER BY k.conrelid, k.conname
