package woocommercetest_test

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/woocommerce/woocommercetest"
)

func TestLookupComparesAsTheDatabaseDoes(t *testing.T) {
	s := woocommercetest.New(woocommercetest.Config{})
	s.Add(simple("SIM-1", "SIM-2", "ÄÖ-日本-1", "123", "00123", "STRASSE", " PAD", "R&D+50%", `Q"1'\#`, "A  B", strings.Repeat("X", 150))...)
	for _, tt := range []struct {
		name, sku string
		want      []string
	}{
		{"case", "sim-1", []string{"SIM-1"}},
		{"accents", "AO-日本-1", []string{"ÄÖ-日本-1"}},
		{"combining accents", "A\u0308O\u0308-日本-1", []string{"ÄÖ-日本-1"}},
		{"sharp s", "straße", []string{"STRASSE"}},
		{"full width", "ＳＩＭ-1", []string{"SIM-1"}},
		{"no prefix", "SIM", nil},
		{"unknown is absent", "SIM-1,NOPE", []string{"SIM-1"}},
		{"twice is once", "SIM-1,SIM-1,sim-1", []string{"SIM-1"}},
		{"trailing blanks", "SIM-1 ,SIM-2  ", []string{"SIM-1", "SIM-2"}},
		{"leading blanks count in a list", "SIM-1, SIM-2", []string{"SIM-1"}},
		{"leading blanks cannot be asked for alone", " PAD", nil},
		{"leading blanks can be asked for in a list", "SIM-1, PAD ,SIM-2", []string{"SIM-1", "SIM-2", " PAD"}},
		{"leading zeros count", "123", []string{"123"}},
		{"special characters", `R&D+50%,Q"1'\#`, []string{"R&D+50%", `Q"1'\#`}},
		{"two blanks become one", "A  B", nil},
		{"long", strings.Repeat("x", 150), []string{strings.Repeat("X", 150)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			assert.ElementsMatch(t, tt.want, find(t, s, tt.sku))
		})
	}
}

func TestLookupOfAnEmptySKUReturnsEverything(t *testing.T) {
	s := woocommercetest.New(woocommercetest.Config{})
	s.Add(simple("A", "B", "0")...)
	for _, query := range []string{"sku=", "sku=0", "sku=%20", "sku=%3Cb%3E", "sku=%FF", "skus=A", "search_sku=0", "search_sku="} {
		t.Run(query, func(t *testing.T) {
			got := ask(t, s, "GET", "products?"+query, "")
			assert.Len(t, got.body, 3)
			assert.Equal(t, "3", got.header.Get("X-WP-Total"))
		})
	}
	assert.Equal(t, []string{"A", "0"}, find(t, s, "A,0"), "0 is an SKU inside a list")
}

func TestLookupOfAnSKUWithACommaNeedsTheWholeString(t *testing.T) {
	s := woocommercetest.New(woocommercetest.Config{})
	s.Add(simple("A,B-1", "A", "B-1", "X")...)
	assert.Equal(t, []string{"A,B-1", "A", "B-1"}, find(t, s, "A,B-1"))
	assert.Equal(t, []string{"A", "B-1", "X"}, find(t, s, "X,A,B-1"))
}

func TestLookupCannotFindWhatIsSanitized(t *testing.T) {
	s := woocommercetest.New(woocommercetest.Config{})
	s.Add(simple("L<1>", "OCT%20X", "A<B")...)
	for _, sku := range []string{"L<1>", "OCT%20X", "A<B"} {
		assert.Empty(t, find(t, s, sku), sku)
	}
}

func TestLookupSeesEveryStatusButTrash(t *testing.T) {
	s := woocommercetest.New(woocommercetest.Config{})
	for _, status := range []string{"publish", "draft", "pending", "private", "future", "trash"} {
		s.Add(woocommercetest.Product{SKU: status, Status: status})
	}
	assert.Equal(t, []string{"publish", "draft", "pending", "private", "future"}, find(t, s, "publish,draft,pending,private,future,trash"))
	assert.Equal(t, []string{"trash"}, ask(t, s, "GET", "products?status=trash&sku=trash", "").values(t, "sku"))
	assert.Equal(t, []string{"publish", "trash"},
		ask(t, s, "GET", "products?include_status=trash,publish&orderby=id&order=asc", "").values(t, "sku"))
	assert.Equal(t, "trash", ask(t, s, "GET", "products/16", "").field(t, "status"))
}

