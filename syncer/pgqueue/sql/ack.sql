-- Args: queue, holder, lanes, ids, tokens. Ends leases; what was marked since is
-- due again. No row if the holder does not lead.
WITH fence AS (
    SELECT FROM stocksync.fences WHERE queue = $1::text AND holder = $2::bigint FOR NO KEY UPDATE
), given AS MATERIALIZED (
    SELECT $1::text AS queue, lane, id, lease FROM unnest($3::bytea[], $4::bytea[], $5::bigint[]) AS g (lane, id, lease)
), held AS (
    SELECT t.queue, t.lane, t.id, t.since_marks
    FROM given AS g
    JOIN stocksync.tasks AS t ON t.queue = g.queue AND t.lane = g.lane AND t.id = g.id AND t.lease = g.lease
    WHERE t.lease <> 0 AND EXISTS (SELECT FROM fence)
    FOR UPDATE OF t
), done AS (
    DELETE FROM stocksync.tasks AS t USING held
    WHERE t.queue = held.queue AND t.lane = held.lane AND t.id = held.id AND held.since_marks = 0
), again AS (
    UPDATE stocksync.tasks AS t
    SET first = coalesce(t.since_first, t.first), last = coalesce(t.since_last, t.last), -- see below
        why = t.since_why, trace = t.since_trace, marks = t.since_marks,
        due = coalesce(t.since_first, t.first), delayed = false, attempt = 0, lease = 0,
        since_first = NULL, since_last = NULL, since_why = '', since_trace = '', since_marks = 0
    FROM held
    WHERE t.queue = held.queue AND t.lane = held.lane AND t.id = held.id AND held.since_marks > 0
)
-- A mark may be noted while the statement waits for the fence. The lock on the
-- row tells. PostgreSQL then reckons the update twice: first with the row as it
-- was, where since_first is NULL, which must be no error.
SELECT 1 FROM fence
