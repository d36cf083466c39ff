package channeltest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ecosire/stocksync/channel"
)

// A Subject is a channel under test, with the ways around it: what the tests
// need to look at the service, and to change it, other than through the
// channel. Only Channel is required, and Shown if the channel is no
// [channel.Reader]. Each further field makes more rules testable; the tests of
// those that are missing are skipped, and say what they lack.
type Subject struct {
	// Channel is the channel under test.
	Channel channel.Channel
	// Shown asks the service itself what it shows for an SKU. ok is false if
	// it has no such item, or several, or shows no quantity. nil means that the
	// channel's own Levels are believed.
	Shown func(sku string) (quantity int, ok bool)
	// Set changes what the service shows, as a sale or somebody's edit would.
	Set func(sku string, quantity int)
	// Wire is the network between the channel and an in-memory service.
	// [TestHTTPChannel] needs it; Break and Stall are made of it if they are nil.
	Wire *Wire
	// OffSale takes an item off sale at the service, as somebody would who wants
	// nobody to buy it, whatever its quantity.
	OffSale func(sku string)
	// Break makes the service fail whatever it is asked, until mend is called.
	Break func() (mend func())
	// Stall makes the service give no answer at all, until resume is called.
	Stall func() (resume func())
}

// A Maker makes a new service that shows just these levels, and the channel to
// it. It is called at least once in each test; what is to be closed it leaves
// to t.Cleanup.
//
// Most levels have an SKU and a quantity. A level may be Unset: an item
// without a quantity yet. It may have an Err, [channel.ErrNotTracked]: an item
// that cannot be given a quantity, for whatever reason the service knows. And
// several may have one SKU. A Maker skips what its service cannot have:
//
//	t.Skip("a till has each SKU once")
type Maker func(t *testing.T, levels []channel.Level) Subject

// TestChannel checks that a channel does what package channel asks of it: one
// subtest a rule, whose failure says what happened, what the rule is, and what
// to do. Name the test that calls it so that it is found:
//
//	func TestConformance(t *testing.T) { channeltest.TestChannel(t, newSubject) }
//
// The tests run in real time. See [TestChannelInBubble] for a channel that
// waits before it tries again, and for one that is a [channel.Lagger]: what
// such a channel has accepted is looked at when its lag is over. With -short,
// which is for the race detector, what is to be many is 2,000 and not 10,000.
func TestChannel(t *testing.T, mk Maker) {
	test(t, mk, false, pushRules, skuRules(), levelRules, troubleRules, optionalRules)
}

// TestChannelInBubble is [TestChannel] with each test in a bubble of
// testing/synctest, where waiting takes no time. The channel must keep time by
// package time and reach its service within the process, through a [Wire] or
// through files, say: a connection that idles in a pool stops the bubble's
// clock.
func TestChannelInBubble(t *testing.T, mk Maker) {
	test(t, mk, true, pushRules, skuRules(), levelRules, troubleRules, optionalRules)
}

// many is more than a service takes or answers at once.
func many() int {
	if testing.Short() {
		return 2_000
	}
	return 10_000
}

func inBubble(t *testing.T, f func(t *testing.T)) {
	skipped := false
	synctest.Test(t, func(t *testing.T) {
		defer func() { skipped = t.Skipped() }()
		f(t)
	})
	if skipped { // of which testing does not tell the test outside
		t.SkipNow()
	}
}

func test(t *testing.T, mk Maker, virtual bool, sets ...[]rule) {
	for _, rules := range sets {
		for _, r := range rules {
			t.Run(r.name, func(t *testing.T) {
				if !virtual {
					r.run(&kit{t: t, mk: mk, rule: r})
					return
				}
				inBubble(t, func(t *testing.T) { r.run(&kit{t: t, mk: mk, rule: r, virtual: true}) })
			})
		}
	}
}

// A rule is something that package channel asks of a channel.
type rule struct {
	name    string
	promise string // the rule
	advice  string // what to do about a failure
	run     func(k *kit)
}

// A kit is one test's view of the channel under test.
type kit struct {
	t *testing.T
	Subject
	rule
	mk     Maker
	reader channel.Reader // nil if it cannot be read
	size   int            // of a batch; 0 means any
	lag    time.Duration  // of a channel.Lagger
	when   string         // the circumstances, for texts
	// virtual tells that the test is in a bubble: waiting costs nothing.
	virtual bool
}

// compares reports whether the channel is a channel.Comparer.
func (k *kit) compares() bool {
	_, ok := channel.As[channel.Comparer](k.Channel)
	return ok
}

// errorf reports a failure, and goes on.
func (k *kit) errorf(format string, args ...any) {
	k.t.Helper()
	text := fmt.Sprintf(format, args...)
	if k.when != "" {
		text = k.when + ": " + text
	}
	k.t.Errorf("%s\n\trule: %s\n\tto do: %s", text, k.promise, k.advice)
}

