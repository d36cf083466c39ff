package syncer

import (
	"cmp"
	"context"
	"math"
	"net/http"
	"sync"
	"time"

	"github.com/ecosire/stocksync/channel"
)

// This file is what hosts see of a Syncer from outside that is beside its work:
// requests, quotas, deliveries, traces and health, by [Hooks]. Without a hook
// nothing of it is done.

// healthEvery is how often [Hooks.Health] is told.
const healthEvery = 15 * time.Second

type reportingKey struct{}

// reporting returns a context with which a channel, or the source if name is "",
// tells the host of its requests.
func (s *Syncer) reporting(ctx context.Context, name string) context.Context {
	if s.hooks.Request == nil || ctx.Value(reportingKey{}) != nil {
		return ctx
	}
	ctx = context.WithValue(ctx, reportingKey{}, true)
	return channel.WithRequests(ctx, func(ctx context.Context, r channel.Request) {
		s.midwayHook(ctx, "Hooks.Request", name, "", "", func(ctx context.Context) { s.hooks.Request(ctx, name, r) })
	})
}

// delivered tells that the webhook handler got a delivery. What it returns is
// never nil.
func (h *Hooks) delivered(s *Syncer, r *http.Request) (*http.Request, func(status int)) {
	if h.Delivery == nil {
		return r, func(int) {}
	}
	type begun struct {
		ctx context.Context
		end func(status int)
	}
	ctx := r.Context()
	b := hooked(ctx, s, "Hooks.Delivery", "", "", "", func() (b begun) { b.ctx, b.end = h.Delivery(ctx, r); return })
	if b.ctx == nil {
		b.ctx = ctx
	}
	return r.WithContext(b.ctx), func(status int) {
		if b.end != nil {
			s.hook(b.ctx, "Hooks.Delivery, the end", "", "", "", func() { b.end(status) })
		}
	}
}

// trace is the trace context for marks that are made with ctx, or "".
func (s *Syncer) trace(ctx context.Context) string {
	trace := traceOf(ctx)
	if trace == "" && s.hooks.Trace != nil {
		trace = hooked(ctx, s, "Hooks.Trace", "", "", "", func() string { return s.hooks.Trace(ctx) })
	}
	return trace
}

// tellHealth tells the host's hook while Run runs, and that it has ended. The
// function that it returns waits for that.
func (s *Syncer) tellHealth(ctx context.Context) (wait func()) {
	if s.hooks.Health == nil {
		return func() {}
	}
	var group sync.WaitGroup
	group.Go(func() { s.healthOver(ctx) })
	return group.Wait
}

func (s *Syncer) healthOver(ctx context.Context) {
	tell := func(h Health, err error) {
		s.hook(ctx, "Hooks.Health", "", "", "", func() { s.hooks.Health(ctx, h, err) })
	}
	for {
		h, err := s.Health(ctx)
		if ctx.Err() != nil {
			h.Running, err = false, nil
			tell(h, err)
			return
		}
		tell(h, err)
		_ = sleep(ctx, healthEvery)
	}
}

// quotaOf is what a channel or the source has left of its quota, or nil.
func (s *Syncer) quotaOf(ctx context.Context, name string, v any) *channel.Quota {
	l, ok := channel.As[channel.Limited](v)
	if !ok {
		return nil
	}
	what := cmp.Or(name, "the source") + ": Quota"
	if s.calls.left(what) != nil {
		return nil
	}
	q, err := bounded(context.WithoutCancel(ctx), s, what, maxCounting, func(context.Context) (*channel.Quota, error) {
		q, ok := l.Quota()
		if sum := q.Left + q.Limit; ok && !math.IsNaN(sum) && !math.IsInf(sum, 0) { // which JSON cannot say
			return &q, nil
		}
		return nil, nil
	})
	if err != nil {
		return nil
	}
	return q
}

// gotOn notes that work was done.
func (s *Syncer) gotOn() { s.progressed.Store(time.Now().UnixNano()) }

// lastProgress is when work was last done, or zero.
func (s *Syncer) lastProgress() time.Time {
	if at := s.progressed.Load(); at != 0 {
		return time.Unix(0, at)
	}
	return time.Time{}
}

// delays are how long the products that a turn has made the channel show had
// waited for it. They are reckoned only for a host that listens.
type delays struct {
	now time.Time
	all []time.Duration
}

func (s *Syncer) newDelays() *delays {
	if s.hooks.Pushed == nil {
		return nil
	}
	return &delays{now: time.Now()}
}

func (d *delays) shown(t Task) {
	if d != nil {
		d.all = append(d.all, max(0, d.now.Sub(t.First)))
	}
}

func (d *delays) get() []time.Duration {
	if d == nil {
		return nil
	}
	return d.all
}
