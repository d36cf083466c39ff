package otelsync

import (
	"context"
	"errors"
	"net"
	"strconv"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/syncer"
)

// The attributes that are not of the semantic conventions.
const (
	channelKey   = attribute.Key("stocksync.channel")
	serviceKey   = attribute.Key("stocksync.service")
	operationKey = attribute.Key("stocksync.operation")
	runKey       = attribute.Key("stocksync.run")
	resultKey    = attribute.Key("stocksync.result")
	directionKey = attribute.Key("stocksync.direction")
	reasonKey    = attribute.Key("stocksync.reason")
	outcomeKey   = attribute.Key("stocksync.outcome")
	unitKey      = attribute.Key("stocksync.unit")
	classKey     = attribute.Key("stocksync.class")
	typeKey      = attribute.Key("stocksync.event.type")
	eventKey     = attribute.Key("stocksync.event.id")
	productsKey  = attribute.Key("stocksync.products")
	skuKey       = attribute.Key("stocksync.sku")
	productKey   = attribute.Key("stocksync.product")
	shownKey     = attribute.Key("stocksync.shown")
	wantedKey    = attribute.Key("stocksync.wanted")
	stateKey     = attribute.Key("stocksync.state")
)

// An observer records what a syncer's hooks are told.
type observer struct {
	metrics
	tracer trace.Tracer
	always []attribute.KeyValue

	mu    sync.Mutex
	types map[string]bool // of events, that have had a label of their own
	on    map[alarm]bool  // alarms, by the last health
}

// An alarm is what tells one from others.
type alarm struct {
	class   syncer.AlarmClass
	channel string
}

// maxTypes bounds how many types of events have a label of their own.
const maxTypes = 50

func (o *observer) with(attrs ...attribute.KeyValue) metric.MeasurementOption {
	return metric.WithAttributes(append(attrs, o.always...)...)
}

// on is the attribute of a channel; the source has none.
func on(name string) []attribute.KeyValue {
	if name == "" {
		return nil
	}
	return []attribute.KeyValue{channelKey.String(name)}
}

func (o *observer) received(ctx context.Context, e channel.Event) {
	trace.SpanFromContext(ctx).SetAttributes(typeKey.String(e.Type), eventKey.String(e.ID), productsKey.Int(len(e.ProductIDs)))
	o.mu.Lock()
	kind := e.Type
	if !o.types[kind] && len(o.types) >= maxTypes {
		kind = "other"
	}
	o.types[kind] = true
	o.mu.Unlock()
	o.events.Add(ctx, 1, o.with(typeKey.String(kind)))
}

func (o *observer) marked(ctx context.Context, ids []string) {
	o.metrics.marked.Add(ctx, int64(len(ids)), o.with())
}

func (o *observer) pushed(ctx context.Context, p syncer.Pushed) {
	for _, d := range p.Delays {
		o.visible.Record(ctx, d.Seconds(), o.with(on(p.Channel)...))
	}
}

func (o *observer) retry(ctx context.Context, r syncer.Retry) {
	o.retries.Add(ctx, int64(r.Products), o.with(append(on(r.Channel), reasonKey.String(channel.Class(r.Err)))...))
}

func (o *observer) gaveUp(ctx context.Context, p syncer.Problem) {
	o.metrics.gaveUp.Add(ctx, 1, o.with(append(on(p.Channel), reasonKey.String(channel.Class(p.Err)))...))
}

func (o *observer) down(ctx context.Context, name string, err error) {
	o.downs.Add(ctx, 1, o.with(append(on(name), reasonKey.String(channel.Class(err)))...))
	o.metrics.up.Record(ctx, 0, o.with(on(name)...))
}

func (o *observer) up(ctx context.Context, name string, _ time.Duration) {
	o.metrics.up.Record(ctx, 1, o.with(on(name)...))
}

