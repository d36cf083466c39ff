package syncer

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/ecosire/stocksync/channel"
)

// Hooks let a host count and trace what happens. Each may be nil. They are called
// one after the other for the same work, by several goroutines at once, and should return
// soon: the work that one is about waits for it. A panic in one is logged and does no
// harm. A call that has not returned for a minute is left behind: the work goes on, and
// until the call returns that hook is not called again; the log tells how many calls it
// has missed. The context is that of the work that a call is about. A channel is given
// by its name.
//
// A hook may ask the Syncer how things are, and may call Notify, Pin, Approve and
// the like. What waits for work to be done, such as SyncProducts or Apply, belongs in
// a goroutine of its own: Down, Up, Tripped, InFlight and Request may be called in the
// middle of work on the same SKUs, which does not end before the hook returns. With
// the hook's context SyncProducts, Apply and Reconcile fail there, after a second; with
// another context they wait for themselves until the hook is left behind.
type Hooks struct {
	// Work is called when a call or a turn of Run begins. The context that it
	// returns becomes that of the work, and the function is called at its end.
	// Either may be nil. See [Work].
	Work func(context.Context, Work) (context.Context, func(WorkDone))
	// Received is called when a webhook handler, the source's or a channel's, has
	// accepted an event as genuine.
	Received func(context.Context, channel.Event)
	// Marked is called when products were marked as changed, by an event, by
	// Notify, or by a watch.
	Marked func(ctx context.Context, productIDs []string)
	// Pushed is called when Run has taken a batch of marked products through a
	// channel.
	Pushed func(context.Context, Pushed)
	// Retry is called when products will be tried again.
	Retry func(context.Context, Retry)
	// GaveUp is called when a product will not be tried again before it changes,
	// most often because the channel does not have it.
	GaveUp func(context.Context, Problem)
	// Down is called when a channel has failed as a whole. Until Up it is only
	// probed.
	Down func(ctx context.Context, channel string, err error)
	// Up is called when a channel works again; after is how long it was down.
	Up func(ctx context.Context, channel string, after time.Duration)
	// Paused is called when a process finds a channel paused, or starts with it
	// paused; the one that works finds out within five seconds.
	Paused func(ctx context.Context, p Pause)
	// Resumed is called when a channel is paused no longer, as Paused is; after is
	// how long it was paused.
	Resumed func(ctx context.Context, channel string, after time.Duration)
	// Tripped is called when a guard has tripped; see [Syncer.Held].
	Tripped func(ctx context.Context, channel string, t Trip)
	// InFlight is called when units that a channel has sold are in flight, or no
	// longer, or were taken for an edit; see [FlightKind].
	InFlight func(context.Context, FlightEvent)
	// Changed is called for every quantity written, including those beyond a
	// report's list.
	Changed func(ctx context.Context, channel string, c Change)
	// Observed is called for every quantity that would have been written if the
	// target did not observe; see [Target].Observe.
	Observed func(ctx context.Context, channel string, c Change)
	// Progress reports how far a reconciliation has got. Calls never overlap.
	Progress func(context.Context, Progress)
	// Alarm is called when an [Alarm] was raised, and when it is over; then its
	// Ended is set. On a SharedQueue one process calls it.
	Alarm func(context.Context, Alarm)
	// Leading is called when this process has begun to lead, on a [SharedQueue].
	Leading func(context.Context, LeaderInfo)
	// Deposed is called when this process leads no longer, on a [SharedQueue], and
	// all its work has ended. lost is set if another process took over or the
	// database was out of reach; otherwise this process resigned, since Run ends.
	Deposed func(ctx context.Context, term uint64, lost bool)
	// Reconciled is called when a reconciliation that Run made has ended. The report
	// is nil if it could not begin.
	Reconciled func(context.Context, *Report, error)
	// Request is called when a client of ECOSIRE or of a shop has sent a request and
	// has an answer, or none. channel is "" for the source, and for a request by the
	// receiver of its webhooks. See [channel.WithRequests].
	Request func(ctx context.Context, channel string, r channel.Request)
	// Delivery is called with each request that a webhook handler gets, whoever
	// sends it, and its context. The context that it returns becomes that of the
	// handling, and the function is called with the status of the answer. Either
	// may be nil.
	Delivery func(context.Context, *http.Request) (context.Context, func(status int))
	// Trace returns the trace context for marks that are made with ctx, where
	// [WithTrace] put none there: a W3C traceparent, or "". It then counts more
	// than the header of a delivery.
	Trace func(ctx context.Context) string
	// Health is called by Run as it begins, every 15 seconds, and as it ends, with
	// what [Syncer.Health] answers. Calls never overlap.
	Health func(context.Context, Health, error)
}

