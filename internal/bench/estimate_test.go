package bench

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/internal/racetest"
	"github.com/ecosire/stocksync/syncer"
)

// What Progress says about the end of a run is right to within seconds, of the
// minutes that the quota makes it take.
func TestTheEstimateOfTheEnd(t *testing.T) {
	racetest.Long(t)
	synctest.Test(t, func(t *testing.T) {
		const n = 25_000
		var mu sync.Mutex
		var told []syncer.Progress
		var at []time.Time
		w, err := NewWorld(n, WooCommerce, Agreed, nil, func(c *syncer.Config) {
			c.Hooks.Progress = func(_ context.Context, p syncer.Progress) {
				mu.Lock()
				defer mu.Unlock()
				told, at = append(told, p), append(at, time.Now())
			}
		})
		require.NoError(t, err)
		began := time.Now()
		_, err = w.Syncer.Reconcile(t.Context())
		require.NoError(t, err)
		mu.Lock()
		defer mu.Unlock()
		var read time.Time // all of it
		for i, p := range told {
			assert.Equal(t, n, p.Total)
			if p.Read >= n && read.IsZero() {
				read = at[i]
				assert.Zero(t, p.Ends, "nothing is left")
			}
		}
		require.Greater(t, read.Sub(began), 3*time.Minute)
		estimates, worst := 0, time.Duration(0)
		for i, p := range told {
			if p.Ends.IsZero() {
				continue
			}
			estimates++
			assert.False(t, p.Ends.Before(at[i]))
			worst = max(worst, p.Ends.Sub(read).Abs())
		}
		assert.Greater(t, estimates, 50)
		assert.LessOrEqual(t, worst, 15*time.Second)
		t.Logf("%d estimates, the worst off by %v, of a reading of %v", estimates, worst.Round(time.Second), read.Sub(began).Round(time.Second))
	})
}
