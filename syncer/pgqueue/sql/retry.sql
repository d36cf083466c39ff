-- Args: queue, holder, lanes, ids, tokens, attempts, delay in microseconds. Ends
-- leases, and puts the tasks back for that long; what was marked since is due at
-- once. No row if the holder does not lead.
WITH fence AS (
    SELECT FROM stocksync.fences WHERE queue = $1::text AND holder = $2::bigint FOR NO KEY UPDATE
), given AS MATERIALIZED (
    SELECT $1::text AS queue, lane, id, lease, attempt
    FROM unnest($3::bytea[], $4::bytea[], $5::bigint[], $6::bigint[]) AS g (lane, id, lease, attempt)
), held AS (
    SELECT t.queue, t.lane, t.id, g.attempt
    FROM given AS g
    JOIN stocksync.tasks AS t ON t.queue = g.queue AND t.lane = g.lane AND t.id = g.id AND t.lease = g.lease
    WHERE t.lease <> 0 AND EXISTS (SELECT FROM fence)
    FOR UPDATE OF t
), back AS (
    UPDATE stocksync.tasks AS t
    SET first   = least(t.first, t.since_first),
        last    = greatest(t.last, t.since_last),
        why     = CASE WHEN t.since_last >= t.last THEN t.since_why ELSE t.why END,
        trace   = CASE WHEN t.since_trace <> '' AND (t.since_last >= t.last OR t.trace = '') THEN t.since_trace ELSE t.trace END,
        marks   = t.marks + t.since_marks,
        due     = CASE WHEN t.since_marks = 0 THEN statement_timestamp() + $7::bigint * interval '1 microsecond'
                       ELSE least(t.first, t.since_first) END,
        delayed = t.since_marks = 0,
        attempt = CASE WHEN t.since_marks = 0 THEN held.attempt ELSE 0 END,
        lease   = 0,
        since_first = NULL, since_last = NULL, since_why = '', since_trace = '', since_marks = 0
    FROM held
    WHERE t.queue = held.queue AND t.lane = held.lane AND t.id = held.id
)
SELECT 1 FROM fence
