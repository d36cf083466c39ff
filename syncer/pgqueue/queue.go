package pgqueue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/ecosire/stocksync/syncer"
)

// ErrTooLong: a lane and an id, or a set and a key, have more than [MaxKey]
// bytes together.
var ErrTooLong = errors.New("key is too long")

// MaxKey is how many bytes a lane and an id may have together, and a set and a
// key. PostgreSQL's indexes take no more than some 2,700.
const MaxKey = 2000

const (
	// maxMarks is how many marks one statement carries. More are written with
	// several, none of which is long.
	maxMarks = 5000
	// maxCount bounds the count of one mark, so that sums stay within a bigint.
	maxCount = 1 << 31
)

// A Queue is a [syncer.SharedQueue] in PostgreSQL. All methods are safe for
// concurrent use.
type Queue struct {
	pool       *pgxpool.Pool
	options    Options
	logger     *slog.Logger
	statements map[string]string
	clock      clock

	mu    sync.Mutex
	terms map[*term]bool // those under way in this process
}

var _ syncer.SharedQueue = (*Queue)(nil)

// A querier is a pool, or a transaction.
type querier interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// Mark implements [syncer.Queue]. It works without a term. More than 5,000 marks
// are written 5,000 at a time.
func (q *Queue) Mark(ctx context.Context, marks ...syncer.Mark) error {
	if err := q.mark(ctx, q.pool, marks, again); err != nil {
		return failed("mark", err)
	}
	q.wake()
	return nil
}

// MarkTx marks as part of a transaction of the host: the marks are made when it
// commits, and never if it does not. It only inserts, so transactions that mark
// neither wait for each other nor make who leads wait, whatever they mark and
// however long they stay open. The age of a mark counts from MarkTx.
//
// If MarkTx fails PostgreSQL has ended the transaction, as after any error.
func (q *Queue) MarkTx(ctx context.Context, tx pgx.Tx, marks ...syncer.Mark) error {
	if err := q.mark(ctx, tx, marks, once); err != nil {
		return failed("mark", err)
	}
	return nil
}

func (q *Queue) mark(ctx context.Context, db querier, marks []syncer.Mark, try func(context.Context, func() error) error) error {
	for _, m := range marks {
		if err := checkKey(m.Lane, m.ID); err != nil {
			return err
		}
		if !m.First.IsZero() || !m.Last.IsZero() {
			if err := q.sync(ctx, db); err != nil {
				return err
			}
		}
	}
	for chunk := range slices.Chunk(marks, maxMarks) {
		var r markRows
		for _, m := range chunk {
			r.add(q, m)
		}
		if err := try(ctx, func() error {
			_, err := db.Exec(ctx, q.statements["mark"], q.options.Queue,
				r.lanes, r.ids, r.firsts, r.lasts, r.whys, r.traces, r.counts)
			return err
		}); err != nil {
			return err
		}
	}
	return nil
}

// markRows are marks as the database takes them, by columns.
type markRows struct {
	lanes, ids, whys, traces [][]byte
	firsts, lasts            []*time.Time
	counts                   []int64
}

func (r *markRows) add(q *Queue, m syncer.Mark) {
	remote := func(t time.Time) *time.Time {
		if t.IsZero() {
			return nil
		}
		t = q.clock.remote(t)
		return &t
	}
	if len(m.Trace) > syncer.MaxTrace {
		m.Trace = ""
	}
	r.lanes, r.ids = append(r.lanes, []byte(m.Lane)), append(r.ids, []byte(m.ID))
	r.firsts, r.lasts = append(r.firsts, remote(m.First)), append(r.lasts, remote(m.Last))
	r.whys, r.traces = append(r.whys, []byte(m.Why)), append(r.traces, []byte(m.Trace))
	r.counts = append(r.counts, min(max(int64(m.Count), 1), maxCount))
}

// wake has the leader look for marks, if this process leads.
func (q *Queue) wake() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for t := range q.terms {
		t.wake()
	}
}

// Depth implements [syncer.Queue]. It works without a term. It counts, which
// takes about three milliseconds for each 10,000 tasks.
func (q *Queue) Depth(ctx context.Context, lane string) (syncer.Depth, error) {
	var d syncer.Depth
	var oldest *time.Time
	err := q.sync(ctx, q.pool)
	if err == nil {
		err = again(ctx, func() error {
			return q.pool.QueryRow(ctx, q.statements["depth"], q.options.Queue, []byte(lane)).Scan(&d.Tasks, &oldest)
		})
	}
	if err != nil {
		return syncer.Depth{}, failed("depth", err)
	}
	if oldest != nil {
		d.Oldest = q.clock.local(*oldest)
	}
	return d, nil
}

// Wait fails with [syncer.ErrDeposed]: only a term has it.
func (q *Queue) Wait(context.Context, string) error { return failed("wait", syncer.ErrDeposed) }

// Lease fails with [syncer.ErrDeposed]: only a term has it.
func (q *Queue) Lease(context.Context, string, int) ([]syncer.Task, error) {
	return nil, failed("lease", syncer.ErrDeposed)
}

// Ack fails with [syncer.ErrDeposed]: only a term has it.
func (q *Queue) Ack(context.Context, ...syncer.Task) error {
	return failed("acknowledge", syncer.ErrDeposed)
}

// Retry fails with [syncer.ErrDeposed]: only a term has it.
func (q *Queue) Retry(context.Context, time.Time, ...syncer.Task) error {
	return failed("put back", syncer.ErrDeposed)
}

func checkKey(a, b string) error {
	if n := len(a) + len(b); n > MaxKey {
		return fmt.Errorf("%w: it has %d bytes, and may have %d", ErrTooLong, n, MaxKey)
	}
	return nil
}

// failed says what was to be done when err came.
func failed(what string, err error) error {
	if code := sqlState(err); code == undefinedTable || code == invalidSchema {
		err = fmt.Errorf("%w: %w", ErrSchema, err)
	}
	return fmt.Errorf("pgqueue: %s: %w", what, err)
}

// The codes of PostgreSQL that something follows from.
const (
	undefinedTable       = "42P01"
	invalidSchema        = "3F000"
	deadlock             = "40P01"
	serializationFailure = "40001"
)

func sqlState(err error) string {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pg.Code
	}
	return ""
}

const (
	// maxDials is how often something is sent where nothing was, since the
	// connection turned out to be closed.
	maxDials = 3
	// maxConflicts is how often something is done that PostgreSQL has undone to
	// end a deadlock, or since the host's sessions have a stricter isolation than
	// is needed here and rows changed meanwhile.
	maxConflicts = 20
)

// again calls f until it succeeds or fails for a reason that stays, where
// nothing of it was done.
func again(ctx context.Context, f func() error) error {
	for attempt := 1; ; attempt++ {
		err := f()
		if err == nil || ctx.Err() != nil {
			return err
		}
		switch code := sqlState(err); {
		case code == deadlock || code == serializationFailure:
			if attempt >= maxConflicts {
				return err
			}
		case !pgconn.SafeToRetry(err) || attempt >= maxDials:
			return err
		}
	}
}

// once calls f once: in a transaction of the host nothing can be done again.
func once(_ context.Context, f func() error) error { return f() }
