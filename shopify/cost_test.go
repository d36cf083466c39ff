package shopify

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/shopify/shopifytest"
)

const searchMany = `query Many($q: String!) { inventoryItems(first: 250, query: $q) { nodes { id sku } } }`

func TestPaceUsesTheRateFullyAndIsNeverThrottled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := shopifytest.New(shopifytest.Config{Latency: 80 * time.Millisecond})
		client := open(t, shop).client
		const callers, calls = 8, 60
		var spent float64
		var mu sync.Mutex
		shop.Inject(channeltest.Fault{Times: -1, Rewrite: func(status int, _ http.Header, body []byte) (int, []byte) {
			assert.NotContains(t, string(body), "THROTTLED")
			var answer struct {
				Extensions struct {
					Cost struct {
						Actual *float64 `json:"actualQueryCost"`
					}
				}
			}
			assert.NoError(t, json.Unmarshal(body, &answer))
			mu.Lock()
			defer mu.Unlock()
			spent += *answer.Extensions.Cost.Actual
			return status, body
		}})
		start := time.Now()
		var group sync.WaitGroup
		for range callers {
			group.Go(func() {
				for range calls {
					var data struct{}
					assert.NoError(t, client.Query(t.Context(), `{ locations(first: 250) { nodes { id } } }`, nil, &data))
					assert.NoError(t, client.Query(t.Context(), searchMany, map[string]any{"q": "sku:'none'"}, &data))
				}
			})
		}
		group.Wait()
		took := time.Since(start).Seconds()
		assert.Equal(t, callers*calls*2, shop.Count(nil), "each call is one request")
		fastest := (spent - 2000) / 100
		require.Positive(t, fastest, "the test must use up the bucket")
		assert.Less(t, took, fastest+4, "%v points", spent)
	})
}

func TestAnotherProcessDrainsTheBucket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := shopifytest.New(shopifytest.Config{})
		ch := open(t, shop)
		skus := stock(shop, 3)
		levels(t, ch, skus...)
		shop.Drain(2000)
		shop.Forget()
		start := time.Now()
		levels(t, ch, skus...) // is throttled, and waits
		assert.Equal(t, 2, shop.Count(nil))
		assert.GreaterOrEqual(t, time.Since(start), time.Second)
		shop.Forget()
		levels(t, ch, skus...) // knows now
		assert.Equal(t, 1, shop.Count(nil))
	})
}

func TestThrottledWaitsAsLongAsThePointsNeed(t *testing.T) {
	for _, test := range []struct {
		name, cost string
		want       time.Duration
	}{
		{"as told", `{"requestedQueryCost":900,"actualQueryCost":null,"throttleStatus":{"maximumAvailable":2000.0,"currentlyAvailable":400,"restoreRate":100.0}}`, 5 * time.Second},
		{"a second at least", `{"requestedQueryCost":10,"throttleStatus":{"maximumAvailable":2000,"currentlyAvailable":9,"restoreRate":100}}`, time.Second},
		{"no cost told", `null`, time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				shop := shopifytest.New(shopifytest.Config{})
				ch := open(t, shop)
				// The message says nothing on purpose: the code counts.
				shop.Inject(once(answering(findItems, 200, `{"errors":[{"message":"x","extensions":{"code":"THROTTLED"}}],"extensions":{"cost":`+test.cost+`}}`)))
				start := time.Now()
				levels(t, ch, "A")
				assert.InDelta(t, test.want.Seconds(), time.Since(start).Seconds(), 0.1)
			})
		})
	}
}

func TestThrottledForeverIsUnavailableAndSaysHowLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := shopifytest.New(shopifytest.Config{})
		ch := open(t, shop)
		shop.Inject(answering(findItems, 200, `{"errors":[{"message":"Throttled","extensions":{"code":"THROTTLED"}}],"extensions":{"cost":{"requestedQueryCost":500,"throttleStatus":{"maximumAvailable":2000,"currentlyAvailable":0,"restoreRate":100}}}}`))
		_, err := ch.Levels(t.Context(), []string{"A"})
		require.ErrorIs(t, err, channel.ErrUnavailable)
		wait, ok := channel.RetryAfter(err)
		assert.True(t, ok)
		assert.Equal(t, 5*time.Second, wait)
	})
}

func TestTooManyRequestsHonoursRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := shopifytest.New(shopifytest.Config{})
		ch := open(t, shop)
		shop.Inject(channeltest.Fault{Status: 429, Header: http.Header{"Retry-After": {"2.0"}}})
		start := time.Now()
		levels(t, ch, "A")
		assert.Equal(t, 2*time.Second, time.Since(start))
	})
}

func TestWaitingForPointsLooksAtTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBucket()
		_, err := b.take(t.Context(), "a", 1990)
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var group sync.WaitGroup
		for range 3 { // the first in the queue, and those behind it
			group.Go(func() {
				_, err := b.take(ctx, "b", 1000)
				assert.ErrorIs(t, err, context.DeadlineExceeded)
			})
		}
		group.Wait()
	})
}

// An answer may be older than a call that ended before it.
func TestAnswersThatOvertakeEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBucket()
		told := func(actual, left float64) *cost {
			return &cost{requested: actual, actual: actual, maximum: 2000, available: left, rate: 100}
		}
		first, _ := b.take(t.Context(), "a", 100)
		second, _ := b.take(t.Context(), "b", 500)
		b.settle(second, told(500, 1400))
		b.settle(first, told(100, 1900)) // made before the second call arrived
		assert.LessOrEqual(t, b.points, 1400.0)
		assert.Zero(t, b.held)
	})
}

func TestCallDearerThanTheBucketStillGoesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBucket()
		_, err := b.take(t.Context(), "a", 5000)
		require.NoError(t, err)
	})
}
