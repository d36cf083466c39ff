-- Args: queue, holder, microseconds. The clock was set back by so much: what was put
-- back waits no longer for it than it was to, and what was due still is. No row if
-- the holder does not lead.
WITH fence AS (
    SELECT FROM stocksync.fences WHERE queue = $1::text AND holder = $2::bigint FOR NO KEY UPDATE
), sooner AS (
    UPDATE stocksync.tasks AS t SET due = t.due - $3::bigint * interval '1 microsecond'
    WHERE t.queue = $1::text AND t.due > clock_timestamp() AND EXISTS (SELECT FROM fence)
)
SELECT 1 FROM fence
