package syncer_test

import (
	"context"
	"fmt"
	"net/http"
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

// flightWith begins a flight with another configuration, in a bubble.
func flightWith(t *testing.T, stock int, edit func(*syncer.Config), play func(f *flight)) {
	t.Helper()
	flightOf(t, stock, func(f *flight) {
		f.stop()
		f.begin(edit)
		f.run()
		play(f)
	})
}

func TestSettleSwitchesItOff(t *testing.T) {
	flightWith(t, 10, func(cfg *syncer.Config) { cfg.Settle = -1 }, func(f *flight) {
		require.True(f, f.shops[0].Sell("SKU-0", 1))
		f.event()
		f.shows(10, 10)
	})
}

func TestSettleIsHowLongASaleIsAwaited(t *testing.T) {
	flightWith(t, 10, func(cfg *syncer.Config) { cfg.Settle = 5 * time.Minute }, func(f *flight) {
		require.True(f, f.shops[0].Sell("SKU-0", 1))
		f.event()
		f.shows(9, 9)
		pass(3*time.Minute + 50*time.Second)
		f.shows(9, 9)
		pass(20 * time.Second)
		f.shows(10, 10)
	})
}

// A host that knows which changes are imported orders need not have its own
// sales taken for these.
func TestBookedTellsOrdersFromOtherSales(t *testing.T) {
	edit := func(cfg *syncer.Config) {
		cfg.Booked = func(before, after channel.Stock) int { return max(0, after.Reserved-before.Reserved) }
	}
	flightWith(t, 10, edit, func(f *flight) {
		require.True(f, f.shops[0].Sell("SKU-0", 1))
		f.event()
		f.shows(9, 9)
		f.erp.change("p0", -1, 0) // over the counter
		f.event()
		f.shows(8, 8)
		f.erp.change("p0", 0, 1)
		f.event()
		f.shows(8, 8)
	})
}

// What Booked does wrong is that product's trouble, and nobody else's.
func TestBookedMayPanic(t *testing.T) {
	edit := func(cfg *syncer.Config) {
		cfg.Booked = func(before, after channel.Stock) int { panic("odd") }
	}
	flightWith(t, 10, edit, func(f *flight) {
		require.True(f, f.shops[0].Sell("SKU-0", 1))
		f.event()
		f.erp.change("p0", 0, 1)
		f.event()
		pass(2 * time.Hour)
		f.event()
		f.shows(9, 9)
	})
}

// deliver delivers that a shop's quantity has changed.
func (f *flight) deliver(shop int) (status int) {
	h, err := f.syncer.ChannelHandler(f.shops[shop].Name())
	require.NoError(f, err)
	return channeltest.Deliver(h, http.Header{}, []byte("SKU-0"), time.Minute)
}

// namer reads deliveries that name an SKU.
type namer struct{}

func (namer) Receive(_ context.Context, header http.Header, body []byte) (channel.Event, error) {
	if header.Get("Forged") != "" {
		return channel.Event{}, channel.ErrUnauthorized
	}
	return channel.Event{SKUs: []string{string(body)}}, nil
}

// A queue makes one mark of many deliveries, each of which is a sale: more units
// than anybody sells in a moment are no edit if they were told one by one.
func TestFlightCountsDeliveries(t *testing.T) {
	for _, tt := range []struct{ deliveries, b int }{{1, 100}, {2, 100}, {25, 75}} {
		t.Run(fmt.Sprint(tt.deliveries, " deliveries"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFlight(t, flightStory{stock: 100}, false)
				f.stop()
				for _, sh := range f.shops {
					sh.target.Webhooks = namer{}
				}
				f.begin()
				f.run()
				f.event()
				f.shops[0].Sell("SKU-0", 25)
				for range tt.deliveries {
					require.Equal(t, http.StatusAccepted, f.deliver(0))
				}
				pass(time.Minute)
				f.shows(75, tt.b)
			})
		})
	}
}

