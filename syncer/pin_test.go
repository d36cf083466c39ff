package syncer_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/syncer/queuetest"
)

// recall pins p0 to a quantity.
func recall(quantity int) syncer.Pin {
	return syncer.Pin{ProductID: "p0", Quantity: quantity, Who: "Ana", Why: "recall"}
}

// Every entrance heeds a pin.
func TestPin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m, other := newStock(5, 6), shop("a", 2), shop("b", 2)
		m.Set("PACK", 100)
		m.Set("KIT", 100)
		q := syncer.NewMemoryQueue()
		cfg := syncer.Config{
			Source: source, Queue: q, Schedule: syncer.Never(), Journal: time.Hour * 24,
			Targets: []syncer.Target{{
				Channel: m, Guard: unguarded,
				Listings: func(s channel.Stock) []syncer.Listing {
					if s.ProductID == "p1" {
						return []syncer.Listing{{SKU: s.SKU}}
					}
					return []syncer.Listing{{SKU: s.SKU}, syncer.Pack("PACK", s, 2)}
				},
				Kits: func() []syncer.Listing {
					return []syncer.Listing{{SKU: "KIT", Parts: []syncer.Part{{ProductID: "p0", Units: 1}, {ProductID: "p1", Units: 1}}}}
				},
			}},
		}
		s := unguardedly(t, cfg, other)
		is := func(sku0, pack, kit, there int) {
			t.Helper()
			shows(t, m, sku0, 6)
			shows(t, other, there, 6)
			for sku, want := range map[string]int{"PACK": pack, "KIT": kit} {
				n, _ := m.Quantity(sku)
				assert.Equal(t, want, n, sku)
			}
		}
		first, err := s.Reconcile(t.Context())
		require.NoError(t, err)
		is(5, 2, 5, 5)
		before, err := s.Plan(t.Context())
		require.NoError(t, err)
		assert.Zero(t, before.Drift())

		stop := running(t, s)
		require.NoError(t, s.Pin(t.Context(), recall(3)))
		pass(time.Second)
		is(3, 1, 3, 3)
		stop()

		// After a restart, by each entrance. Somebody has changed the shop.
		s = unguardedly(t, cfg, other)
		m.Set("SKU-0", 100)
		r, err := s.Reconcile(t.Context())
		require.NoError(t, err)
		is(3, 1, 3, 3)
		assert.Equal(t, []int{3, 1}, []int{r.Channels[0].Pinned, r.Channels[1].Pinned})
		require.Len(t, r.Channels[0].Changes, 1)
		assert.True(t, r.Channels[0].Changes[0].Pinned)
		assert.Contains(t, r.String(), "a: 3 listings show what somebody has pinned them to")
		m.Set("SKU-0", 4)
		_, err = s.SyncProducts(t.Context(), "p0")
		require.NoError(t, err)
		is(3, 1, 3, 3)
		m.Set("SKU-0", 4)
		plan, err := s.Plan(t.Context())
		require.NoError(t, err)
		require.Len(t, plan.Lines, 1)
		assert.Equal(t, 3, plan.Lines[0].Wanted)
		assert.True(t, plan.Lines[0].Pinned)
		require.NoError(t, s.Pin(t.Context(), recall(1)))
		_, err = s.Apply(t.Context(), plan)
		require.ErrorIs(t, err, channel.ErrConflict, "the plan is of another pin")
		_, err = s.SyncProducts(t.Context(), "p0")
		require.NoError(t, err)
		is(1, 0, 1, 1)

		// An undo puts nothing back on sale, no quantity at all included.
		undo, err := first.Undo()
		require.NoError(t, err)
		for i := range undo.Lines {
			n := map[string]int{"SKU-0": 1, "PACK": 0, "KIT": 1, "SKU-1": 6}[undo.Lines[i].SKU]
			undo.Lines[i].Shown = &n
		}
		undo.Lines = append(undo.Lines, syncer.Line{Channel: "b", ProductID: "p0", SKU: "SKU-0", Shown: new(1), Reason: syncer.ReasonPutBack})
		undo.Approved = true
		r, err = s.Apply(t.Context(), undo)
		require.ErrorIs(t, err, channel.ErrConflict)
		for _, sku := range []string{"SKU-0", "PACK", "KIT"} {
			n, _ := m.Quantity(sku)
			assert.LessOrEqual(t, n, 1, sku)
		}
		shows(t, other, 1)
		assert.Equal(t, 1, r.Channels[0].Updated, "SKU-1 is pinned nowhere")
		assert.Equal(t, 1, r.Channels[1].Replanned)
		_, err = s.SyncProducts(t.Context(), "p1")
		require.NoError(t, err)

		// It is told.
		x, err := s.Explain(t.Context(), syncer.Question{ProductID: "p0"})
		require.NoError(t, err)
		require.NotNil(t, x.Channels[0].Listings[0].Pinned)
		assert.Contains(t, x.String(), "product p0 is pinned to 1 since 2000-01-01 00:00:01 UTC by Ana: recall")
		assert.Contains(t, x.String(), "pinned (by Ana: recall)")
		h, err := s.Health(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 1, h.Pinned)
		assert.Equal(t, "recall", h.Pins[0].Why)

		defer running(t, s)()
		require.NoError(t, s.Unpin(t.Context(), syncer.Pin{ProductID: "p0", Who: "Bo", Why: "it was another batch"}))
		pass(time.Second)
		is(5, 2, 5, 5)
		require.ErrorIs(t, s.Unpin(t.Context(), recall(0)), syncer.ErrNoPin)
	})
}

