-- Args: queue, set, from, limit, size. A page of records: at most limit, and none
-- after those that have size bytes together.
SELECT key, value FROM (
    SELECT key, value, sum(octet_length(value)) OVER (ORDER BY key) - octet_length(value) AS before
    FROM (
        SELECT key, value FROM stocksync.records
        WHERE queue = $1::text AND set = $2::bytea AND key >= $3::bytea ORDER BY key LIMIT $4::bigint
    ) AS page
) AS summed
WHERE before < $5::bigint
ORDER BY key
