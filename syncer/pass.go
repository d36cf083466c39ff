package syncer

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/ecosire/stocksync/channel"
)

// maxLooks is how often a pass looks at a product when the channel or the
// source changes under it.
const maxLooks = 3

// A purpose is why products are taken through a channel. It decides what the
// memory and the ledger learn of what is found, whether the pass takes SKUs away
// from one that yields, and what is said of a change that is only observed. What
// is guarded is the gate's affair.
type purpose int

const (
	realtime  purpose = iota // what was marked, or asked for by SyncProducts: guarded by a window of time
	nightly                  // a run over the catalogue: what is dangerous is put aside until its end
	finishing                // that end: what was put aside is read anew and written
	applying                 // the lines of a plan: guarded before the pass, all or nothing
	surveying                // a plan is made: nothing is written
)

// catalogue reports whether the memory takes in nothing new: a catalogue would
// crowd out what events are about, and a survey teaches it nothing.
func (p purpose) catalogue() bool { return p == nightly || p == finishing || p == surveying }

// A pass is one go of some products through one channel, in stages:
//
//	want     what should the channel show?      want.go
//	look     what does it show?                 look.go
//	notice   what has it sold?                  flightpass.go
//	compare  where do these differ?             compare.go
//	guard    what of it may be written?         guard.go
//	write    write it                           write.go
//	account  what came of each product          outcome.go
//
// All entrances lead here: [Syncer.SyncProducts], [Syncer.Run],
// [Syncer.Reconcile], [Syncer.Plan], [Syncer.Apply].
type pass struct {
	s       *Syncer
	t       *target
	purpose purpose

	// These are set by whoever makes the pass; each may be left out.

	// gate says which changes may be written now; what it holds, and why, is
	// its own affair. nil lets all pass.
	gate gate
	// reread reads products anew, when the channel or the source changed meanwhile;
	// nil means that what changed is superseded.
	reread reread
	// kitting says whether kits are looked at: a run over the catalogue leaves
	// them for its end.
	kitting kitting
	// chosen says which kits are looked at; nil means those with a part among the
	// stocks.
	chosen func(Listing) bool
	// expect has the lines of a plan by SKU: a difference is written only if it is
	// the plan's. nil expects nothing.
	expect map[string]Line
	// fixed has lines by SKU that say what is wanted, whatever the source wants:
	// an undo's. nil fixes nothing.
	fixed map[string]Line
	// unsetter makes the write an Unset; nil means that it is a Push.
	unsetter channel.Unsetter
	// leased reports that the products are leased from the queue, and told how often
	// channels may have told of each.
	leased bool
	told   map[string]tellings
	// yields lets urgent passes have SKUs that it is reading: it would be long in
	// doing so. Whoever began it makes up for these.
	yields bool
	// room is reused from pass to pass of a night.
	room *room

	// These are the pass's own, as it goes.

	lock     *skuLock         // while take has the SKUs
	stocks   []channel.Stock  // what the wants were made of
	pins     map[string][]Pin // what is pinned, by product
	unpinned error            // why that is not known
	unseen   map[string]int   // units that a survey has noticed to be sold, by product
	holdErr  error            // why what the gate shut could not be kept as held
}

// realtime is a pass for what was marked at the given times, or now.
func (s *Syncer) realtime(ctx context.Context, t *target, marked map[string]time.Time, reread reread) *pass {
	p := &pass{s: s, t: t, purpose: realtime, reread: reread}
	p.gate = p.realtimeGate(ctx, marked)
	return p
}

// kitting is which listings a pass looks at.
type kitting int

const (
	withKits kitting = iota
	withoutKits
	kitsAlone
)

// A reread reads products anew, with the other parts of their kits.
type reread func(ctx context.Context, ids []string) ([]channel.Stock, error)

// A gate divides changes, which are in order: open ones are written now, shut
// ones are reported as held. What it returns in neither it has kept for later, or
// another round deals with it.
type gate func(changes []change) (open, shut []change)

