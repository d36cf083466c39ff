-- The tables of stocksync's queues, in a schema that exists. All rows of a queue
-- have its name, so that several services can share them.
--
-- Lanes, ids, sets and keys may have any bytes. The views at the end show them
-- as text.

-- Which versions of this schema were applied. The module refuses to work with
-- one that says it is only for newer modules.
CREATE TABLE stocksync.versions (
    version int PRIMARY KEY,
    oldest  int NOT NULL, -- the oldest version whose module works with this one
    applied timestamptz NOT NULL DEFAULT now()
);

INSERT INTO stocksync.versions (version, oldest) VALUES (1, 1);

-- What was marked and not looked at yet. Whoever marks only inserts here, so a
-- transaction that marks waits for nobody, and nobody waits for it. Who leads
-- moves the rows on to tasks.
CREATE TABLE stocksync.inbox (
    queue text NOT NULL,
    seq   bigint GENERATED ALWAYS AS IDENTITY,
    lane  bytea NOT NULL,
    id    bytea NOT NULL,
    first timestamptz NOT NULL, -- the oldest mark that this one stands for
    last  timestamptz,          -- the newest one; NULL: when it is moved on
    why   bytea NOT NULL,
    trace bytea NOT NULL,
    marks bigint NOT NULL,      -- how many marks it stands for
    PRIMARY KEY (queue, seq)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

-- What is to be done: one row for each key. Only who leads writes here.
CREATE TABLE stocksync.tasks (
    queue   text NOT NULL,
    lane    bytea NOT NULL,
    id      bytea NOT NULL,
    -- The marks that the task stands for.
    first   timestamptz NOT NULL,
    last    timestamptz NOT NULL,
    why     bytea NOT NULL,
    trace   bytea NOT NULL,
    marks   bigint NOT NULL,
    -- When it is due. Due and delayed: Retry put it back until then. Not
    -- delayed: it is due now, and that is its place among the others.
    due     timestamptz NOT NULL,
    delayed boolean NOT NULL DEFAULT false,
    seq     bigint NOT NULL, -- decides between equal times
    attempt bigint NOT NULL DEFAULT 0,
    -- Not 0: it is being worked on, under this token, which is positive. (Statements
    -- that have to find those that are not ask for less than 1, since PostgreSQL
    -- expects a single value to be rare before it has seen any.)
    lease   bigint NOT NULL DEFAULT 0,
    -- The marks made since it was leased.
    since_first timestamptz,
    since_last  timestamptz,
    since_why   bytea NOT NULL DEFAULT '',
    since_trace bytea NOT NULL DEFAULT '',
    since_marks bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (queue, lane, id)
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 5000);

CREATE INDEX tasks_due ON stocksync.tasks (queue, lane, delayed, due, seq) WHERE lease < 1;

-- Small records in named sets.
CREATE TABLE stocksync.records (
    queue text NOT NULL,
    set   bytea NOT NULL,
    key   bytea NOT NULL,
    value bytea NOT NULL,
    PRIMARY KEY (queue, set, key)
);

-- Who leads, or led last: one row for each queue. It shows that it is alive by
-- counting renewals. Times are for people; nothing is decided by them.
CREATE TABLE stocksync.terms (
    queue    text PRIMARY KEY,
    term     bigint NOT NULL,          -- grows with every leader
    holder   bigint NOT NULL,          -- drawn at random by the leader
    name     text NOT NULL,            -- as its host calls it
    renewals bigint NOT NULL,
    resigned boolean NOT NULL,         -- it has ended its term by itself
    length   interval NOT NULL,        -- how long it leads without a renewal
    since    timestamptz NOT NULL,
    renewed  timestamptz NOT NULL
);

-- The lock on all work: one row for each queue. Who leases, acknowledges, puts
-- back or saves under a term locks it in the same statement, and finds itself
-- there or does nothing. It is not part of terms, so that a renewal never waits
-- for work.
CREATE TABLE stocksync.fences (
    queue  text PRIMARY KEY,
    holder bigint NOT NULL,      -- who leads; 0 is nobody
    stamp  timestamptz NOT NULL, -- when marks were last moved from the inbox
    tick   timestamptz NOT NULL  -- no task has a later mark
);

-- For people.
CREATE VIEW stocksync.tasks_shown AS
    SELECT queue, encode(lane, 'escape') AS lane, encode(id, 'escape') AS id,
           CASE WHEN lease <> 0 THEN 'leased' WHEN delayed AND due > clock_timestamp() THEN 'delayed' ELSE 'due' END AS state,
           first, last, encode(why, 'escape') AS why, marks + since_marks AS marks, attempt, due
    FROM stocksync.tasks;

CREATE VIEW stocksync.records_shown AS
    SELECT queue, encode(set, 'escape') AS set, encode(key, 'escape') AS key,
           octet_length(value) AS size, encode(substr(value, 1, 200), 'escape') AS value
    FROM stocksync.records;
