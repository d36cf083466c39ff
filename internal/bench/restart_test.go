package bench

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/internal/racetest"
	"github.com/ecosire/stocksync/syncer"
)

// restarts is how long the first event takes after each of n restarts. The
// process has kept nothing: Shopify is asked which item the SKU is. The event
// comes within a minute of the start.
func restarts(t *testing.T, n, times int) (d delays) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s, err := newSales(n, false)
		require.NoError(t, err)
		s.to = time.Now().Add(1000 * time.Hour)
		random := rand.New(rand.NewPCG(1, 2))
		for done, i := range random.Perm(n)[:times] {
			require.NoError(t, s.connect(syncer.Guard{}, s.configure))
			ctx, cancel := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			wg.Go(func() { _ = s.Syncer.Run(ctx) })
			time.Sleep(time.Duration(random.Int64N(int64(time.Minute))))
			s.sell(i)
			require.NoError(t, s.Syncer.Notify(ctx, s.IDs[i]))
			for range 600 {
				time.Sleep(100 * time.Millisecond)
				s.mu.Lock()
				seen := s.seen
				s.mu.Unlock()
				if seen == 2*(done+1) {
					break
				}
			}
			cancel()
			wg.Wait()
			require.Equal(t, 2*(done+1), s.seen)
		}
		d = s.d
	})
	return d
}

// The first event after a restart is as soon visible as others, although no item
// is known yet: it costs one search more.
func TestTheFirstEventAfterARestart(t *testing.T) {
	racetest.Long(t)
	d := restarts(t, 2_000, 30)
	usual := latency(t, 100, 1, alone)
	t.Log("p50", p50(d.shopify), "p99", p99(d.shopify), "usually", p50(usual.shopify), p99(usual.shopify))
	assert.LessOrEqual(t, p99(d.shopify), p99(usual.shopify))
	assert.LessOrEqual(t, p99(d.woocommerce), p99(usual.woocommerce))
	assert.Greater(t, p50(d.shopify), 550*time.Millisecond, "or the item was known")
}
