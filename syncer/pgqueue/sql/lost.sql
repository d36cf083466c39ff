-- Args: queue, holder, lanes, numbers. Ends the leases that were given by statements
-- with these random numbers, as if nothing had been done: nobody got their answers. No
-- row if the holder does not lead.
WITH fence AS (
    SELECT FROM stocksync.fences WHERE queue = $1::text AND holder = $2::bigint FOR NO KEY UPDATE
), given AS MATERIALIZED (
    SELECT $1::text AS queue, lane, number FROM unnest($3::bytea[], $4::bigint[]) AS g (lane, number)
), held AS (
    SELECT t.queue, t.lane, t.id
    FROM given AS g
    JOIN stocksync.tasks AS t ON t.queue = g.queue AND t.lane = g.lane AND t.lease = g.number + t.seq
    WHERE t.lease <> 0 AND EXISTS (SELECT FROM fence)
    FOR UPDATE OF t
), back AS (
    UPDATE stocksync.tasks AS t
    SET first   = least(t.first, t.since_first),
        last    = greatest(t.last, t.since_last),
        why     = CASE WHEN t.since_last >= t.last THEN t.since_why ELSE t.why END,
        trace   = CASE WHEN t.since_trace <> '' AND (t.since_last >= t.last OR t.trace = '') THEN t.since_trace ELSE t.trace END,
        marks   = t.marks + t.since_marks,
        due     = CASE WHEN t.since_marks = 0 THEN t.due ELSE least(t.first, t.since_first) END,
        delayed = t.delayed AND t.since_marks = 0,
        attempt = CASE WHEN t.since_marks = 0 THEN t.attempt ELSE 0 END,
        lease   = 0,
        since_first = NULL, since_last = NULL, since_why = '', since_trace = '', since_marks = 0
    FROM held
    WHERE t.queue = held.queue AND t.lane = held.lane AND t.id = held.id
)
SELECT 1 FROM fence
