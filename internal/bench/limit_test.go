package bench

import (
	"context"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/ecosire"
	"github.com/ecosire/stocksync/syncer"
)

// late delays requests and answers at random, and counts what arrives.
type late struct {
	http.RoundTripper
	mu      sync.Mutex
	random  *rand.Rand
	most    time.Duration // of both ways together
	sent    int
	refused int
}

func (l *late) delay() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Duration(l.random.Float64() * float64(l.most) / 2)
}

func (l *late) RoundTrip(r *http.Request) (*http.Response, error) {
	time.Sleep(l.delay())
	resp, err := l.RoundTripper.RoundTrip(r)
	l.mu.Lock()
	l.sent++
	if err == nil && resp.StatusCode == http.StatusTooManyRequests {
		l.refused++
	}
	l.mu.Unlock()
	time.Sleep(l.delay())
	return resp, err
}

// Whatever is under way together, ECOSIRE refuses nothing, however late its
// answers are.
func TestNeverMoreThanTheLimit(t *testing.T) {
	random := drawn(t)
	n, minutes := 2_000, 6
	if testing.Short() {
		n, minutes = 300, 2
	}
	for _, most := range []time.Duration{0, time.Duration(random.Float64() * float64(10*time.Second)), 10 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			slow := &late{random: rand.New(rand.NewPCG(random.Uint64(), 0)), most: most}
			w, err := NewWorld(n, Shopify, Percent, nil, func(cfg *syncer.Config) { cfg.Schedule = syncer.Never() })
			require.NoError(t, err)
			slow.RoundTripper = w.Ecosire
			source, err := ecosire.New(ecosire.Config{APIKey: "eco_live_test", HTTPClient: &http.Client{Transport: slow}})
			require.NoError(t, err)
			require.NoError(t, w.connect(syncer.Guard{}, func(cfg *syncer.Config) { cfg.Source, cfg.Schedule = source, syncer.Never() }))
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(minutes)*time.Minute)
			defer cancel()
			var wg sync.WaitGroup
			wg.Go(func() { _ = w.Syncer.Run(ctx) })
			rate := between(random, 0.1, 20)
			every := func(pause time.Duration, do func(i int)) {
				wg.Go(func() {
					for i := 0; wait(ctx, pause); i++ {
						do(i % n)
					}
				})
			}
			every(time.Duration(float64(time.Second)/rate), func(i int) {
				w.Ecosire.Sell(w.IDs[i], 1)
				_ = w.Syncer.Notify(ctx, w.IDs[i])
			})
			every(time.Second, func(int) { _, _ = w.Syncer.Reconcile(ctx) })
			every(3*time.Second, func(i int) { _, _ = w.Syncer.SyncProducts(ctx, w.IDs[i:min(n, i+250)]...) })
			every(20*time.Second, func(int) { _, _ = w.Syncer.Plan(ctx) })
			wg.Wait()
			time.Sleep(time.Minute) // what was left behind ends
			slow.mu.Lock()
			defer slow.mu.Unlock()
			assert.Zero(t, slow.refused, "of %d; answers up to %v late, %v events a second", slow.sent, most, rate)
			assert.Greater(t, slow.sent, (minutes-1)*45, "and it is used")
		})
	}
}
