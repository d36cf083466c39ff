-- Args: queue, lanes. Whether there is anything in the inbox, and which of the
-- lanes have a task that is due. Writes nothing and locks nothing.
SELECT EXISTS (SELECT FROM stocksync.inbox WHERE queue = $1::text),
       ARRAY(
           SELECT l.lane FROM unnest($2::bytea[]) AS l (lane)
           WHERE EXISTS (
               SELECT FROM stocksync.tasks AS t
               WHERE t.queue = $1::text AND t.lane = l.lane AND t.lease = 0 AND NOT t.delayed
           ) OR EXISTS (
               SELECT FROM stocksync.tasks AS t
               WHERE t.queue = $1::text AND t.lane = l.lane AND t.lease = 0 AND t.delayed AND t.due <= clock_timestamp()
           )
       )