func TestVariations(t *testing.T) {
	s := woocommercetest.New(woocommercetest.Config{})
	s.Add(
		woocommercetest.Product{ID: 1, Type: "variable", SKU: "P", Stock: woocommercetest.Unmanaged},
		woocommercetest.Product{ID: 2, Type: "variation", ParentID: 1, SKU: "P-A", Quantity: 3},
		woocommercetest.Product{ID: 3, Type: "variation", ParentID: 1},
		woocommercetest.Product{ID: 4, SKU: "S"},
	)
	asc := "&orderby=id&order=asc"
	t.Run("are found by SKU", func(t *testing.T) {
		assert.Equal(t, []string{"P-A"}, find(t, s, "P-A"))
	})
	t.Run("are not listed without one", func(t *testing.T) {
		assert.Equal(t, []string{"1", "4"}, ask(t, s, "GET", "products?"+asc, "").values(t, "id"))
		assert.Empty(t, ask(t, s, "GET", "products?include=2", "").values(t, "id"))
		assert.Equal(t, []string{"2"}, ask(t, s, "GET", "products?include=2&sku=P-A,S", "").values(t, "id"))
	})
	t.Run("without an SKU show their parent's and are not found by it", func(t *testing.T) {
		assert.Equal(t, []string{"P-A", "P"}, ask(t, s, "GET", "products/1/variations?"+asc, "").values(t, "sku"))
		assert.Equal(t, []string{"P"}, find(t, s, "P"))
	})
	t.Run("are no type to filter by", func(t *testing.T) {
		got := ask(t, s, "GET", "products?type=variation", "")
		assert.Equal(t, 400, got.status)
		assert.Equal(t, "type is not one of simple, grouped, external, and variable.", got.field(t, "data", "params", "type"))
		assert.Empty(t, ask(t, s, "GET", "products?sku=P-A&type=simple", "").values(t, "id"))
	})
	t.Run("of nobody are an empty list", func(t *testing.T) {
		for _, parent := range []string{"999", "4", "0"} {
			assert.Empty(t, ask(t, s, "GET", "products/"+parent+"/variations", "").values(t, "id"))
		}
	})
	t.Run("belong to one parent", func(t *testing.T) {
		assert.Equal(t, 200, ask(t, s, "GET", "products/1/variations/2", "").status)
		assert.Equal(t, 404, ask(t, s, "GET", "products/4/variations/2", "").status)
		assert.Equal(t, 200, ask(t, s, "GET", "products/2", "").status)
	})
	t.Run("have no collection of their own", func(t *testing.T) {
		got := ask(t, s, "GET", "variations", "")
		assert.Equal(t, 404, got.status)
		assert.Equal(t, "rest_no_route", got.code())
	})
}

func TestSearchSKU(t *testing.T) {
	s := woocommercetest.New(woocommercetest.Config{})
	s.Add(simple("VAR-001", "VAR-001-A", "X%_Y", "X%41Y", "LONG"+strings.Repeat("x", 100))...)
	for query, want := range map[string][]string{
		"search_sku=var-001":             {"VAR-001", "VAR-001-A"},
		"search_sku=VAR-001,VAR-001-A":   {},
		"search_sku=001-A&sku=VAR-001":   {"VAR-001-A"},
		"search_sku=X%25_":               {"X%_Y"},
		"search_sku=X%25":                {"X%_Y", "X%41Y"},
		"search_sku=LONG":                {},
		"search_sku=VAR&status=draft":    {},
		"search_sku=VAR&modified_after=": {"?"},
	} {
		got := ask(t, s, "GET", "products?orderby=id&order=asc&"+query, "")
		if len(want) == 1 && want[0] == "?" {
			assert.Equal(t, 400, got.status, query)
			continue
		}
		assert.Equal(t, want, got.values(t, "sku"), query)
	}
}