// A pin of five units leaves two packs, for an undo too.
func TestPinAndTheUndoOfAPack(t *testing.T) {
	source, m := newStock(10, 10), shop("a", 2)
	m.Set("PACK", 4)
	m.Set("KIT", 4)
	m.Set("SKU-0", 3)
	s := configure(t, syncer.Config{Source: source, Targets: []syncer.Target{{Channel: m, Guard: unguarded,
		Kits: kitList(kitOf("KIT", "p0", "p0", "p1")),
		Listings: func(s channel.Stock) []syncer.Listing {
			if s.ProductID != "p0" {
				return []syncer.Listing{{SKU: s.SKU}}
			}
			return []syncer.Listing{{SKU: s.SKU}, syncer.Pack("PACK", s, 2)}
		}}}})
	first, err := s.Reconcile(t.Context())
	require.NoError(t, err)
	undo, err := first.Undo()
	require.NoError(t, err)
	require.NoError(t, s.Pin(t.Context(), recall(5)))
	undo.Approved = true
	_, err = s.Apply(t.Context(), undo)
	require.ErrorIs(t, err, channel.ErrConflict)
	n, _ := m.Quantity("PACK")
	assert.Equal(t, 5, n, "four packs are no undo any more")
	n, _ = m.Quantity("KIT")
	assert.Equal(t, 5, n, "nor are four kits")
	shows(t, m, 3, 100)
}

func TestPinAndTheGuard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m, s, _ := tripped(t, syncer.NewMemoryQueue())
		pin := syncer.Pin{ProductID: "p60", Who: "Ana", Why: "recall"}
		require.NoError(t, s.Pin(t.Context(), pin))
		r, err := s.SyncProducts(t.Context(), "p60", "p0")
		require.ErrorIs(t, err, syncer.ErrHeld, "p0 is")
		assert.Equal(t, 1, r.Channels[0].Updated)
		n, _ := m.Quantity("SKU-60")
		assert.Zero(t, n, "a tripped guard lets it pass")

		// What the policy takes away is guarded, pinned or not.
		source.put("p61", "SKU-61", 0)
		require.NoError(t, s.Pin(t.Context(), syncer.Pin{ProductID: "p61", Quantity: 5, Who: "Ana", Why: "few"}))
		_, err = s.SyncProducts(t.Context(), "p61")
		require.ErrorIs(t, err, syncer.ErrHeld)

		// A night and a plan let it pass, too.
		pin.ProductID = "p62"
		require.NoError(t, s.Pin(t.Context(), pin))
		plan, err := s.Plan(t.Context())
		require.NoError(t, err)
		assert.Equal(t, syncer.ReasonOver, reasons(plan)["SKU-62"])
		_, err = s.Reconcile(t.Context())
		require.ErrorIs(t, err, syncer.ErrHeld)
		n, _ = m.Quantity("SKU-62")
		assert.Zero(t, n)

		require.NoError(t, s.Unpin(t.Context(), pin))
		_, err = s.SyncProducts(t.Context(), "p62")
		require.ErrorIs(t, err, syncer.ErrHeld, "upward it does not")
	})
}

