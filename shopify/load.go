package shopify

import (
	"context"
	"math"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ecosire/stocksync/channel"
)

const (
	// maxListed is how many items are read page by page: as many as ECOSIRE tells
	// products in a minute. Beyond that a bulk operation takes fewer points, and is
	// done before the next minute.
	maxListed = 6000
	// fewMissed is how many SKUs may be missing from the map until it is worth
	// reading all items: these are 40 searches.
	fewMissed = 1000
	// fewUnknown is how many SKUs are searched for rather than listed first:
	// these are 10 searches, side by side.
	fewUnknown = 250
	// bulkRest is how long no bulk operation is started after one did not end.
	bulkRest = time.Hour
)

// A load is what is known of how complete the index is.
type load struct {
	turn chan struct{} // held by the one Preload that runs

	mu        sync.Mutex
	mapped    bool      // every item was read once, or restored
	wholeRun  string    // the run for which every item was read, by a bulk operation
	run       string    // the run that was prepared last
	missed    int       // SKUs of that run that no item has
	missing   int       // the same of the run before
	restUntil time.Time // no bulk operation until then
}

// whole reports whether the index was filled with every item for this very
// run, so that an SKU which it misses need not be searched for.
func (l *load) whole(run string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return run != "" && l.wholeRun == run
}

// begin reports whether there is anything to prepare for a run, and how many
// SKUs no item had in the run before.
func (l *load) begin(run string) (wanted bool, missing int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if run != "" && (l.run == run || l.wholeRun == run) {
		return false, 0
	}
	if l.run != "" {
		l.missing = l.missed
	}
	l.run, l.missed = run, 0
	return !l.mapped || l.missing > fewMissed, l.missing
}

// miss counts SKUs of a run that no item has.
func (l *load) miss(run string, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if run != "" && run == l.run {
		l.missed += n
	}
}

// filled tells that the index has every item. whole says that it has even those
// that a search does not find yet.
func (l *load) filled(run string, whole bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mapped = true
	if whole {
		l.wholeRun = run
	}
}

// forget makes the next Preload of the run try again.
func (l *load) forget(run string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.run == run {
		l.run = ""
	}
}

func (l *load) rest() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.restUntil = time.Now().Add(bulkRest)
}

func (l *load) resting() (until time.Time, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.restUntil, time.Now().Before(l.restUntil)
}

// loadItems makes the index fit for a run over the whole catalogue; see
// [Channel.Preload]. What is in the index and gone from the shop stays until
// somebody asks for it: two indexes side by side would take twice the memory.
func (c *Client) loadItems(ctx context.Context) error {
	select {
	case c.load.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-c.load.turn }()
	run := channel.Run(ctx)
	wanted, missing := c.load.begin(run)
	if !wanted {
		return nil
	}
	err := c.loadAll(ctx, run, missing)
	if err != nil {
		c.load.forget(run)
	}
	return err
}

func (c *Client) loadAll(ctx context.Context, run string, missing int) error {
	expected := channel.Expected(ctx)
	unknown := expected - c.items.size() - missing // these are searched for in any case
	switch {
	case missing > fewMissed: // only a bulk operation tells that they are
	case expected > 0 && unknown <= fewUnknown:
		return nil
	case c.items.size() <= maxListed && unknown <= maxListed:
		all, enough, err := c.listItems(ctx, missing)
		if err != nil && (ctx.Err() != nil || !aboutEntries(err)) {
			return err
		}
		if all {
			c.load.filled(run, false)
		}
		if all || enough {
			return nil
		}
	}
	whole, err := c.everyItem(ctx, func(sku string, id uint64) bool {
		c.items.add(sku, id)
		return true
	})
	if err == nil {
		c.load.filled(run, whole)
	}
	return err
}

// listItems adds all items to the index if they are few. It reads the list from
// both ends, side by side, until these have met, and reports whether they have.
// It also stops, with enough, once it has as many items as products are expected,
// which may become known meanwhile, or once the rest is found sooner by searching.
// missing is how many of the expected products had no item in the last run.
func (c *Client) listItems(ctx context.Context, missing int) (all, enough bool, _ error) {
	var ends [2]listEnd
	ends[1].reverse = true
	for range maxListed / maxInput / len(ends) {
		start := time.Now()
		group, ctx := errgroup.WithContext(ctx)
		for i := range ends {
			group.Go(func() error { return ends[i].read(ctx, c) })
		}
		if err := group.Wait(); err != nil {
			return false, false, err
		}
		if ends[0].done || ends[1].done || ends[0].met(&ends[1]) {
			// A row that makes no sense is an item that the map does not have.
			return !ends[0].odd && !ends[1].odd, true, nil
		}
		n := channel.Expected(ctx)
		if n > maxListed {
			break
		}
		left := n - len(ends[0].seen) - len(ends[1].seen)
		if n > 0 && (left <= 0 || c.searchIsSooner(ctx, n-c.items.size()-missing, left, time.Since(start))) {
			return false, true, nil
		}
	}
	return false, false, nil
}

// searchIsSooner reports whether unknown SKUs are found sooner by searching for them
// now than by reading on in the list, of which left items are still to be read, two
// pages in each round. A round takes as long as a search.
func (c *Client) searchIsSooner(ctx context.Context, unknown, left int, round time.Duration) bool {
	searching := func(skus float64) time.Duration {
		if skus <= 0 {
			return 0
		}
		return round + c.bucket.in(math.Ceil(skus/maxTerms)*c.searchPrice(), channel.UrgencyOf(ctx))
	}
	now := searching(float64(unknown))
	for rounds := 1; ; rounds++ {
		rest := left - rounds*2*maxInput
		if time.Duration(rounds)*round+searching(float64(unknown)*float64(rest)/float64(left)) <= now {
			return false
		}
		if rest <= 0 {
			return true
		}
	}
}

// A listEnd is a list of items that is read from one of its ends.
type listEnd struct {
	reverse bool
	after   *string
	seen    map[uint64]bool
	done    bool
	odd     bool
}

func (e *listEnd) read(ctx context.Context, c *Client) error {
	a, err := c.do(ctx, listItems, listItemsVars{e.after, e.reverse})
	if err != nil {
		return err
	}
	page, err := readItems(a)
	if err != nil {
		return err
	}
	if e.seen == nil {
		e.seen = make(map[uint64]bool)
	}
	for _, it := range page.items {
		if it.err != nil {
			e.odd = true
			continue
		}
		e.seen[it.id] = true
		if it.sku != "" {
			c.items.add(it.sku, it.id)
		}
	}
	if e.done = page.next == ""; !e.done && e.after != nil && *e.after == page.next {
		return unusable(listItems.name, "the list of items does not end")
	}
	e.after = &page.next
	return nil
}

// met reports whether two ends have seen the same item, so that together they
// have seen all.
func (e *listEnd) met(other *listEnd) bool {
	for id := range e.seen {
		if other.seen[id] {
			return true
		}
	}
	return false
}