func TestPages(t *testing.T) {
	s := woocommercetest.New(woocommercetest.Config{})
	for i := range 25 {
		s.Add(woocommercetest.Product{SKU: strconv.Itoa(100 + i)})
	}
	t.Run("hold 10 rows unless told, whatever number of SKUs is asked for", func(t *testing.T) {
		got := ask(t, s, "GET", "products?sku=100,101,102,103,104,105,106,107,108,109,110,111", "")
		assert.Len(t, got.body, 10)
		assert.Equal(t, "12", got.header.Get("X-WP-Total"))
		assert.Equal(t, "2", got.header.Get("X-WP-TotalPages"))
	})
	t.Run("are refused out of bounds", func(t *testing.T) {
		for _, query := range []string{"per_page=101", "per_page=0", "per_page=-1", "per_page=", "per_page=abc", "page=0",
			"orderby=sku", "order=up", "sku[]=A", "status=gone", "include=x"} {
			got := ask(t, s, "GET", "products?"+query, "")
			assert.Equal(t, 400, got.status, query)
			assert.Equal(t, "rest_invalid_param", got.code(), query)
		}
	})
	t.Run("past the end are empty", func(t *testing.T) {
		got := ask(t, s, "GET", "products?page=9", "")
		assert.Empty(t, got.body)
		assert.Equal(t, "25", got.header.Get("X-WP-Total"))
		assert.Empty(t, ask(t, s, "GET", "products?per_page=100&page=9223372036854775807", "").body)
		got = ask(t, s, "GET", "products?offset=25", "")
		assert.Empty(t, got.body)
		assert.Equal(t, "0", got.header.Get("X-WP-Total"), "an offset past the end loses the total")
	})
	t.Run("give way to an offset", func(t *testing.T) {
		got := ask(t, s, "GET", "products?page=2&offset=3&per_page=2&orderby=id&order=asc", "")
		assert.Equal(t, []string{"103", "104"}, got.values(t, "sku"))
	})
	t.Run("are linked, credentials included", func(t *testing.T) {
		got := ask(t, s, "GET", "products?page=2&consumer_key=ck_test&consumer_secret=cs_test", "")
		assert.Equal(t, `<`+api+`products?page=1&consumer_key=ck_test&consumer_secret=cs_test>; rel="prev", <`+
			api+`products?page=3&consumer_key=ck_test&consumer_secret=cs_test>; rel="next"`, got.header.Get("Link"))
	})
	t.Run("can be counted by HEAD", func(t *testing.T) {
		got := ask(t, s, "HEAD", "products", "")
		assert.Equal(t, "25", got.header.Get("X-WP-Total"))
		assert.Empty(t, got.text)
	})
	t.Run("can follow include", func(t *testing.T) {
		got := ask(t, s, "GET", "products?include=13,11,12&orderby=include", "")
		assert.Equal(t, []string{"13", "11", "12"}, got.values(t, "id"))
	})
}

func TestDefaultOrderLosesRowsAndOrderByIDDoesNot(t *testing.T) {
	s := woocommercetest.New(woocommercetest.Config{})
	for range 1000 {
		s.Add(woocommercetest.Product{})
	}
	crawl := func(order string) (distinct int) {
		seen := map[string]bool{}
		rows := 0
		for page := 1; page <= 10; page++ {
			for _, id := range ask(t, s, "GET", fmt.Sprintf("products?_fields=id&per_page=100&page=%d%s", page, order), "").values(t, "id") {
				seen[id] = true
				rows++
			}
		}
		require.Equal(t, 1000, rows)
		return len(seen)
	}
	for _, order := range []string{"", "&orderby=date&order=asc", "&orderby=modified"} {
		assert.Less(t, crawl(order), 1000, order)
	}
	assert.Greater(t, crawl(""), 900, "most rows have neighbours of another date")
	assert.Equal(t, 1000, crawl("&orderby=id&order=asc"))
	assert.Equal(t, 1000, crawl("&orderby=id&order=desc"))
}

func TestModifiedAfterSeesVariationsAsTheirParent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := woocommercetest.New(woocommercetest.Config{})
		s.Add(woocommercetest.Product{ID: 1, Type: "variable", Stock: woocommercetest.Unmanaged},
			woocommercetest.Product{ID: 2, Type: "variation", ParentID: 1, SKU: "V"},
			woocommercetest.Product{ID: 3})
		start := time.Now().UTC().Format("2006-01-02T15:04:05")
		list := func() []string {
			return ask(t, s, "GET", "products?dates_are_gmt=true&modified_after="+start, "").values(t, "id")
		}
		require.Empty(t, list())
		time.Sleep(time.Second)
		s.Sell("V", 1)
		assert.Equal(t, []string{"1"}, list())
	})
}

