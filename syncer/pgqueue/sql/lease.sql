-- Args: queue, holder, lane, limit, a random number. Leases tasks that are due:
-- those in the queue as marked, and those put back whose time has come. One row
-- without an id if there are none; no row if the holder does not lead.
WITH fence AS (
    SELECT FROM stocksync.fences WHERE queue = $1::text AND holder = $2::bigint FOR NO KEY UPDATE
), marked AS (
    SELECT queue, lane, id, due, seq FROM stocksync.tasks
    WHERE (queue, lane, delayed) >= ($1::text, $3::bytea, false) AND (queue, lane, delayed) <= ($1::text, $3::bytea, false)
          AND lease < 1 AND EXISTS (SELECT FROM fence)
    ORDER BY queue, lane, delayed, due, seq LIMIT $4::bigint
    FOR UPDATE SKIP LOCKED
), retried AS (
    SELECT queue, lane, id, due, seq FROM stocksync.tasks
    WHERE (queue, lane, delayed) >= ($1::text, $3::bytea, true)
          AND (queue, lane, delayed, due) <= ($1::text, $3::bytea, true, statement_timestamp())
          AND lease < 1 AND EXISTS (SELECT FROM fence)
    ORDER BY queue, lane, delayed, due, seq LIMIT $4::bigint
    FOR UPDATE SKIP LOCKED
), ready AS MATERIALIZED (
    SELECT queue, lane, id FROM (SELECT * FROM marked UNION ALL SELECT * FROM retried) AS due ORDER BY due, seq LIMIT $4::bigint
), leased AS (
    UPDATE stocksync.tasks AS t SET lease = $5::bigint + t.seq
    FROM ready WHERE t.queue = ready.queue AND t.lane = ready.lane AND t.id = ready.id
    RETURNING t.id, t.first, t.last, t.why, t.trace, t.marks, t.attempt, t.due, t.seq, t.lease
)
SELECT id, first, last, why, trace, marks, attempt, lease FROM fence LEFT JOIN leased ON true ORDER BY due, seq
