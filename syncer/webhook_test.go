package syncer_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/ecosire"
	"github.com/ecosire/stocksync/syncer"
)

// orderly is a source that knows orders.
type orderly struct {
	*stock
	orders map[string][]string
	fails  int
}

func (o *orderly) OrderProducts(_ context.Context, id string) ([]string, error) {
	if o.fails > 0 {
		o.fails--
		return nil, channel.ErrUnavailable
	}
	ids, ok := o.orders[id]
	if !ok {
		return nil, fmt.Errorf("404: %w", channel.ErrInvalid)
	}
	return ids, nil
}

func deliver(h http.Handler, secret, body string) int {
	r := httptest.NewRequest("POST", "/any/path", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json; charset=utf-8")
	r.Header.Set("X-Ecosire-Signature", ecosire.Sign(secret, []byte(body)))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code
}

func TestARefundIsResolvedByRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := &orderly{stock: newStock(5), orders: map[string][]string{"o1": {"p0"}}, fails: 2}, shop("a", 1)
		hooks, err := ecosire.NewWebhooks("s3")
		require.NoError(t, err)
		s := configure(t, syncer.Config{Source: source, Webhooks: hooks}, m)
		for _, order := range []string{"o1", "gone"} {
			assert.Equal(t, 202, deliver(s.WebhookHandler(), "s3", `{"id":"evt_1","event":"charge.refunded","data":{"orderId":"`+order+`"}}`))
		}
		assert.Equal(t, 2, source.fails, "not in the request")
		defer running(t, s)()
		pass(10 * time.Second)
		shows(t, m, 5)
		assert.True(t, drained(t, s))
	})
}

func TestWebhookHandler(t *testing.T) {
	hooks, err := ecosire.NewWebhooks("new", "old")
	require.NoError(t, err)
	const good = `{"id":"evt_1","event":"checkout.completed","data":{"orderId":"o","lineItems":[{"productId":"p0","quantity":2},{"productId":"p0"}]}}`
	q := &brokenQueue{MemoryQueue: syncer.NewMemoryQueue()}
	var events, marks int
	s := configure(t, syncer.Config{Source: newStock(), Webhooks: hooks, Queue: q, Hooks: syncer.Hooks{
		Received: func(context.Context, channel.Event) { events++ }, Marked: func(context.Context, []string) { marks++ },
	}}, shop("a", 0), shop("b", 0))
	for _, tt := range []struct {
		name   string
		secret string
		body   string
		edit   func(*http.Request)
		want   int
		depth  int
	}{
		{"accepted", "new", good, nil, 202, 1},
		{"the old secret", "old", good, nil, 202, 1},
		{"prefixed signature", "new", good, func(r *http.Request) {
			r.Header.Set("X-Ecosire-Signature", "sha256="+r.Header.Get("X-Ecosire-Signature"))
		}, 202, 1},
		{"no stock", "new", `{"event":"license.activated","data":{"productId":"p0"}}`, nil, 202, 0},
		{"future event", "new", `{"event":"inventory.changed","data":{"productIds":["a","b"],"productId":"c"}}`, nil, 202, 3},
		{"null data", "new", `{"event":"invoice.paid","data":null}`, nil, 202, 0},
		{"wrong secret", "other", good, nil, 401, 0},
		{"no signature", "new", good, func(r *http.Request) { r.Header.Del("X-Ecosire-Signature") }, 401, 0},
		{"empty signature", "new", good, func(r *http.Request) { r.Header.Set("X-Ecosire-Signature", "sha256=") }, 401, 0},
		{"signature of another body", "new", good, func(r *http.Request) {
			r.Header.Set("X-Ecosire-Signature", ecosire.Sign("new", []byte(good+" ")))
		}, 401, 0},
		{"not JSON", "new", `{"event":`, nil, 400, 0},
		{"not an event", "new", `{}`, nil, 400, 0},
		{"ids of another type", "new", `{"event":"x","data":{"productIds":[1]}}`, nil, 400, 0},
		{"long id", "new", `{"event":"x","data":{"productId":"` + strings.Repeat("x", 200) + `"}}`, nil, 400, 0},
		{"many ids", "new", `{"event":"x","data":{"productIds":["` + strings.Join(manyIDs(1001), `","`) + `"]}}`, nil, 400, 0},
		{"GET", "new", good, func(r *http.Request) { r.Method = "GET" }, 405, 0},
		{"form", "new", good, func(r *http.Request) { r.Header.Set("Content-Type", "application/x-www-form-urlencoded") }, 415, 0},
		{"untyped", "new", good, func(r *http.Request) { r.Header.Del("Content-Type") }, 415, 0},
		{"large", "new", `"` + strings.Repeat("x", 1<<20) + `"`, nil, 413, 0},
		{"queue out of order", "new", good, func(*http.Request) { q.fail(errors.New("disk full")) }, 503, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			q.MemoryQueue = syncer.NewMemoryQueue()
			q.fail(nil)
			r := httptest.NewRequest("POST", "/hooks/ecosire", strings.NewReader(tt.body))
			r.Header.Set("Content-Type", "application/json")
			r.Header.Set("X-Ecosire-Signature", ecosire.Sign(tt.secret, []byte(tt.body)))
			if tt.edit != nil {
				tt.edit(r)
			}
			w := httptest.NewRecorder()
			s.WebhookHandler().ServeHTTP(w, r)
			assert.Equal(t, tt.want, w.Code)
			assert.Empty(t, w.Body.String(), "no detail")
			assert.Equal(t, tt.want == 503, w.Header().Get("Retry-After") != "")
			assert.Equal(t, tt.want == 405, w.Header().Get("Allow") == "POST")
			d, err := q.Depth(t.Context(), "inbox")
			require.NoError(t, err)
			assert.Equal(t, tt.depth, d.Tasks)
		})
	}
	assert.Equal(t, 7, events)
	assert.Equal(t, 4, marks)

	t.Run("no receiver means refuse", func(t *testing.T) {
		s := configure(t, syncer.Config{Source: newStock()}, shop("a", 0))
		assert.Equal(t, 401, deliver(s.WebhookHandler(), "", good))
		s = configure(t, syncer.Config{Source: newStock(), Webhooks: new(ecosire.Webhooks)}, shop("a", 0))
		assert.Equal(t, 401, deliver(s.WebhookHandler(), "", good))
	})
}

func manyIDs(n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprint(i)
	}
	return ids
}