func TestFields(t *testing.T) {
	s := woocommercetest.New(woocommercetest.Config{})
	s.Add(woocommercetest.Product{ID: 1, Type: "variable"}, woocommercetest.Product{ID: 2, Type: "variation", ParentID: 1})
	for path, want := range map[string]string{
		"products?_fields=id,parent_id":           `[{"id":1,"parent_id":0}]`,
		"products?_fields=id%20type":              `[{"id":1,"type":"variable"}]`,
		"products?_fields=nonsense":               `[[]]`,
		"products?_fields=id,dimensions.length":   `[{"id":1}]`,
		"products/1/variations?_fields=parent_id": `[{"parent_id":1}]`,
	} {
		assert.Equal(t, want, ask(t, s, "GET", path, "").text, path)
	}
	whole := ask(t, s, "GET", "products?_fields=", "").field(t, 0)
	assert.Greater(t, len(whole.(map[string]any)), 60, "empty means all")
	one := ask(t, s, "GET", "products/1?_fields=id", "").body.(map[string]any)
	assert.Len(t, one, 2)
	assert.Contains(t, one, "_links", "always there in a single product")
}

func TestLongURLIsHTML(t *testing.T) {
	s := woocommercetest.New(woocommercetest.Config{})
	got := ask(t, s, "GET", "products?sku="+strings.Repeat("x", 8190-len("/wp-json/wc/v3/products?sku=")), "")
	assert.Equal(t, 200, got.status)
	got = ask(t, s, "GET", "products?sku="+strings.Repeat("x", 8191-len("/wp-json/wc/v3/products?sku=")), "")
	assert.Equal(t, http.StatusRequestURITooLong, got.status)
	assert.Equal(t, "text/html", got.header.Get("Content-Type"))
}

func TestWhatTheFakeDoesNotDoFailsLoudly(t *testing.T) {
	s := woocommercetest.New(woocommercetest.Config{})
	s.Add(woocommercetest.Product{ID: 1, SKU: "A", Quantity: 7})
	for _, tt := range [][3]string{
		{"GET", "orders", ""}, {"POST", "webhooks", "{}"}, {"GET", "products?category=1", ""}, {"GET", "products?orderby=title", ""},
		{"GET", "products?include[]=1", ""}, {"DELETE", "products/1", ""}, {"PUT", "products/1", `{"regular_price":"1","stock_quantity":1}`},
		{"POST", "products/batch", `{"update":[{"id":1,"stock_quantity":1},{"id":1,"name":["x"]}]}`},
		{"POST", "products/batch", `{"update":[{"id":1,"stock_quantity":1}],"create":[{"name":"x"}]}`},
		{"POST", "products/batch", `{"update":[{"id":1,"stock_quantity":1},5]}`},
		{"PUT", "products/1", `{"id":2,"stock_quantity":1}`}, {"POST", "products/1/variations", `{}`},
		{"PUT", "products/1", `{"type":"variable"}`}, {"PUT", "products/1", `{"status":"trash"}`},
	} {
		got := ask(t, s, tt[0], tt[1], tt[2])
		assert.Equal(t, 501, got.status, "%v: %s", tt, got.text)
		assert.Equal(t, "woocommercetest_not_implemented", got.code(), tt)
	}
	n, _ := s.Quantity("A")
	assert.Equal(t, 7, n)
	for _, path := range []string{"nonsense", "products/x", "products/1/variations/2/x", "products/1/batch"} {
		assert.Equal(t, "rest_no_route", ask(t, s, "GET", path, "").code(), path)
	}
}

func TestLookupAmongManyIsNoScan(t *testing.T) {
	s := woocommercetest.New(woocommercetest.Config{})
	products := make([]woocommercetest.Product, 100_000)
	for i := range products {
		products[i].SKU = fmt.Sprintf("SKU-%06d", i) // to fold it takes an allocation
	}
	s.Add(products...)
	var skus []string
	for i := range 100 {
		skus = append(skus, fmt.Sprintf("sku-%06d", i*997))
	}
	path := "products?per_page=100&_fields=id,sku&sku=" + strings.Join(skus, ",")
	one := testing.AllocsPerRun(3, func() { ask(t, s, "GET", path, "") })
	small := woocommercetest.New(woocommercetest.Config{})
	for i := range 100 {
		small.Add(woocommercetest.Product{SKU: fmt.Sprintf("SKU-%06d", i*997)})
	}
	assert.Len(t, ask(t, s, "GET", path, "").body, 100)
	assert.InEpsilon(t, testing.AllocsPerRun(3, func() { ask(t, small, "GET", path, "") }), one, 0.1)
}