func TestPinUpward(t *testing.T) {
	source, m, other := newStock(5), shop("a", 1), shop("b", 1)
	s := unguardedly(t, syncer.Config{Source: source}, m, other)
	sync := func(p syncer.Pin) {
		t.Helper()
		require.NoError(t, s.Pin(t.Context(), p))
		_, err := s.SyncProducts(t.Context(), "p0")
		require.NoError(t, err)
	}
	sync(recall(50))
	shows(t, m, 5)
	raised := recall(50)
	raised.Raise, raised.Channel = true, "a"
	sync(raised)
	shows(t, m, 5)
	shows(t, other, 5)
	require.NoError(t, s.Unpin(t.Context(), recall(0)))
	sync(raised)
	shows(t, m, 50)
	shows(t, other, 5)
	sync(recall(2)) // the least counts
	shows(t, m, 2)
	shows(t, other, 2)
	pins, err := s.Pins(t.Context())
	require.NoError(t, err)
	assert.Len(t, pins, 2)
}

// What nobody knows can be recalled all the same.
func TestPinOfAnUnknownQuantity(t *testing.T) {
	source, m := newStock(5, 5, 5), shop("a", 3)
	policy := syncer.Custom("odd", func(channel.Stock) (int, error) { return 0, errors.New("not known") })
	s := configure(t, syncer.Config{Source: source, Targets: []syncer.Target{{Channel: m, Policy: policy, Guard: unguarded}}})
	require.NoError(t, s.Pin(t.Context(), recall(0)))
	require.NoError(t, s.Pin(t.Context(), syncer.Pin{ProductID: "p1", Quantity: 1, Who: "Ana", Why: "few"}))
	r, err := s.SyncProducts(t.Context(), "p0", "p1", "p2")
	require.ErrorContains(t, err, "not known")
	shows(t, m, 0, 100, 100)
	assert.Equal(t, []int{1, 2}, []int{r.Channels[0].Updated, r.Channels[0].Failed})
}

// A pin does not give a product an SKU.
func TestPinOfAProductWithoutAnSKU(t *testing.T) {
	source, m := newStock(5), shop("a", 1)
	source.put("p1", " ", 5)
	s := unguardedly(t, syncer.Config{Source: source}, m)
	pin := recall(0)
	pin.ProductID = "p1"
	require.NoError(t, s.Pin(t.Context(), pin))
	r, err := s.SyncProducts(t.Context(), "p1")
	require.ErrorIs(t, err, channel.ErrInvalid)
	assert.Equal(t, []int{1, 0}, []int{r.Channels[0].Failed, r.Channels[0].Unknown})
}

func TestPinEndsByTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := newStock(5), shop("a", 1)
		q := syncer.NewMemoryQueue()
		cfg := syncer.Config{Source: source, Queue: q, Schedule: syncer.Never(), Journal: time.Hour}
		s := unguardedly(t, cfg, m)
		stop := running(t, s)
		pass(time.Minute)
		pin := recall(0)
		pin.Until = time.Now().Add(40 * time.Second)
		require.NoError(t, s.Pin(t.Context(), pin))
		pass(39 * time.Second)
		shows(t, m, 0)
		pass(2 * time.Second)
		shows(t, m, 5)
		var what []syncer.EntryKind
		for e, err := range s.Journal(t.Context(), "p0") {
			require.NoError(t, err)
			what = append(what, e.Kind)
		}
		assert.Equal(t, []syncer.EntryKind{syncer.EntryWrote, syncer.EntryUnpinned, syncer.EntryWrote, syncer.EntryPinned}, what)

		pin.Until = time.Now().Add(time.Minute)
		require.NoError(t, s.Pin(t.Context(), pin))
		pass(time.Second)
		stop()
		pass(time.Hour) // nobody runs
		defer running(t, unguardedly(t, cfg, m))()
		pass(time.Second)
		shows(t, m, 5)
		pins, err := s.Pins(t.Context())
		require.NoError(t, err)
		assert.Empty(t, pins)
	})
}

