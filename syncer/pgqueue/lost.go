package pgqueue

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/ecosire/stocksync/syncer"
)

// A lost lease is a statement that may have leased tasks, and whose answer nobody
// got: a connection broke, or the caller did not wait. Without more ado its tasks
// would stay leased for as long as the term lasts.
type lostLease struct {
	lane   string
	number int64
	since  time.Time
}

const (
	// maxLanding is how long such a statement may take to reach the server, and to
	// be done there.
	maxLanding = 5 * time.Minute
	// minRelease is the least time between two statements that end lost leases.
	minRelease = time.Second
)

// undone reports whether nothing of a statement was done that failed so.
func undone(err error) bool {
	code := sqlState(err)
	return code == deadlock || code == serializationFailure || pgconn.SafeToRetry(err) || errors.Is(err, syncer.ErrDeposed)
}

// lose notes a statement that may have leased tasks.
func (t *term) lose(lane string, number int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lost = append(t.lost, lostLease{lane, number, time.Now()})
	t.releaseAt = time.Now()
}

// overdue returns the statements whose leases are to be ended now. They are asked
// about again and again, ever more rarely, since each may be done only later.
func (t *term) overdue() (lanes [][]byte, numbers []int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	if len(t.lost) == 0 || now.Before(t.releaseAt) {
		return nil, nil
	}
	for _, l := range t.lost {
		lanes, numbers = append(lanes, []byte(l.lane)), append(numbers, l.number)
	}
	t.releaseAt = now.Add(max(minRelease, now.Sub(t.lost[len(t.lost)-1].since)/10))
	return lanes, numbers
}

// releaseLost makes the tasks of lost leases due again.
func (t *term) releaseLost(ctx context.Context) error {
	lanes, numbers := t.overdue()
	if len(lanes) == 0 {
		return nil
	}
	if err := one(t.pool.Query(ctx, t.statements["lost"], planned, t.options.Queue, t.holder, lanes, numbers)); err != nil {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.releaseAt = time.Now()
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lost = slices.DeleteFunc(t.lost, func(l lostLease) bool { return time.Since(l.since) > maxLanding })
	return nil
}
