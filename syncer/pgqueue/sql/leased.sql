-- Args: queue. The keys of the leases that the last leader left, before they are ended:
-- the answer to that may be lost. Nobody can lease anything meanwhile.
SELECT lane, id FROM stocksync.tasks WHERE queue = $1::text AND lease <> 0 ORDER BY due, seq
