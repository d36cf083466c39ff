package otelsync

import (
	"context"
	"net/http"

	"github.com/ecosire/stocksync/syncer"
)

// hooks returns the host's hooks with the observer's before them.
func (o *observer) hooks(h syncer.Hooks) syncer.Hooks {
	h.Received = both(o.received, h.Received)
	h.Marked = both(o.marked, h.Marked)
	h.Pushed = both(o.pushed, h.Pushed)
	h.Retry = both(o.retry, h.Retry)
	h.GaveUp = both(o.gaveUp, h.GaveUp)
	h.Leading = both(o.leads, h.Leading)
	h.InFlight = both(o.inFlight, h.InFlight)
	h.Alarm = both(o.alarm, h.Alarm)
	h.Observed = about(o.wouldWrite, h.Observed)
	h.Down = about(o.down, h.Down)
	h.Up = about(o.up, h.Up)
	h.Tripped = about(o.tripped, h.Tripped)
	h.Changed = about(o.changed, h.Changed)
	h.Request = about(o.request, h.Request)
	h.Health = about(o.health, h.Health)
	h.Deposed = about(o.deposed, h.Deposed)
	h.Work = o.inWork(h.Work)
	h.Delivery = o.inDelivery(h.Delivery)
	h.Trace = o.orTrace(h.Trace)
	return h
}

func both[A any](own, host func(context.Context, A)) func(context.Context, A) {
	if host == nil {
		return own
	}
	return func(ctx context.Context, a A) { own(ctx, a); host(ctx, a) }
}

func about[A, B any](own, host func(context.Context, A, B)) func(context.Context, A, B) {
	if host == nil {
		return own
	}
	return func(ctx context.Context, a A, b B) { own(ctx, a, b); host(ctx, a, b) }
}

// inWork begins the host's work within our span.
func (o *observer) inWork(host func(context.Context, syncer.Work) (context.Context, func(syncer.WorkDone))) func(context.Context, syncer.Work) (context.Context, func(syncer.WorkDone)) {
	if host == nil {
		return o.work
	}
	return func(ctx context.Context, w syncer.Work) (context.Context, func(syncer.WorkDone)) {
		ctx, done := o.work(ctx, w)
		inner, end := host(ctx, w)
		if inner == nil {
			inner = ctx
		}
		return inner, func(d syncer.WorkDone) {
			defer done(d) // also if the host's panics
			if end != nil {
				end(d)
			}
		}
	}
}

// inDelivery begins the host's delivery within our span.
func (o *observer) inDelivery(host func(context.Context, *http.Request) (context.Context, func(int))) func(context.Context, *http.Request) (context.Context, func(int)) {
	if host == nil {
		return o.delivery
	}
	return func(ctx context.Context, r *http.Request) (context.Context, func(int)) {
		ctx, done := o.delivery(ctx, r)
		inner, end := host(ctx, r)
		if inner == nil {
			inner = ctx
		}
		return inner, func(status int) {
			defer done(status)
			if end != nil {
				end(status)
			}
		}
	}
}

// orTrace asks the host where there is no span.
func (o *observer) orTrace(host func(context.Context) string) func(context.Context) string {
	return func(ctx context.Context) string {
		if trace := traceparent(ctx); trace != "" || host == nil {
			return trace
		}
		return host(ctx)
	}
}
