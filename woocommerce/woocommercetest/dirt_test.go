package woocommercetest_test

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/ecosire/stocksync/woocommerce/woocommercetest"
)

func TestDisguise(t *testing.T) {
	s := batchShop(woocommercetest.Config{})
	s.Disguise(2, func(row map[string]any) {
		row["sku"] = 2
		delete(row, "stock_quantity")
	})
	got := ask(t, s, "GET", "products?sku=S1,S2&orderby=id&order=asc&_fields=id,sku,stock_quantity", "")
	assert.Equal(t, `[{"id":1,"sku":"S1","stock_quantity":7},{"id":2,"sku":2}]`, got.text)
	assert.Contains(t, ask(t, s, "POST", "products/batch", `{"update":[{"id":2,"stock_quantity":9,"_fields":"id,stock_quantity"}]}`).text, `"sku":2`)
	assert.Equal(t, []int{9}, quantities(s, "S2"), "it is only shown so")
	s.Disguise(2, nil)
	assert.Equal(t, `[{"sku":"S2"}]`, ask(t, s, "GET", "products?sku=S2&_fields=sku", "").text)
}

func TestFatal(t *testing.T) {
	s := batchShop(woocommercetest.Config{})
	s.Fatal(3, "Uncaught Error: x")
	for _, got := range []answer{
		ask(t, s, "GET", "products?sku=S1,S3", ""),
		ask(t, s, "POST", "products/batch", updates(5, 1)),
	} {
		assert.Equal(t, http.StatusInternalServerError, got.status)
		assert.Equal(t, "internal_server_error", got.code())
		assert.Contains(t, got.text, "Uncaught Error: x")
		assert.Contains(t, got.text, "wp-content/plugins/")
	}
	assert.Equal(t, []int{1, 1, 7, 7, 7}, quantities(s, "S1", "S2", "S3", "S4", "S5"), "what came before is applied")
	assert.Equal(t, 200, ask(t, s, "GET", "products?sku=S1,S2", "").status)
	s.Fatal(3, "")
	assert.Equal(t, 200, ask(t, s, "GET", "products?sku=S1,S3", "").status)
}

func TestForgetful(t *testing.T) {
	s := batchShop(woocommercetest.Config{})
	s.Forgetful(1, true)
	assert.Contains(t, ask(t, s, "POST", "products/batch", updates(2, 1)).text, `"stock_quantity":1`)
	assert.Equal(t, []int{7, 1}, quantities(s, "S1", "S2"))
}

func TestNoiseAndTrash(t *testing.T) {
	s := batchShop(woocommercetest.Config{})
	s.Noise("\ufeff", "<!-- x -->")
	req, _ := http.NewRequestWithContext(t.Context(), "GET", api+"products?sku=NONE", nil)
	req.SetBasicAuth("ck_test", "cs_test")
	resp, err := s.Client().Do(req)
	assert.NoError(t, err)
	body := make([]byte, 100)
	n, _ := resp.Body.Read(body)
	assert.Equal(t, "\ufeff[]<!-- x -->", string(body[:n]))
	s.Noise("", "")

	parent := s.Add(woocommercetest.Product{Type: "variable", SKU: "V", Stock: woocommercetest.Unmanaged})[0]
	s.Add(woocommercetest.Product{ID: 99, Type: "variation", ParentID: parent, SKU: "V-1"})
	s.Trash(parent)
	assert.Equal(t, "[]", ask(t, s, "GET", "products?sku=V,V-1", "").text)
	got := ask(t, s, "POST", "products/"+strconv.Itoa(parent)+"/variations/batch", `{"update":[{"id":99,"stock_quantity":9}]}`)
	assert.Equal(t, http.StatusUnauthorized, got.status)
	assert.Equal(t, "woocommerce_rest_cannot_batch", got.code())
}

func TestCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := batchShop(woocommercetest.Config{})
		for _, blind := range []bool{false, true} {
			s.Set("S1", 7)
			s.Cache(time.Hour, blind)
			one := func(query string) answer {
				return ask(t, s, "GET", "products?sku=S1&_fields=stock_quantity"+query, "")
			}
			got := one("")
			assert.Equal(t, "miss", got.header.Get("X-Boxcar-Cache"))
			assert.Empty(t, got.header.Get("Age"))
			s.Set("S1", 8)
			time.Sleep(time.Minute)
			got = one("")
			assert.Equal(t, `[{"stock_quantity":7}]`, got.text)
			assert.Equal(t, "hit", got.header.Get("X-Boxcar-Cache"))
			assert.Equal(t, "60", got.header.Get("Age"))
			if got = one("&fresh=1"); blind {
				assert.Equal(t, `[{"stock_quantity":7}]`, got.text)
			} else {
				assert.Equal(t, `[{"stock_quantity":8}]`, got.text)
			}
			time.Sleep(time.Hour)
			assert.Equal(t, `[{"stock_quantity":8}]`, one("").text)
		}
	})
}

func TestQueryLimit(t *testing.T) {
	for status, cfg := range map[int]woocommercetest.Config{403: {QueryLimit: 100}, 404: {QueryLimit: 100, QueryStatus: 404}} {
		s := batchShop(cfg)
		assert.Equal(t, 200, ask(t, s, "GET", "products?sku=S1", "").status)
		got := ask(t, s, "GET", "products?sku="+strings.Repeat("S", 100), "")
		assert.Equal(t, status, got.status)
		assert.Equal(t, "text/html", got.header.Get("Content-Type"))
	}
}

func TestLingers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := batchShop(woocommercetest.Config{ItemWriteTime: time.Second, Lingers: true})
		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer cancel()
		req, _ := http.NewRequestWithContext(ctx, "POST", api+"products/batch", strings.NewReader(updates(5, 1)))
		req.SetBasicAuth("ck_test", "cs_test")
		req.Header.Set("Content-Type", "application/json")
		_, err := s.Client().Do(req)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, []int{1, 7, 7, 7, 7}, quantities(s, "S1", "S2", "S3", "S4", "S5"))
		time.Sleep(2 * time.Second)
		assert.Equal(t, []int{1, 1, 1, 7, 7}, quantities(s, "S1", "S2", "S3", "S4", "S5"))
		time.Sleep(2 * time.Second)
		assert.Equal(t, []int{1, 1, 1, 1, 1}, quantities(s, "S1", "S2", "S3", "S4", "S5"))
		assert.Equal(t, 200, ask(t, s, "POST", "products/batch", updates(1, 2)).status)
	})
}
