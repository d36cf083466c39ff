-- Args: queue, set, key.
SELECT value FROM stocksync.records WHERE queue = $1::text AND set = $2::bytea AND key = $3::bytea
