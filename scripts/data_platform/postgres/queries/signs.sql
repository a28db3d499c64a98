-- How far the furthest receiver of our WAL is behind (seconds, bytes), how many other sessions are at work, and whether
-- this role may not see the one or the other. A slot that nobody reads from holds WAL, but waiting for it would not end.
WITH receivers AS (
    SELECT extract(epoch FROM replay_lag) AS seconds, replay_lsn AS lsn, state IS NULL AS hidden
      FROM pg_catalog.pg_stat_replication
     WHERE state IS DISTINCT FROM 'backup'
    UNION ALL
    SELECT NULL, confirmed_flush_lsn, false
      FROM pg_catalog.pg_replication_slots
     WHERE slot_type = 'logical' AND active
)
SELECT coalesce(max(seconds), 0)::float8,
       coalesce(max(pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), lsn)), 0)::bigint,
       (SELECT count(*)
          FROM pg_catalog.pg_stat_activity
         WHERE state = 'active' AND backend_type = 'client backend' AND pid NOT IN (%(pid)s, pg_catalog.pg_backend_pid())),
       coalesce(bool_or(hidden), false),
       EXISTS (SELECT FROM pg_catalog.pg_stat_activity WHERE backend_type IS NULL AND pid IS NOT NULL)
  FROM receivers
