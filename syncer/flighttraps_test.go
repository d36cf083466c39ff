package syncer_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/syncer"
)

// What costs units where it is overlooked, as far as it takes more than a story.
// Stories of the other traps are in testdata/flight.txt.

// flightOf begins a flight of one product, in a bubble.
func flightOf(t *testing.T, stock int, play func(f *flight)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { play(newFlight(t, flightStory{stock: stock}, false)) })
}

func (f *flight) shows(a, b int) {
	f.Helper()
	for i, want := range []int{a, b} {
		got, _ := f.shops[i].Quantity("SKU-0")
		assert.Equal(f, want, got, "%s shows", f.shops[i].Name())
	}
}

// A channel that is read before the source shows an old quantity beside a new
// stock: its next read would find a sale that was booked before.
func TestFlightReadsTheSourceFirst(t *testing.T) {
	for _, moment := range []string{"before the channels answer", "after the channels have answered"} {
		t.Run(moment, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFlight(t, flightStory{stock: 100, policies: [2]string{"share 80", "share 20"}}, false)
				sell := sync.OnceFunc(func() {
					f.shops[0].Sell("SKU-0", 1)
					f.erp.change("p0", 0, 1)
				})
				inner := f.shops[0].inner
				levels := inner.OnLevels
				f.stop()
				inner.OnLevels = func(ctx context.Context, next channel.Reader, skus []string) ([]channel.Level, error) {
					if moment == "before the channels answer" {
						sell()
						return levels(ctx, next, skus)
					}
					found, err := levels(ctx, next, skus)
					sell()
					return found, err
				}
				f.begin()
				f.run()
				f.event()
				f.event()
				f.shows(79, 19) // 99 * 0.8 and 99 * 0.2
			})
		})
	}
}

// Of a product that gets another SKU nothing is known under the new one.
func TestFlightForgetsAnSKUThatIsAnother(t *testing.T) {
	flightOf(t, 10, func(f *flight) {
		f.shops[0].Set("NEW", 3)
		f.shops[1].Set("NEW", 3)
		f.erp.edit("p0", func(s *channel.Stock) { s.SKU = "NEW" })
		f.event()
		for _, sh := range f.shops {
			got, _ := sh.Quantity("NEW")
			assert.Equal(f, 10, got, "%s shows of the new SKU; what it showed before is no sale", sh.Name())
		}
	})
}

// The same holds where the channel sells other units than before.
func TestFlightForgetsUnitsThatAreOthers(t *testing.T) {
	flightOf(t, 60, func(f *flight) {
		f.stop()
		f.shops[0].Set("SKU-0", 9) // by whoever made packs of it
		f.shops[0].setUp(f.T, "pack 6")
		f.begin()
		f.run()
		f.event()
		f.shows(10, 60)
	})
}

// A new policy shows fewer; that is no sale either, whenever the write comes.
func TestFlightForgetsAPolicyThatIsAnother(t *testing.T) {
	flightOf(t, 100, func(f *flight) {
		f.stop()
		f.shops[0].setUp(f.T, "share 50")
		f.begin()
		f.run()
		f.event()
		f.shows(50, 100)
		f.stop()
		f.shops[0].setUp(f.T, "share 80")
		f.shops[0].Set("SKU-0", 45) // by whoever changed the policy, by hand
		f.begin()
		f.run()
		f.event()
		f.shows(80, 100)
	})
}

// Once a sale is booked nothing is due: a timer would cost a whole pass.
func TestFlightThatEndedCostsNothing(t *testing.T) {
	flightOf(t, 10, func(f *flight) {
		require.True(f, f.shops[0].Sell("SKU-0", 1))
		f.event()
		f.erp.change("p0", 0, 1)
		f.event()
		f.erp.asked()
		pass(2 * time.Hour)
		assert.Zero(f, f.erp.asked())
	})
}

