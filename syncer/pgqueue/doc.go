// Package pgqueue keeps a syncer's queue in PostgreSQL, so that several replicas
// of a service share it: all of them take marks, one leads and works, and when
// it dies, hangs or is cut off another goes on within seconds.
//
// It is a module of its own, so that only programs that use it depend on pgx.
//
// # Use
//
// Each replica opens the same queue, and gives it to its syncer as the Queue of
// the configuration:
//
//	pool, err := pgxpool.New(ctx, os.Getenv("DATABASE_URL"))
//	if err != nil {
//		return err
//	}
//	defer pool.Close()
//	q, err := pgqueue.New(pool, pgqueue.Options{})
//	if err != nil {
//		return err
//	}
//	if err := q.Migrate(ctx); err != nil {
//		return err
//	}
//
// # Marks and the host's transactions
//
// [Queue.MarkTx] marks as part of a transaction of the host, so that an
// adjustment in its database and the mark commit together or not at all. Marking
// is an insert and nothing else: it waits for nobody and locks nothing that
// another would wait for, however long the transaction stays open. Who leads
// finds the mark when it is committed, and coalesces it with others of its key.
//
// # What survives
//
// What Mark or Save has returned nil for is committed, and so as durable as the
// server makes it: with synchronous_commit off, or when a standby that is not
// synchronous takes over, the last moments are lost. Counts of attempts and the
// times of retries survive too.
//
// # Leading
//
// A term is a row that its leader keeps renewing, at a fifth of Options.Lease. A
// standby takes over when it has seen no renewal for that time and a tenth more,
// by its own monotonic clock, so nothing depends on what time a machine thinks
// it is. The leader reckons from before it sent the last renewal that it has an
// answer to, and so has given up by then. On Linux the time for which a machine
// was suspended counts; that for which a virtual machine was frozen does not,
// and cannot be known.
//
// Work under a term (Lease, Ack, Retry, and Save of a term) is one SQL statement
// that locks the queue's fence, a row that names the leader, and does nothing if
// that is another. Taking over changes that row. So of work that is sent under
// an old term, either all was done before the new term began, or nothing is.
//
// A session that stands still in the middle of such a statement, because its
// process was cut off before it had sent all of it, would keep others from taking
// over. It is ended after the length of a lease, with pg_terminate_backend: all
// replicas should use one database role, as otherwise they may not.
//
// # Polling
//
// A leader that waits for work asks the server every Options.Poll, in one cheap
// statement for all its lanes; so does a standby. Marks made by the leading
// process are seen at once. LISTEN and NOTIFY would save the polling, but all
// transactions that notify commit one after the other, which makes marking two
// to seven times as slow, and the slower the disk the more; and a connection
// pooler in transaction mode does not have them.
//
// # Connections
//
// Nothing depends on a session: no LISTEN, no session locks, no settings. So the
// pool may go through a pooler in transaction mode, as long as its exec mode
// suits that (see [pgx.QueryExecMode]).
//
// A leader that gets no connection for the length of its lease, because the host
// has taken them all, loses its term. If that may happen give the queue a pool of
// its own. It uses one connection for renewals, one for polling, and one for each
// call under way. End the term before you close the pool.
//
// A connection that died without a word, as of a cable or of a firewall that
// forgot it, is noticed by a request that gets no answer: a renewal of the leader
// for a fifth of the lease, a question of a standby for half of it, at most five
// seconds. The pool is then reset once ([pgxpool.Pool.Reset]), so that the others
// like it cost no such time each. Connections in use by the host are closed when
// it has released them.
//
// # Time
//
// Times of marks are by the server's clock. They are given as the local time
// at which the server's clock showed them, to within a round trip to the server.
//
// # Schema
//
// [Queue.Migrate] makes what is missing. Hosts that run migrations of their own
// find the SQL in [Migrations]. Who only marks needs USAGE on the schema and
// INSERT on the table inbox; a replica needs SELECT, INSERT, UPDATE and DELETE on
// all tables. For people there are two views, tasks_shown and records_shown.
package pgqueue
