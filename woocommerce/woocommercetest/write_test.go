package woocommercetest_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/woocommerce/woocommercetest"
)

// TestValues compares what a batch makes of a value with what a single PUT
// says to it, on a product that starts at 200.
func TestValues(t *testing.T) {
	const refused = -99999
	for _, tt := range []struct {
		value      string
		batch, put int64
	}{
		{"0", 0, 0},
		{"-5", -5, -5},
		{"3.7", 3, refused},
		{"-3.7", -3, refused},
		{`"12"`, 12, 12},
		{`"  8 "`, 8, 8},
		{"1e3", 1000, 1000},
		{`"1e3"`, 1000, 1000},
		{"5.0", 5, 5},
		{`"12.9"`, 12, refused},
		{`"abc"`, 0, refused},
		{`""`, 0, refused},
		{`"0x1A"`, 0, refused},
		{`"5 pcs"`, 5, refused},
		{`"1,000"`, 1, refused},
		{"null", 200, 0},
		{"true", 1, refused},
		{"false", 0, refused},
		{"[1]", 1, refused},
		{"[]", 0, refused},
		{`{"a":1}`, 1, refused},
		{"99999999999", 99999999999, 99999999999},
		{"1e20", 7766279631452241920, 7766279631452241920},
	} {
		t.Run(tt.value, func(t *testing.T) {
			if int64(int(tt.batch)) != tt.batch {
				t.Skip("PHP's integers have 64 bits")
			}
			s := woocommercetest.New(woocommercetest.Config{})
			s.Add(woocommercetest.Product{ID: 1, SKU: "A", Quantity: 200}, woocommercetest.Product{ID: 2, SKU: "B", Quantity: 200})
			got := ask(t, s, "POST", "products/batch", `{"update":[{"id":1,"stock_quantity":`+tt.value+`}]}`)
			require.Equal(t, 200, got.status)
			n, _ := s.Quantity("A")
			assert.EqualValues(t, tt.batch, n)
			want := map[bool]string{true: "instock", false: "outofstock"}[n > 0]
			assert.Equal(t, want, got.field(t, "update", 0, "stock_status"))

			for _, method := range []string{"PUT", "PATCH", "POST"} {
				s.Set("B", 200)
				got = ask(t, s, method, "products/2", `{"stock_quantity":`+tt.value+`}`)
				n, _ = s.Quantity("B")
				if tt.put == refused {
					assert.Equal(t, 400, got.status, method)
					assert.Equal(t, "stock_quantity is not of type integer.", got.field(t, "data", "params", "stock_quantity"))
					assert.Equal(t, 200, n)
				} else {
					assert.Equal(t, 200, got.status, method)
					assert.EqualValues(t, tt.put, n)
				}
			}
		})
	}
}

func TestEmptyStringUnsetsAVariation(t *testing.T) {
	s := woocommercetest.New(woocommercetest.Config{})
	s.Add(woocommercetest.Product{ID: 1, Type: "variable"}, woocommercetest.Product{ID: 2, Type: "variation", ParentID: 1, SKU: "V", Quantity: 7})
	got := ask(t, s, "POST", "products/1/variations/batch", `{"update":[{"id":2,"stock_quantity":""}]}`)
	assert.Nil(t, got.field(t, "update", 0, "stock_quantity"))
	assert.Equal(t, "outofstock", got.field(t, "update", 0, "stock_status"))
	_, ok := s.Quantity("V")
	assert.False(t, ok)
}

func TestUnmanagedStockIgnoresQuantities(t *testing.T) {
	s := woocommercetest.New(woocommercetest.Config{})
	s.Add(woocommercetest.Product{ID: 1, SKU: "A", Stock: woocommercetest.Unmanaged})
	put := func(body string) answer { return ask(t, s, "PUT", "products/1", body) }

	got := put(`{"stock_quantity":5}`)
	assert.Equal(t, 200, got.status)
	assert.Nil(t, got.field(t, "stock_quantity"))
	assert.Equal(t, false, got.field(t, "manage_stock"))
	assert.Equal(t, "instock", got.field(t, "stock_status"))
	assert.Equal(t, "outofstock", put(`{"stock_status":"outofstock"}`).field(t, "stock_status"))

	got = put(`{"stock_quantity":5,"manage_stock":true}`)
	assert.EqualValues(t, 5, got.field(t, "stock_quantity"))
	assert.Equal(t, true, got.field(t, "manage_stock"))

	got = put(`{"stock_quantity":6,"manage_stock":false}`)
	assert.Nil(t, got.field(t, "stock_quantity"), "the quantity is wiped")
	got = put(`{"manage_stock":true}`)
	assert.Nil(t, got.field(t, "stock_quantity"), "and does not come back")
	assert.Equal(t, "outofstock", got.field(t, "stock_status"))
}

