package syncer_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/syncer"
)

// A till keeps the books of its sales: a count is one of a moment, and what was
// sold since is deducted.
type till struct {
	deducts time.Duration

	mu     sync.Mutex
	counts map[string]count
	sales  map[string][]time.Time // a unit each
	pushed []channel.Update
}

type count struct {
	at       time.Time
	quantity int
}

func newTill(deducts time.Duration) *till {
	return &till{deducts: deducts, counts: make(map[string]count), sales: make(map[string][]time.Time)}
}

func (c *till) Name() string           { return "till" }
func (c *till) Deducts() time.Duration { return c.deducts }

func (c *till) Push(_ context.Context, updates []channel.Update) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	errs := make(channel.Errors)
	for _, u := range updates {
		c.pushed = append(c.pushed, u)
		if n := (count{u.AsOf.Add(-c.deducts), u.Quantity}); n.at.After(c.counts[u.SKU].at) {
			c.counts[u.SKU] = n
		}
		if c.shows(u.SKU) > u.Quantity {
			errs[u.SKU] = channel.ErrNotApplied
		}
	}
	return errs.Err()
}

func (c *till) shows(sku string) int {
	n := c.counts[sku]
	for _, at := range c.sales[sku] {
		if at.After(n.at) {
			n.quantity--
		}
	}
	return n.quantity
}

func (c *till) Levels(_ context.Context, skus []string) (levels []channel.Level, _ error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, sku := range skus {
		if _, ok := c.counts[sku]; ok {
			levels = append(levels, channel.Level{SKU: sku, Quantity: c.shows(sku)})
		}
	}
	return levels, nil
}

// count has somebody count what lies there.
func (c *till) count(sku string, quantity int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counts[sku] = count{time.Now(), quantity}
}

func (c *till) sell(sku string, units int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for range units {
		c.sales[sku] = append(c.sales[sku], time.Now())
	}
}

func (c *till) showing(sku string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.shows(sku)
}

func (c *till) pushes() []channel.Update {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.pushed)
}

// counter is a till with one product, of which five minutes ago there were 10
// and 3 have been sold since, which the source has booked.
func counter(t *testing.T, hooks syncer.Hooks) (c *till, src *stock, s *syncer.Syncer) {
	c = newTill(15 * time.Minute)
	c.count("A", 10)
	time.Sleep(time.Hour)
	c.sell("A", 3)
	time.Sleep(5 * time.Minute)
	src = newStock()
	src.put("1", "A", 7)
	s, err := syncer.New(syncer.Config{Source: src, Targets: []syncer.Target{{Channel: c}}, Schedule: syncer.Never(), Hooks: hooks})
	require.NoError(t, err)
	return c, src, s
}

func TestWhatATillDeductedIsNotPushedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var gaveUp []syncer.Problem
		changed, retried := 0, 0
		c, src, s := counter(t, syncer.Hooks{
			GaveUp:  func(_ context.Context, p syncer.Problem) { mu.Lock(); defer mu.Unlock(); gaveUp = append(gaveUp, p) },
			Retry:   func(context.Context, syncer.Retry) { mu.Lock(); defer mu.Unlock(); retried++ },
			Changed: func(context.Context, string, syncer.Change) { mu.Lock(); defer mu.Unlock(); changed++ },
		})
		defer running(t, s)()
		require.NoError(t, s.Notify(t.Context(), "1"))
		time.Sleep(5 * time.Second)
		require.Empty(t, c.pushes(), "it shows what it should")

		src.put("1", "A", 12) // goods arrive
		require.NoError(t, s.Notify(t.Context(), "1"))
		time.Sleep(5 * time.Second)
		require.Len(t, c.pushes(), 1)
		assert.Equal(t, 9, c.showing("A"), "what was sold in the last quarter of an hour is deducted once more")

		for range 5 { // events that tell nothing new
			require.NoError(t, s.Notify(t.Context(), "1"))
			time.Sleep(time.Minute)
		}
		report, err := s.Reconcile(t.Context())
		require.NoError(t, err)
		r := report.Channels[0]
		assert.Equal(t, 1, r.Pending)
		assert.Zero(t, r.Over+r.Under, "it is no drift")
		assert.Empty(t, r.Changes, "this run wrote nothing")
		plan, err := s.Plan(t.Context())
		require.NoError(t, err)
		assert.Zero(t, plan.Drift())
		require.Len(t, plan.Lines, 1)
		assert.Equal(t, syncer.ReasonPending, plan.Lines[0].Reason)
		require.Len(t, c.pushes(), 1, "nothing is pushed before it has settled")

		time.Sleep(15 * time.Minute)
		assert.Len(t, c.pushes(), 2, "compared once more when it has")
		assert.Equal(t, 12, c.showing("A"))
		time.Sleep(2 * time.Hour)
		assert.Len(t, c.pushes(), 2)
		mu.Lock()
		defer mu.Unlock()
		assert.Empty(t, gaveUp)
		assert.Zero(t, retried)
		assert.Equal(t, 2, changed)
	})
}

// What is sold elsewhere must come off, whatever the till shows.
func TestATillIsPushedDownBeforeItHasSettled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, src, s := counter(t, syncer.Hooks{})
		defer running(t, s)()
		src.put("1", "A", 12)
		require.NoError(t, s.Notify(t.Context(), "1"))
		time.Sleep(time.Minute)
		require.Equal(t, 9, c.showing("A"))

		src.put("1", "A", 11) // which is more than it shows
		before := time.Now()
		require.NoError(t, s.Notify(t.Context(), "1"))
		time.Sleep(5 * time.Second)
		pushes := c.pushes()
		require.Len(t, pushes, 2)
		assert.Equal(t, 11, pushes[1].Quantity)
		assert.WithinRange(t, pushes[1].AsOf, before, before.Add(3*time.Second), "of when the source was read")
		assert.Equal(t, 8, c.showing("A"))
		time.Sleep(20 * time.Minute)
		assert.Equal(t, 11, c.showing("A"))
	})
}

func TestATillThatShowsMoreIsPushedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, src, s := counter(t, syncer.Hooks{})
		defer running(t, s)()
		src.put("1", "A", 12)
		require.NoError(t, s.Notify(t.Context(), "1"))
		time.Sleep(time.Minute)
		c.count("A", 30) // somebody's mistake
		time.Sleep(20 * time.Minute)
		require.NoError(t, s.Notify(t.Context(), "1"))
		time.Sleep(5 * time.Second)
		assert.LessOrEqual(t, c.showing("A"), 12)
	})
}

// A till that has sold back to what it showed before a push has not undone it.
func TestWhatATillSoldIsNoUndoneWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, src, s := counter(t, syncer.Hooks{})
		src.put("1", "A", 9)
		time.Sleep(20 * time.Minute)
		for range 6 {
			report, err := s.SyncProducts(t.Context(), "1")
			require.NoError(t, err)
			require.Equal(t, 1, report.Channels[0].Updated)
			time.Sleep(16 * time.Minute)
			c.sell("A", c.showing("A")-7) // which is not booked yet
			require.Equal(t, 7, c.showing("A"))
		}
	})
}
