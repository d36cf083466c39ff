package syncer_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/syncer"
)

// A kit is limited now by this part, now by that. What was written of it is told
// of each, and its drift has the right culprit.
func TestAKitsHistoryIsThatOfAllItsParts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := newStock(10, 20), shop("a", 2)
		m.Set("KIT", 50)
		s := configure(t, syncer.Config{Source: source, Journal: 48 * time.Hour, Schedule: syncer.Never(), Targets: []syncer.Target{{
			Channel: m, Guard: unguarded, Kits: kitList(kitOf("KIT", "p0", "p1")),
		}}})
		_, err := s.Reconcile(t.Context()) // 10, by p0
		require.NoError(t, err)
		pass(time.Hour)
		source.put("p1", "SKU-1", 8) // nobody tells
		r, err := s.Reconcile(t.Context())
		require.NoError(t, err)
		require.Len(t, r.Channels[0].Changes, 2)
		for _, c := range r.Channels[0].Changes {
			assert.Equal(t, syncer.NoEvent, c.Culprit, c.SKU)
		}
		for _, id := range []string{"p0", "p1"} {
			x, err := s.Explain(t.Context(), syncer.Question{ProductID: id})
			require.NoError(t, err)
			var wrote []int
			for _, e := range x.Channels[0].History {
				if e.SKU == "KIT" {
					wrote = append(wrote, e.Wanted)
				}
			}
			assert.Equal(t, []int{8, 10}, wrote, id)
		}
	})
}

// A write that was seen to land and is gone again did not stay.
func TestAWriteThatLandedAndDidNotStay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := newStock(50), &sulky{Memory: shop("a", 1), lag: time.Minute}
		s := configure(t, syncer.Config{Source: source, Journal: 48 * time.Hour, Schedule: syncer.Never()}, m)
		for range 2 {
			_, err := s.Reconcile(t.Context())
			require.NoError(t, err)
			pass(time.Hour)
		}
		require.Equal(t, syncer.EntryLanded, entries(t, s, "p0")[0].Kind)
		m.Set("SKU-0", 100)
		r, err := s.Reconcile(t.Context())
		require.NoError(t, err)
		assert.Equal(t, map[syncer.Culprit]int{syncer.NotKept: 1}, r.Channels[0].Culprits)
	})
}

// The journal's entry of a night has no list, however many are retired.
func TestTheEntryOfARunIsSmall(t *testing.T) {
	source, m := newStock(1), channeltest.NewMemory("a")
	m.Set("SKU-0", 1)
	for i := range 2000 {
		m.Add(channel.Level{SKU: fmt.Sprintf("OLD-%d", i), Quantity: 1})
	}
	s := configure(t, syncer.Config{Source: source, Journal: time.Hour, Targets: []syncer.Target{{Channel: m, Retire: func(string) bool { return false }}}})
	r, err := s.Reconcile(t.Context())
	require.NoError(t, err)
	require.Len(t, r.Channels[0].Retired, 2000)
	text, err := json.Marshal(entries(t, s, "")[0])
	require.NoError(t, err)
	assert.Less(t, len(text), 2000)
}

// A kit's trouble is not over because its parts agree on their own.
func TestAKitsTroubleLastsOverNights(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := newStock(80, 90), shop("a", 2) // which has no such kit
		kit := syncer.Listing{SKU: "KIT", Parts: []syncer.Part{{ProductID: "p0", Units: 1}, {ProductID: "p1", Units: 1}}}
		s := configure(t, syncer.Config{Source: source, Schedule: syncer.Never(), Targets: []syncer.Target{{
			Channel: m, Kits: func() []syncer.Listing { return []syncer.Listing{kit} },
		}}})
		troubles := func() (all []syncer.Trouble) {
			for x, err := range s.Troubles(t.Context()) {
				require.NoError(t, err)
				all = append(all, x)
			}
			return all
		}
		_, _ = s.Reconcile(t.Context())
		first := troubles()
		require.Len(t, first, 1)
		assert.Equal(t, "KIT", first[0].SKU)
		pass(24 * time.Hour)
		_, _ = s.Reconcile(t.Context())
		require.Len(t, troubles(), 1)
		assert.Equal(t, first[0].Since, troubles()[0].Since)
		m.Set("KIT", 80)
		_, _ = s.Reconcile(t.Context())
		assert.Empty(t, troubles())
	})
}

// Ten units that were sold do not explain that ten packs of six are gone.
func TestUnitsSoldAreNoPacks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := newStock(60), channeltest.NewMemory("a")
		m.Set("SKU-0", 60)
		m.Set("SIX", 10)
		s := configure(t, syncer.Config{Source: source, Schedule: syncer.Never(), Targets: []syncer.Target{{
			Channel: m, Guard: syncer.Guard{Few: -1, Losses: 0.0001},
			Listings: func(s channel.Stock) []syncer.Listing {
				return []syncer.Listing{{SKU: s.SKU}, syncer.Pack("SIX", s, 6)}
			},
		}}})
		_, err := s.SyncProducts(t.Context(), "p0")
		require.NoError(t, err)
		m.Set("SKU-0", 50) // ten are sold
		source.put("p0", "SKU-0", 0)
		_, err = s.SyncProducts(t.Context(), "p0")
		require.ErrorIs(t, err, syncer.ErrHeld)
		n, _ := m.Quantity("SIX")
		assert.Equal(t, 10, n)
	})
}