func TestExternalAndGroupedAreNeverManaged(t *testing.T) {
	s := woocommercetest.New(woocommercetest.Config{})
	s.Add(woocommercetest.Product{ID: 1, Type: "external", Quantity: 3}, woocommercetest.Product{ID: 2, Type: "grouped"})
	for _, path := range []string{"products/1", "products/2"} {
		got := ask(t, s, "PUT", path, `{"stock_quantity":5}`)
		assert.Equal(t, 200, got.status)
		assert.Nil(t, got.field(t, "stock_quantity"))
	}
	assert.Equal(t, 200, ask(t, s, "PUT", "products/2", `{"manage_stock":true,"stock_quantity":5}`).status)
	got := ask(t, s, "PUT", "products/1", `{"manage_stock":true,"stock_quantity":5}`)
	assert.Equal(t, 400, got.status)
	assert.Equal(t, "product_external_invalid_manage_stock", got.code())
	for id := 1; id <= 2; id++ {
		p, _ := s.Product(id)
		assert.Equal(t, woocommercetest.Unmanaged, p.Stock)
	}
}

func TestStockOfTheParent(t *testing.T) {
	s := woocommercetest.New(woocommercetest.Config{})
	s.Add(woocommercetest.Product{ID: 1, Type: "variable", SKU: "P", Quantity: 50})
	for id, sku := range []string{"P-A", "P-B"} {
		s.Add(woocommercetest.Product{ID: 2 + id, Type: "variation", ParentID: 1, SKU: sku, Stock: woocommercetest.ByParent})
	}
	batch := func(item string) answer {
		return ask(t, s, "POST", "products/1/variations/batch", `{"update":[`+item+`]}`)
	}
	shows := func(want int, skus ...string) {
		t.Helper()
		for _, sku := range skus {
			n, ok := s.Quantity(sku)
			assert.True(t, ok)
			assert.Equal(t, want, n, sku)
		}
	}
	got := batch(`{"id":2,"stock_quantity":9}`)
	assert.EqualValues(t, 50, got.field(t, "update", 0, "stock_quantity"), "200, and not applied")
	assert.Equal(t, "parent", got.field(t, "update", 0, "manage_stock"))
	shows(50, "P", "P-A", "P-B")

	ask(t, s, "PUT", "products/1", `{"stock_quantity":40}`)
	shows(40, "P", "P-A", "P-B")
	s.Sell("P-B", 1)
	shows(39, "P", "P-A", "P-B")

	assert.Equal(t, 200, batch(`{"id":2,"manage_stock":"parent"}`).status, "a batch takes and ignores it")
	assert.Equal(t, 400, ask(t, s, "PUT", "products/1/variations/2", `{"manage_stock":"parent"}`).status)
	p, _ := s.Product(2)
	assert.Equal(t, woocommercetest.ByParent, p.Stock)

	batch(`{"id":2,"manage_stock":true,"stock_quantity":8}`)
	shows(8, "P-A")
	shows(39, "P", "P-B")
	p, _ = s.Product(2)
	assert.Equal(t, woocommercetest.Managed, p.Stock, "detached from its parent")
}

func TestVariationsAreNotWrittenUnderProducts(t *testing.T) {
	s := woocommercetest.New(woocommercetest.Config{})
	s.Add(woocommercetest.Product{ID: 1, Type: "variable"}, woocommercetest.Product{ID: 2, Type: "variation", ParentID: 1, SKU: "V", Quantity: 7},
		woocommercetest.Product{ID: 3, Type: "variable"})
	got := ask(t, s, "PUT", "products/2", `{"stock_quantity":1}`)
	assert.Equal(t, 404, got.status)
	assert.Equal(t, "woocommerce_rest_invalid_product_id", got.code())
	assert.Equal(t, "woocommerce_rest_product_variation_invalid_id", ask(t, s, "PUT", "products/3/variations/2", `{"stock_quantity":1}`).code())
	n, _ := s.Quantity("V")
	assert.Equal(t, 7, n)
	assert.Equal(t, 200, ask(t, s, "PUT", "products/1/variations/2", `{"stock_quantity":1}`).status)
}

