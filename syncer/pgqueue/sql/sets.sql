-- Args: queue, set. The next set that has records, after one; or the first, if
-- that is NULL. No row if there is none.
SELECT set FROM stocksync.records
WHERE queue = $1::text AND ($2::bytea IS NULL OR set > $2::bytea)
ORDER BY queue, set, key LIMIT 1
