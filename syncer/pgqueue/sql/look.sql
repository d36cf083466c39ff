-- Args: queue, lanes. Whether there is anything in the inbox, and which of the
-- lanes have a task that is due. Writes nothing and locks nothing.
--
-- Here and in other statements, rows are compared as a whole and put in the full
-- order of an index, and joined by all columns of a key rather than compared with
-- parameters. So PostgreSQL goes by the index whatever it knows of how many rows
-- there are, which may be wrong by far for tables that fill and empty.
SELECT (
           SELECT true FROM stocksync.inbox
           WHERE (queue, seq) >= ($1::text, 0) AND (queue, seq) <= ($1::text, 9223372036854775807)
           ORDER BY queue, seq LIMIT 1
       ) IS NOT NULL,
       ARRAY(
           SELECT l.lane
           FROM unnest($2::bytea[]) AS l (lane) CROSS JOIN LATERAL (
               SELECT FROM (
                   (SELECT FROM stocksync.tasks
                    WHERE (queue, lane, delayed) >= ($1::text, l.lane, false) AND (queue, lane, delayed) <= ($1::text, l.lane, false)
                          AND lease < 1
                    ORDER BY queue, lane, delayed, due, seq LIMIT 1)
                   UNION ALL
                   (SELECT FROM stocksync.tasks
                    WHERE (queue, lane, delayed) >= ($1::text, l.lane, true) AND (queue, lane, delayed, due) <= ($1::text, l.lane, true, statement_timestamp())
                          AND lease < 1
                    ORDER BY queue, lane, delayed, due, seq LIMIT 1)
               ) AS either LIMIT 1
           ) AS due
       )