// Two channels that take their time to show what is written: until then the old
// quantities are no sales, nor is the first one of two that are under way.
func TestFlightTakesNoLagForASale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := newPromises(100)
		var shops [2]*channeltest.Lagging
		var writes atomic.Int32
		cfg := syncer.Config{Source: source, Schedule: syncer.Never(), WatchEvery: -1}
		for i := range shops {
			shops[i] = channeltest.NewLagging(fmt.Sprint("lagging-", i), 40*time.Second)
			shops[i].Set("SKU-0", 100)
			cfg.Targets = append(cfg.Targets, syncer.Target{Guard: unguarded, Channel: &channeltest.Intercept{
				Channel: shops[i],
				OnPush: func(ctx context.Context, next channel.Channel, updates []channel.Update) error {
					writes.Add(1)
					return next.Push(ctx, updates)
				},
			}})
		}
		s := configure(t, cfg)
		_, err := s.Reconcile(t.Context())
		require.NoError(t, err)
		running(t, s)
		event := func() { require.NoError(t, s.Notify(t.Context(), "p0")) }

		require.True(t, shops[0].Sell("SKU-0", 1))
		event()
		pass(5 * time.Second)
		require.True(t, shops[1].Sell("SKU-0", 2))
		for range 10 {
			event()
			pass(5 * time.Second)
		}
		source.change("p0", 0, 3)
		for range 20 {
			event()
			pass(5 * time.Second)
		}
		for _, sh := range shops {
			n, _ := sh.Quantity("SKU-0")
			assert.Equal(t, 97, n, sh.Name())
		}
		assert.LessOrEqual(t, writes.Load(), int32(6), "of two sales")
		pass(time.Hour)
		for _, sh := range shops {
			n, _ := sh.Quantity("SKU-0")
			assert.Equal(t, 97, n, "%s, an hour later", sh.Name())
		}
	})
}

// A kit that is sold puts its parts in flight, and a part its kits.
func TestFlightOfKits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := newPromises(20, 30)
		var shops [2]*flightShop
		cfg := syncer.Config{Source: source, Schedule: syncer.Never(), WatchEvery: -1}
		for i, name := range []string{"a", "b"} {
			shops[i] = newFlightShop(name, false)
			for _, sku := range []string{"SKU-0", "SKU-1", "KIT"} {
				shops[i].Set(sku, 0)
			}
			shops[i].target.Kits = func() []syncer.Listing {
				return []syncer.Listing{{SKU: "KIT", Parts: []syncer.Part{{ProductID: "p0", Units: 1}, {ProductID: "p1", Units: 2}}}}
			}
			cfg.Targets = append(cfg.Targets, shops[i].target)
		}
		s := configure(t, cfg)
		_, err := s.Reconcile(t.Context())
		require.NoError(t, err)
		running(t, s)
		show := func(why string, want ...int) {
			t.Helper()
			for _, sh := range shops {
				var got []int
				for _, sku := range []string{"SKU-0", "SKU-1", "KIT"} {
					n, _ := sh.Quantity(sku)
					got = append(got, n)
				}
				assert.Equal(t, want, got, "%s: %s", sh.Name(), why)
			}
		}
		event := func() {
			require.NoError(t, s.Notify(t.Context(), "p0", "p1"))
			pass(time.Minute)
		}
		show("at first", 20, 30, 15)
		require.True(t, shops[0].Sell("KIT", 2))
		event()
		show("two kits are sold", 18, 26, 13)
		event()
		show("and stay so", 18, 26, 13)
		require.True(t, shops[1].Sell("SKU-1", 3))
		event()
		show("and three of a part", 18, 23, 11)
		source.change("p0", 0, 2)
		source.change("p1", 0, 4)
		event()
		show("the kits are booked", 18, 23, 11)
		source.change("p1", 0, 3)
		event()
		show("all is booked", 18, 23, 11)
		pass(time.Hour)
		event()
		show("an hour later", 18, 23, 11)
	})
}

