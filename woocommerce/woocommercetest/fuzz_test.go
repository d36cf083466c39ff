package woocommercetest_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/ecosire/stocksync/woocommerce/woocommercetest"
)

// FuzzRequest looks for requests that the shop has no JSON answer to.
func FuzzRequest(f *testing.F) {
	for _, seed := range [][2]string{
		{"sku=A,B&_fields=id&page=3", ""},
		{"per_page=1&page=2&offset=1&order=asc&orderby=id&include=1,2&status=any", ""},
		{"_fields=update.0.id,update.1.error.code,update.x", `{"update":[{"id":1,"stock_quantity":"1e3"},null,"x"]}`},
		{"", `{"update":[{"id":"11","product_id":10,"_fields":"id","manage_stock":"yes","sku":"<b>%41"}]}`},
		{"stock_quantity=5&backorders=yes", `{"sku":"S2","inventory_delta":-1,"status":"draft","name":"x"}`},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, query, body string) {
		s := batchShop(woocommercetest.Config{})
		for _, r := range [][2]string{{"GET", "products"}, {"POST", "products"}, {"PUT", "products/1"}, {"POST", "products/batch"},
			{"GET", "products/10/variations"}, {"PUT", "products/10/variations/11"}, {"POST", "products/10/variations/batch"}} {
			got := ask(t, s, r[0], r[1], body, func(req *http.Request) { req.URL.RawQuery = query })
			known := slices.Contains([]int{200, 201, 400, 401, 404, 413, 500, 501}, got.status)
			if !json.Valid([]byte(got.text)) && !strings.HasPrefix(got.text, "<html>") || !known {
				t.Errorf("%s %s: %d %q", r[0], r[1], got.status, got.text)
			}
		}
	})
}
