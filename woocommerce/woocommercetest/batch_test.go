package woocommercetest_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/ecosire/stocksync/woocommerce/woocommercetest"
)

// batchShop has the simple products 1 to 5, "S1" to "S5", at 7, and two
// variable ones, 10 and 20, with the variations 11, 12, 21: "V11" and so on.
func batchShop(cfg woocommercetest.Config) *woocommercetest.Server {
	s := woocommercetest.New(cfg)
	for id := 1; id <= 5; id++ {
		s.Add(woocommercetest.Product{ID: id, SKU: fmt.Sprintf("S%d", id), Quantity: 7})
	}
	for _, id := range []int{10, 20} {
		s.Add(woocommercetest.Product{ID: id, Type: "variable", Stock: woocommercetest.Unmanaged})
	}
	for _, id := range []int{11, 12, 21} {
		s.Add(woocommercetest.Product{ID: id, Type: "variation", ParentID: id / 10 * 10, SKU: fmt.Sprintf("V%d", id), Quantity: 7})
	}
	return s
}

func quantities(s *woocommercetest.Server, skus ...string) (all []int) {
	for _, sku := range skus {
		n, ok := s.Quantity(sku)
		if !ok {
			n = -1
		}
		all = append(all, n)
	}
	return all
}

func TestBatchFailsByPosition(t *testing.T) {
	s := batchShop(woocommercetest.Config{})
	got := ask(t, s, "POST", "products/batch", `{"update":[{"id":1,"stock_quantity":1},{"id":999,"stock_quantity":1},{"id":"2","stock_quantity":2},
		{"id":11,"stock_quantity":1},null,{"sku":"S3","stock_quantity":1},{"id":0},{"id":-3},{"id":1,"stock_quantity":3},{"id":999,"_fields":"id"}]}`)
	assert.Equal(t, 200, got.status)
	const invalid = "woocommerce_rest_product_invalid_id"
	for i, want := range []struct {
		id   any
		code string
	}{
		{1.0, ""}, {999.0, invalid}, {2.0, ""}, {11.0, "woocommerce_rest_invalid_product_id"}, {nil, invalid}, {nil, invalid},
		{0.0, invalid}, {-3.0, invalid}, {1.0, ""}, {999.0, invalid},
	} {
		assert.Equal(t, want.id, got.field(t, "update", i, "id"), i)
		if want.code != "" {
			assert.Equal(t, want.code, got.field(t, "update", i, "error", "code"), i)
		}
	}
	assert.Equal(t, []int{3, 2, 7, 7}, quantities(s, "S1", "S2", "S3", "V11"))
	assert.EqualValues(t, 1, got.field(t, "update", 0, "stock_quantity"), "twice the same id is applied in order")
	assert.Equal(t, 3, s.Writes())
}

func TestBatchOfNothingIsAnEmptyList(t *testing.T) {
	s := batchShop(woocommercetest.Config{})
	for _, body := range []string{`{"update":[]}`, `{}`, `[{"id":1,"stock_quantity":1}]`, `{"update":"x"}`, `{"upgrade":[{"id":1}]}`} {
		got := ask(t, s, "POST", "products/batch", body)
		assert.Equal(t, 200, got.status)
		assert.Equal(t, "[]", got.text, body)
	}
	assert.Zero(t, s.Writes())
}

func TestBatchOverTheLimitAppliesNothing(t *testing.T) {
	items := func(n int) string {
		return `{"update":[` + strings.TrimSuffix(strings.Repeat(`{"id":1,"stock_quantity":1},`, n), ",") + `]}`
	}
	for _, limit := range []int{100, 3} {
		for _, path := range []string{"products/batch", "products/10/variations/batch"} {
			s := batchShop(woocommercetest.Config{BatchLimit: limit})
			got := ask(t, s, "POST", path, items(limit+1))
			assert.Equal(t, http.StatusRequestEntityTooLarge, got.status)
			assert.Equal(t, "woocommerce_rest_request_entity_too_large", got.code())
			assert.Equal(t, fmt.Sprintf("Unable to accept more than %d items for this request.", limit), got.field(t, "message"))
			assert.Zero(t, s.Writes())
			assert.Equal(t, 200, ask(t, s, "POST", path, items(limit)).status)
		}
	}
}

func TestBatchIsNoTransaction(t *testing.T) {
	for _, tt := range []struct{ name, accept, kind string }{
		{"JSON for those who accept it", "application/json", "application/json"},
		{"JSON for those who send it", "*/*", "application/json"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := batchShop(woocommercetest.Config{})
			got := ask(t, s, "POST", "products/batch", `{"update":[{"id":1,"stock_quantity":1},"x",{"id":2,"stock_quantity":2}]}`,
				func(r *http.Request) { r.Header.Set("Accept", tt.accept) })
			assert.Equal(t, 500, got.status)
			assert.Equal(t, "internal_server_error", got.code())
			assert.Equal(t, []int{1, 7}, quantities(s, "S1", "S2"), "what came before stays")
		})
	}
}