// Where nothing is known of what a channel showed, it has sold nothing.
func TestFlightNeedsABase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &flight{T: t, erp: newPromises(10), queue: keptQueue{syncer.NewMemoryQueue()}}
		for i, name := range []string{"a", "b"} {
			f.shops[i] = newFlightShop(name, false)
			f.shops[i].Set("SKU-0", 7+i)
		}
		f.begin()
		f.run()
		f.event()
		f.shows(10, 10)
	})
}

// A run over the catalogue brings no sold unit back, nor does a plan, nor a call.
func TestFlightHoldsForEveryEntrance(t *testing.T) {
	flightOf(t, 10, func(f *flight) {
		require.True(f, f.shops[0].Sell("SKU-0", 1))
		_, err := f.syncer.SyncProducts(f.Context(), "p0")
		require.NoError(f, err)
		pass(time.Minute)
		f.shows(9, 9)
		_, err = f.syncer.Reconcile(f.Context())
		require.NoError(f, err)
		pass(time.Minute)
		f.shows(9, 9)
		plan, err := f.syncer.Plan(f.Context())
		require.NoError(f, err)
		assert.Empty(f, plan.Lines)
		require.True(f, f.shops[1].Sell("SKU-0", 2))
		_, err = f.syncer.Reconcile(f.Context())
		require.NoError(f, err)
		pass(time.Minute)
		f.shows(7, 7)
	})
}

// A write of which nobody knows whether it was applied leaves two quantities
// that the channel may show: neither is a sale, nor a cancellation.
func TestFlightKnowsBothEndsOfAWriteInDoubt(t *testing.T) {
	for _, applied := range []bool{true, false} {
		t.Run(fmt.Sprint("applied=", applied), func(t *testing.T) {
			flightOf(t, 10, func(f *flight) {
				f.stop()
				inner := f.shops[1].inner
				push := inner.OnPush
				var doubt atomic.Bool
				doubt.Store(true)
				inner.OnPush = func(ctx context.Context, next channel.Channel, updates []channel.Update) error {
					if !doubt.Load() {
						return push(ctx, next, updates)
					}
					if applied {
						require.NoError(f, push(ctx, next, updates))
					}
					return channel.ErrUnavailable
				}
				f.begin()
				f.run()
				f.erp.change("p0", 0, 4) // b may show 6, or still 10
				f.event()
				doubt.Store(false)
				f.erp.change("p0", 0, -2)
				f.event()
				pass(10 * time.Minute)
				f.event()
				f.shows(8, 8)
			})
		})
	}
}

// A bad import in one shop is that shop's: it empties no other.
func TestFlightIsBounded(t *testing.T) {
	const n = 1500
	synctest.Test(t, func(t *testing.T) {
		units := make([]int, n)
		for i := range units {
			units[i] = 8
		}
		source := newPromises(units...)
		a, b := newFlightShop("a", false), newFlightShop("b", false)
		for i := range n {
			a.Set(fmt.Sprint("SKU-", i), 8)
			b.Set(fmt.Sprint("SKU-", i), 8)
		}
		a.target.Guard, b.target.Guard = syncer.Guard{}, syncer.Guard{}
		s := configure(t, syncer.Config{Source: source, Schedule: syncer.Never(), WatchEvery: -1, Targets: []syncer.Target{a.target, b.target}})
		_, err := s.Reconcile(t.Context())
		require.NoError(t, err)
		running(t, s)
		pass(time.Minute)
		for i := range n {
			a.Set(fmt.Sprint("SKU-", i), 0) // small enough that each may be a sale
		}
		require.NoError(t, s.Notify(t.Context(), source.ids()...))
		pass(time.Minute)
		off := 0
		for i := range n {
			if q, _ := b.Quantity(fmt.Sprint("SKU-", i)); q == 0 {
				off++
			}
		}
		assert.LessOrEqual(t, off, n/10, "products that b no longer sells")
	})
}
