package syncer_test

import (
	"context"
	"fmt"
	"iter"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/internal/racetest"
	"github.com/ecosire/stocksync/syncer"
)

// kitOf takes one unit of each product; of one that is named twice, two.
func kitOf(sku string, products ...string) syncer.Listing {
	l := syncer.Listing{SKU: sku}
	for _, id := range products {
		l.Parts = append(l.Parts, syncer.Part{ProductID: id, Units: 1})
	}
	return l
}

func kitList(all ...syncer.Listing) func() []syncer.Listing {
	return func() []syncer.Listing { return all }
}

// selling has a shop that shows 50 of each kit, and no guard.
func selling(t *testing.T, source channel.Source, m *channeltest.Memory, all ...syncer.Listing) *syncer.Syncer {
	t.Helper()
	for _, k := range all {
		m.Set(k.SKU, 50)
	}
	return configure(t, syncer.Config{Source: source, Schedule: syncer.Never(), Targets: []syncer.Target{{Channel: m, Kits: kitList(all...), Guard: unguarded}}})
}

func TestAKitThatListsAPartTwiceTakesTwo(t *testing.T) {
	m := shop("a", 2)
	_, err := selling(t, newStock(10, 10), m, kitOf("KIT", "p0", "p0", "p1")).Reconcile(t.Context())
	require.NoError(t, err)
	n, _ := m.Quantity("KIT")
	assert.Equal(t, 5, n)
}

// Neither a product and a kit nor two kits may have one SKU: the channel would
// show now this, now that.
func TestOneSKUIsNotAKitAndSomethingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := newStock(10, 20, 30), shop("a", 3)
		source.put("q", "KIT", 7)
		s := selling(t, source, m, kitOf("KIT", "p0", "p1"), kitOf("TWICE", "p1"), kitOf("TWICE", "p2"), kitOf("FINE", "p1", "p2"))
		defer running(t, s)()
		look := func() {
			t.Helper()
			require.NoError(t, s.Notify(t.Context(), "q", "p0", "p1", "p2"))
			pass(time.Minute)
			for _, sku := range []string{"KIT", "TWICE"} {
				n, _ := m.Quantity(sku)
				assert.Equal(t, 50, n, sku)
			}
			n, _ := m.Quantity("FINE")
			assert.Equal(t, 20, n)
		}
		require.NoError(t, s.Notify(t.Context(), "q"))
		pass(time.Minute)
		look()
		for range 2 {
			r, err := s.Reconcile(t.Context())
			require.ErrorIs(t, err, channel.ErrAmbiguousSKU)
			assert.Equal(t, 2, r.Channels[0].Failed, "KIT and TWICE: %v", r.Channels[0].Problems)
			assert.Equal(t, 1, r.Unread, "q: %v", r.Problems)
			look()
		}
	})
}

// asking counts the products that are asked for by their ids.
type asking struct {
	*stock
	ids atomic.Int64
}

func (c *asking) Stock(ctx context.Context, ids ...string) iter.Seq2[channel.Stock, error] {
	c.ids.Add(int64(len(ids)))
	return c.stock.Stock(ctx, ids...)
}

// Thousands of kits have a box in common. A night reads it once for each group of
// kits, and not all other parts of the kits that it is in.
func TestKitsThatShareAPartCostNoMoreThanTheirParts(t *testing.T) {
	source := &asking{stock: newStock(make([]int, 3001)...)}
	var all []syncer.Listing
	for i := range 3000 {
		all = append(all, kitOf(fmt.Sprintf("KIT-%d", i), "p3000", fmt.Sprintf("p%d", i)))
	}
	r, err := selling(t, source, shop("a", 3001), all...).Reconcile(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 6001, r.Channels[0].Checked)
	assert.LessOrEqual(t, source.ids.Load(), int64(3010))
}

