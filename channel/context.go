package channel

import (
	"context"
	"slices"
	"sync/atomic"
)

type runKey struct{}

// WithRun returns a context that carries the name of the run that causes the
// calls made with it. Channels that keep a history of changes write it there.
func WithRun(ctx context.Context, run string) context.Context {
	return context.WithValue(ctx, runKey{}, run)
}

// Run returns the name that [WithRun] put into ctx, or "".
func Run(ctx context.Context) string {
	run, _ := ctx.Value(runKey{}).(string)
	return run
}

// Urgency says how long a call may wait where a service's quota is scarce. It
// travels in the context.
type Urgency int

// The urgencies. What is more urgent leaves first, and what is less leaves as
// much of the quota as the more urgent is likely to need.
const (
	// Urgent is what somebody waits for: events, and whatever says nothing.
	Urgent Urgency = iota
	// Soon is what nobody told of: what a watch noticed, what failed and is
	// tried again, looking for what is wrong.
	Soon
	// Background is work on the whole catalogue.
	Background
)

type urgencyKey struct{}

// WithUrgency returns a context for calls of an urgency.
func WithUrgency(ctx context.Context, u Urgency) context.Context {
	return context.WithValue(ctx, urgencyKey{}, min(max(u, Urgent), Background))
}

// UrgencyOf returns what [WithUrgency] put into ctx, or Urgent.
func UrgencyOf(ctx context.Context) Urgency {
	u, _ := ctx.Value(urgencyKey{}).(Urgency)
	return u
}

type quantitiesKey struct{}

type quantities struct {
	total      bool
	warehouses []string
}

// WithWarehouses returns a context for reading the stock of single warehouses:
// a source that can fills in Stock.Warehouses for each of the ids. total is
// whether anything needs the quantities of all warehouses together, too. Without
// it a source may leave them out to save requests; OnHand, Reserved and Available
// are then those of the named warehouses together, and must not be published as
// more than that.
func WithWarehouses(ctx context.Context, total bool, ids ...string) context.Context {
	return context.WithValue(ctx, quantitiesKey{}, quantities{total, slices.Compact(slices.Sorted(slices.Values(ids)))})
}

// Warehouses returns what [WithWarehouses] put into ctx: the ids, sorted, or
// none and true.
func Warehouses(ctx context.Context) (ids []string, total bool) {
	q, ok := ctx.Value(quantitiesKey{}).(quantities)
	return q.warehouses, q.total || !ok || len(q.warehouses) == 0
}

type expectedKey struct{}

// WithExpected returns a context for a run over the whole catalogue that is
// expected to have about n products, or 0 if that is not known yet, so that a
// [Preloader] can tell what is worth preparing. A [Source] that is told by its
// first answer says so with [Expect].
func WithExpected(ctx context.Context, n int) context.Context {
	expected := new(atomic.Int64)
	expected.Store(int64(max(n, 0)))
	return context.WithValue(ctx, expectedKey{}, expected)
}

// Expect tells those who have a context from the same [WithExpected] that the
// catalogue has n products. Without one it does nothing.
func Expect(ctx context.Context, n int) {
	if expected, ok := ctx.Value(expectedKey{}).(*atomic.Int64); ok && n > 0 {
		expected.Store(int64(n))
	}
}

// Expected returns the number of [WithExpected], or the last one of [Expect],
// or 0 if none is known yet.
func Expected(ctx context.Context) int {
	if expected, ok := ctx.Value(expectedKey{}).(*atomic.Int64); ok {
		return int(expected.Load())
	}
	return 0
}
