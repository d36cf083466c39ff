package pgqueue

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/ecosire/stocksync/syncer"
)

// A term is the time for which this process leads.
type term struct {
	*Queue
	number      uint64
	holder      int64
	length      time.Duration
	interrupted []syncer.Key

	life    context.Context // done when the term is over
	kill    context.CancelFunc
	running sync.WaitGroup // its goroutines

	absorbing chan struct{} // holds a token while marks are absorbed
	absorbed  atomic.Int64  // how often that was done
	look      chan struct{} // says that there may be something to see

	mu      sync.Mutex
	proof   instant // before the last renewal was sent that has an answer
	expiry  *time.Timer
	waiting map[*waiter]bool
	// lost are leases whose tasks nobody got, and releaseAt is when they are ended.
	lost      []lostLease
	releaseAt time.Time
}

var _ syncer.Term = (*term)(nil)

// newTerm starts a term that was taken with a request sent at a time.
func newTerm(q *Queue, number uint64, holder int64, sent instant) *term {
	t := &term{
		Queue: q, number: number, holder: holder, length: q.options.Lease, proof: sent,
		absorbing: make(chan struct{}, 1), look: make(chan struct{}, 1), waiting: make(map[*waiter]bool),
	}
	t.life, t.kill = context.WithCancel(context.Background())
	q.mu.Lock()
	q.terms[t] = true
	q.mu.Unlock()
	t.mu.Lock()
	t.expiry = time.AfterFunc(t.length-sent.elapsed(), t.expire)
	t.mu.Unlock()
	t.running.Go(t.tend)
	t.running.Go(t.watch)
	return t
}

// free makes what the last leader had leased due. known are keys that an earlier call
// has found, whose answer was lost; it returns them with what it finds.
func (t *term) free(ctx context.Context, known []syncer.Key) ([]syncer.Key, error) {
	err := t.work(ctx, func(ctx context.Context) error {
		rows, err := t.pool.Query(ctx, t.statements["leased"], planned, t.options.Queue)
		if err != nil {
			return err
		}
		found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (syncer.Key, error) {
			var lane, id []byte
			err := row.Scan(&lane, &id)
			return syncer.Key{Lane: string(lane), ID: string(id)}, err
		})
		if err != nil {
			return err
		}
		for _, key := range found {
			if !slices.Contains(known, key) {
				known = append(known, key)
			}
		}
		return one(t.pool.Query(ctx, t.statements["free"], planned, t.options.Queue, t.holder))
	})
	t.interrupted = known
	return known, err
}

// Number implements [syncer.Term]. It grows with every term, unless the database
// itself forgets one, such as when a standby takes over that was behind. No work
// depends on it: the fence tells terms apart by a random number.
func (t *term) Number() uint64 { return t.number }

// Left implements [syncer.Term].
func (t *term) Left() time.Duration {
	if t.life.Err() != nil {
		return 0
	}
	t.mu.Lock()
	proof := t.proof
	t.mu.Unlock()
	return max(0, t.length-proof.elapsed())
}

// Done implements [syncer.Term].
func (t *term) Done() <-chan struct{} { return t.life.Done() }

// Interrupted implements [syncer.Term].
func (t *term) Interrupted() []syncer.Key { return slices.Clone(t.interrupted) }

// Resign implements [syncer.Term]. It waits for the goroutines of the term.
func (t *term) Resign(ctx context.Context) error {
	if !t.end(nil) {
		t.running.Wait()
		return nil
	}
	t.running.Wait()
	if err := t.resign(ctx, t.holder); err != nil {
		return failed("resign", err)
	}
	t.logger.Info("resigned", slog.Uint64("term", t.number))
	return nil
}

// resign ends the term of a holder, if it goes on.
func (q *Queue) resign(ctx context.Context, holder int64) error {
	return again(ctx, func() error {
		_, err := q.pool.Exec(ctx, q.statements["resign"], q.options.Queue, holder)
		return err
	})
}