// A WorkKind is what [Work] does.
type WorkKind string

// The kinds of work: calls, by their method, and turns of Run.
const (
	WorkSync      WorkKind = "sync" // SyncProducts
	WorkReconcile WorkKind = "reconcile"
	WorkPlan      WorkKind = "plan"
	WorkCoverage  WorkKind = "coverage"
	WorkApply     WorkKind = "apply" // Apply, and what was approved
	WorkTurn      WorkKind = "turn"  // Run takes marked products through one channel
)

// Work is a call, or a turn of Run, that a host may trace.
type Work struct {
	Kind WorkKind
	// Run is its name, which is in the log lines of the work, too.
	Run string
	// Channel and Products are a turn's: how many products were leased.
	Channel  string
	Products int
	// Links are the trace contexts of a turn's marks, as W3C traceparents: each
	// once, and at most 32. A call has that of [WithTrace], or of whoever asked
	// the leader for it.
	Links []string
}

// WorkDone is how [Work] ended.
type WorkDone struct {
	Report  *Report        // of a call, or nil
	Channel *ChannelReport // of a turn, or nil
	Err     error
}

// Pushed says what became of a batch of marked products on one channel.
type Pushed struct {
	// ChannelReport has the details. Its Problems will be tried again or were given
	// up; the hooks Retry and GaveUp tell which.
	ChannelReport
	// Delay is the time from the oldest mark in the batch until now.
	Delay time.Duration
	// Delays are, for each product of the batch that the channel shows now, the
	// time from its oldest mark until then.
	Delays []time.Duration
}

// Retry says what will be tried again.
type Retry struct {
	Channel  string        // "" for orders whose products are to be found
	Products int           // how many products, or orders
	Wait     time.Duration // until the next attempt
	Err      error         // the first one's
}

// MarshalJSON writes Err as its text and class.
func (r Retry) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Channel  string        `json:"channel,omitempty"`
		Products int           `json:"products"`
		Wait     time.Duration `json:"wait"`
		failure
	}{r.Channel, r.Products, r.Wait, failureOf(r.Err)})
}

// MarshalJSON writes Err as its text and class.
func (d WorkDone) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Report  *Report        `json:"report,omitempty"`
		Channel *ChannelReport `json:"channel,omitempty"`
		failure
	}{d.Report, d.Channel, failureOf(d.Err)})
}

// MarshalJSON writes Err as its text and class.
func (p Pushed) MarshalJSON() ([]byte, error) {
	type plain ChannelReport
	return json.Marshal(struct {
		plain
		failure
		Delay  time.Duration   `json:"delay"`
		Delays []time.Duration `json:"delays,omitempty"`
	}{plain(p.ChannelReport), failureOf(p.Err), p.Delay, p.Delays})
}

// work tells that work begins. What it returns is never nil.
func (h *Hooks) work(ctx context.Context, s *Syncer, w Work) (context.Context, func(WorkDone)) {
	if h.Work == nil {
		return ctx, func(WorkDone) {}
	}
	type begun struct {
		ctx context.Context
		end func(WorkDone)
	}
	b := hooked(ctx, s, "Hooks.Work", w.Channel, "", "", func() (b begun) { b.ctx, b.end = h.Work(ctx, w); return })
	if b.ctx == nil {
		b.ctx = ctx
	}
	return b.ctx, func(d WorkDone) {
		if b.end != nil {
			s.hook(ctx, "Hooks.Work, the end", w.Channel, "", "", func() { b.end(d) })
		}
	}
}

func (h *Hooks) received(ctx context.Context, s *Syncer, e channel.Event) {
	if h.Received != nil {
		s.hook(ctx, "Hooks.Received", "", "", "", func() { h.Received(ctx, e) })
	}
}

