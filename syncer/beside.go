package syncer

import (
	"context"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/ecosire/stocksync/channel"
)

// A run takes several groups through a channel side by side where the channel knows
// its own quota: each waits for answers, and not for the others. What came of them
// is added up in their order, by one goroutine, so that reports, what is put aside
// and checkpoints are as if they had come one after the other.

// A deed is what came of one pass: its outcome, and what it put aside.
type deed struct {
	*outcome
	put  []change
	room *room // that it is made in
}

// besides is how many groups a run's targets take on at a time.
func (s *Syncer) besides() []int {
	beside := make([]int, len(s.targets))
	for i, t := range s.targets {
		beside[i] = 1
		if _, knows := channel.As[channel.Limited](t.Channel); knows && t.size <= 0 {
			beside[i] = besideGroups
		}
	}
	return beside
}

// work takes a group through the channel, beside others. If it returns nil the
// channel does not work.
func (n *night) work(ctx context.Context, g *group) []deed {
	if n.stopped.Load() || n.t.pause.get() != nil || n.t.state.wait() > 0 { // it does not work, and was asked moments ago
		return nil
	}
	take := func(stocks []channel.Stock) (did deed) {
		p := n.pass(&did.put)
		p.yields = n.rounds == 0    // later there are few, and they must be done with
		if n.kitting == kitsAlone { // of those that are left, the ones whose parts are in the group
			p.chosen = func(k Listing) bool { return n.left[k.SKU] && g.chosen(k) }
		}
		did.room = n.rooms.get()
		p.room = did.room
		did.outcome = p.take(ctx, stocks)
		return did
	}
	if n.t.size <= 0 || len(g.stocks) <= n.t.size || n.kitting == kitsAlone { // a kit needs all its parts
		return []deed{take(g.stocks)}
	}
	// A channel that takes little at a time is slow. An event must not wait for
	// a whole group of it, so each of its batches is a pass; the next one is
	// read while one is written.
	var passes errgroup.Group
	passes.SetLimit(2)
	did := make([]deed, groupsOf(len(g.stocks), n.t.size))
	i := 0
	for some := range slices.Chunk(g.stocks, n.t.size) {
		at := i
		i++
		passes.Go(func() error {
			did[at] = take(some)
			return nil
		})
	}
	_ = passes.Wait()
	return did
}

// took adds what came of a group. If the channel does not work, the group is
// made up for later.
func (n *night) took(ctx context.Context, g *group, did []deed) {
	if did == nil && !n.paused() {
		n.miss(idsOfStocks(g.stocks))
	}
	for _, d := range did {
		n.add(ctx, d)
		n.rooms.put(d.room, d.results)
	}
}
