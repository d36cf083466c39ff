-- Args: queue, set, keys and values to put, keys to remove, holder. Each key
-- comes once. A holder of NULL is for whoever needs no term; otherwise there is
-- no row if the holder does not lead.
WITH fence AS (
    SELECT FROM stocksync.fences WHERE queue = $1::text AND holder = $6::bigint FOR NO KEY UPDATE
), allowed AS (
    SELECT 1 WHERE $6::bigint IS NULL OR EXISTS (SELECT FROM fence)
), removed AS (
    DELETE FROM stocksync.records
    WHERE queue = $1::text AND set = $2::bytea AND key = ANY ($5::bytea[]) AND EXISTS (SELECT FROM allowed)
), saved AS (
    INSERT INTO stocksync.records (queue, set, key, value)
    SELECT $1::text, $2::bytea, key, value FROM unnest($3::bytea[], $4::bytea[]) AS r (key, value)
    WHERE EXISTS (SELECT FROM allowed)
    ORDER BY key
    ON CONFLICT (queue, set, key) DO UPDATE SET value = excluded.value
)
SELECT 1 FROM allowed
