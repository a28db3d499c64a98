-- The key by which a table is gone through in batches, as (columns, types): the wanted columns, or those of its primary
-- key, else of a unique one. Only what an index holds as the server compares the columns by itself, and without NULLs.
SELECT array_agg(a.attname::text ORDER BY k.n), array_agg(pg_catalog.format_type(a.atttypid, a.atttypmod) ORDER BY k.n)
  FROM pg_catalog.pg_index AS i
  JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
  JOIN pg_catalog.pg_am AS m ON m.oid = c.relam AND m.amname = 'btree'
 CROSS JOIN (SELECT %(key)s::text[] AS key) AS wanted
 CROSS JOIN LATERAL unnest(i.indkey::int2[], i.indcollation::oid[], i.indclass::oid[], i.indoption::int2[])
       WITH ORDINALITY AS k (attnum, collation_oid, class, option, n)
  JOIN pg_catalog.pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
  JOIN pg_catalog.pg_opclass AS o ON o.oid = k.class AND o.opcdefault
 WHERE i.indrelid = pg_catalog.to_regclass(%(table)s) AND i.indisvalid AND i.indpred IS NULL
   AND a.attnotnull AND a.attcollation = k.collation_oid
   AND k.n <= CASE WHEN key = '{}' THEN i.indnkeyatts ELSE cardinality(key) END
 GROUP BY i.indexrelid, i.indisprimary, i.indisunique, i.indnkeyatts, key
HAVING min(k.option & 1) = max(k.option & 1)
   AND CASE WHEN key = '{}' THEN i.indisunique AND count(*) = i.indnkeyatts
            ELSE array_agg(a.attname::text ORDER BY k.n) = key END
 ORDER BY i.indisprimary DESC, i.indnkeyatts, i.indexrelid
 LIMIT 1
