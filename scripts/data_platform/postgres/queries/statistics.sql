-- Extended statistics of the relations %(tables)s.
SELECT s.stxrelid AS table_oid, s.stxname AS name, n.nspname AS schema, rn.nspname AS table_schema, s.stxkind::text[] AS kinds,
       nullif(s.stxstattarget, -1)::int AS target,
       (SELECT array_agg(a.attname::text ORDER BY key.position)
        FROM unnest(s.stxkeys) WITH ORDINALITY AS key(number, position)
        JOIN pg_attribute AS a ON a.attrelid = s.stxrelid AND a.attnum = key.number) AS columns,
       pg_get_statisticsobjdef_expressions(s.oid) AS expressions,
       obj_description(s.oid, 'pg_statistic_ext') AS comment
FROM pg_statistic_ext AS s
JOIN pg_namespace AS n ON n.oid = s.stxnamespace
JOIN pg_class AS r ON r.oid = s.stxrelid
JOIN pg_namespace AS rn ON rn.oid = r.relnamespace
WHERE s.stxrelid = ANY (%(tables)s)
ORDER BY s.stxrelid, s.stxname
