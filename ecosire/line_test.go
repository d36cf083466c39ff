package ecosire_test

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/ecosire"
)

// A page that is given up while the key is asked for is in nobody's way.
func TestAPageThatIsNeverAskedForLeavesTheLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := server(5000)
		var mu sync.Mutex
		hangs := false
		c, err := ecosire.New(ecosire.Config{
			HTTPClient: &http.Client{Transport: s},
			RotatingKey: func(ctx context.Context) (string, error) {
				mu.Lock()
				hang := hangs
				hangs = false
				mu.Unlock()
				if hang {
					<-ctx.Done()
				}
				return "eco_live_test", ctx.Err()
			},
		})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		n := 0
		for _, err := range c.Stock(ctx) {
			if n++; n == 100 {
				time.Sleep(2 * time.Minute) // the key is asked for anew, in vain
				mu.Lock()
				hangs = true
				mu.Unlock()
				time.AfterFunc(time.Second, cancel)
			}
			if err != nil {
				break
			}
		}
		cancel()
		within, stop := context.WithTimeout(t.Context(), 10*time.Minute)
		defer stop()
		for _, u := range []channel.Urgency{channel.Urgent, channel.Soon, channel.Background} {
			assert.NoError(t, look(channel.WithUrgency(within, u), c), u)
		}
	})
}

// What waits for a moment that moves on does not ask for it again and again, without
// a pause, until something is answered.
func TestAMomentIsAsGoodAsNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &minute{after: func(n int) time.Duration {
			if n == 1 || n > 4 {
				return 0
			}
			return 3*time.Second + 500*time.Microsecond
		}}
		c := scheduled(t, m, nil)
		require.NoError(t, ask(t.Context(), c))
		time.Sleep(60*time.Second + 500*time.Millisecond)
		var wg sync.WaitGroup
		for range 3 { // under way when the window ends: 57 of 60 are left
			wg.Go(func() { assert.NoError(t, ask(t.Context(), c)) })
		}
		time.Sleep(3 * time.Second)
		start := time.Now()
		require.NoError(t, ask(channel.WithUrgency(t.Context(), channel.Soon), c))
		assert.Less(t, time.Since(start), 100*time.Microsecond)
		wg.Wait()
	})
}
