-- Args: queue. All that waits, each key once, the oldest first.
SELECT lane, id, min(first), (array_agg(why ORDER BY seq DESC))[1], (array_agg(trace ORDER BY trace = '', seq DESC))[1], sum(marks)::bigint
FROM (
    SELECT lane, id, first, why, trace, marks, -1 AS seq FROM stocksync.tasks WHERE queue = $1::text
    UNION ALL
    SELECT lane, id, since_first, since_why, since_trace, since_marks, 0 FROM stocksync.tasks
    WHERE queue = $1::text AND since_first IS NOT NULL
    UNION ALL
    SELECT lane, id, first, why, trace, marks, seq FROM stocksync.inbox WHERE queue = $1::text
) AS waiting GROUP BY lane, id ORDER BY min(first), lane, id
