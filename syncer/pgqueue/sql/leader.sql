-- Args: queue. Who leads. Ages are by this clock; stale is for people only.
SELECT term, holder, name, renewals, resigned, (extract(epoch FROM length) * 1000000)::bigint,
       (extract(epoch FROM clock_timestamp() - since) * 1000000)::bigint,
       (extract(epoch FROM clock_timestamp() - renewed) * 1000000)::bigint,
       clock_timestamp()
FROM stocksync.terms WHERE queue = $1::text
