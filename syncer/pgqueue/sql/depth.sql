-- Args: queue, lane. How many keys there are in tasks and inbox together, and
-- their oldest mark.
SELECT count(*) FILTER (WHERE counts), min(first) FROM (
    SELECT true AS counts, least(first, since_first) AS first
    FROM stocksync.tasks WHERE queue = $1::text AND lane = $2::bytea
    UNION ALL
    SELECT NOT EXISTS (
               SELECT FROM stocksync.tasks AS t WHERE t.queue = $1::text AND t.lane = $2::bytea AND t.id = i.id
           ), min(first)
    FROM stocksync.inbox AS i WHERE queue = $1::text AND lane = $2::bytea
    GROUP BY id
) AS keys
