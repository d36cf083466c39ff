-- Args: seconds. Ends the sessions that have held a lock on work for so long:
-- their process stopped, or was cut off, in the middle of a statement.
SELECT count(pg_terminate_backend(a.pid))
FROM pg_stat_activity AS a
WHERE a.xact_start < clock_timestamp() - $1::float8 * interval '1 second' AND a.datname = current_database()
      AND a.wait_event_type = 'Client'
      AND EXISTS (
          SELECT FROM pg_locks AS l
          WHERE l.pid = a.pid AND l.database = a.datid AND l.granted AND l.relation = 'stocksync.fences'::regclass
                AND l.mode IN ('RowShareLock', 'RowExclusiveLock')
      )
