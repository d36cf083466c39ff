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
	// groupSize is how many products are handed on together: full requests at
	// the source (100 each) and at the channels (250 each on Shopify, 100 on
	// WooCommerce, some side by side).
	groupSize = 1000
	// windowGroups is how many groups a catalogue's reading may be ahead of a
	// channel: two minutes' worth, of which some groups are small. ECOSIRE gives
	// a minute's requests at once and then few, which the channel has to work them
	// off, and a large shop's preloading may take as long.
	windowGroups = 18
	// mostAge is how old a figure of a catalogue may be when its turn comes. An
	// older one is read again.
	mostAge = 2 * time.Minute
	// patience is how long a catalogue's reading waits for a channel that is
	// behind, before it goes on without it.
	patience = time.Second
	// company is how long products of a catalogue that were read wait for others
	// to go on with. The last requests of ECOSIRE's minute come seconds apart.
	company = 5 * time.Second
)

// groups is how many groups n products make.
func groups(n int) int { return (n + groupSize - 1) / groupSize }

// A group is some products that were read together.
type group struct {
	began  time.Time // not after any of their reading; every lane knows of it
	stocks []channel.Stock
}

// begin begins the reading of a group, which must be sent. No figure in it is
// older than began.
func (s *Syncer) begin(began time.Time) group {
	for _, t := range s.targets {
		t.lane.begin(began)
	}
	return group{began: began}
}

// A fan carries groups to all targets, each of which works through them at its
// own pace.
type fan struct {
	s       *Syncer
	feeds   []chan group
	workers errgroup.Group
	spill   bool
	mu      sync.Mutex
	spilled [][]string // by target: products that it could not take in time
}

// fanOut starts a worker for each target, which does its work on each group;
// wait ends them. A target that is depth groups behind makes send wait, or, if
// the fan spills, is left behind after a moment: it reads those products again
// by itself, when it can. A target begins when its channel of ready, if there
// is one, is closed.
func (s *Syncer) fanOut(ctx context.Context, depth int, do func(ctx context.Context, target int, g group), ready ...chan struct{}) *fan {
	f := &fan{s: s, spilled: make([][]string, len(s.targets))}
	for i, t := range s.targets {
		feed := make(chan group, depth)
		f.feeds = append(f.feeds, feed)
		// The group is without a context of its own, so that a failing target
		// does not cancel the others; a worker reports instead of failing.
		f.workers.Go(func() error {
			if i < len(ready) {
				<-ready[i]
			}
			for g := range feed {
				if f.spill && len(g.stocks) > 0 && time.Since(g.stocks[0].AsOf) > mostAge {
					f.leave(i, g)
				} else {
					do(ctx, i, g)
				}
				t.lane.end(g.began)
			}
			return nil
		})
	}
	return f
}

func (f *fan) send(g group) {
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
			timer := time.NewTimer(patience)
			defer timer.Stop()
			late = timer.C
		}
		select {
		case feed <- g:
		case <-late:
			expired := make(chan time.Time)
			close(expired)
			late = expired
			f.leave(i, g)
			f.s.targets[i].lane.end(g.began)
		}
	}
}

// leave remembers what a target has to read again.
func (f *fan) leave(target int, g group) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range g.stocks {
		f.spilled[target] = append(f.spilled[target], s.ProductID)
	}
}

// wait ends the workers when they have done everything.
func (f *fan) wait() {
	for _, feed := range f.feeds {
		close(feed)
	}
	f.workers.Wait()
}

// named reads products by their ids and sends them. Those that the source does
// not answer become problems; those that it was not asked for are left out, and
// of one that comes twice the newer figure counts.
func (s *Syncer) named(ctx context.Context, r *Report, f *fan, productIDs []string) error {
	ids := slices.Compact(slices.Sorted(slices.Values(productIDs)))
	var failed error
	for some := range slices.Chunk(ids, groupSize) {
		if failed != nil {
			for _, id := range some {
				r.unread(Problem{ProductID: id, Err: failed})
			}
			continue
		}
		g := s.begin(time.Now())
		failed = s.read(ctx, &g, some, r.unread)
		r.Read += len(g.stocks)
		f.send(g)
	}
	return failed
}

// read reads at most a group of products by their ids into g.
func (s *Syncer) read(ctx context.Context, g *group, ids []string, unread func(Problem)) error {
	found := make(map[string]channel.Stock, len(ids))
	var failed error
	for stock, err := range s.source.Stock(ctx, ids...) {
		if err != nil {
			failed = err
			break
		}
		if old, twice := found[stock.ProductID]; !twice || stock.AsOf.After(old.AsOf) {
			found[stock.ProductID] = stock
		}
	}
	for _, id := range ids {
		stock, ok := found[id]
		switch {
		case ok && stock.Err == nil:
			g.add(stock)
		case ok:
			unread(Problem{ProductID: id, SKU: stock.SKU, Err: stock.Err})
		case failed != nil:
			unread(Problem{ProductID: id, Err: failed})
		default:
			unread(Problem{ProductID: id, Err: ErrNoProduct})
		}
	}
	return failed
}

func (g *group) add(s channel.Stock) {
	if s.AsOf.IsZero() {
		s.AsOf = g.began
	}
	g.stocks = append(g.stocks, s)
}