// What a channel has missed is made up for alone: the other parts of its kits
// were compared before.
func TestPartsAreCountedOnceWhenAChannelWasDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := newStock(), shop("a", 0)
		for i := range 1500 {
			source.put(fmt.Sprintf("p%04d", i), fmt.Sprintf("S%04d", i), 5)
			m.Set(fmt.Sprintf("S%04d", i), 5)
		}
		m.Set("KIT", 3)
		down := time.Now().Add(3 * time.Minute)
		c := &channeltest.Intercept{Channel: m, OnLevels: func(ctx context.Context, next channel.Reader, skus []string) ([]channel.Level, error) {
			if skus[0] != "S0000" && time.Now().Before(down) {
				return nil, channel.ErrUnavailable
			}
			return next.Levels(ctx, skus)
		}}
		s := configure(t, syncer.Config{Source: source, Schedule: syncer.Never(), Targets: []syncer.Target{{Channel: c, Kits: kitList(kitOf("KIT", "p0000", "p1400"))}}})
		r, err := s.Reconcile(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 1501, r.Channels[0].Checked)
		assert.Equal(t, 1500, r.Channels[0].OnSale)
	})
}

// A Filter leaves out products that are sold in kits only. A plan for the kits is
// applied all the same.
func TestApplyWritesKitsOfPartsThatAreLeftOut(t *testing.T) {
	source, m := newStock(10, 20), channeltest.NewMemory("a")
	m.Set("KIT", 50)
	s := configure(t, syncer.Config{Source: source, Targets: []syncer.Target{{
		Channel: m, Filter: func(channel.Stock) bool { return false }, Kits: kitList(kitOf("KIT", "p0", "p1")),
	}}})
	plan, err := s.Plan(t.Context())
	require.NoError(t, err)
	require.Len(t, plan.Lines, 1)
	plan.Approved = true
	_, err = s.Apply(t.Context(), plan)
	require.NoError(t, err)
	n, _ := m.Quantity("KIT")
	assert.Equal(t, 10, n)
}

// While Kits panics nobody knows which kits there are: marks wait, and a night
// says that it is not complete.
func TestNoMarkIsLostWhileKitsPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := newStock(10, 20), shop("a", 2)
		m.Set("KIT", 50)
		var bad atomic.Bool
		s := configure(t, syncer.Config{Source: source, Schedule: syncer.Never(), Targets: []syncer.Target{{Channel: m, Guard: unguarded, Kits: func() []syncer.Listing {
			if bad.Load() {
				panic("no kits")
			}
			return []syncer.Listing{kitOf("KIT", "p0", "p1")}
		}}}})
		_, err := s.Reconcile(t.Context())
		require.NoError(t, err)
		defer running(t, s)()
		bad.Store(true)
		source.put("p0", "SKU-0", 3)
		require.NoError(t, s.Notify(t.Context(), "p0"))
		pass(time.Second)
		shows(t, m, 3)
		_, err = s.Reconcile(t.Context())
		require.ErrorIs(t, err, syncer.ErrNotCompared)
		_, err = s.Plan(t.Context())
		require.Error(t, err)
		bad.Store(false)
		pass(10 * time.Minute)
		n, _ := m.Quantity("KIT")
		assert.Equal(t, 3, n)
		assert.True(t, drained(t, s))
	})
}

// A kit with a part that does not exist is given up like a product that does not.
func TestAKitOfWhatDoesNotExistIsGivenUp(t *testing.T) {
	racetest.Long(t)
	synctest.Test(t, func(t *testing.T) {
		source, m := newStock(10), shop("a", 1)
		s := selling(t, source, m, kitOf("KIT", "p0", "nothing"))
		defer running(t, s)()
		require.NoError(t, s.Notify(t.Context(), "p0"))
		pass(2 * time.Hour)
		asked := source.asked()
		pass(24 * time.Hour)
		assert.Equal(t, asked, source.asked())
		assert.True(t, drained(t, s))
		shows(t, m, 10)
		n, _ := m.Quantity("KIT")
		assert.Equal(t, 50, n)
	})
}
