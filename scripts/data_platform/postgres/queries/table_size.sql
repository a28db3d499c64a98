-- A table's size as (pages, rows): pages of its largest partition, rows as the planner estimates them.
SELECT coalesce(max(size), 0)::bigint, coalesce(sum(size * density), 0)::bigint
  FROM (SELECT pg_catalog.pg_relation_size(c.oid) / pg_catalog.current_setting('block_size')::bigint AS size,
               CASE WHEN c.relpages > 0 AND c.reltuples >= 0 THEN c.reltuples / c.relpages ELSE 50 END AS density
          FROM pg_catalog.pg_class AS c
         WHERE c.relkind <> 'p'
           AND (c.oid = pg_catalog.to_regclass(%(table)s)
                OR c.oid IN (SELECT relid FROM pg_catalog.pg_partition_tree(pg_catalog.to_regclass(%(table)s))))) AS parts
