package syncer_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/ecosire"
	"github.com/ecosire/stocksync/syncer"
)

// requester is a channel that tells of a request for each call.
type requester struct{ channel.Channel }

func (r requester) Unwrap() channel.Channel { return r.Channel }

func (r requester) Push(ctx context.Context, updates []channel.Update) error {
	if tell := channel.Requests(ctx); tell != nil {
		tell(ctx, channel.Request{Service: "shop", Op: "push", Status: 200})
	}
	return r.Channel.Push(ctx, updates)
}

func (requester) Quota() (channel.Quota, bool) {
	return channel.Quota{Left: 7, Limit: 60, Unit: "request"}, true
}

func TestTheHostHearsOfRequestsByChannel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var heard []string
		var mu sync.Mutex
		hooks := syncer.Hooks{Request: func(_ context.Context, name string, r channel.Request) {
			mu.Lock()
			defer mu.Unlock()
			heard = append(heard, name+" "+r.Op)
		}}
		a := shop("a", 1)
		s := configure(t, syncer.Config{Source: newStock(5), Hooks: hooks}, requester{a})
		_, err := s.SyncProducts(t.Context(), "p0")
		require.NoError(t, err)
		assert.Equal(t, []string{"a push"}, heard, "told once, however many layers there are")
	})
}

func TestHealthIsToldWhileRunRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []syncer.Health
		var mu sync.Mutex
		hooks := syncer.Hooks{Health: func(_ context.Context, h syncer.Health, err error) {
			mu.Lock()
			defer mu.Unlock()
			assert.NoError(t, err)
			told = append(told, h)
		}}
		s := configure(t, syncer.Config{Source: newStock(5), Hooks: hooks}, requester{shop("a", 1)})
		stop := running(t, s)
		pass(time.Second)
		require.NoError(t, s.Notify(t.Context(), "p0"))
		pass(30 * time.Second)
		stop()
		require.Len(t, told, 4, "at once, twice in 31 seconds, and at the end")
		assert.True(t, told[0].Running)
		assert.Zero(t, told[0].Progress, "nothing was done yet")
		assert.WithinDuration(t, time.Now().Add(-30*time.Second), told[2].Progress, time.Second)
		assert.Equal(t, &channel.Quota{Left: 7, Limit: 60, Unit: "request"}, told[2].Channels[0].Quota)
		assert.Nil(t, told[2].Quota, "this source has none")
		assert.False(t, told[3].Running)
	})
}

func TestEachProductHasItsDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var delays []time.Duration
		var mu sync.Mutex
		s := configure(t, syncer.Config{Source: newStock(5, 6), Gather: 100 * time.Millisecond, Hooks: syncer.Hooks{Pushed: func(_ context.Context, p syncer.Pushed) {
			mu.Lock()
			defer mu.Unlock()
			delays = append(delays, p.Delays...)
		}}}, shop("a", 1)) // has no SKU-1
		require.NoError(t, s.Notify(t.Context(), "p0", "p1"))
		time.Sleep(time.Second) // before Run
		defer running(t, s)()
		pass(5 * time.Second)
		assert.Equal(t, []time.Duration{1100 * time.Millisecond}, delays, "what the channel does not have is not shown")
	})
}

const span = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func TestADeliveryHasAContextWhoseTraceGoesWithItsMarks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type key struct{}
		var statuses []int
		var links [][]string
		var mu sync.Mutex
		hooks, err := ecosire.NewWebhooks("s3")
		require.NoError(t, err)
		s := configure(t, syncer.Config{Source: newStock(5), Webhooks: hooks, Hooks: syncer.Hooks{
			Delivery: func(ctx context.Context, r *http.Request) (context.Context, func(int)) {
				return context.WithValue(ctx, key{}, span), func(status int) { statuses = append(statuses, status) }
			},
			Trace: func(ctx context.Context) string { trace, _ := ctx.Value(key{}).(string); return trace },
			Work: func(ctx context.Context, w syncer.Work) (context.Context, func(syncer.WorkDone)) {
				mu.Lock()
				defer mu.Unlock()
				links = append(links, w.Links)
				return ctx, nil
			},
		}}, shop("a", 1))
		post := func(secret string) int {
			body := `{"id":"e","event":"checkout.completed","data":{"productId":"p0"}}`
			r := httptest.NewRequest("POST", "/", strings.NewReader(body))
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set("X-Ecosire-Signature", ecosire.Sign(secret, []byte(body)))
			r.Header.Set("Traceparent", "00-11111111111111111111111111111111-1111111111111111-01")
			w := httptest.NewRecorder()
			s.WebhookHandler().ServeHTTP(w, r)
			return w.Code
		}
		assert.Equal(t, http.StatusAccepted, post("s3"))
		assert.Equal(t, http.StatusUnauthorized, post("wrong"))
		defer running(t, s)()
		pass(time.Second)
		assert.Equal(t, []int{202, 401}, statuses)
		assert.Equal(t, [][]string{{span}}, links, "the hook's counts more than the header")
	})
}

// A host without hooks pays nothing for them.
func TestHooksThatNobodySetCostNothing(t *testing.T) {
	ctx := t.Context()
	assert.Zero(t, testing.AllocsPerRun(100, func() { syncer.Unobserved(ctx) }))
}
