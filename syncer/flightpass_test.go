package syncer_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/syncer"
)

// A host hears of each unit that takes flight, and of how it lands.
func TestFlightEvents(t *testing.T) {
	var told []syncer.FlightEvent
	edit := func(cfg *syncer.Config) {
		cfg.Hooks.InFlight = func(_ context.Context, f syncer.FlightEvent) { told = append(told, f) }
	}
	flightWith(t, 100, edit, func(f *flight) {
		f.event()
		expect := func(name, sku string, units int, kind syncer.FlightKind, age time.Duration) {
			f.Helper()
			if assert.Len(f, told, 1, kind) {
				assert.InDelta(f, age, told[0].Age, float64(10*time.Second), kind)
				told[0].Age = 0
				assert.Equal(f, syncer.FlightEvent{Channel: name, ProductID: "p0", SKU: sku, Units: units, Kind: kind}, told[0])
			}
			told = nil
		}
		require.True(f, f.shops[0].Sell("SKU-0", 3))
		f.event()
		expect("a", "SKU-0", 3, syncer.FlightNoticed, 0)
		f.erp.change("p0", 0, 1)
		f.event()
		expect("a", "", 1, syncer.FlightBooked, time.Minute)
		f.shops[0].Set("SKU-0", 99)
		f.event()
		expect("a", "SKU-0", 2, syncer.FlightCancelled, 2*time.Minute)
		require.True(f, f.shops[1].Sell("SKU-0", 1))
		f.event()
		expect("b", "SKU-0", 1, syncer.FlightNoticed, 0)
		pass(31 * time.Minute)
		expect("b", "", 1, syncer.FlightExpired, 30*time.Minute)
		f.event()
		f.shops[0].Set("SKU-0", 40)
		f.event()
		expect("a", "SKU-0", 59, syncer.FlightEdited, 0)
	})
}

// Booked gets what was known of a product, and what is known now.
func TestBookedGetsBothStocks(t *testing.T) {
	var mu sync.Mutex // each channel's worker calls it
	var last [2]channel.Stock
	edit := func(cfg *syncer.Config) {
		cfg.Booked = func(before, after channel.Stock) int {
			mu.Lock()
			defer mu.Unlock()
			last = [2]channel.Stock{before, after}
			return 0
		}
	}
	flightWith(t, 10, edit, func(f *flight) {
		f.event()
		f.erp.change("p0", 0, 3)
		f.event()
		f.erp.change("p0", -1, 1)
		f.event()
		mu.Lock()
		defer mu.Unlock()
		before, after := last[0], last[1]
		assert.Equal(f, []int{10, 3, 7}, []int{before.OnHand, before.Reserved, before.Available})
		assert.Equal(f, []int{9, 4, 5}, []int{after.OnHand, after.Reserved, after.Available})
	})
}

// A plan knows what is sold on a channel, though nobody has noticed that before,
// and knows it from somebody's edit.
func TestAPlanKnowsWhatIsSold(t *testing.T) {
	for _, tt := range []struct {
		name   string
		policy string
		sold   int
		after  time.Duration
		wanted int // by the plan's only line for the channel; 0 means none
	}{
		{"one unit", "", 1, time.Second, 0},
		{"as many as may be sold in a minute", "", 10, time.Second, 0},
		{"more than that", "", 11, time.Second, 90},
		{"as many as may be sold in three minutes", "", 30, 3 * time.Minute, 0},
		{"more than that, too", "", 31, 3 * time.Minute, 90},
		{"two packs", "pack 3", 2, time.Second, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFlight(t, flightStory{stock: 90, policies: [2]string{tt.policy}}, false)
				f.event()
				f.stop()
				_, err := f.syncer.SyncProducts(t.Context(), "p0")
				require.NoError(t, err)
				pass(tt.after)
				require.True(t, f.shops[0].Sell("SKU-0", tt.sold))
				plan, err := f.syncer.Plan(t.Context())
				require.NoError(t, err)
				if tt.wanted == 0 {
					assert.Empty(t, plan.Lines)
					return
				}
				require.Len(t, plan.Lines, 1)
				assert.Equal(t, tt.wanted, plan.Lines[0].Wanted)
			})
		})
	}
}
