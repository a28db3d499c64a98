INSERT INTO users (name, email, mood, doc)
SELECT 'a b' || n, CASE WHEN n % 7 > 0 THEN n || '@x' END, (ARRAY['sad', 'ok', 'happy', NULL])[1 + n % 4]::mood, '{"a": 1}'
  FROM generate_series(1, 300) AS n;
INSERT INTO orders (user_id, total, code) SELECT n, n, CASE WHEN n % 5 > 0 THEN n::text END FROM generate_series(1, 300) AS n;
INSERT INTO events SELECT n, '2020-06-01' FROM generate_series(1, 300) AS n;
INSERT INTO bare
SELECT n, n, tsrange('2020-01-01'::timestamp + n * interval '1 day', '2020-01-02'::timestamp + n * interval '1 day')
  FROM generate_series(1, 300) AS n;
INSERT INTO settings SELECT n, 2, 'dark' FROM generate_series(1, 300) AS n;
REFRESH MATERIALIZED VIEW totals;