// take waits until the pass has the SKUs of the products to itself, and takes
// them through the stages, maxLooks times at most. It returns what came of each
// listing. The caller has registered the reading of the stocks with skuLocks.begin,
// and ends that when take has returned: otherwise the locks may have
// forgotten what is newer, and refuse them.
func (p *pass) take(ctx context.Context, stocks []channel.Stock) *outcome {
	defer p.s.gotOn()
	out := &outcome{results: p.room.takeResults(len(stocks))}
	wants := p.want(ctx, stocks, out)
	if len(wants) == 0 {
		return out
	}
	if err := p.t.pause.err(); err != nil {
		out.err = err
		out.fail(wants, err)
		return out
	}
	skus := skusOf(wants)
	lock, err := p.t.locks.lock(ctx, skus, p.manner(ctx), p.t.stuck)
	if err != nil {
		p.broken(ctx, out, err, true)
		out.fail(wants, err)
		return out
	}
	// A call that was left behind may still write: until it returns, nobody
	// else gets these SKUs.
	defer p.t.calls.whenReturned(func() { p.t.locks.unlock(lock) })
	p.lock = lock
	ctx = p.s.inPass(ctx)

	for n := 1; ; n++ {
		stale, err := p.goOnce(ctx, wants, out, n == maxLooks)
		switch {
		case err != nil:
			out.fail(stale, err)
			return out
		case len(stale) == 0:
			return out
		case n == maxLooks || p.reread == nil:
			out.supersede(stale, channel.ErrConflict)
			return out
		}
		end := p.t.locks.begin(time.Now())
		defer end()
		wants = p.renew(ctx, stale, skus, out)
		if len(wants) == 0 {
			return out
		}
	}
}

// goOnce takes wants through the stages once. It returns those that out has no
// result of: they are older than what was dealt with, or the channel refused
// them with ErrConflict. With an error, which is the channel's as a whole, it
// returns those that it did not come to as well.
func (p *pass) goOnce(ctx context.Context, wants []want, out *outcome, last bool) (stale []want, err error) {
	wants, stale = p.t.locks.admit(p.lock, wants)
	changes, err := p.differences(ctx, wants, out)
	if err != nil {
		p.broken(ctx, out, err, false)
		return slices.Concat(wants, stale), err
	}
	changes = p.expected(changes, out)
	changes = p.unraised(changes, out)
	changes = p.observe(ctx, changes, out)
	changes = p.guard(changes, out)
	if p.yields { // an event must not wait until the others are written
		p.t.locks.narrow(p.lock, skusOfChanges(changes))
	}
	conflicts, err := p.write(ctx, changes, out, !last)
	if err != nil {
		p.broken(ctx, out, err, true)
	}
	for _, c := range conflicts {
		stale = append(stale, c.want)
	}
	return stale, err
}

// renew reads anew what is stale, and returns what is wanted by then: a quantity
// may be as old as what the channel has refused. skus are those that the pass has
// to itself; another one has to wait for its turn in another pass.
func (p *pass) renew(ctx context.Context, stale []want, skus []string, out *outcome) []want {
	stocks, err := p.reread(ctx, productsOf(stale))
	if err != nil {
		out.fail(stale, err)
		return nil
	}
	if !newer(stocks, stale) {
		out.supersede(stale, errStale)
		return nil
	}
	ours, asked, read := setOf(skus), setOf(skusOf(stale)), setOf(idsOfStocks(stocks))
	for _, w := range stale {
		if !read[w.stock.ProductID] {
			out.add(result{want: w, state: failed, err: ErrNoProduct})
		}
	}
	return slices.DeleteFunc(p.want(ctx, stocks, out), func(w want) bool {
		if !ours[w.sku] {
			out.add(result{want: w, state: superseded, err: channel.ErrConflict})
		}
		return !ours[w.sku] || !asked[w.sku] // another listing of the product, dealt with before
	})
}

// manner is how the pass deals with others that want its SKUs.
func (p *pass) manner(ctx context.Context) manner {
	switch {
	case p.yields:
		return yielding
	case p.purpose == realtime && channel.UrgencyOf(ctx) == channel.Urgent:
		return urgently
	}
	return inLine
}

// secure ends the yielding, and drops what urgent passes have taken over while it
// was read.
func (p *pass) secure(wants []want, out *outcome) []want {
	if p.lock == nil { // a survey
		return wants
	}
	lost := p.t.locks.secure(p.lock)
	if len(lost) == 0 {
		return wants
	}
	return slices.DeleteFunc(wants, func(w want) bool {
		if lost[w.sku] {
			out.add(result{want: w, state: superseded, err: channel.ErrConflict})
		}
		return lost[w.sku]
	})
}

