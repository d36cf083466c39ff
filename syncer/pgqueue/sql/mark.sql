-- Args: queue, lanes, ids, firsts, lasts, whys, traces, counts. All marks of one
-- statement get one time.
INSERT INTO stocksync.inbox (queue, lane, id, first, last, why, trace, marks)
SELECT $1::text, lane, id, least(first, last, statement_timestamp()), last, why, trace, marks
FROM unnest($2::bytea[], $3::bytea[], $4::timestamptz[], $5::timestamptz[], $6::bytea[], $7::bytea[], $8::bigint[])
     WITH ORDINALITY AS m (lane, id, first, last, why, trace, marks, n)
ORDER BY n
