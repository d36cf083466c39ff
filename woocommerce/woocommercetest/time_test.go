package woocommercetest_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/woocommerce/woocommercetest"
)

func TestTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := batchShop(woocommercetest.Config{RequestTime: time.Second, ItemReadTime: time.Millisecond, ItemWriteTime: 20 * time.Millisecond})
		for _, tt := range []struct {
			method, path, body string
			want               time.Duration
		}{
			{"GET", "products?sku=S1,S2,NOPE", "", time.Second + 2*time.Millisecond},
			{"GET", "products/1", "", time.Second + time.Millisecond},
			{"PUT", "products/1", `{"stock_quantity":7}`, time.Second + 20*time.Millisecond},
			{"POST", "products/batch", `{"update":[{"id":1},{"id":2},{"id":999}]}`, time.Second + 40*time.Millisecond},
			{"POST", "products/batch", `{}`, time.Second},
		} {
			start := time.Now()
			ask(t, s, tt.method, tt.path, tt.body)
			assert.Equal(t, tt.want, time.Since(start), tt.path+tt.body)
		}
	})
}

func TestCores(t *testing.T) {
	for cores, want := range map[int]time.Duration{1: 4 * time.Second, 2: 2 * time.Second, 4: time.Second, 8: time.Second, 0: time.Second} {
		synctest.Test(t, func(t *testing.T) {
			s := batchShop(woocommercetest.Config{RequestTime: time.Second, Cores: cores})
			start := time.Now()
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() { ask(t, s, "GET", "products/1", "") })
			}
			wg.Wait()
			assert.Equal(t, want, time.Since(start), "%d cores", cores)
		})
	}
}

// TestNoCompareAndSet puts an order of 2 between the loading and the saving
// of a product that starts at 100.
func TestNoCompareAndSet(t *testing.T) {
	for _, tt := range []struct {
		name, body string
		want       int
	}{
		{"an absolute quantity forgets the order", `{"stock_quantity":90}`, 90},
		{"the quantity that was loaded is not written", `{"stock_quantity":100}`, 98},
		{"a delta forgets the order", `{"inventory_delta":-5}`, 95},
		{"another field leaves stock alone", `{"name":"x"}`, 98},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := woocommercetest.New(woocommercetest.Config{ItemWriteTime: 20 * time.Millisecond})
				s.Add(woocommercetest.Product{ID: 1, SKU: "A", Quantity: 100})
				var got answer
				var wg sync.WaitGroup
				wg.Go(func() { got = ask(t, s, "PUT", "products/1", tt.body) })
				time.Sleep(10 * time.Millisecond)
				s.Sell("A", 2)
				wg.Wait()
				n, _ := s.Quantity("A")
				assert.Equal(t, tt.want, n)
				assert.EqualValues(t, tt.want, got.field(t, "stock_quantity"))
			})
		})
	}
}

func updates(n, quantity int) string {
	var items []string
	for id := 1; id <= n; id++ {
		items = append(items, fmt.Sprintf(`{"id":%d,"stock_quantity":%d}`, id, quantity))
	}
	return `{"update":[` + strings.Join(items, ",") + `]}`
}

func TestOverlappingBatchesInterleave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := batchShop(woocommercetest.Config{ItemWriteTime: 20 * time.Millisecond})
		reversed := `{"update":[{"id":5,"stock_quantity":22},{"id":4,"stock_quantity":22},{"id":3,"stock_quantity":22},{"id":2,"stock_quantity":22},{"id":1,"stock_quantity":22}]}`
		var wg sync.WaitGroup
		wg.Go(func() { ask(t, s, "POST", "products/batch", updates(5, 11)) })
		time.Sleep(time.Millisecond)
		wg.Go(func() { ask(t, s, "POST", "products/batch", reversed) })
		wg.Wait()
		assert.Equal(t, []int{22, 22, 22, 11, 11}, quantities(s, "S1", "S2", "S3", "S4", "S5"))
	})
}

func TestAClientThatGivesUpDoesNotStopTheShop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := batchShop(woocommercetest.Config{ItemWriteTime: time.Second})
		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer cancel()
		req, _ := http.NewRequestWithContext(ctx, "POST", api+"products/batch", strings.NewReader(updates(5, 1)))
		req.SetBasicAuth("ck_test", "cs_test")
		req.Header.Set("Content-Type", "application/json")
		_, err := s.Client().Do(req)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, []int{1, 1, 1, 1, 1}, quantities(s, "S1", "S2", "S3", "S4", "S5"))
	})
}

func TestProxyGivesUpWhilePHPGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := batchShop(woocommercetest.Config{})
		s.ApplySlowly(time.Second)
		assert.Equal(t, 200, ask(t, s, "GET", "products", "").status, "it is for batches")
		start := time.Now()
		got := ask(t, s, "POST", "products/batch", updates(4, 1))
		assert.Equal(t, http.StatusGatewayTimeout, got.status)
		assert.Equal(t, "text/html", got.header.Get("Content-Type"))
		assert.Equal(t, time.Second, time.Since(start))
		assert.Equal(t, []int{1, 7, 7, 7}, quantities(s, "S1", "S2", "S3", "S4"))

		// A retry overlaps, and the first run has the last word on what was
		// still to come.
		assert.Equal(t, 200, ask(t, s, "POST", "products/batch", updates(4, 2)).status, "it is for one batch")
		assert.Equal(t, []int{2, 2, 2, 2}, quantities(s, "S1", "S2", "S3", "S4"))
		time.Sleep(3 * time.Second)
		synctest.Wait()
		assert.Equal(t, []int{2, 1, 1, 1}, quantities(s, "S1", "S2", "S3", "S4"))
		assert.Equal(t, 8, s.Writes())
	})
}

func TestFaultsOfTheWire(t *testing.T) {
	s := batchShop(woocommercetest.Config{})
	s.Inject(
		channeltest.Fault{Match: channeltest.On("POST", "/batch"), Apply: true, Cut: true},
		channeltest.Fault{Match: channeltest.On("GET", ""), Status: 503, Header: http.Header{"Retry-After": {"600"}}, Body: "<html>"},
	)
	req, _ := http.NewRequestWithContext(t.Context(), "POST", api+"products/batch", strings.NewReader(updates(1, 1)))
	req.SetBasicAuth("ck_test", "cs_test")
	req.Header.Set("Content-Type", "application/json")
	_, err := s.Client().Do(req)
	assert.ErrorIs(t, err, channeltest.ErrCut)
	assert.Equal(t, []int{1}, quantities(s, "S1"), "done, but the answer is lost")
	assert.Equal(t, 503, ask(t, s, "GET", "products", "").status)
	assert.Equal(t, 2, s.Count(nil))
}

func TestConcurrentUse(t *testing.T) {
	s := batchShop(woocommercetest.Config{})
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() { s.Sell("S5", 1) })
		wg.Go(func() { ask(t, s, "POST", "products/batch", updates(4, 3)) })
		wg.Go(func() { ask(t, s, "GET", "products?sku=S1,S5", "") })
		wg.Go(func() { s.Add(woocommercetest.Product{}) })
		wg.Go(func() { s.Writes(); s.Product(1); s.Quantity("S1") })
	}
	wg.Wait()
	assert.Equal(t, []int{3, 3, 3, 3, -13}, quantities(s, "S1", "S2", "S3", "S4", "S5"), "no sale is lost")
	assert.Equal(t, 80, s.Writes())
}
