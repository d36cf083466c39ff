package syncer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/text"
)

// A Target is a channel, and what it should show of the stock. Its functions may be
// called by several goroutines at once.
//
// They are called for each product and should return at once. A call that takes longer
// than 10 seconds, such as one that waits for a database, is left behind: the product
// fails, and is tried again, but not asked about until that call returns. When this
// has happened for a third product the channel is down until a call returns, and
// Health calls it Stuck. Other channels go on in any case.
type Target struct {
	// Channel is required.
	Channel channel.Channel
	// Policy decides how many units are shown; the zero Policy is [Available].
	Policy Policy
	// Filter chooses the products that the channel should show at all; nil
	// means all. What it leaves out is neither read nor written there.
	Filter func(channel.Stock) bool
	// Listings says under which SKUs the channel shows a product; nil means
	// its own, for one unit. A product for which it returns none is left out. See
	// [Renamed] and [Pack].
	Listings func(channel.Stock) []Listing
	// Kits returns the listings that take several products; nil means none. It is
	// called often, by several goroutines at once, and may return another list each
	// time. A mark of a part is a mark of its kits. A kit shows how many can be made
	// of what the Policy leaves of each part, and is an error if a part cannot be
	// read. If a single call takes longer than 10 seconds the channel is down until it
	// returns.
	Kits func() []Listing
	// Retire, unless it is nil, makes reconciliations look for what the channel
	// sells and the source does not have: the channel is listed ([channel.Lister]),
	// which costs requests. [ChannelReport].Retired has what was found. Retire says
	// of each such SKU whether to set it to 0, which the Guard counts as a loss;
	// func(string) bool { return false } only reports. An SKU is not retired while a
	// product lists it, even one that could not be read or that Filter leaves out.
	// In a run that has not read the whole catalogue, or less than half of what
	// there was, none is. A plan lists what is retired in any case.
	Retire func(sku string) bool
	// Webhooks authenticates and reads what the handler of
	// [Syncer.ChannelHandler] gets, such as a *shopify.Webhooks; nil means that
	// the Channel does, if it is a [channel.Receiver].
	Webhooks channel.Receiver
	// Watch makes [Syncer.Run] look at the channel from time to time, for sales that
	// no webhook told of. Its zero value is off, since looking costs quota. It
	// watches this channel; Config.WatchEvery watches the source.
	Watch Watch
	// Guard limits what may be done to the channel before a person has looked. Its
	// zero value is the default guard.
	Guard Guard
	// Observe makes the syncer do everything for the channel but write: events,
	// reconciliations, reports, hooks, delays, plans and explanations are as they
	// will be, and nothing is written to the shop, whatever is called. Reports have
	// what would have been written as Observed, with what the shop showed instead,
	// and how much of it the Guard would have held. Apply and Approve fail with
	// [ErrObserving]. See Config.Observe.
	Observe bool
	// Pilot, with Observe, chooses products that are written all the same, for the
	// days between observing and trusting; nil means none. A kit is written if all
	// its parts are chosen. What is retired has no product, and is not written.
	Pilot func(channel.Stock) bool
}

// A target is a [Target] with what the syncer keeps for it while it lives.
type target struct {
	Target
	name   string
	reader channel.Reader // nil if the channel cannot be read
	size   int            // updates in a batch; 0 means any number
	lag    time.Duration  // of accepted updates; 0 if they show at once
	// compares says that the channel refuses a write over a change that nobody saw.
	compares bool
	locks    *skuLocks
	calls    calls // of the channel that have not returned
	asked    calls // of the host's functions about products, likewise
	// recollected says that what a [channel.Keeper] had kept was looked for, and
	// keptAt is when it was kept last; only a reconciliation uses that.
	recollected atomic.Bool
	keptAt      time.Time
	memory      memory      // what the channel was found or made to show
	state       breaker     // whether the channel works
	took        atomic.Bool // it has worked since the process began
	pause       pausing     // whether it is paused
	late        lateness
	barren      barren // writes that came to nothing, in a row
	window      window // what was lately lost and gained in real time
	observed    window // what would have been, if it was only observed
	keeper      keeper // what the guard holds
	troubles    troubles
	hearing     hearing       // what its deliveries tell
	receiving   chan struct{} // holds a token for each delivery of the channel that is being read
}

