package amazon_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/amazon/amazontest"
	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
)

// A quota that other processes use up is survived, without a word of for how
// long it lasts.
func TestTrap429WithoutRetryAfter(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := amazontest.New(amazontest.Config{Latency: 100 * time.Millisecond})
		skus := stock(s, 200)
		ch := open(t, s)
		stop := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() { // half of all there is
			for {
				select {
				case <-stop:
					return
				case <-time.After(400 * time.Millisecond):
					s.Drain("patchListingsItem", 1)
					s.Drain("searchListingsItems", 1)
				}
			}
		})
		var updates []channel.Update
		for _, sku := range skus {
			updates = append(updates, to(sku, 99))
		}
		start := time.Now()
		assert.Empty(t, outcome(t, ch.Push(t.Context(), updates)))
		close(stop)
		wg.Wait()
		_, throttled := s.Calls("patchListingsItem")
		assert.NotZero(t, throttled)
		assert.Less(t, throttled, 60)
		assert.Less(t, time.Since(start), 2*80*time.Second, "of which 78 s are the least")
		for _, sku := range skus {
			assert.Equal(t, 99, quantity(t, s, sku))
		}
	})
}

func TestThePaceFollowsTheHeaderBothWays(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := amazontest.New(amazontest.Config{Latency: 100 * time.Millisecond})
		skus := stock(s, 2000)
		ch := open(t, s)
		took := func() time.Duration {
			start := time.Now()
			_, err := ch.Levels(t.Context(), skus)
			require.NoError(t, err)
			return time.Since(start)
		}
		assert.InDelta(t, 19.1, took().Seconds(), 0.5)
		time.Sleep(time.Minute)
		s.SetRate("searchListingsItems", 20)
		assert.InDelta(t, 5, took().Seconds(), 1)
		time.Sleep(time.Minute)
		s.SetRate("searchListingsItems", 1)
		assert.InDelta(t, 95, took().Seconds(), 12)
		_, throttled := s.Calls("searchListingsItems")
		assert.Less(t, throttled, 20)

		// What makes no sense is not believed.
		for _, limit := range []string{"0", "-1", "NaN", "1e99", "Inf", "soon", ""} {
			s := amazontest.New(amazontest.Config{Latency: 100 * time.Millisecond})
			skus := stock(s, 300)
			ch := open(t, s)
			s.Inject(channeltest.Fault{Match: channeltest.On("GET", ""), Times: -1, Rewrite: func(status int, h http.Header, body []byte) (int, []byte) {
				h.Set("x-amzn-RateLimit-Limit", limit)
				return status, body
			}})
			start := time.Now()
			_, err := ch.Levels(t.Context(), skus)
			assert.NoError(t, err)
			assert.Less(t, time.Since(start), 10*time.Second, limit)
		}
	})
}

func TestWorkThatCanWaitComesLast(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := amazontest.New(amazontest.Config{Latency: 100 * time.Millisecond})
		skus := stock(s, 2000)
		ch := open(t, s)
		var wg sync.WaitGroup
		wg.Go(func() {
			ctx := channel.WithUrgency(t.Context(), channel.Background)
			ls, err := ch.Levels(ctx, skus[:1900])
			assert.NoError(t, err)
			assert.Len(t, ls, 1900)
		})
		for i := range 20 {
			time.Sleep(time.Second)
			start := time.Now()
			_, err := ch.Levels(t.Context(), skus[1900+i:1901+i])
			require.NoError(t, err)
			assert.LessOrEqual(t, time.Since(start), 200*time.Millisecond, "a share of the burst is left to it")
		}
		wg.Wait()
		_, throttled := s.Calls("")
		assert.Zero(t, throttled)
	})
	// What nobody told of goes between the two.
	bubble(t, func(t *testing.T) {
		s := amazontest.New(amazontest.Config{})
		skus := stock(s, 600)
		ch := open(t, s)
		var mu sync.Mutex
		var order []channel.Urgency
		var wg sync.WaitGroup
		for u := channel.Background; u >= channel.Urgent; u-- {
			time.Sleep(time.Millisecond) // the least urgent comes first
			wg.Go(func() {
				_, err := ch.Levels(channel.WithUrgency(t.Context(), u), skus[200*u:200*u+200])
				assert.NoError(t, err)
				mu.Lock()
				defer mu.Unlock()
				order = append(order, u)
			})
		}
		wg.Wait()
		assert.Equal(t, []channel.Urgency{channel.Urgent, channel.Soon, channel.Background}, order)
	})
}

func TestAWaitForTheQuotaEndsWithTheContext(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := amazontest.New(amazontest.Config{})
		skus := stock(s, 1000)
		ch := open(t, s)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		_, err := ch.Levels(ctx, skus)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, time.Second, time.Since(start))
		var updates []channel.Update
		for _, sku := range skus[:100] {
			updates = append(updates, to(sku, 7))
		}
		ctx, cancel = context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		err = ch.Push(ctx, updates)
		errs, ok := err.(channel.Errors)
		require.True(t, ok)
		pending, done := 0, 0
		for _, err := range errs {
			if isPending(err) {
				pending++
			} else if errors.Is(err, context.DeadlineExceeded) {
				done++
			}
		}
		assert.NotZero(t, pending)
		assert.Equal(t, 100, pending+done, "each is known or not")
		assert.Empty(t, levels(t, ch))
	})
}
