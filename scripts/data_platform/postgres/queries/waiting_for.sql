-- One row if any session waits for a lock that this one holds.
SELECT 1
  FROM pg_catalog.pg_locks
 WHERE NOT granted AND pid <> %(pid)s AND %(pid)s = ANY (pg_catalog.pg_blocking_pids(pid))
 LIMIT 1
