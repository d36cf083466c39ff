-- Args: queue, lane, id. What waits under a key: its task, or else what the
-- inbox has of it. No row if there is nothing.
SELECT first, last, why, trace, marks, attempt, due, lease <> 0
FROM stocksync.tasks WHERE queue = $1::text AND lane = $2::bytea AND id = $3::bytea
UNION ALL
SELECT min(first), coalesce(max(last), statement_timestamp()), (array_agg(why ORDER BY seq DESC))[1],
       (array_agg(trace ORDER BY seq DESC))[1], sum(marks)::bigint, 0, min(first), false
FROM stocksync.inbox WHERE queue = $1::text AND lane = $2::bytea AND id = $3::bytea
HAVING count(*) > 0
LIMIT 1
