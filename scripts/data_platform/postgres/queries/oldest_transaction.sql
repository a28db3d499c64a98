-- The oldest open transaction of another session, as (process, state, seconds).
SELECT pid, coalesce(state, 'unknown'), extract(epoch FROM now() - xact_start)::bigint
  FROM pg_catalog.pg_stat_activity
 WHERE backend_type = 'client backend' AND pid <> pg_catalog.pg_backend_pid() AND xact_start IS NOT NULL
 ORDER BY xact_start LIMIT 1
