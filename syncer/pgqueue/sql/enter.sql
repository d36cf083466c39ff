-- Args: queue. Makes the rows of a queue that nobody has led yet.
WITH term AS (
    INSERT INTO stocksync.terms (queue, term, holder, name, renewals, resigned, length, since, renewed)
    VALUES ($1::text, 0, 0, '', 0, true, interval '0', clock_timestamp(), clock_timestamp())
    ON CONFLICT DO NOTHING
)
INSERT INTO stocksync.fences (queue, holder, stamp, tick)
VALUES ($1::text, 0, clock_timestamp(), clock_timestamp()) ON CONFLICT DO NOTHING