// end ends the term for this process, and reports whether it was under way. If
// it was lost, why says how.
func (t *term) end(why error) bool {
	t.mu.Lock()
	over := t.life.Err() != nil
	t.kill()
	t.expiry.Stop()
	t.mu.Unlock()
	if over {
		return false
	}
	t.Queue.mu.Lock()
	delete(t.Queue.terms, t)
	t.Queue.mu.Unlock()
	if why != nil {
		t.logger.Warn("leads no longer", slog.Uint64("term", t.number), slog.Any("err", why))
	}
	return true
}

var (
	errUnproven  = errors.New("no renewal in time")
	errOtherTerm = errors.New("another term has begun")
)

// expire ends the term if it can no longer be proven.
func (t *term) expire() {
	left := t.Left()
	if left <= 0 {
		t.end(errUnproven)
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.life.Err() == nil {
		t.expiry.Reset(left)
	}
}

// renewed extends the term, if it is not over.
func (t *term) renewed(sent instant) bool {
	if t.Left() <= 0 {
		t.end(errUnproven)
		return false
	}
	t.mu.Lock()
	t.proof = sent
	t.mu.Unlock()
	return true
}

// tend renews the term until it is over.
//
// A renewal is repeated under its number until an answer comes, and the term
// then reckons from before it was sent first: that is when others may have seen
// it. If each attempt were a new one, a leader whose answers get lost would keep
// others from taking over, without leading.
func (t *term) tend() {
	var first instant // when the renewal under way was sent first
	wait, failed := t.length/5, false
	var shown struct{ server, sent time.Time } // by the last answer
	for number := int64(1); ; {
		if sleep(t.life, wait) != nil {
			return
		}
		left := t.Left()
		if left <= 0 {
			t.end(errUnproven)
			return
		}
		if first.mono.IsZero() {
			first = now()
		}
		sent := time.Now()
		server, err := t.renew(number, min(left, t.length/5))
		took := time.Since(sent)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			t.end(errOtherTerm)
			return
		case err != nil:
			wait = t.length / 20
			if !failed && t.life.Err() == nil {
				t.pool.Reset() // the next one has a new connection
			}
			failed = true
		default:
			if !t.renewed(first) {
				return
			}
			t.clock.observe(sent, server, took)
			if back := shown.server.Add(sent.Sub(shown.sent)).Sub(server); !shown.sent.IsZero() && back > maxSkew {
				t.running.Go(func() { t.setBack(back) })
			}
			shown.server, shown.sent = server, sent
			wait = max(0, t.length/5-first.elapsed())
			number, first, failed = number+1, instant{}, false
		}
	}
}

func (t *term) renew(number int64, timeout time.Duration) (server time.Time, err error) {
	ctx, cancel := context.WithTimeout(t.life, timeout)
	defer cancel()
	err = t.pool.QueryRow(ctx, t.statements["renew"], t.options.Queue, t.holder, number).Scan(&server)
	return server, err
}

// setBack heeds that the server's clock was set back: what was put back would wait
// for it.
func (t *term) setBack(by time.Duration) {
	t.logger.Warn("the server's clock was set back; what is to be tried again waits no longer for it", slog.Duration("by", by.Round(time.Second)))
	for {
		err := t.work(t.life, func(ctx context.Context) error {
			return one(t.pool.Query(ctx, t.statements["back"], planned, t.options.Queue, t.holder, by.Microseconds()))
		})
		if err == nil || errors.Is(err, syncer.ErrDeposed) || sleep(t.life, t.length/5) != nil {
			return
		}
	}
}

// work calls f, which does something under the term, and fails with
// [syncer.ErrDeposed] if it is over, or is over before f returns.
func (t *term) work(ctx context.Context, f func(context.Context) error) error {
	if t.life.Err() != nil {
		return syncer.ErrDeposed
	}
	within, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(t.life, cancel)()
	err := again(within, func() error { return f(within) })
	switch {
	case errors.Is(err, syncer.ErrDeposed):
		t.end(errOtherTerm)
		return syncer.ErrDeposed
	case err != nil && ctx.Err() == nil && t.life.Err() != nil:
		return syncer.ErrDeposed
	}
	return err
}
