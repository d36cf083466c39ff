package syncer_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
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

// A product that is marked twenty times a second gets at most a quarter of the
// requests that others leave, for itself alone, and what came last is shown soon.
func TestAReplayedDeliveryYieldsToOthers(t *testing.T) {
	for _, tt := range []struct {
		perSecond float64 // of events for other products
		most      int     // requests for the one product in two minutes
		soon      time.Duration
	}{
		{0, 2*15 + 1, 5 * time.Second},
		{0.5, 2*9 + 1, 9 * time.Second}, // some thirty of sixty requests are left: one in eight seconds
		{1.2, 2*4 + 1, 9 * time.Second}, // some ten are
		{10, 2, 3 * time.Second},        // none is, and every request has room for it
	} {
		t.Run(fmt.Sprint(tt.perSecond), func(t *testing.T) {
			if tt.perSecond != 1.2 {
				racetest.Long(t)
			}
			synctest.Test(t, func(t *testing.T) {
				const n = 1000
				e := newERP(t, n)
				m := channeltest.NewMemory("a")
				for i := range n {
					m.Set(fmt.Sprintf("S%05d", i), 50)
				}
				s := configure(t, syncer.Config{Source: e.client, Schedule: syncer.Never(), WatchEvery: -1}, m)
				defer running(t, s)()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				var wg sync.WaitGroup
				every := func(ctx context.Context, pause func() time.Duration, do func()) {
					wg.Go(func() {
						for {
							select {
							case <-ctx.Done():
								return
							case <-time.After(pause()):
							}
							do()
						}
					})
				}
				random := rand.New(rand.NewPCG(1, 5))
				next := 1
				if tt.perSecond > 0 {
					every(ctx, func() time.Duration { return time.Duration(random.ExpFloat64() / tt.perSecond * float64(time.Second)) }, func() {
						next++
						assert.NoError(t, s.Notify(ctx, e.ids[next%n]))
					})
				}
				pass(65 * time.Second)
				replaying, stop := context.WithCancel(ctx)
				every(replaying, func() time.Duration { return 50 * time.Millisecond }, func() {
					assert.NoError(t, s.Notify(ctx, e.ids[0]))
				})
				pass(65 * time.Second)
				e.Wire.Forget()
				pass(2 * time.Minute)
				own := e.Count(func(r channeltest.Request) bool { return r.URL.Query().Get("productIds") == e.ids[0] })
				assert.LessOrEqual(t, own, tt.most)
				e.Sell(e.ids[0], 1)
				require.NoError(t, s.Notify(ctx, e.ids[0]))
				stop()
				pass(tt.soon)
				shown, _ := m.Quantity("S00000")
				assert.Equal(t, 49, shown, "the last mark")
				cancel()
				wg.Wait()
			})
		})
	}
}

// paced is a source that is told, by Pace, what will be read.
type paced struct {
	*stock
	warehouses chan []string
}

func (p *paced) Pace(ctx context.Context) error {
	ids, _ := channel.Warehouses(ctx)
	select {
	case p.warehouses <- ids:
	default:
	}
	return nil
}

// A read that costs several requests is paced as one.
func TestPaceKnowsWhatIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &paced{newStock(5), make(chan []string, 1)}
		s := configure(t, syncer.Config{Source: source, Schedule: syncer.Never(),
			Targets: []syncer.Target{{Channel: shop("a", 1), Policy: syncer.In("w1", "w2")}}})
		defer running(t, s)()
		require.NoError(t, s.Notify(t.Context(), "p0"))
		assert.Equal(t, []string{"w1", "w2"}, <-source.warehouses)
	})
}

// Attempts made while the source was down are not the product's, either.
func TestTheSourcesOutagesAttemptsAreNotTheProducts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := &outage{Source: newStock(5)}, shop("a", 1)
		source.down.Store(true)
		pushes := 0
		c := &channeltest.Intercept{Channel: m, OnPush: func(ctx context.Context, next channel.Channel, u []channel.Update) error {
			if pushes++; pushes == 1 {
				return channel.Errors{u[0].SKU: channel.ErrNotApplied}
			}
			return next.Push(ctx, u)
		}}
		s := configure(t, syncer.Config{Source: source, Schedule: syncer.Never()}, c)
		defer running(t, s)()
		require.NoError(t, s.Notify(t.Context(), "p0"))
		pass(10 * time.Minute)
		source.down.Store(false)
		pass(time.Minute)
		n, _ := m.Quantity("SKU-0")
		assert.Equal(t, 5, n, "one passing failure after the outage")
	})
}