func TestParentStatusFollowsItsVariations(t *testing.T) {
	s := woocommercetest.New(woocommercetest.Config{})
	s.Add(woocommercetest.Product{ID: 1, Type: "variable", Stock: woocommercetest.Unmanaged},
		woocommercetest.Product{ID: 2, Type: "variation", ParentID: 1, SKU: "A", Quantity: 1},
		woocommercetest.Product{ID: 3, Type: "variation", ParentID: 1, SKU: "B", Quantity: 1, Backorders: "notify"})
	status := func() any { return ask(t, s, "GET", "products/1", "").field(t, "stock_status") }
	assert.Equal(t, "instock", status())
	ask(t, s, "POST", "products/1/variations/batch", `{"update":[{"id":2,"stock_quantity":0},{"id":3,"stock_quantity":0}]}`)
	assert.Equal(t, "onbackorder", status())
	ask(t, s, "PUT", "products/1/variations/3", `{"backorders":"no"}`)
	assert.Equal(t, "outofstock", status())
	s.Set("A", 1)
	assert.Equal(t, "instock", status())
	got := ask(t, s, "PUT", "products/1", `{"stock_quantity":5}`)
	assert.Nil(t, got.field(t, "stock_quantity"), "the parent counts nothing itself")
}

func TestStockStatusIsDerived(t *testing.T) {
	s := woocommercetest.New(woocommercetest.Config{})
	s.Add(woocommercetest.Product{ID: 1, SKU: "A"})
	for _, tt := range []struct{ body, status string }{
		{`{"stock_quantity":0,"stock_status":"instock"}`, "outofstock"},
		{`{"stock_quantity":5,"stock_status":"outofstock"}`, "instock"},
		{`{"stock_quantity":0,"backorders":"yes"}`, "onbackorder"},
		{`{"stock_quantity":-2,"backorders":"notify"}`, "onbackorder"},
		{`{"stock_quantity":1}`, "instock"},
	} {
		got := ask(t, s, "PUT", "products/1", tt.body)
		assert.Equal(t, tt.status, got.field(t, "stock_status"), tt.body)
		assert.Equal(t, tt.status == "onbackorder", got.field(t, "backordered"), tt.body)
	}
	assert.Equal(t, 400, ask(t, s, "PUT", "products/1", `{"backorders":"bogus"}`).status)
	got := ask(t, s, "POST", "products/batch", `{"update":[{"id":1,"backorders":"bogus"}]}`)
	assert.Equal(t, "bogus", got.field(t, "update", 0, "backorders"), "a batch stores it")
	assert.Equal(t, false, got.field(t, "update", 0, "backorders_allowed"))
}

func TestDuplicateSKUs(t *testing.T) {
	s := woocommercetest.New(woocommercetest.Config{})
	s.Add(woocommercetest.Product{ID: 1, SKU: "ABC"}, woocommercetest.Product{ID: 2, SKU: "ABC-1"}, woocommercetest.Product{ID: 3, SKU: `Q"1`},
		woocommercetest.Product{ID: 4, SKU: "OLD", Status: "trash"})
	for _, sku := range []string{"ABC", "abc", "ÁBC", " <b>ABC "} {
		got := ask(t, s, "POST", "products", `{"name":"x","sku":"`+sku+`"}`)
		assert.Equal(t, 400, got.status, sku)
		assert.Equal(t, "product_invalid_sku", got.code(), sku)
		assert.EqualValues(t, 1, got.field(t, "data", "resource_id"))
	}
	assert.Equal(t, "ABC-2", ask(t, s, "POST", "products", `{"sku":"ABC"}`).field(t, "data", "unique_sku"))
	assert.Equal(t, 400, ask(t, s, "PUT", "products/2", `{"sku":"abc"}`).status)
	assert.Equal(t, 200, ask(t, s, "PUT", "products/1", `{"sku":"abc"}`).status, "its own")
	batch := ask(t, s, "POST", "products/batch", `{"update":[{"id":2,"sku":"abc"}]}`)
	assert.Equal(t, "product_invalid_sku", batch.field(t, "update", 0, "error", "code"))

	assert.Equal(t, 201, ask(t, s, "POST", "products", `{"sku":"OLD"}`).status, "the trash does not count")
	assert.Equal(t, 201, ask(t, s, "POST", "products", `{"sku":"Q\"1"}`).status, "the test fails on a double quote")
	assert.Len(t, find(t, s, `Q"1`), 2)
	_, ok := s.Quantity(`Q"1`)
	assert.False(t, ok, "several have it")
}

