package syncer

import (
	"context"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ecosire/stocksync/channel"
)

const (
	// groupSize is the number of products handed on together: full requests at
	// the source (100 each) and at the channels (250 each on Shopify, 100 on
	// WooCommerce, several side by side).
	groupSize = 1000
	// windowGroups is how many groups a catalogue's reading may be ahead of a
	// channel: two minutes' worth, of which some are small. ECOSIRE gives a
	// minute's requests at once and then few, in which time the channel works
	// them off, and a large shop's preloading may take as long.
	windowGroups = 18
	// maxAge is how old a quantity of a catalogue may be when its turn comes. An
	// older one is read again.
	maxAge = 2 * time.Minute
	// maxWaiting is how long a catalogue's reading waits for a channel that is
	// behind, before it goes on without it.
	maxWaiting = time.Second
	// flushAfter is how long a partly filled group waits for more. The last
	// requests of ECOSIRE's minute come seconds apart.
	flushAfter = 5 * time.Second
	// fillWithin is the same while a channel has another group waiting, which would
	// not do it any sooner.
	fillWithin = 13 * time.Second
	// besideGroups is how many groups a catalogue's run takes through a channel side
	// by side that knows its own quota ([channel.Limited]) and takes any number of
	// SKUs: a minute's products of ECOSIRE.
	besideGroups = 6
)

// groupsOf is the number of groups of a size that n products make.
func groupsOf(n, size int) int { return (n + size - 1) / size }

// A group is products that were read together, on their way to all channels.
type group struct {
	s      *Syncer
	pins   map[string][]Pin // read when the first product could not be
	began  time.Time        // not after any of their reading; all locks know of it
	stocks []channel.Stock
	chosen func(Listing) bool // the kits that it was read for; nil means any
	ends   []func()           // by target: its locks may forget the group
	number int                // in a run that keeps a checkpoint; from 1
}

// group begins the reading of a group. No quantity in it is older than began.
// For each target, ends must be called once.
func (s *Syncer) group(began time.Time) *group {
	g := &group{s: s, began: began, ends: make([]func(), len(s.targets))}
	for i, t := range s.targets {
		g.ends[i] = t.locks.begin(began)
	}
	return g
}

func (g *group) endAll() {
	for _, end := range g.ends {
		end()
	}
}

// read reads at most a group of products by their ids, with or without the other
// parts of their kits. Those that cannot be read are given to unread.
func (g *group) read(ctx context.Context, fetch fetch, ids []string, unread func(id, sku string, err error)) error {
	ids = slices.Compact(slices.Sorted(slices.Values(ids))) // what was missed may have been missed twice
	found, failed := fetch(ctx, ids)
	g.chosen = withPart(ids)
	for _, id := range ids {
		stock, ok := found[id]
		switch {
		case ok && stock.Err == nil:
			g.stocks = append(g.stocks, stock)
		case ok:
			unread(id, stock.SKU, stock.Err)
			g.recalled(ctx, stock)
		case failed != nil:
			unread(id, "", failed)
		default:
			unread(id, "", ErrNoProduct)
		}
		delete(found, id)
	}
	for _, stock := range found { // the other parts of kits
		if stock.Err == nil {
			g.stocks = append(g.stocks, stock)
		}
	}
	return failed
}

// recalled adds a product that could not be read if it is pinned to 0: that needs
// no quantity.
func (g *group) recalled(ctx context.Context, stock channel.Stock) (added bool) {
	if g.pins == nil {
		var err error
		if g.pins, err = g.s.pinned(ctx); err != nil {
			return false
		}
	}
	if !toZero(g.pins[stock.ProductID]) {
		return false
	}
	stock.AsOf = time.Now() // when its pin was read: the source may have named no time
	g.stocks = append(g.stocks, stock)
	return true
}

// A fan carries groups to all targets, each of which works through them at its
// own pace.
type fan struct {
	s       *Syncer
	feeds   []chan *group
	workers errgroup.Group
	// spill makes send leave behind a target that is too far behind, and a
	// target's worker products that have grown old: it reads these again.
	spill bool
	// beside is how many groups each target's worker takes on at a time; nil means
	// one. It is set before the first group is sent.
	beside []int
	// ended is called when a target has done all its groups; it may be nil, and
	// is set before the first group is sent.
	ended  func(target int)
	track  *tracker // of a run that keeps a checkpoint, or nil
	mu     sync.Mutex
	behind []idList // by target: the products that it was left with
	lost   []int    // and how many more there were than it may be left with
}

