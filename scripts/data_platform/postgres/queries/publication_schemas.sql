-- Schemas whose tables a publication holds; from PostgreSQL 15 on.
SELECT s.pnpubid AS oid, array_agg(n.nspname::text ORDER BY n.nspname) AS schemas
FROM pg_publication_namespace AS s
JOIN pg_namespace AS n ON n.oid = s.pnnspid
GROUP BY s.pnpubid
