-- Args: queue, holder, number of the renewal. A renewal that is sent again, since
-- no answer came, has the number that it had: others see one sign of life. No row
-- if the holder does not lead.
UPDATE stocksync.terms SET renewals = greatest(renewals, $3::bigint), renewed = clock_timestamp()
WHERE queue = $1::text AND holder = $2::bigint AND NOT resigned
RETURNING clock_timestamp()