// open makes the service and the channel.
func (k *kit) open(levels ...channel.Level) {
	k.t.Helper()
	k.Subject = k.mk(k.t, levels)
	if k.Channel == nil {
		k.t.Fatal("the Maker returned a Subject without a Channel")
	}
	k.reader, _ = channel.As[channel.Reader](k.Channel)
	if s, ok := channel.As[channel.Sizer](k.Channel); ok {
		if k.size = s.BatchSize(); k.size < 1 {
			k.t.Fatalf("BatchSize is %d\n\trule: it is the largest number of updates in one Push, at least 1", k.size)
		}
	}
	if l, ok := channel.As[channel.Lagger](k.Channel); ok {
		if k.lag = l.Lag(); k.lag <= 0 {
			k.t.Fatalf("Lag is %v\n\trule: it is the longest time that an accepted update usually takes to show", k.lag)
		}
	}
	if k.Shown == nil {
		if k.reader == nil {
			k.t.Fatal("the channel is no channel.Reader, so the tests cannot see what it shows: set Subject.Shown to a function that asks the service itself")
		}
		k.Shown = k.read
	}
	if k.Wire != nil && k.Break == nil {
		k.Break = func() func() {
			k.Wire.Inject(Fault{Times: -1, Status: 503, Body: "down for maintenance"})
			return k.Wire.Heal
		}
	}
	if k.Wire != nil && k.Stall == nil {
		k.Stall = func() func() {
			k.Wire.Inject(Fault{Times: -1, Delay: time.Hour})
			return k.Wire.Heal
		}
	}
}

// read is Shown for a channel that nobody else can look into.
func (k *kit) read(sku string) (int, bool) {
	levels, err := k.reader.Levels(k.t.Context(), []string{sku})
	if err != nil {
		k.t.Errorf("Levels returned %v; it stands in for Subject.Shown, which is nil", err)
	}
	if len(levels) != 1 || levels[0].Err != nil || levels[0].Unset {
		return 0, false
	}
	return levels[0].Quantity, true
}

// readable skips the test if the channel cannot be read.
func (k *kit) readable() {
	if k.reader == nil {
		k.t.Skip("the channel is no channel.Reader")
	}
}

func level(sku string, quantity int) channel.Level {
	return channel.Level{SKU: sku, Quantity: quantity}
}

func update(sku string, quantity int) channel.Update {
	return channel.Update{SKU: sku, Quantity: quantity, AsOf: time.Now()}
}

// numbered returns n levels, and the updates that add something to each.
func numbered(n, add int) (levels []channel.Level, updates []channel.Update) {
	for i := range n {
		sku := fmt.Sprintf("ITEM-%05d", i)
		levels = append(levels, level(sku, i))
		updates = append(updates, update(sku, i+add))
	}
	return levels, updates
}

// An outcome is what a Push said of its updates.
type outcome struct {
	errs  channel.Errors
	whole error // of the call: nothing is known of the updates in it
	open  map[string]bool
	// settled is when all that was pending is shown.
	settled time.Time
}

func (o outcome) settle() { time.Sleep(time.Until(o.settled)) }

// push pushes updates in batches of the channel's size, and checks the form of
// what comes back. What is pending shows by the time it returns, or never.
func (k *kit) push(ctx context.Context, updates ...channel.Update) outcome {
	k.t.Helper()
	out := outcome{errs: channel.Errors{}, open: map[string]bool{}}
	pushed := make(map[string]bool, len(updates))
	for _, u := range updates {
		pushed[u.SKU] = true
	}
	var pending time.Duration
	for some := range batches(updates, k.size) {
		err := k.Channel.Push(ctx, some)
		errs, whole := k.split(err)
		if whole != nil {
			out.whole = whole
			for _, u := range some {
				out.open[u.SKU] = errs[u.SKU] == nil
			}
		}
		for sku, err := range errs {
			if !pushed[sku] {
				k.errorf("Push named %q, which was not pushed: the keys of channel.Errors are the SKUs of the updates, byte for byte", sku)
			}
			if err == nil {
				k.errorf("Push named %q with a nil error: an SKU that was done is not in channel.Errors", sku)
			}
			if errors.Is(err, channel.ErrPending) {
				lag, ok := channel.LagOf(err)
				if !ok {
					lag = k.lag
				}
				if lag == 0 {
					k.errorf("Push named %q with channel.ErrPending, and the channel is no channel.Lagger: nobody knows how long to wait", sku)
				}
				pending = max(pending, lag)
				continue // done, as far as Push is concerned
			}
			out.errs[sku] = err
		}
	}
	out.settled = time.Now().Add(pending)
	if ctx.Err() == nil { // else somebody looks how soon it returns
		out.settle()
	}
	return out
}