func newTarget(t Target) (*target, error) {
	if nothing(t.Channel) {
		return nil, errors.New("Channel is nil")
	}
	if t.Policy.err != nil {
		return nil, fmt.Errorf("Policy: %w", t.Policy.err)
	}
	if t.Pilot != nil && !t.Observe {
		return nil, errors.New("Pilot chooses nothing without Observe: all products are written")
	}
	if err := t.Guard.check(); err != nil {
		return nil, fmt.Errorf("Guard: %w", err)
	}
	t.Policy, t.Guard = t.Policy.orDefault(), t.Guard.orDefault()
	full := &target{Target: t, name: t.Channel.Name(), locks: newSKULocks(), keeper: keeper{mu: make(channelLock, 1)}, troubles: troubles{mu: make(channelLock, 1)}}
	if strings.TrimSpace(full.name) == "" {
		return nil, errors.New("Channel has no name: reports and logs could not tell it apart")
	}
	if t.Webhooks != nil && nothing(t.Webhooks) {
		return nil, errors.New("Webhooks holds a nil pointer: leave the field out instead")
	}
	if err := t.Watch.check(); err != nil {
		return nil, fmt.Errorf("Watch: %w", err)
	}
	if t.Watch.Every > 0 {
		full.memory.watch = new(watchlist)
	}
	full.receiving = make(chan struct{}, maxReceiving)
	full.reader, _ = channel.As[channel.Reader](t.Channel)
	if s, ok := channel.As[channel.Sizer](t.Channel); ok {
		full.size = max(0, s.BatchSize())
	}
	_, full.compares = channel.As[channel.Comparer](t.Channel)
	if l, ok := channel.As[channel.Lagger](t.Channel); ok {
		full.lag = l.Lag()
	}
	if d, ok := channel.As[channel.Deductor](t.Channel); ok {
		full.memory.deductor, full.memory.deducts = true, max(0, d.Deducts())
	}
	return full, nil
}

// barren has the SKUs whose writes failed in passing since anything succeeded.
type barren struct {
	mu   sync.Mutex
	skus map[string]bool
}

// nothing reports whether an interface value is nil, or holds a nil pointer.
func nothing(v any) bool {
	if v == nil {
		return true
	}
	r := reflect.ValueOf(v)
	switch r.Kind() {
	case reflect.Pointer, reflect.Func, reflect.Map, reflect.Chan, reflect.Slice:
		return r.IsNil()
	}
	return false
}

// plain reports whether the target lists every product under its own SKU.
func (t *target) plain() bool { return t.Filter == nil && t.Listings == nil && t.Kits == nil }

// kits returns the kits that the host lists now. Those that make no sense are
// left out, and named in the log. If the host's code panics, or does not return, there
// are none.
func (t *target) kits(ctx context.Context, s *Syncer) []Listing {
	kits, _, _ := t.kitList(ctx, s)
	return kits
}

// kitList is kits, and tells which SKUs several kits have, and why it knows none.
func (t *target) kitList(ctx context.Context, s *Syncer) (kits []Listing, twice []string, err error) {
	if t.Kits == nil {
		return nil, nil, nil
	}
	kits, err = t.askKits(ctx, s)
	kits = slices.DeleteFunc(slices.Clone(kits), func(k Listing) bool {
		odd := strings.TrimSpace(k.SKU) == "" || len(k.Parts) == 0 ||
			slices.ContainsFunc(k.Parts, func(p Part) bool { return !p.sound() })
		if odd {
			s.once.warn(ctx, s, "a kit without an SKU, without parts, or with an impossible number of units is left out",
				slog.String("channel", t.name), slog.String("sku", text.Clean(k.SKU)))
		}
		return odd
	})
	at := make(map[string]int, len(kits))
	all := kits[:0]
	for _, k := range kits {
		k.Parts = together(k.Parts)
		if i, ok := at[k.SKU]; ok {
			s.doubled.add(t.name, k.SKU)
			twice = append(twice, k.SKU)
			all[i].Parts = together(slices.Concat(all[i].Parts, k.Parts)) // a mark of any part is about it
			continue
		}
		at[k.SKU] = len(all)
		all = append(all, k)
	}
	return all, twice, err
}

// together adds up the units of a product that is listed as several parts.
func together(parts []Part) []Part {
	for i, p := range parts {
		first := slices.IndexFunc(parts[:i], func(q Part) bool { return q.ProductID == p.ProductID })
		if first < 0 {
			continue
		}
		merged := slices.Clone(parts[:i])
		merged[first].Units = min(merged[first].Units+p.Units, maxSound)
		return together(append(merged, parts[i+1:]...))
	}
	return parts
}

// withPart chooses the kits that have one of the products as a part.
func withPart(ids []string) func(Listing) bool {
	asked := setOf(ids)
	return func(k Listing) bool {
		return slices.ContainsFunc(k.Parts, func(p Part) bool { return asked[p.ProductID] })
	}
}
