-- Args: queue, holder, limit. Moves marks from the inbox to their tasks, the
-- oldest rows first, and tells how many. No row if the holder does not lead.
--
-- A mark that says of no time when it was made counts as made now: only now can
-- it be seen. Now is later than any mark of any task so far, whatever the clock
-- says, so that who was given a task knows which marks it stands for.
WITH batch AS MATERIALIZED (
    SELECT ctid, last FROM stocksync.inbox
    WHERE (queue, seq) >= ($1::text, 0) AND (queue, seq) <= ($1::text, 9223372036854775807)
    ORDER BY queue, seq LIMIT $3::bigint
), fence AS (
    UPDATE stocksync.fences
    SET stamp = greatest(clock_timestamp(), tick + interval '1 microsecond'),
        tick  = greatest(clock_timestamp(), tick + interval '1 microsecond', (SELECT max(last) FROM batch))
    WHERE queue = $1::text AND holder = $2::bigint
    RETURNING stamp
), taken AS (
    DELETE FROM stocksync.inbox
    WHERE ctid = ANY (ARRAY(SELECT ctid FROM batch)) AND EXISTS (SELECT FROM fence) -- rows here are never updated
    RETURNING lane, id, first, coalesce(last, (SELECT stamp FROM fence)) AS last, why, trace, marks, seq
), moved AS (
    INSERT INTO stocksync.tasks AS t (queue, lane, id, first, last, why, trace, marks, due, seq)
    SELECT $1::text, lane, id, min(first), max(last),
           (array_agg(why ORDER BY last DESC, seq DESC))[1],
           coalesce((array_agg(trace ORDER BY last DESC, seq DESC) FILTER (WHERE trace <> ''))[1], ''),
           sum(marks), min(first), min(seq)
    FROM taken
    GROUP BY lane, id
    ON CONFLICT (queue, lane, id) DO UPDATE SET
        -- Not leased: the task stands for these marks too, and is due at once.
        first   = CASE WHEN t.lease = 0 THEN least(t.first, excluded.first) ELSE t.first END,
        last    = CASE WHEN t.lease = 0 THEN greatest(t.last, excluded.last) ELSE t.last END,
        why     = CASE WHEN t.lease = 0 AND t.last <= excluded.last THEN excluded.why ELSE t.why END,
        trace   = CASE WHEN t.lease = 0 AND excluded.trace <> '' AND (t.last <= excluded.last OR t.trace = '')
                       THEN excluded.trace ELSE t.trace END,
        marks   = CASE WHEN t.lease = 0 THEN t.marks + excluded.marks ELSE t.marks END,
        due     = CASE WHEN t.lease = 0 THEN least(t.first, excluded.first) ELSE t.due END,
        delayed = t.delayed AND t.lease <> 0,
        attempt = CASE WHEN t.lease = 0 THEN 0 ELSE t.attempt END,
        -- Leased: they are noted, and stand when the lease ends.
        since_first = CASE WHEN t.lease <> 0 THEN least(t.since_first, excluded.first) END,
        since_last  = CASE WHEN t.lease <> 0 THEN greatest(t.since_last, excluded.last) END,
        since_why   = CASE WHEN t.lease = 0 THEN ''
                           WHEN t.since_last > excluded.last THEN t.since_why ELSE excluded.why END,
        since_trace = CASE WHEN t.lease = 0 THEN ''
                           WHEN excluded.trace = '' OR t.since_last > excluded.last AND t.since_trace <> ''
                           THEN t.since_trace ELSE excluded.trace END,
        since_marks = CASE WHEN t.lease = 0 THEN 0 ELSE t.since_marks + excluded.marks END
)
SELECT (SELECT count(*) FROM taken) FROM fence
