-- Materialized views of the schemas %(schemas)s in the order of refreshing: each after all that it reads, also through
-- plain views. level 1 reads no other one. unique_index is one that CONCURRENTLY can use: valid, of columns only, of all rows.
WITH RECURSIVE reads AS (
    SELECT DISTINCT w.ev_class AS reader, d.refobjid AS read
    FROM pg_rewrite AS w
    JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid
    JOIN pg_class AS c ON d.refclassid = 'pg_class'::regclass AND c.oid = d.refobjid AND c.relkind IN ('m', 'v')
    WHERE w.ev_class <> d.refobjid
), levels AS (
    SELECT c.oid, c.relkind, (c.relkind = 'm')::int AS level
    FROM pg_class AS c
    WHERE c.relkind IN ('m', 'v') AND NOT EXISTS (SELECT FROM reads AS r WHERE r.reader = c.oid)
    UNION
    SELECT c.oid, c.relkind, l.level + (c.relkind = 'm')::int
    FROM levels AS l JOIN reads AS r ON r.read = l.oid JOIN pg_class AS c ON c.oid = r.reader
)
SELECT n.nspname::text AS schema, c.relname::text AS name, max(l.level) AS level, c.relispopulated AS populated,
       pg_total_relation_size(c.oid) AS bytes,
       (SELECT min(i.indexrelid::regclass::text) FROM pg_index AS i
        WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indimmediate
          AND i.indpred IS NULL AND i.indexprs IS NULL) AS unique_index,
       (SELECT count(*) FROM pg_index AS i WHERE i.indrelid = c.oid AND i.indisunique) AS unique_indexes
FROM levels AS l
JOIN pg_class AS c ON c.oid = l.oid AND c.relkind = 'm'
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = ANY (%(schemas)s)
GROUP BY c.oid, n.nspname, c.relname, c.relispopulated
ORDER BY level, schema, name