func (h *Hooks) marked(ctx context.Context, s *Syncer, ids []string) {
	if h.Marked != nil {
		s.hook(ctx, "Hooks.Marked", "", "", "", func() { h.Marked(ctx, ids) })
	}
}

func (h *Hooks) pushed(ctx context.Context, s *Syncer, p Pushed) {
	if h.Pushed != nil {
		s.hook(ctx, "Hooks.Pushed", p.Channel, "", "", func() { h.Pushed(ctx, p) })
	}
}

func (h *Hooks) retry(ctx context.Context, s *Syncer, r Retry) {
	if h.Retry != nil {
		s.hook(ctx, "Hooks.Retry", r.Channel, "", "", func() { h.Retry(ctx, r) })
	}
}

func (h *Hooks) gaveUp(ctx context.Context, s *Syncer, p Problem) {
	if h.GaveUp != nil {
		s.hook(ctx, "Hooks.GaveUp", p.Channel, p.ProductID, p.SKU, func() { h.GaveUp(ctx, p) })
	}
}

func (h *Hooks) down(ctx context.Context, s *Syncer, channel string, err error) {
	if h.Down != nil {
		s.midwayHook(ctx, "Hooks.Down", channel, "", "", func(ctx context.Context) { h.Down(ctx, channel, err) })
	}
}

func (h *Hooks) up(ctx context.Context, s *Syncer, channel string, after time.Duration) {
	if h.Up != nil {
		s.midwayHook(ctx, "Hooks.Up", channel, "", "", func(ctx context.Context) { h.Up(ctx, channel, after) })
	}
}

func (h *Hooks) paused(ctx context.Context, s *Syncer, p Pause) {
	if h.Paused != nil {
		s.hook(ctx, "Hooks.Paused", p.Channel, "", "", func() { h.Paused(ctx, p) })
	}
}

func (h *Hooks) resumed(ctx context.Context, s *Syncer, channel string, after time.Duration) {
	if h.Resumed != nil {
		s.hook(ctx, "Hooks.Resumed", channel, "", "", func() { h.Resumed(ctx, channel, after) })
	}
}

func (h *Hooks) tripped(ctx context.Context, s *Syncer, channel string, t Trip) {
	if h.Tripped != nil {
		s.midwayHook(ctx, "Hooks.Tripped", channel, "", "", func(ctx context.Context) { h.Tripped(ctx, channel, t) })
	}
}

func (h *Hooks) inFlight(ctx context.Context, s *Syncer, f FlightEvent) {
	if h.InFlight != nil {
		s.midwayHook(ctx, "Hooks.InFlight", f.Channel, f.ProductID, f.SKU, func(ctx context.Context) { h.InFlight(ctx, f) })
	}
}

func (h *Hooks) changed(ctx context.Context, s *Syncer, channel string, c Change) {
	if h.Changed != nil {
		s.hook(ctx, "Hooks.Changed", channel, c.ProductID, c.SKU, func() { h.Changed(ctx, channel, c) })
	}
}

func (h *Hooks) observed(ctx context.Context, s *Syncer, channel string, c Change) {
	if h.Observed != nil {
		s.hook(ctx, "Hooks.Observed", channel, c.ProductID, c.SKU, func() { h.Observed(ctx, channel, c) })
	}
}

func (h *Hooks) alarm(ctx context.Context, s *Syncer, a Alarm) {
	if h.Alarm != nil {
		s.hook(ctx, "Hooks.Alarm", a.Channel, "", "", func() { h.Alarm(ctx, a) })
	}
}

func (h *Hooks) reconciled(ctx context.Context, s *Syncer, r *Report, err error) {
	if h.Reconciled != nil {
		s.hook(ctx, "Hooks.Reconciled", "", "", "", func() { h.Reconciled(ctx, r, err) })
	}
}

func (h *Hooks) leading(ctx context.Context, s *Syncer, l LeaderInfo) {
	if h.Leading != nil {
		s.hook(ctx, "Hooks.Leading", "", "", "", func() { h.Leading(ctx, l) })
	}
}

func (h *Hooks) deposed(ctx context.Context, s *Syncer, term uint64, lost bool) {
	if h.Deposed != nil {
		s.hook(ctx, "Hooks.Deposed", "", "", "", func() { h.Deposed(ctx, term, lost) })
	}
}