// A delivery alone, without any event of the source, takes a sale off the other
// channel.
func TestFlightBeginsWithADelivery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFlight(t, flightStory{stock: 10}, false)
		f.stop()
		for _, sh := range f.shops {
			sh.target.Webhooks = namer{}
		}
		f.begin()
		f.run()
		f.event()
		require.True(t, f.shops[0].Sell("SKU-0", 2))
		require.Equal(t, http.StatusAccepted, f.deliver(0))
		pass(2 * time.Second)
		f.shows(8, 8)
	})
}

// A thousand deliveries for one product cost two reads of its channel.
func TestFlightReadsOnceForManyDeliveries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFlight(t, flightStory{stock: 10}, false)
		f.stop()
		for _, sh := range f.shops {
			sh.target.Webhooks = namer{}
		}
		f.begin()
		f.run()
		f.event()
		f.erp.asked()
		before := f.shops[0].looks()
		for range 1000 {
			require.Equal(t, http.StatusAccepted, f.deliver(0))
		}
		pass(time.Minute)
		assert.LessOrEqual(t, f.shops[0].looks()-before, 2)
		assert.LessOrEqual(t, f.erp.asked(), 2)
	})
}

func (sh *flightShop) looks() int {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.reads
}

// A run that could not take a sale through the channels that it was done with
// says so, though it compared all.
func TestARunTellsThatASaleIsNotFollowedUp(t *testing.T) {
	flightOf(t, 10, func(f *flight) {
		f.stop()
		source := &outage{Source: f.erp}
		f.begin(func(cfg *syncer.Config) { cfg.Source = source })
		inner := f.shops[1].inner
		levels := inner.OnLevels
		inner.OnLevels = func(ctx context.Context, next channel.Reader, skus []string) ([]channel.Level, error) {
			time.Sleep(5 * time.Second) // until the other shop is done
			source.down.Store(true)
			if levels != nil {
				return levels(ctx, next, skus)
			}
			return next.Levels(ctx, skus)
		}
		require.True(f, f.shops[1].Sell("SKU-0", 1))
		_, err := f.syncer.Reconcile(f.Context())
		require.ErrorIs(f, err, channel.ErrUnavailable)
		source.down.Store(false)
		f.run()
		pass(time.Minute)
		f.shows(9, 9) // Run makes up for it
	})
}

// What one channel has sold reaches the others although Run ended before the
// queue could be told of it.
func TestASaleIsSpreadAfterARestart(t *testing.T) {
	flightOf(t, 10, func(f *flight) {
		f.stop()
		q := &unsold{keptQueue: f.queue.(keptQueue)}
		q.fails.Store(true)
		f.queue = q
		f.begin()
		inner := f.shops[0].inner
		inner.OnLevels = func(ctx context.Context, next channel.Reader, skus []string) ([]channel.Level, error) {
			time.Sleep(5 * time.Second) // until the other shop is done
			return next.Levels(ctx, skus)
		}
		f.run()
		require.True(f, f.shops[0].Sell("SKU-0", 3))
		f.event()
		f.shows(7, 10)
		f.stop()
		q.fails.Store(false)
		f.begin()
		f.run()
		pass(time.Minute)
		f.shows(7, 7)
	})
}

// An unsold queue takes no mark of a sale while it fails.
type unsold struct {
	keptQueue
	fails atomic.Bool
}

func (q *unsold) Mark(ctx context.Context, marks ...syncer.Mark) error {
	for _, m := range marks {
		if m.Why == syncer.CauseSale && q.fails.Load() {
			return channel.ErrUnavailable
		}
	}
	return q.keptQueue.Mark(ctx, marks...)
}

// What somebody is taken to have set lower is explained as that, and not as a
// mistake.
func TestAnEditIsExplained(t *testing.T) {
	flightOf(t, 100, func(f *flight) {
		f.shops[0].Set("SKU-0", 5)
		f.event()
		x, err := f.syncer.Explain(f.Context(), syncer.Question{ProductID: "p0"})
		require.NoError(f, err)
		l := x.Channels[0].Listings[0]
		require.NotZero(f, l.Edited)
		require.NotNil(f, l.Wanted)
		assert.Equal(f, 5, *l.Wanted)
	})
}
