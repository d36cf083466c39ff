package syncer

import (
	"context"
	"sync"
	"time"
)

// A lane keeps order among the writes to one channel. Runs overlap: a webhook
// may arrive while the daily reconciliation is under way, and each has read
// the source at a moment of its own. For each SKU a lane lets one run through
// at a time, and tells a run that its figure is older than one already dealt
// with.
type lane struct {
	mu   sync.Mutex
	busy map[string]chan struct{} // closed when the SKU is free again
	done map[string]time.Time     // when the newest figure dealt with was read
	open map[time.Time]int        // when runs that are not over began to read
	trim int                      // size of done at which it is trimmed
	// floor is the newest time that was trimmed. About an older figure nothing
	// is known any more, so it is not let through.
	floor time.Time
}

func newLane() *lane {
	return &lane{
		busy: make(map[string]chan struct{}),
		done: make(map[string]time.Time),
		open: make(map[time.Time]int),
		trim: 1024,
	}
}

// begin tells that a run begins to read now. All its figures are as of now or
// later. end takes the same time.
func (l *lane) begin(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open[now]++
}

func (l *lane) end(began time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[began]--; l.open[began] == 0 {
		delete(l.open, began)
	}
	if len(l.done) < l.trim && len(l.open) > 0 {
		return
	}
	// A time can only hold back figures that are older. All that are still to
	// come are from runs that are open or have not begun, so what is not newer
	// than the oldest of those is not needed: done stays as small as what is
	// under way, whatever the size of the catalogue.
	var oldest time.Time
	for t := range l.open {
		if oldest.IsZero() || t.Before(oldest) {
			oldest = t
		}
	}
	for sku, t := range l.done {
		if oldest.IsZero() || !t.After(oldest) {
			delete(l.done, sku)
			if t.After(l.floor) {
				l.floor = t
			}
		}
	}
	l.trim = max(1024, 2*len(l.done))
}

// enter waits until none of the SKUs is busy, and makes all of them so.
func (l *lane) enter(ctx context.Context, skus []string) error {
	free := make(chan struct{})
	for {
		l.mu.Lock()
		var wait chan struct{}
		for _, sku := range skus {
			if wait = l.busy[sku]; wait != nil {
				break
			}
		}
		if wait == nil {
			for _, sku := range skus {
				l.busy[sku] = free
			}
			l.mu.Unlock()
			return nil
		}
		l.mu.Unlock()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-wait:
		}
	}
}

// leave frees the SKUs of one enter.
func (l *lane) leave(skus []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, sku := range skus {
		if i == 0 {
			close(l.busy[sku])
		}
		delete(l.busy, sku)
	}
}

// admit records that the figure read at asOf is dealt with, or reports false
// if a newer one was. The SKU must be the caller's.
func (l *lane) admit(sku string, asOf time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if asOf.Before(l.done[sku]) || asOf.Before(l.floor) {
		return false
	}
	l.done[sku] = asOf
	return true
}
