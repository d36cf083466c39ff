-- Args: queue, holder. Ends a term, so that another can begin at once.
WITH ended AS (
    UPDATE stocksync.terms SET resigned = true WHERE queue = $1::text AND holder = $2::bigint RETURNING queue
)
UPDATE stocksync.fences SET holder = 0 WHERE queue IN (SELECT queue FROM ended) AND holder = $2::bigint
