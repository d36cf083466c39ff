package syncer

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ecosire/stocksync/channel"
)

// groupSize is how many products are handed on together: full requests at the
// source (100 each) and at the channels (250 each on Shopify).
const groupSize = 500

// A group is some products that were read together.
type group struct {
	began  time.Time // when their reading began; every lane knows of it
	stocks []channel.Stock
}

// begin begins the reading of a group, which must be sent.
func (s *Syncer) begin() group {
	g := group{began: time.Now()}
	for _, t := range s.targets {
		t.lane.begin(g.began)
	}
	return g
}

// A fan carries groups to all targets, each of which works through them at its
// own pace.
type fan struct {
	feeds   []chan group
	workers errgroup.Group
}

// fanOut starts a worker for each target; wait ends them. A target that is
// depth groups behind makes send wait.
func (s *Syncer) fanOut(ctx context.Context, r *Report, depth int) *fan {
	f := new(fan)
	for i, t := range s.targets {
		feed := make(chan group, depth)
		f.feeds = append(f.feeds, feed)
		// The group is without a context of its own, so that a failing target
		// does not cancel the others; a worker reports instead of failing.
		f.workers.Go(func() error {
			for g := range feed {
				t.show(ctx, g.stocks, &r.Channels[i])
				t.lane.end(g.began)
			}
			return nil
		})
	}
	return f
}

func (f *fan) send(g group) {
	for _, feed := range f.feeds {
		feed <- g
	}
}

func (f *fan) wait() {
	for _, feed := range f.feeds {
		close(feed)
	}
	f.workers.Wait()
}
