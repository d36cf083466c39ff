package woocommercetest_test

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/woocommerce/woocommercetest"
)

type hook struct {
	mu     sync.Mutex
	status int
	pings  int
	bodies []string
}

func (h *hook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	h.mu.Lock()
	defer h.mu.Unlock()
	if r.Header.Get("X-WC-Webhook-Signature") == "" {
		h.pings++
	} else {
		h.bodies = append(h.bodies, string(body))
	}
	w.WriteHeader(h.status)
}

func (h *hook) got() (pings int, bodies []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.pings, h.bodies
}

func (h *hook) answer(status int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.status = status
}

func TestWebhookDeliversWhatIsThereThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := woocommercetest.New(woocommercetest.Config{})
		parent := s.Add(woocommercetest.Product{SKU: "P", Type: "variable", Quantity: 9})[0]
		s.Add(woocommercetest.Product{SKU: "A", Quantity: 5}, woocommercetest.Product{SKU: "V", Type: "variation", ParentID: parent, Stock: woocommercetest.ByParent})
		h := &hook{status: 200}
		s.Subscribe(woocommercetest.Subscription{Handler: h, Secret: "s", Cron: func() time.Duration { return time.Minute }})
		pings, _ := h.got()
		require.Equal(t, 1, pings, "the ping comes at once, and is not signed")
		s.Sell("A", 1)
		s.Sell("A", 2)
		time.Sleep(59 * time.Second)
		_, bodies := h.got()
		assert.Empty(t, bodies)
		time.Sleep(2 * time.Second)
		_, bodies = h.got()
		require.Len(t, bodies, 1, "two sales are one delivery")
		assert.Contains(t, bodies[0], `"stock_quantity":2`)
		s.Sell("V", 1)
		time.Sleep(2 * time.Minute)
		_, bodies = h.got()
		require.Len(t, bodies, 2)
		assert.Contains(t, bodies[1], `"sku":"P"`, "where the parent has the stock it is the parent that is delivered")
	})
}

func TestWebhookThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := woocommercetest.New(woocommercetest.Config{})
		s.Add(woocommercetest.Product{SKU: "A", Quantity: 100})
		h := &hook{status: 503}
		hook := s.Subscribe(woocommercetest.Subscription{Handler: h})
		sell := func(times int) {
			for range times {
				s.Sell("A", 1)
				time.Sleep(time.Minute)
			}
		}
		sell(6)
		pings, bodies := h.got()
		assert.Len(t, bodies, 6, "none is made again")
		assert.Equal(t, 7, pings, "while no ping has succeeded")
		assert.False(t, hook.Disabled())
		h.answer(302)
		sell(1)
		h.answer(401)
		sell(6)
		assert.False(t, hook.Disabled(), "a success sets the count back")
		sell(1)
		assert.True(t, hook.Disabled())
		sell(3)
		_, bodies = h.got()
		assert.Len(t, bodies, 14, "nothing comes any more")
		assert.True(t, strings.HasPrefix(bodies[0], "{"))
	})
}
