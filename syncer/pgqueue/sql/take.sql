-- Args: queue, term, holder, renewals, new holder, name, length in microseconds.
-- Begins a term, if the last one is still as it was seen; no row if it is not.
-- It waits for work that the last leader has sent and that is under way, and
-- what of it comes later finds another holder.
WITH taken AS (
    UPDATE stocksync.terms
    SET term = term + 1, holder = $5::bigint, name = $6::text, renewals = 0, resigned = false,
        length = $7::bigint * interval '1 microsecond', since = clock_timestamp(), renewed = clock_timestamp()
    WHERE queue = $1::text AND term = $2::bigint AND holder = $3::bigint AND renewals = $4::bigint
    RETURNING term
), fence AS (
    UPDATE stocksync.fences SET holder = $5::bigint WHERE queue = $1::text AND EXISTS (SELECT FROM taken)
)
SELECT term FROM taken
