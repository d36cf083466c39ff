-- Args: queue, holder. Ends the leases that the last leader left, as if nothing
-- had been done. A holder calls it before it leases anything itself. No row if the
-- holder does not lead.
WITH fence AS (
    SELECT FROM stocksync.fences WHERE queue = $1::text AND holder = $2::bigint FOR NO KEY UPDATE
), freed AS (
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
    WHERE t.queue = $1::text AND t.lease <> 0 AND EXISTS (SELECT FROM fence)
)
SELECT 1 FROM fence