func (o *observer) tripped(ctx context.Context, name string, _ syncer.Trip) {
	o.trips.Add(ctx, 1, o.with(on(name)...))
}

func (o *observer) leads(ctx context.Context, l syncer.LeaderInfo) {
	o.leading.Record(ctx, 1, o.with())
	o.term.Record(ctx, int64(l.Number), o.with())
}

func (o *observer) deposed(ctx context.Context, _ uint64, _ bool) { o.leading.Record(ctx, 0, o.with()) }

func (o *observer) inFlight(ctx context.Context, f syncer.FlightEvent) {
	o.flights.Add(ctx, int64(f.Units), o.with(append(on(f.Channel), stateKey.String(string(f.Kind)))...))
}

func (o *observer) wouldWrite(ctx context.Context, name string, _ syncer.Change) {
	o.observed.Add(ctx, 1, o.with(on(name)...))
}

func (o *observer) alarm(ctx context.Context, a syncer.Alarm) {
	o.tellAlarm(ctx, alarm{a.Class, a.Channel}, a.Ended.IsZero())
}

func (o *observer) tellAlarm(ctx context.Context, a alarm, isOn bool) {
	o.alarms.Record(ctx, flag(isOn), o.with(append(on(a.channel), classKey.String(string(a.class)))...))
}

// tellAlarms records those that are on, and those that were on when it was last
// called and are over, which another replica may have ended.
func (o *observer) tellAlarms(ctx context.Context, alarms []syncer.Alarm) {
	now := make(map[alarm]bool, len(alarms))
	for _, a := range alarms {
		now[alarm{a.Class, a.Channel}] = true
	}
	o.mu.Lock()
	before := o.on
	o.on = now
	o.mu.Unlock()
	for a := range before {
		if !now[a] {
			o.tellAlarm(ctx, a, false)
		}
	}
	for a := range now {
		o.tellAlarm(ctx, a, true)
	}
}

// dealt counts what became of the listings of a turn or a call.
func (o *observer) dealt(ctx context.Context, c *syncer.ChannelReport, reconciliation bool) {
	for result, n := range map[string]int{
		"written": c.Updated, "pending": c.Pending, "unclear": c.Unclear, "superseded": c.Superseded, "held": c.Held,
		"replanned": c.Replanned, "unknown": c.Unknown, "failed": c.Failed,
	} {
		if n > 0 {
			o.writes.Add(ctx, int64(n), o.with(append(on(c.Channel), resultKey.String(result))...))
		}
	}
	if reconciliation { // 0, too: that there was no drift is worth a series
		o.drift.Add(ctx, int64(c.Over), o.with(append(on(c.Channel), directionKey.String("over"))...))
		o.drift.Add(ctx, int64(c.Under), o.with(append(on(c.Channel), directionKey.String("under"))...))
	}
}

// done counts what a turn or a call did.
func (o *observer) done(ctx context.Context, kind syncer.WorkKind, d syncer.WorkDone) {
	if d.Channel != nil {
		o.dealt(ctx, d.Channel, false)
	}
	if d.Report == nil || kind == syncer.WorkPlan {
		return
	}
	for i := range d.Report.Channels {
		o.dealt(ctx, &d.Report.Channels[i], kind == syncer.WorkReconcile)
	}
	if kind == syncer.WorkReconcile {
		o.reconciliation.Record(ctx, d.Report.Duration.Seconds(), o.with(outcomeKey.String(outcome(d.Err))))
	}
}

// outcome is how a reconciliation ended, in a word.
func outcome(err error) string {
	switch {
	case err == nil:
		return "complete"
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return "canceled"
	case errors.Is(err, syncer.ErrNotCompared):
		return "incomplete"
	case errors.Is(err, syncer.ErrHeld):
		return "held"
	}
	return "failed"
}