// fanOut starts a worker for each target, which does its work on each group, one
// after the other; wait ends them. A target that is depth groups behind makes
// send wait, or, if the fan spills, is left behind after a moment. A target
// begins when its channel of ready, if there is one, is closed.
func (s *Syncer) fanOut(ctx context.Context, depth int, do func(ctx context.Context, target int, g *group), ready ...<-chan struct{}) *fan {
	return s.fanBeside(ctx, depth, func(ctx context.Context, target int, g *group) func() {
		do(ctx, target, g)
		return nil
	}, ready...)
}

// fanBeside is fanOut for work that may be done on several groups side by side;
// see fan.beside. It returns what finishes a group, or nil: that is done for one
// group at a time, in their order.
func (s *Syncer) fanBeside(ctx context.Context, depth int, work func(ctx context.Context, target int, g *group) (finish func()), ready ...<-chan struct{}) *fan {
	f := &fan{s: s, behind: make([]idList, len(s.targets)), lost: make([]int, len(s.targets))}
	for i := range s.targets {
		feed := make(chan *group, depth)
		f.feeds = append(f.feeds, feed)
		// The workers share no context, so that a failing target does not
		// cancel the others; a worker reports instead of failing.
		f.workers.Go(func() error {
			if i < len(ready) {
				<-ready[i]
			}
			f.take(ctx, i, feed, work)
			if f.ended != nil {
				f.ended(i)
			}
			return nil
		})
	}
	return f
}

// A going is a group that a target is working on.
type going struct {
	*group
	done chan func() // gets what finishes it
}

// take is what a target's worker does.
func (f *fan) take(ctx context.Context, target int, feed <-chan *group, work func(context.Context, int, *group) func()) {
	var under []going // in their order
	for feed != nil || len(under) > 0 {
		var next <-chan *group
		var done chan func()
		if len(under) > 0 {
			done = under[0].done
		}
		if len(under) == 0 || f.beside != nil && len(under) < f.beside[target] {
			next = feed
		}
		select {
		case g, more := <-next:
			if !more {
				feed = nil
				continue
			}
			if f.spill && len(g.stocks) > 0 && time.Since(g.stocks[0].AsOf) > maxAge {
				f.miss(target, g)
				g.ends[target]()
				continue
			}
			begun := going{g, make(chan func(), 1)}
			under = append(under, begun)
			go func() { begun.done <- work(ctx, target, g) }()
		case finish := <-done:
			if finish != nil {
				finish()
			}
			under[0].ends[target]()
			under = under[1:]
		}
	}
}

func (f *fan) send(g *group) {
	var late <-chan time.Time
	for i, feed := range f.feeds {
		select {
		case feed <- g:
			continue
		default:
		}
		if !f.spill {
			feed <- g
			continue
		}
		if late == nil { // one moment for all that are behind
			timer := time.NewTimer(maxWaiting)
			defer timer.Stop()
			late = timer.C
		}
		select {
		case feed <- g:
		case <-late:
			expired := make(chan time.Time)
			close(expired)
			late = expired
			f.miss(i, g)
			g.ends[i]()
		}
	}
}

// waiting reports whether a target has a group waiting.
func (f *fan) waiting() bool {
	return slices.ContainsFunc(f.feeds, func(feed chan *group) bool { return len(feed) > 0 })
}

// miss remembers what a target has to read again.
func (f *fan) miss(target int, g *group) {
	ids := idsOfStocks(g.stocks)
	f.track.did(target, g.number, stride{again: ids})
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.behind[target].count+len(ids) > maxMissed {
		f.lost[target] += len(ids)
		return
	}
	f.behind[target].add(ids...)
}

// wait ends the workers when they have done everything.
func (f *fan) wait() {
	for _, feed := range f.feeds {
		close(feed)
	}
	f.workers.Wait()
}
