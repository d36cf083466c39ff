package syncer_test

import (
	"context"
	"fmt"
	"iter"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/syncer"
)

// unanswered is a source that cannot answer for one product.
type unanswered struct {
	*stock
	id string
}

func (u unanswered) Stock(ctx context.Context, ids ...string) iter.Seq2[channel.Stock, error] {
	return func(yield func(channel.Stock, error) bool) {
		for p, err := range u.stock.Stock(ctx, ids...) {
			if p.ProductID == u.id {
				p = channel.Stock{ProductID: p.ProductID, SKU: p.SKU, Err: channel.ErrInvalid}
			}
			if !yield(p, err) {
				return
			}
		}
	}
}

// Listings may list units of the product at hand, and nothing else. What else it
// lists is told, and not written.
func TestAListingIsOfUnitsOfItsProduct(t *testing.T) {
	senseless := int64(1) << 53
	for name, l := range map[string]syncer.Listing{
		"a kit":                         kitOf("L", "p0", "p1"),
		"another product's":             syncer.Pack("L", channel.Stock{ProductID: "p1"}, 2),
		"of no unit":                    syncer.Pack("L", channel.Stock{ProductID: "p0"}, 0),
		"of less than none":             syncer.Pack("L", channel.Stock{ProductID: "p0"}, -1),
		"of what is no number of units": syncer.Pack("L", channel.Stock{ProductID: "p0"}, int(senseless)),
	} {
		t.Run(name, func(t *testing.T) {
			m := shop("a", 1)
			m.Set("L", 50)
			s := configure(t, syncer.Config{Source: newStock(8, 3), Targets: []syncer.Target{{Channel: m, Guard: unguarded,
				Listings: func(s channel.Stock) []syncer.Listing { return []syncer.Listing{l, {SKU: s.SKU}} }}}})
			r, err := s.SyncProducts(t.Context(), "p0")
			require.ErrorIs(t, err, channel.ErrInvalid)
			require.ErrorContains(t, err, "a kit belongs to Kits")
			assert.Equal(t, 1, r.Channels[0].Failed)
			n, _ := m.Quantity("L")
			assert.Equal(t, 50, n)
			shows(t, m, 8)
		})
	}
	t.Run("a pack of one", func(t *testing.T) {
		m := shop("a", 1)
		s := configure(t, syncer.Config{Source: newStock(8), Targets: []syncer.Target{{Channel: m, Guard: unguarded,
			Listings: func(s channel.Stock) []syncer.Listing { return []syncer.Listing{syncer.Pack(s.SKU, s, 1)} }}}})
		_, err := s.SyncProducts(t.Context(), "p0")
		require.NoError(t, err)
		shows(t, m, 8)
	})
}

// Packs of a number of units that somebody has mistyped are a loss like any other, and
// put nothing in flight that would raise another channel, though units times packs is
// no number any more.
func TestPacksOfFarTooManyUnits(t *testing.T) {
	units := int64(1) << 52
	if strconv.IntSize < 64 {
		t.Skip("no such number")
	}
	source, m := catalogue(20)
	other := shop("b", 20)
	for i := range 20 {
		m.Set(fmt.Sprintf("SKU-%d", i), 2050)
		other.Set(fmt.Sprintf("SKU-%d", i), 10)
	}
	s := configure(t, syncer.Config{Source: source, Targets: []syncer.Target{{Channel: m, Listings: func(s channel.Stock) []syncer.Listing {
		return []syncer.Listing{syncer.Pack(s.SKU, s, int(units))}
	}}, {Channel: other}}})
	_, err := s.Reconcile(t.Context())
	require.ErrorIs(t, err, syncer.ErrHeld)
	assert.Zero(t, gone(m, 20))
	for i := range 20 { // it sells so many that they would be a negative number of units
		m.Set(fmt.Sprintf("SKU-%d", i), 1)
	}
	_, _ = s.Reconcile(t.Context())
	for i := range 20 {
		n, _ := other.Quantity(fmt.Sprintf("SKU-%d", i))
		assert.LessOrEqual(t, n, 10)
	}
}

// What is pinned to 0 on one channel, and cannot be read, is unknown on the
// others, and no zero: neither the product nor its kits.
func TestWhatIsRecalledOnOneChannelIsNoZeroOnOthers(t *testing.T) {
	a, b := shop("a", 2), shop("b", 2)
	kits := kitList(kitOf("KIT", "p0", "p1"))
	b.Set("KIT", 50)
	s := configure(t, syncer.Config{Source: unanswered{newStock(8, 9), "p0"}, Schedule: syncer.Never(),
		Targets: []syncer.Target{{Channel: a, Kits: kits, Guard: unguarded}, {Channel: b, Kits: kits, Guard: unguarded}}})
	pin := recall(0)
	pin.Channel = "a"
	require.NoError(t, s.Pin(t.Context(), pin))
	for _, sync := range []func() error{
		func() error { _, err := s.SyncProducts(t.Context(), "p0", "p1"); return err },
		func() error { _, err := s.Reconcile(t.Context()); return err },
	} {
		a.Set("SKU-0", 100)
		a.Set("KIT", 50)
		require.ErrorIs(t, sync(), channel.ErrInvalid)
		shows(t, a, 0, 9)
		shows(t, b, 100, 9)
		n, _ := a.Quantity("KIT")
		assert.Equal(t, 0, n)
		n, _ = b.Quantity("KIT")
		assert.Equal(t, 50, n, "nobody knows how many there are")
	}
}