// A replica that does not lead pins; the leader knows at once.
func TestPinOnASharedQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, source, m := queuetest.NewServer(leaseTime), newStock(5), shop("a", 1)
		cfg := syncer.Config{Source: source, Targets: targets(m), Schedule: syncer.Never()}
		a := join(t, server, "a", cfg, nil)
		pass(time.Second)
		b := join(t, server, "b", cfg, nil)
		require.NoError(t, b.Notify(t.Context(), "p0"))
		pass(time.Second)
		shows(t, m, 5)
		require.NoError(t, b.Pin(t.Context(), recall(0)))
		pass(time.Second)
		shows(t, m, 0)
		a.die()
		pass(time.Minute)
		m.Set("SKU-0", 7)
		require.NoError(t, b.Notify(t.Context(), "p0"))
		pass(time.Second)
		shows(t, m, 0)
	})
}

// pinless is a queue that cannot read what is pinned.
type pinless struct {
	*syncer.MemoryQueue
	fails atomic.Bool
}

func (q *pinless) Load(ctx context.Context, set, key string) ([]byte, error) {
	if set == "pins" && q.fails.Load() {
		return nil, errors.New("the disk is gone")
	}
	return q.MemoryQueue.Load(ctx, set, key)
}

// As long as it is not known what is pinned, nothing is raised.
func TestPinFailsSafe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := newStock(200, 3, 9, 9, 9), shop("a", 3)
		m.Add(channel.Level{SKU: "SKU-3", Quantity: 9, OffSale: true}) // shows it, and is not sold
		m.Add(channel.Level{SKU: "SKU-4", Quantity: 9, Inexact: true}) // shows a fraction more, which may go
		m.Set("SKU-2", 0)
		q := &pinless{MemoryQueue: syncer.NewMemoryQueue()}
		q.fails.Store(true)
		s := unguardedly(t, syncer.Config{Source: source, Queue: q, Schedule: syncer.Never()}, m)
		r, err := s.Reconcile(t.Context())
		require.ErrorContains(t, err, "nothing is raised: what is pinned cannot be read")
		shows(t, m, 100, 3, 0)
		assert.Equal(t, []int{2, 2}, []int{r.Channels[0].Updated, r.Channels[0].Failed})

		require.NoError(t, s.Notify(t.Context(), "p0", "p2"))
		defer running(t, s)()
		pass(5 * time.Minute)
		shows(t, m, 100, 3, 0)
		require.Error(t, s.Pin(t.Context(), recall(0)), "nor pinned")
		q.fails.Store(false)
		require.NoError(t, s.Pin(t.Context(), recall(0)))
		pass(10 * time.Minute)
		shows(t, m, 0, 3, 9) // by itself, when it is known
	})
}

func TestPinRefuses(t *testing.T) {
	s := build(t, newStock(1), channeltest.NewMemory("a"))
	past := recall(0)
	past.Until = time.Now().Add(-time.Hour)
	for text, p := range map[string]syncer.Pin{
		"ProductID: invalid":  {Who: "Ana", Why: "recall"},
		"is not negative":     recall(-1),
		`no channel "b"`:      {ProductID: "p", Channel: "b", Who: "Ana", Why: "recall"},
		"Until has passed":    past,
		"Who and Why are req": {ProductID: "p", Who: "Ana", Why: " "},
	} {
		assert.ErrorContains(t, s.Pin(t.Context(), p), text, fmt.Sprint(p))
	}
	late := recall(1)
	late.Until = time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)
	assert.ErrorContains(t, s.Pin(t.Context(), late), "syncer: Pin: ", "no record can say so")
	assert.ErrorContains(t, s.Unpin(t.Context(), syncer.Pin{ProductID: "p"}), "Who and Why")
}

// Units in flight are taken off what a policy gives, and never lift a pin.
func TestPinAndUnitsInFlight(t *testing.T) {
	source, m, other := newStock(10), shop("a", 1), shop("b", 1)
	s := unguardedly(t, syncer.Config{Source: source}, m, other)
	_, err := s.Reconcile(t.Context())
	require.NoError(t, err)
	require.NoError(t, s.Pin(t.Context(), recall(3)))
	require.True(t, other.Sell("SKU-0", 2))
	for range 2 {
		_, err = s.SyncProducts(t.Context(), "p0")
		require.NoError(t, err)
	}
	shows(t, m, 3)
	shows(t, other, 3)
	require.NoError(t, s.Pin(t.Context(), recall(9)))
	r, err := s.SyncProducts(t.Context(), "p0")
	require.NoError(t, err)
	shows(t, m, 8)
	assert.Zero(t, r.Channels[0].Pinned, "it is the sales that lower it")
}