func skusOfChanges(changes []change) []string {
	skus := make([]string, len(changes))
	for i := range changes {
		skus[i] = changes[i].sku
	}
	return skus
}

// survey takes products through the first stages only, and writes nothing.
func (p *pass) survey(ctx context.Context, stocks []channel.Stock) ([]change, *outcome) {
	out := &outcome{results: make([]result, 0, len(stocks))}
	wants := p.want(ctx, stocks, out)
	changes, err := p.differences(ctx, wants, out)
	if err != nil {
		p.broken(ctx, out, err, false)
		out.fail(wants, err)
	}
	return changes, out
}

// newer reports whether any of the stocks is newer than what the wants rest on.
func newer(stocks []channel.Stock, than []want) bool {
	for i := range than {
		for j := range stocks {
			if stocks[j].AsOf.After(than[i].asOf) {
				return true
			}
		}
	}
	return len(stocks) == 0 // what is gone is news, too
}

// differences looks and compares.
func (p *pass) differences(ctx context.Context, wants []want, out *outcome) ([]change, error) {
	if len(wants) == 0 {
		return nil, nil
	}
	began := time.Now()
	looked, levels, err := p.look(ctx, wants, out)
	if err != nil {
		return nil, err
	}
	looked = p.secure(looked, out)
	bySKU := index(looked, levels)
	looked = p.notice(ctx, looked, bySKU, began, out)
	if levels != nil {
		out.looked(looked, bySKU)
	}
	if out.answered {
		p.t.worked(ctx, p.s, false)
	}
	return p.compare(looked, bySKU, out), nil
}

// expected keeps the changes that a plan expects.
func (p *pass) expected(changes []change, out *outcome) []change {
	if p.expect == nil {
		return changes
	}
	return slices.DeleteFunc(changes, func(c change) bool {
		now, line := lineOf(p.t, &c), p.expect[c.sku]
		// That somebody has put it on sale, or taken it off, makes it another danger.
		// An undo puts nothing on sale that was taken off since.
		if now.same(line) && (now.OffSale == line.OffSale || p.fixed != nil && (line.OffSale || line.Wanted <= 0)) {
			return false
		}
		out.add(result{want: c.want, seen: c.seen, state: replanned, err: channel.ErrConflict})
		return true
	})
}

// guard keeps the changes that may be written now.
func (p *pass) guard(changes []change, out *outcome) []change {
	if p.gate == nil || p.t.reader == nil {
		return changes
	}
	open, shut := p.gate(changes)
	for _, c := range shut {
		out.add(result{want: c.want, seen: c.seen, state: held, err: p.holdErr})
	}
	return open
}

// broken records that the channel as a whole failed.
func (p *pass) broken(ctx context.Context, out *outcome, err error, writing bool) {
	out.err = err
	_, rests := errors.AsType[*leftAlone](err) // it was not asked
	if !rests && !isContext(ctx, err) && !errors.Is(err, ErrPaused) {
		p.t.failed(ctx, p.s, err, writing)
	}
}

// claims reads a product to see whether it still has an SKU that another one
// wants. One that makes the host's code panic is shown nowhere, and claims none.
func (p *pass) claims(ctx context.Context, productID, sku string) bool {
	if p.reread == nil {
		return false
	}
	stocks, err := p.reread(ctx, []string{productID})
	return err == nil && slices.ContainsFunc(stocks, func(s channel.Stock) bool {
		a, err := p.t.answerOf(ctx, p.s, s)
		if err != nil {
			return errors.Is(err, errStuck) // as far as is known
		}
		return s.Err == nil && slices.Contains(skusOf(p.listings(&s, a, nil, new(outcome))), sku)
	})
}

func productsOf(wants []want) []string {
	var ids []string
	for i := range wants {
		ids = append(ids, wants[i].products()...)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

func setOf(ids []string) map[string]bool {
	set := make(map[string]bool, len(ids))
	for _, id := range ids {
		set[id] = true
	}
	return set
}
