package pgqueue

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/ecosire/stocksync/syncer"
)

const (
	// minLook is the least time between two looks for work, if Poll is not less:
	// marks made by this process bring the next look forward, and there may be
	// many.
	minLook = 5 * time.Millisecond
	// maxBusy is how many times longer than a look the next one is away, where a
	// look takes long: such as when a transaction has been open for so long that
	// the server keeps all rows that have been deleted meanwhile.
	maxBusy = 4
)

// lookTimeout bounds one look, so that a connection that was cut off is given up
// for another.
const lookTimeout = 5 * time.Second

// A waiter is a call of Wait under way.
type waiter struct {
	lane string
	due  chan struct{} // closed when a task of the lane is due
}

// Wait implements [syncer.Queue]. While the database is out of reach it goes on
// waiting, until the term can no longer be proven.
func (t *term) Wait(ctx context.Context, lane string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	w := &waiter{lane, make(chan struct{})}
	t.mu.Lock()
	t.waiting[w] = true
	t.mu.Unlock()
	defer func() {
		t.mu.Lock()
		delete(t.waiting, w)
		t.mu.Unlock()
	}()
	t.wake()
	select {
	case <-w.due:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-t.life.Done():
		return failed("wait", syncer.ErrDeposed)
	}
}

// wake brings the next look forward.
func (t *term) wake() {
	select {
	case t.look <- struct{}{}:
	default:
	}
}

// watch looks for work on behalf of all calls of Wait, while there are any. It
// absorbs marks meanwhile.
func (t *term) watch() {
	for out := false; ; {
		waiters, lanes := t.awaited()
		if len(lanes) == 0 {
			select {
			case <-t.life.Done():
				return
			case <-t.look:
				continue
			}
		}
		began := time.Now()
		more, err := t.see(waiters, lanes)
		took := time.Since(began)
		switch {
		case errors.Is(err, syncer.ErrDeposed):
			t.end(errOtherTerm)
			return
		case err != nil && !out && t.life.Err() == nil:
			t.logger.Warn("cannot look for work; goes on trying", slog.Any("err", err))
		}
		out = err != nil
		if more {
			continue
		}
		if sleep(t.life, max(min(minLook, t.options.Poll), took)) != nil {
			return
		}
		timer := time.NewTimer(max(t.options.Poll, maxBusy*took))
		select {
		case <-t.life.Done():
		case <-t.look:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// see looks once, and moves marks if there are any. It reports whether more are
// waiting than it moved.
func (t *term) see(waiters []*waiter, lanes [][]byte) (more bool, err error) {
	ctx, cancel := context.WithTimeout(t.life, lookTimeout)
	defer cancel()
	if err := t.releaseLost(ctx); err != nil {
		return false, err
	}
	marked, due, err := t.peek(ctx, lanes)
	if err != nil {
		return false, err
	}
	t.release(waiters, due)
	if !marked {
		return false, nil
	}
	if more, err = t.absorb(ctx); err != nil || more {
		return more, err
	}
	if _, due, err = t.peek(ctx, lanes); err == nil {
		t.release(waiters, due)
	}
	return false, err
}

// awaited returns the calls of Wait under way, and their lanes.
func (t *term) awaited() (waiters []*waiter, lanes [][]byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	seen := make(map[string]bool, len(t.waiting))
	for w := range t.waiting {
		waiters = append(waiters, w)
		if !seen[w.lane] {
			seen[w.lane] = true
			lanes = append(lanes, []byte(w.lane))
		}
	}
	return waiters, lanes
}

// release ends those of the waits that are for these lanes. One that began since
// the look is left to the next: a task that was due may be leased by now.
func (t *term) release(waiters []*waiter, due [][]byte) {
	lanes := make(map[string]bool, len(due))
	for _, lane := range due {
		lanes[string(lane)] = true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, w := range waiters {
		if lanes[w.lane] && t.waiting[w] {
			close(w.due)
			delete(t.waiting, w)
		}
	}
}
