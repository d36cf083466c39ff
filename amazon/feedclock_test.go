package amazon_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/amazon/amazontest"
)

// setBack makes the store one that was written before the clock was set back.
func (s *store) setBack(t *testing.T, by time.Duration) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, value := range s.values {
		var feeds []map[string]any
		if json.Unmarshal(value, &feeds) != nil {
			continue
		}
		for _, f := range feeds {
			for _, key := range []string{"added", "tried", "taken", "next"} {
				if text, ok := f[key].(string); ok {
					at, err := time.Parse(time.RFC3339Nano, text)
					require.NoError(t, err)
					f[key] = at.Add(by)
				}
			}
		}
		var err error
		s.values[name], err = json.Marshal(feeds)
		require.NoError(t, err)
	}
}

// Where the clock is set back between two processes a feed waits no longer than
// before, in whichever phase it is.
func TestAFeedOutlivesAClock(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for after := range 6 {
			f := newFed(t, amazontest.Config{Lag: time.Minute}, 120)
			f.run(hundred, 120)
			for range after {
				time.Sleep(f.again)
				_, f.again, _ = f.Resume(t.Context())
			}
			f.store.setBack(t, 10*24*time.Hour)
			f.restart()
			start := time.Now()
			for range 5 {
				if all := f.resume(); len(all) == 120 || len(all) == 0 {
					break
				}
			}
			assert.Less(t, time.Since(start), 2*time.Hour, "after %d steps", after)
			for i, sku := range f.skus {
				assert.Equal(t, 100+i, quantity(t, f.seller, sku))
			}
			assert.Len(t, f.seller.Feeds(), 1)
		}
	})
}