// request records a request, as a metric and a span.
func (o *observer) request(ctx context.Context, name string, r channel.Request) {
	host, port := hostOf(r.Host)
	attrs := append(on(name), serviceKey.String(r.Service), operationKey.String(r.Op),
		semconv.HTTPRequestMethodKey.String(r.Method), semconv.ServerAddress(host), semconv.ServerPort(port))
	if r.Status > 0 {
		attrs = append(attrs, semconv.HTTPResponseStatusCode(r.Status))
	}
	if kind := failure(r); kind != "" {
		attrs = append(attrs, semconv.ErrorTypeKey.String(kind))
	}
	o.requests.Record(ctx, r.Took.Seconds(), o.with(attrs...))
	o.requestSpan(ctx, r, attrs)
}

func hostOf(address string) (host string, port int) {
	host, digits, err := net.SplitHostPort(address)
	if err != nil {
		return address, 443
	}
	port, _ = strconv.Atoi(digits)
	return host, port
}

// failure is the error.type of a request, or "".
func failure(r channel.Request) string {
	timeout, isTimeout := errors.AsType[net.Error](r.Err)
	switch {
	case r.Status >= 400:
		return strconv.Itoa(r.Status)
	case r.Status > 0:
		return ""
	case errors.Is(r.Err, context.Canceled):
		return "canceled"
	case errors.Is(r.Err, context.DeadlineExceeded), isTimeout && timeout.Timeout():
		return "timeout"
	}
	return "no_answer"
}

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

func age(at time.Time) float64 {
	if at.IsZero() {
		return 0
	}
	return max(0, time.Since(at).Seconds())
}

// health records the state of the syncer.
func (o *observer) health(ctx context.Context, h syncer.Health, err error) {
	ctx = context.WithoutCancel(ctx)
	plain := o.with()
	o.running.Record(ctx, flag(h.Running), plain)
	if !h.Running {
		o.leading.Record(ctx, 0, plain)
		return
	}
	o.leading.Record(ctx, flag(h.Role == "" || h.Role == syncer.RoleLeader), plain)
	o.queueUp.Record(ctx, flag(err == nil && h.QueueErr == nil), plain)
	if !h.Progress.IsZero() {
		o.progressAge.Record(ctx, age(h.Progress), plain)
	}
	if h.Quota != nil {
		o.quota(ctx, "", h.Quota)
	}
	if err != nil {
		return // the rest is not known
	}
	if h.Leader != nil {
		o.term.Record(ctx, int64(h.Leader.Number), plain)
	}
	o.tellAlarms(ctx, h.Alarms)
	o.pinned.Record(ctx, int64(h.Pinned), plain)
	o.orders.Record(ctx, int64(h.Orders.Tasks), plain)
	o.ordersAge.Record(ctx, age(h.Orders.Oldest), plain)
	if !h.Reconciled.IsZero() {
		o.reconciledAge.Record(ctx, age(h.Reconciled), plain)
	}
	if !h.Next.IsZero() {
		o.reconcileNext.Record(ctx, max(0, time.Until(h.Next).Seconds()), plain)
	}
	for _, c := range h.Channels {
		at := o.with(on(c.Channel)...)
		o.waiting.Record(ctx, int64(c.Tasks), at)
		o.waitingAge.Record(ctx, age(c.Oldest), at)
		o.held.Record(ctx, int64(c.Held), at)
		o.paused.Record(ctx, flag(c.Paused != nil), at)
		if h.ViewAge >= 0 { // else no leader has told yet
			o.metrics.up.Record(ctx, flag(c.DownSince.IsZero() && c.Stuck == ""), at)
		}
		if c.Quota != nil {
			o.quota(ctx, c.Channel, c.Quota)
		}
	}
}

func (o *observer) quota(ctx context.Context, name string, q *channel.Quota) {
	at := o.with(append(on(name), unitKey.String(q.Unit))...)
	o.quotaLeft.Record(ctx, q.Left, at)
	o.quotaLimit.Record(ctx, q.Limit, at)
}
