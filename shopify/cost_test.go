package shopify

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/internal/racetest"
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

// Work on the whole catalogue uses the rate fully, and an event does not wait
// behind it.
func TestWhatIsUrgentDoesNotWaitForTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := shopifytest.New(shopifytest.Config{Latency: 80 * time.Millisecond})
		client := open(t, shop).client
		const callers, calls = 8, 40
		ctx := channel.WithUrgency(t.Context(), channel.Background)
		search := func(ctx context.Context) {
			var data struct{}
			assert.NoError(t, client.Query(ctx, searchMany, map[string]any{"q": "sku:'none'"}, &data))
		}
		start := time.Now()
		shop.Drain(1900)
		var group sync.WaitGroup
		for range callers {
			group.Go(func() {
				for range calls {
					search(ctx)
				}
			})
		}
		for range 20 {
			time.Sleep(500 * time.Millisecond)
			sent := time.Now()
			search(t.Context())
			assert.LessOrEqual(t, time.Since(sent), 1200*time.Millisecond)
		}
		group.Wait()
		assert.Less(t, time.Since(start), 30*time.Second)
		assert.Less(t, shop.Count(nil), callers*calls+20+5, "hardly any is throttled")
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

// Nobody waits for long because of what an answer says of points.
func TestOddPointsAreBelievedUpToABound(t *testing.T) {
	for name, status := range map[string]string{
		"hugely negative":      `{"maximumAvailable":2000,"currentlyAvailable":-1000000000000,"restoreRate":100}`,
		"negative, small rate": `{"maximumAvailable":2000,"currentlyAvailable":-2000,"restoreRate":0.000001}`,
		"a huge bucket":        `{"maximumAvailable":1e300,"currentlyAvailable":-1e300,"restoreRate":100}`,
		"everything is huge":   `{"maximumAvailable":1.7e308,"currentlyAvailable":-1.7e308,"restoreRate":1.7e308}`,
		"more than it holds":   `{"maximumAvailable":2000,"currentlyAvailable":1e300,"restoreRate":100}`,
		"a tiny bucket":        `{"maximumAvailable":1e-300,"currentlyAvailable":0,"restoreRate":1e-300}`,
		"nothing":              `{"maximumAvailable":0,"currentlyAvailable":0,"restoreRate":0}`,
		"below zero":           `{"maximumAvailable":-2000,"currentlyAvailable":0,"restoreRate":-100}`,
		"text":                 `{"maximumAvailable":"2000","currentlyAvailable":"0","restoreRate":"100"}`,
		"null":                 `null`,
		"beyond a float":       `{"maximumAvailable":2000,"currentlyAvailable":-1e999,"restoreRate":100}`,
	} {
		t.Run(name, func(t *testing.T) {
			if name != "hugely negative" {
				racetest.Long(t)
			}
			synctest.Test(t, func(t *testing.T) {
				shop := shopifytest.New(shopifytest.Config{Bucket: 1e6, RestoreRate: 1e6})
				var log bytes.Buffer
				ch := open(t, shop, func(c *Config, _ *ChannelConfig) { c.Logger = logger(&log) })
				shop.Inject(shopifytest.OddPoints(status))
				skus := stock(shop, 260)
				start := time.Now()
				for range 3 {
					require.Len(t, levels(t, ch, skus...), 260)
				}
				assert.Less(t, time.Since(start), 8*time.Minute)
				shop.Heal()
				levels(t, ch, skus...) // learns the truth
				start = time.Now()
				levels(t, ch, skus...)
				assert.Less(t, time.Since(start), time.Second)
				assert.LessOrEqual(t, strings.Count(log.String(), "level=WARN"), 8)
				if name == "hugely negative" || name == "a huge bucket" {
					assert.Contains(t, log.String(), "cannot be")
				}
			})
		})
	}
}

func TestOddCostsAreBelievedUpToABound(t *testing.T) {
	for _, costs := range []string{
		`"requestedQueryCost":1e15,"actualQueryCost":1e15`, `"requestedQueryCost":-1e15,"actualQueryCost":-1e15`, `"requestedQueryCost":1e15,"actualQueryCost":null`,
	} {
		synctest.Test(t, func(t *testing.T) {
			shop := shopifytest.New(shopifytest.Config{})
			ch := open(t, shop)
			skus := stock(shop, 3)
			shop.Inject(channeltest.Fault{Times: -1, Rewrite: func(status int, _ http.Header, body []byte) (int, []byte) {
				return status, regexp.MustCompile(`"actualQueryCost":[\d.]+,"requestedQueryCost":[\d.]+`).ReplaceAllLiteral(body, []byte(costs))
			}})
			levels(t, ch, skus...)
			start := time.Now()
			for range 20 {
				levels(t, ch, skus...)
			}
			assert.Less(t, time.Since(start), 100*time.Millisecond)
		})
	}
}

func TestWaitAfterThrottledIsCapped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := shopifytest.New(shopifytest.Config{})
		ch := open(t, shop)
		shop.Inject(answering(findItems, 200, `{"errors":[{"message":"x","extensions":{"code":"THROTTLED"}}],"extensions":{"cost":{"requestedQueryCost":900,"throttleStatus":{"maximumAvailable":2000,"currentlyAvailable":-1e12,"restoreRate":0.001}}}}`))
		_, err := ch.Levels(t.Context(), []string{"A"})
		wait, ok := channel.RetryAfter(err)
		assert.True(t, ok)
		assert.LessOrEqual(t, wait, maxThrottle)
		shop.Heal()
		shop.Inject(channeltest.Fault{Status: 429, Header: http.Header{"Retry-After": {"86400000000"}}, Times: -1})
		_, err = ch.Levels(t.Context(), []string{"A"})
		wait, _ = channel.RetryAfter(err)
		assert.LessOrEqual(t, wait, 15*time.Minute)
	})
}

func TestOddLifeOfAToken(t *testing.T) {
	for life, most := range map[string]int{`-5`: 1, `0`: 1, `1`: 2, `1e300`: 1, `"x"`: 1, `null`: 1, `86399`: 1} {
		synctest.Test(t, func(t *testing.T) {
			shop := shopifytest.New(shopifytest.Config{})
			ch := open(t, shop, func(c *Config, _ *ChannelConfig) { c.Token = ClientCredentials("client-id", "client-secret") })
			grant := channeltest.On("POST", "/admin/oauth/access_token")
			shop.Inject(channeltest.Fault{Match: grant, Times: -1, Rewrite: func(status int, _ http.Header, body []byte) (int, []byte) {
				return status, []byte(strings.Replace(string(body), "86399", life, 1))
			}})
			for range 30 {
				levels(t, ch, "A")
				time.Sleep(10 * time.Second)
			}
			assert.LessOrEqual(t, shop.Count(grant), most, life)
		})
	}
}