// A kit of a recalled part goes off sale whatever is known of its other parts.
func TestAKitOfARecalledPartIsNotSold(t *testing.T) {
	for _, unread := range []string{"p0", "p1"} {
		m := shop("a", 2)
		m.Set("KIT", 50)
		s := configure(t, syncer.Config{Source: unanswered{newStock(8, 9), unread}, Schedule: syncer.Never(),
			Targets: []syncer.Target{{Channel: m, Kits: kitList(kitOf("KIT", "p0", "p1")), Guard: unguarded}}})
		pin := recall(0)
		pin.ProductID = map[string]string{"p0": "p1", "p1": "p0"}[unread]
		require.NoError(t, s.Pin(t.Context(), pin))
		_, err := s.SyncProducts(t.Context(), pin.ProductID)
		require.NoError(t, err)
		n, _ := m.Quantity("KIT")
		assert.Equal(t, 0, n, "%s is not known", unread)
	}
}

// A kit of which the policy does not know a part is shown as before, whichever
// part that is.
func TestAKitOfAPartThatAPolicyDoesNotKnow(t *testing.T) {
	for _, unknown := range []string{"p0", "p1"} {
		m := shop("a", 2)
		m.Set("KIT", 50)
		s := configure(t, syncer.Config{Source: newStock(8, 9), Schedule: syncer.Never(), Targets: []syncer.Target{{Channel: m, Guard: unguarded,
			Kits: kitList(kitOf("KIT", "p0", "p1")),
			Policy: syncer.Custom("known", func(s channel.Stock) (int, error) {
				if s.ProductID == unknown {
					return 0, channel.ErrInvalid
				}
				return s.Available, nil
			})}}})
		r, err := s.SyncProducts(t.Context(), "p0", "p1")
		require.ErrorIs(t, err, channel.ErrInvalid)
		said := ""
		for _, p := range r.Channels[0].Problems {
			said += p.SKU + ": " + p.Err.Error() + "\n"
		}
		assert.Contains(t, said, "KIT: part "+unknown+" of the kit: ")
		n, _ := m.Quantity("KIT")
		assert.Equal(t, 50, n, "%s is not known", unknown)
	}
}

// The parts of a plan's kit are read for its sake. Their own listings and their
// other kits are nobody's plan, and no news in its report.
func TestAPlanForAKitIsAboutTheKitAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := newStock(8, 9, 10), shop("a", 3)
		m.Set("KIT", 50)
		m.Set("OTHER", 50)
		unknown := false
		s := configure(t, syncer.Config{Source: source, Schedule: syncer.Never(), Targets: []syncer.Target{{Channel: m, Guard: unguarded,
			Kits: kitList(kitOf("KIT", "p0", "p1"), kitOf("OTHER", "p0", "p2")),
			Policy: syncer.Custom("known", func(s channel.Stock) (int, error) {
				if s.ProductID == "p2" && unknown {
					return 0, channel.ErrInvalid
				}
				return s.Available, nil
			})}}})
		plan, err := s.Plan(t.Context())
		require.NoError(t, err)
		var lines []syncer.Line
		for _, l := range plan.Lines {
			if l.SKU == "KIT" {
				lines = append(lines, l)
			}
		}
		require.Len(t, lines, 1)
		plan.Lines, unknown = lines, true
		time.Sleep(time.Second)
		r, err := s.Apply(t.Context(), plan)
		require.NoError(t, err)
		assert.Equal(t, 1, r.Channels[0].Updated)
		assert.Nil(t, r.Replanned)
		n, _ := m.Quantity("KIT")
		assert.Equal(t, 8, n)
		n, _ = m.Quantity("OTHER")
		assert.Equal(t, 50, n)
		shows(t, m, 100, 100, 100)
	})
}

// Two products with one SKU are noticed without a run over the catalogue, too:
// the channel does not show now this, now that.
func TestASecondProductWithAnSKUIsNoticedWhenItIsSynced(t *testing.T) {
	source, m := newStock(8), shop("a", 1)
	source.put("q", "SKU-0", 3)
	s := unguardedly(t, syncer.Config{Source: source, Schedule: syncer.Never()}, m)
	_, err := s.SyncProducts(t.Context(), "p0")
	require.NoError(t, err)
	shows(t, m, 8)
	for _, id := range []string{"q", "p0", "q"} {
		_, err = s.SyncProducts(t.Context(), id)
		require.ErrorIs(t, err, channel.ErrAmbiguousSKU, id)
		shows(t, m, 8)
	}
}

// An SKU that moved from one product to another is the other's.
func TestAnSKUThatMovedToAnotherProductIsThatProducts(t *testing.T) {
	source, m := newStock(8), shop("a", 1)
	s := unguardedly(t, syncer.Config{Source: source, Schedule: syncer.Never()}, m)
	_, err := s.SyncProducts(t.Context(), "p0")
	require.NoError(t, err)
	source.put("p0", "SKU-OLD", 8)
	source.put("q", "SKU-0", 3)
	_, err = s.SyncProducts(t.Context(), "q")
	require.NoError(t, err)
	shows(t, m, 3)
}