// split returns what an error of Push says of SKUs, and what it says of the
// others as a whole: an Errors may be joined to another error.
func (k *kit) split(err error) (errs channel.Errors, whole error) {
	k.t.Helper()
	switch e := err.(type) {
	case nil:
		return nil, nil
	case channel.Errors:
		if len(e) == 0 {
			k.errorf("Push returned an empty channel.Errors where nil was meant: a caller takes any error for a failure; end Push with errs.Err()")
		}
		return e, nil
	case interface{ Unwrap() []error }:
		var rest []error
		for _, err := range e.Unwrap() {
			if some, ok := err.(channel.Errors); ok {
				errs = some
			} else {
				rest = append(rest, err)
			}
		}
		if errs != nil {
			return errs, errors.Join(rest...)
		}
	}
	if _, ok := errors.AsType[channel.Errors](err); ok {
		k.errorf("Push returned a %T around a channel.Errors: return it as it is, or joined to what is wrong with the rest", err)
	}
	return nil, err
}

// done pushes updates that nothing speaks against.
func (k *kit) done(updates ...channel.Update) {
	k.t.Helper()
	out := k.push(k.t.Context(), updates...)
	if out.whole != nil {
		k.errorf("Push of %s returned %v", some(updates), out.whole)
	} else if len(out.errs) > 0 {
		k.errorf("Push of %s returned %v", some(updates), out.errs)
	}
	k.truthful(out, updates...)
}

// truthful checks that what Push did not deny is shown.
func (k *kit) truthful(out outcome, updates ...channel.Update) {
	k.t.Helper()
	out.settle()
	for _, u := range updates {
		if out.errs[u.SKU] != nil || out.open[u.SKU] {
			continue
		}
		if n, ok := k.Shown(u.SKU); !ok || n != u.Quantity {
			k.errorf("Push reported %q as done, and %s is shown, not %d", u.SKU, display(n, ok), u.Quantity)
			return // the others most often fail for the same cause
		}
	}
}

// shows wants the service to show this.
func (k *kit) shows(sku string, quantity int) {
	k.t.Helper()
	if n, ok := k.Shown(sku); !ok || n != quantity {
		k.errorf("%q shows %s, want %d", sku, display(n, ok), quantity)
	}
}

// named wants an SKU's error to match target.
func (k *kit) named(out outcome, sku string, target error) {
	k.t.Helper()
	switch err := out.errs[sku]; {
	case out.whole != nil:
		k.errorf("Push returned the error %q for the whole call", out.whole)
	case err == nil:
		k.errorf("Push did not name %q", sku)
	case !errors.Is(err, target):
		k.errorf("Push reported %q as %q, which does not match %q", sku, err, target)
	}
}

// levels reads SKUs in batches of the channel's size, and checks that nothing
// comes back that was not asked for.
func (k *kit) levels(ctx context.Context, skus ...string) (map[string][]channel.Level, error) {
	k.t.Helper()
	bySKU := make(map[string][]channel.Level, len(skus))
	asked := make(map[string]bool, len(skus))
	for _, sku := range skus {
		asked[sku] = true
	}
	for some := range batches(skus, k.size) {
		levels, err := k.reader.Levels(ctx, some)
		if err != nil {
			return nil, err
		}
		for _, l := range levels {
			if !asked[l.SKU] {
				k.errorf("Levels answered %q, which was not asked for: a level's SKU is the one asked for, byte for byte", l.SKU)
			}
			bySKU[l.SKU] = append(bySKU[l.SKU], l)
		}
	}
	return bySKU, nil
}

// all is levels of a service that works.
func (k *kit) all(skus ...string) map[string][]channel.Level {
	k.t.Helper()
	levels, err := k.levels(k.t.Context(), skus...)
	if err != nil {
		k.errorf("Levels returned %v", err)
		k.t.FailNow()
	}
	return levels
}

// answers wants exactly one level with this quantity.
func (k *kit) answers(levels map[string][]channel.Level, sku string, quantity int) {
	k.t.Helper()
	switch ls := levels[sku]; {
	case len(ls) != 1:
		k.errorf("Levels returned %d levels for %q, want one", len(ls), sku)
	case ls[0].Err != nil:
		k.errorf("Levels returned the error %q for %q", ls[0].Err, sku)
	case ls[0].Unset || ls[0].Quantity != quantity:
		k.errorf("Levels returned %s for %q, want %d", display(ls[0].Quantity, !ls[0].Unset), sku, quantity)
	}
}

// batches cuts s into slices of at most size; 0 means any size.
func batches[T any](s []T, size int) func(yield func([]T) bool) {
	if size <= 0 {
		return func(yield func([]T) bool) { yield(s) }
	}
	return slices.Chunk(s, size)
}

func display(n int, ok bool) string {
	if !ok {
		return "no quantity"
	}
	return fmt.Sprint(n)
}

func some(updates []channel.Update) string {
	if len(updates) == 1 {
		return fmt.Sprintf("%q", updates[0].SKU)
	}
	return fmt.Sprintf("%d updates", len(updates))
}
