-- Args: queue, holder, lane, limit, a random number. Leases tasks that are due:
-- those in the queue as marked, and those put back whose time has come. One row
-- without an id if there are none; no row if the holder does not lead.
WITH fence AS (
    SELECT FROM stocksync.fences WHERE queue = $1::text AND holder = $2::bigint FOR NO KEY UPDATE
), marked AS (
    SELECT id, due, seq FROM stocksync.tasks
    WHERE queue = $1::text AND lane = $3::bytea AND lease = 0 AND NOT delayed AND EXISTS (SELECT FROM fence)
    ORDER BY due, seq LIMIT $4::bigint
    FOR UPDATE SKIP LOCKED
), retried AS (
    SELECT id, due, seq FROM stocksync.tasks
    WHERE queue = $1::text AND lane = $3::bytea AND lease = 0 AND delayed AND due <= clock_timestamp()
          AND EXISTS (SELECT FROM fence)
    ORDER BY due, seq LIMIT $4::bigint
    FOR UPDATE SKIP LOCKED
), leased AS (
    UPDATE stocksync.tasks SET lease = $5::bigint + seq
    WHERE queue = $1::text AND lane = $3::bytea AND id = ANY (ARRAY(
        SELECT id FROM (SELECT * FROM marked UNION ALL SELECT * FROM retried) AS due ORDER BY due, seq LIMIT $4::bigint
    ))
    RETURNING id, first, last, why, trace, marks, attempt, due, seq, lease
)
SELECT id, first, last, why, trace, marks, attempt, lease FROM fence LEFT JOIN leased ON true ORDER BY due, seq
