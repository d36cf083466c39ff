package syncer

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"
)

// Once does what is due, and returns: for cron jobs and functions, which cannot
// keep Run going. What is due are marks, products that are to be tried again by
// now, what a watch of the source or of a channel finds, what was approved, pins
// whose time is over, and a reconciliation whose time has come since the last
// one. It is Run, until nothing is due: the same queue, order and guards.
//
// What has to wait, such as a product that failed a moment ago or a channel that
// is down, is the next call's. So call it often, such as every minute, and give it
// a durable queue; it costs next to nothing when nothing is due. A reconciliation
// that failed is tried again after ten minutes at the earliest. Let ctx end before
// the host does: then Once ends within Config.Grace, and what was not finished
// stays in the queue. A reconciliation that is cut off so goes on in the next
// call, if that is within minutes.
//
// The error is ctx's, or that of the watch or of the reconciliation. What single
// products failed of is in the log and the hooks, and in [Syncer.Troubles].
//
// Once does not run beside Run or another Once of the same Syncer: it fails with
// [ErrRunning]. On a [SharedQueue] it leads meanwhile. Where another process leads
// it asks that one to look for changes, and returns when it has: the rest is in
// its hands.
func (s *Syncer) Once(ctx context.Context) error {
	if !s.running.CompareAndSwap(false, true) {
		return ErrRunning
	}
	defer s.running.Store(false)
	s.started = time.Now()
	t, err := s.leadOrAsk(ctx)
	if t == nil {
		return err
	}
	o := &visit{open: make(map[string]bool)}
	ctx, o.over = context.WithCancel(context.WithValue(ctx, visitKey{}, o))
	defer o.over()
	outer := ctx
	s.serve(ctx, t)
	s.resign(ctx, t)
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.idle {
		o.errs = append(o.errs, cmp.Or(context.Cause(outer), ErrDeposed))
	}
	return errors.Join(o.errs...)
}

// leadOrAsk returns a tenure, or nil if another process leads and has done what
// it was asked to.
func (s *Syncer) leadOrAsk(ctx context.Context) (*tenure, error) {
	for ctx.Err() == nil {
		if s.shared != nil {
			if _, err := s.shared.Leader(ctx); err == nil {
				if _, err := s.ask(ctx, request{Kind: "once"}); !errors.Is(err, ErrNoLeader) {
					return nil, err
				}
				continue
			}
		}
		short, cancel := context.WithTimeout(ctx, leadWithin)
		t := s.lead(short)
		cancel()
		if t != nil {
			return t, nil
		}
	}
	return nil, ctx.Err()
}

// leadWithin is how long Once waits to lead before it looks again who does.
const leadWithin = 2 * time.Second

type visitKey struct{}

func onceOf(ctx context.Context) *visit {
	o, _ := ctx.Value(visitKey{}).(*visit)
	return o
}

// A visit is what a call of Once waits for. A nil visit is Run's.
type visit struct {
	over context.CancelFunc

	mu   sync.Mutex
	open map[string]bool // parts that are to be done at least once
	busy int             // workers with tasks
	errs []error
	idle bool
}

// await notes that a part is to be done.
func (o *visit) await(part string) {
	if o != nil {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.open[part] = true
	}
}

// did notes that a part is done.
func (o *visit) did(part string, err error) {
	if o == nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.open[part] && err != nil {
		o.errs = append(o.errs, err)
	}
	delete(o.open, part)
}

// works notes that a worker begins, or ends, to work on tasks.
func (o *visit) works(n int) {
	if o != nil {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.busy += n
	}
}

func (o *visit) waits() (parts, busy int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.open), o.busy
}

const (
	// onceEvery is how often it is asked whether anything is due, and dueWithin how
	// long a lane takes to say that nothing is.
	onceEvery = 50 * time.Millisecond
	dueWithin = 10 * time.Millisecond
)

// untilIdle ends a call of Once when nothing is due.
func (s *Syncer) untilIdle(accept, work context.Context, o *visit) {
	s.executeNow(work)
	var since time.Time // when all parts were done
	quiet := 0          // looks in a row at which nothing was: between a lease and the work nothing is seen
	for sleep(accept, onceEvery) == nil {
		parts, busy := o.waits()
		if parts == 0 && since.IsZero() {
			since = time.Now()
		}
		if parts > 0 || busy > 0 || s.anyDue(accept, since) {
			quiet = 0
			continue
		}
		if quiet++; quiet < 2 || accept.Err() != nil {
			continue
		}
		s.checkAccess(accept)
		s.checkSubscriptions(accept)
		s.checkReconciled(accept, time.Time{})
		o.mu.Lock()
		o.idle = true
		o.mu.Unlock()
		o.over()
		return
	}
}

// anyDue reports whether a mark is due that was made before a time.
func (s *Syncer) anyDue(ctx context.Context, before time.Time) bool {
	lanes := []string{inboxLane, noticedLane, skuLane}
	if s.orders != nil {
		lanes = append(lanes, orderLane)
	}
	if s.shared != nil {
		lanes = append(lanes, askLane)
	}
	for _, t := range s.targets {
		if t.pause.get() == nil && t.state.wait() == 0 {
			lanes = append(lanes, t.lanes()...)
		}
	}
	for _, lane := range lanes {
		d, err := s.queue.Depth(ctx, lane)
		if err != nil {
			return ctx.Err() == nil
		}
		if d.Tasks == 0 || d.Oldest.After(before) {
			continue
		}
		within, cancel := context.WithTimeout(ctx, dueWithin)
		err = s.on(ctx).Wait(within, lane)
		cancel()
		if err == nil {
			return true
		}
	}
	return false
}

// attemptName is when a reconciliation of Once failed last.
const attemptName = "attempt"

// notBefore is when Once may reconcile again after one that failed.
func (s *Syncer) notBefore(ctx context.Context, due time.Time) time.Time {
	var at time.Time
	value, err := s.on(ctx).Load(ctx, stateSet, attemptName)
	if err != nil || value == nil || json.Unmarshal(value, &at) != nil || at.After(time.Now()) {
		return due
	}
	if next := at.Add(retryReconcile); next.After(due) {
		return next
	}
	return due
}

// attempted notes how a reconciliation of Once ended.
func (s *Syncer) attempted(ctx context.Context, complete bool) {
	rec := Record{Key: attemptName}
	if !complete {
		rec.Value, _ = json.Marshal(time.Now())
	}
	_ = s.safely(ctx, "the queue: Save", func() error { return s.on(ctx).Save(ctx, stateSet, rec) }) // else it is tried again sooner
}