func TestVariationsBatch(t *testing.T) {
	items := `{"update":[{"id":11,"product_id":10,"stock_quantity":1},{"id":21,"product_id":20,"stock_quantity":2},{"id":12,"product_id":20,"stock_quantity":3}]}`
	const invalid = "woocommerce_rest_product_variation_invalid_id"
	t.Run("takes the parent from the item", func(t *testing.T) {
		for _, parent := range []string{"10", "20", "999", "0"} {
			s := batchShop(woocommercetest.Config{})
			got := ask(t, s, "POST", "products/"+parent+"/variations/batch", items)
			assert.Equal(t, []int{1, 2, 7}, quantities(s, "V11", "V21", "V12"), "under parent %s", parent)
			assert.Equal(t, invalid, got.field(t, "update", 2, "error", "code"))
			assert.EqualValues(t, 404, got.field(t, "update", 2, "error", "data", "status"))
		}
	})
	t.Run("takes the parent from the URL where the trick is gone", func(t *testing.T) {
		s := batchShop(woocommercetest.Config{SingleParent: true})
		got := ask(t, s, "POST", "products/10/variations/batch", items)
		assert.Equal(t, []int{1, 7, 3}, quantities(s, "V11", "V21", "V12"))
		assert.Equal(t, invalid, got.field(t, "update", 1, "error", "code"))
	})
	t.Run("refuses what is no variation of the parent", func(t *testing.T) {
		s := batchShop(woocommercetest.Config{})
		got := ask(t, s, "POST", "products/10/variations/batch",
			`{"update":[{"id":21},{"id":1},{"id":999},null,{"id":1,"product_id":0},{"id":1,"product_id":null}]}`)
		for i := range 6 {
			assert.Equal(t, invalid, got.field(t, "update", i, "error", "code"), i)
		}
		assert.Zero(t, s.Writes())
	})
}

func TestBatchFields(t *testing.T) {
	const two = `{"update":[{"id":1,"stock_quantity":1},{"id":999},{"id":2,"stock_quantity":2}]`
	for _, tt := range []struct{ name, query, body, want string }{
		{"filter the top level", "?_fields=id,stock_quantity", two + "}", `[]`},
		{"go by position", "?_fields=update.id", two + "}", `{"update":[]}`},
		{"name items one by one", "?_fields=update.0.id,update.0.stock_quantity,update.1.id,update.2.stock_quantity", two + "}",
			`{"update":[{"id":1,"stock_quantity":1},{"id":999},{"stock_quantity":2}]}`},
		{"lose errors that are not named", "?_fields=update.0.id,update.1.stock_quantity,update.2.id", two + "}",
			`{"update":[{"id":1},[],{"id":2}]}`},
		{"can be in the body", "", two + `,"_fields":"update.0.id"}`, `{"update":[{"id":1}]}`},
		{"that skip an item make an object", "?_fields=update.2.id", two + "}", `{"update":{"2":{"id":2}}}`},
		{"reach into errors", "?_fields=update.0.id,update.1.error.code", two + "}",
			`{"update":[{"id":1},{"error":{"code":"woocommerce_rest_product_invalid_id"}}]}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := batchShop(woocommercetest.Config{})
			got := ask(t, s, "POST", "products/batch"+tt.query, tt.body)
			assert.Equal(t, tt.want, got.text)
			assert.Equal(t, []int{1, 2}, quantities(s, "S1", "S2"), "applied in any case")
		})
	}
	t.Run("of an item cut products but not variations", func(t *testing.T) {
		s := batchShop(woocommercetest.Config{})
		got := ask(t, s, "POST", "products/batch", `{"update":[{"id":1,"_fields":"id,sku"}]}`)
		row := got.field(t, "update", 0).(map[string]any)
		assert.Len(t, row, 4)
		for _, key := range []string{"id", "sku", "brands", "_links"} {
			assert.Contains(t, row, key)
		}
		got = ask(t, s, "POST", "products/10/variations/batch", `{"update":[{"id":11,"_fields":"id,sku"}]}`)
		assert.Greater(t, len(got.field(t, "update", 0).(map[string]any)), 30)
	})
}

func TestBatchUpdatesTheTrash(t *testing.T) {
	s := woocommercetest.New(woocommercetest.Config{})
	s.Add(woocommercetest.Product{ID: 1, SKU: "A", Status: "trash", Quantity: 7})
	got := ask(t, s, "POST", "products/batch", `{"update":[{"id":1,"stock_quantity":1}]}`)
	assert.EqualValues(t, 1, got.field(t, "update", 0, "stock_quantity"))
	p, _ := s.Product(1)
	assert.Equal(t, 1, p.Quantity)
	_, ok := s.Quantity("A")
	assert.False(t, ok, "the trash shows nothing")
}
