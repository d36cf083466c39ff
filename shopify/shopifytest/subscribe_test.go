package shopifytest_test

import (
	"io"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/ecosire/stocksync/shopify/shopifytest"
)

// hook is a handler that answers a status, or hangs at 0, and notes when it was
// asked.
type hook struct {
	mu     sync.Mutex
	status int
	at     []time.Duration
	began  time.Time
	bodies []string
}

func (h *hook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	h.mu.Lock()
	h.at = append(h.at, time.Since(h.began))
	h.bodies = append(h.bodies, string(body))
	status := h.status
	h.mu.Unlock()
	if status == 0 {
		<-r.Context().Done()
		return
	}
	w.WriteHeader(status)
}

func (h *hook) times() []time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.at
}

func TestSubscription(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := shopifytest.New(shopifytest.Config{})
		s.Add(shopifytest.Item{SKU: "A", Available: 5})
		h := &hook{status: 202, began: time.Now()}
		unsubscribe := s.Subscribe(shopifytest.Subscription{Handler: h, Delay: func() time.Duration { return 3 * time.Second }})
		s.Sell("A", 2)
		time.Sleep(time.Minute)
		assert.Equal(t, []time.Duration{3 * time.Second}, h.times(), "it is answered, and not made again")
		assert.Contains(t, h.bodies[0], `"available":3`)
		unsubscribe()
		s.Sell("A", 1)
		time.Sleep(time.Minute)
		assert.Len(t, h.times(), 1)
	})
}

func TestSubscriptionThatFailsIsDeleted(t *testing.T) {
	for _, status := range []int{0, 302, 401, 503} {
		synctest.Test(t, func(t *testing.T) {
			s := shopifytest.New(shopifytest.Config{})
			s.Add(shopifytest.Item{SKU: "A", Available: 5})
			h := &hook{status: status, began: time.Now()}
			s.Subscribe(shopifytest.Subscription{Handler: h})
			s.Set("A", 4)
			time.Sleep(5 * time.Hour)
			at := h.times()
			assert.Len(t, at, 9, "eight times again")
			assert.InDelta(t, 4*time.Hour, at[8]-at[0], float64(5*time.Minute))
			assert.Zero(t, s.Subscribed())
		})
	}
}

func TestSubscriptionLosesAndDoubles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := shopifytest.New(shopifytest.Config{})
		s.Add(shopifytest.Item{SKU: "A", Available: 5})
		h := &hook{status: 200, began: time.Now()}
		copies := 0
		s.Subscribe(shopifytest.Subscription{Handler: h, Copies: func() int { copies++; return copies - 1 }})
		for n := range 3 {
			s.Set("A", n)
		}
		time.Sleep(time.Minute)
		assert.Len(t, h.times(), 0+1+2)
	})
}