func TestCreate(t *testing.T) {
	s := woocommercetest.New(woocommercetest.Config{})
	got := ask(t, s, "POST", "products", `{"name":"Mug","sku":"  T<1>x%20y  ","manage_stock":true,"stock_quantity":4}`)
	assert.Equal(t, 201, got.status)
	assert.Equal(t, "Txy", got.field(t, "sku"), "trimmed and stripped")
	assert.Equal(t, "Mug", got.field(t, "name"))
	assert.EqualValues(t, 11, got.field(t, "id"))
	n, ok := s.Quantity("Txy")
	assert.True(t, ok)
	assert.Equal(t, 4, n)
	assert.Equal(t, 1, s.Writes())
	assert.Equal(t, false, ask(t, s, "POST", "products", `{}`).field(t, "manage_stock"), "counts nothing unless told")
	assert.Equal(t, "woocommerce_rest_product_exists", ask(t, s, "POST", "products", `{"id":11}`).code())
}

func TestInventoryDelta(t *testing.T) {
	s := woocommercetest.New(woocommercetest.Config{})
	s.Add(woocommercetest.Product{ID: 1, SKU: "A", Quantity: 100})
	assert.EqualValues(t, 97, ask(t, s, "PUT", "products/1", `{"inventory_delta":-3}`).field(t, "stock_quantity"))
	got := ask(t, s, "PUT", "products/1", `{"inventory_delta":-3,"stock_quantity":10}`)
	assert.EqualValues(t, 10, got.field(t, "stock_quantity"), "the absolute quantity wins")
}

func TestUnknownID(t *testing.T) {
	s := woocommercetest.New(woocommercetest.Config{})
	s.Add(woocommercetest.Product{ID: 1, SKU: "A"})
	s.Remove(1)
	assert.Equal(t, 404, ask(t, s, "GET", "products/1", "").status)
	assert.Equal(t, 400, ask(t, s, "PUT", "products/1", `{"stock_quantity":1}`).status)
	assert.Empty(t, find(t, s, "A"))
	assert.Empty(t, ask(t, s, "GET", "products", "").values(t, "id"))
}

func TestBodies(t *testing.T) {
	s := woocommercetest.New(woocommercetest.Config{})
	s.Add(woocommercetest.Product{ID: 1, SKU: "A", Quantity: 7})
	contentType := func(kind string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Content-Type", kind) }
	}
	const set = `{"stock_quantity":1}`
	for _, tt := range []struct {
		name, query, body, kind string
		status, want            int
	}{
		{"of the wrong type is ignored", "", set, "text/plain", 200, 7},
		{"without a type is ignored", "", set, "", 200, 7},
		{"of JSON", "", set, "application/json; charset=utf-8", 200, 1},
		{"of a JSON dialect", "", set, "application/vnd.shop+json", 200, 1},
		{"of a form", "", "stock_quantity=2", "application/x-www-form-urlencoded", 200, 2},
		{"of a bad form", "", "stock_quantity=x", "application/x-www-form-urlencoded", 400, 7},
		{"that is empty", "", "", "application/json", 200, 7},
		{"that is null", "", "null", "application/json", 200, 7},
		{"that is a list", "", "[1]", "application/json", 200, 7},
		{"that is broken", "", `{"stock_quantity":1`, "application/json", 400, 7},
		{"with a BOM", "", "\ufeff" + set, "application/json", 400, 7},
		{"with NaN", "", `{"stock_quantity":NaN}`, "application/json", 400, 7},
		{"with bad UTF-8", "", "{\"name\":\"\xff\",\"stock_quantity\":1}", "application/json", 400, 7},
		{"with something after it", "", set + set, "application/json", 400, 7},
		{"of unknown fields", "", `{"stock":1,"date_modified":"2020-01-01T00:00:00"}`, "application/json", 200, 7},
		{"left to the query", "?stock_quantity=44", "", "application/json", 200, 44},
		{"over the query", "?stock_quantity=44", set, "application/json", 200, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s.Set("A", 7)
			got := ask(t, s, "PUT", "products/1"+tt.query, tt.body, contentType(tt.kind))
			assert.Equal(t, tt.status, got.status, got.text)
			n, _ := s.Quantity("A")
			assert.Equal(t, tt.want, n)
		})
	}
}

func TestConditionalHeadersAreIgnored(t *testing.T) {
	s := woocommercetest.New(woocommercetest.Config{})
	s.Add(woocommercetest.Product{ID: 1, SKU: "A", Quantity: 7})
	got := ask(t, s, "GET", "products/1", "")
	assert.Empty(t, got.header.Get("ETag"))
	got = ask(t, s, "PUT", "products/1", `{"stock_quantity":1}`, func(r *http.Request) {
		r.Header.Set("If-Match", `"nope"`)
		r.Header.Set("If-Unmodified-Since", "Wed, 01 Jan 2020 00:00:00 GMT")
	})
	assert.EqualValues(t, 1, got.field(t, "stock_quantity"))
}
