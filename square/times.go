package square

import (
	"context"
	"sync"
	"time"
)

const (
	// clockMargin is how far Square's clock as it is known may be behind, and
	// how long before its present a count is.
	clockMargin = 3 * time.Second
	// present keeps a count out of Square's future.
	present = time.Second
	// distrust is how long before it when Square has refused a time.
	distrust = time.Minute
	// tooOld is the age at which a count is refused, less an hour.
	tooOld = 23 * time.Hour
	// tick is the smallest difference between the times of two counts.
	tick = time.Millisecond
)

// times knows of which moments, by Square's clock, the counts of a location
// were. Square sorts counts by that moment, and one that is not later than
// another has no effect.
type times struct {
	mu     sync.Mutex
	last   map[string]mark // by variation
	margin time.Duration   // before the present; 0 means present
	swept  time.Time
}

// A mark is what is remembered of a variation's last count.
type mark struct {
	at       time.Time
	before   time.Time // that of the count before it
	outdated bool      // another count or a delivery was later
	seen     time.Time // when that was seen: the next one is later than that, or of now
}

// next returns the moment of a new count of a variation: that of asOf less the
// lag, in whole milliseconds, within what Square accepts, and later than that
// of the last count.
func (t *times) next(id string, asOf, now time.Time, lag time.Duration) time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	last := t.last[id]
	if last.at.After(now.Add(clockMargin)) { // a clock was set back
		last.at = time.Time{}
	}
	margin := max(t.margin, present)
	if asOf.After(now) { // a clock ahead must not use up the lag
		asOf = now
	}
	at := asOf.Add(-lag)
	if latest := now.Add(-margin); at.After(latest) {
		at = latest
	}
	if last.outdated && !at.After(last.seen.Add(clockMargin)) {
		at = now.Add(present - margin)
	}
	if oldest := now.Add(-tooOld); at.Before(oldest) {
		at = oldest
	}
	at = at.Truncate(tick)
	if !at.After(last.at) {
		at = last.at.Add(tick)
	}
	t.sweep(now, lag)
	t.last[id] = mark{at: at, before: last.at, outdated: last.outdated, seen: last.seen}
	return at
}

// refused notes that Square did not take the times of the last counts: its
// clock is not where its answers say.
func (t *times) refused(rows []row) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.margin = distrust
	for _, r := range rows {
		m := t.last[r.id]
		m.at = m.before
		t.last[r.id] = m
	}
}

// settled notes that the last count of a variation is in force, or that it is
// not, because something else at Square is later than it, but not than now.
func (t *times) settled(id string, inForce bool, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	m := t.last[id]
	m.outdated, m.seen = !inForce, now
	t.last[id] = m
}

// sweep forgets counts that any new one will be later than.
func (t *times) sweep(now time.Time, lag time.Duration) {
	if now.Sub(t.swept) < time.Hour {
		return
	}
	t.swept = now
	for id, m := range t.last {
		if now.Sub(m.at) > tooOld || !m.outdated && now.Sub(m.at) > lag+time.Hour {
			delete(t.last, id)
		}
	}
}

// sleep waits for d, or until ctx is done.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
