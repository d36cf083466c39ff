package amazontest_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/amazon/amazontest"
)

func TestAPageHasTenListings(t *testing.T) {
	s := amazontest.New(amazontest.Config{})
	skus, listings := some("SKU-%02d", 20)
	s.Add(listings...)
	c := newCaller(t, s)
	found, body := c.search(skus...)
	assert.Len(t, found, 10)
	assert.EqualValues(t, 20, body["numberOfResults"])
	next := body["pagination"].(map[string]any)["nextToken"].(string)
	status, body, _ := c.do("GET", items+"?marketplaceIds="+marketplace+"&identifiersType=SKU&identifiers="+
		"SKU-00,SKU-01,SKU-02,SKU-03,SKU-04,SKU-05,SKU-06,SKU-07,SKU-08,SKU-09,SKU-10,SKU-11&pageToken="+next, nil)
	assert.Equal(t, 200, status)
	assert.Len(t, body["items"], 2)
	status, _, _ = c.do("GET", items+"?marketplaceIds="+marketplace+"&pageSize=21", nil)
	assert.Equal(t, 400, status)
}

func TestACommaSeparates(t *testing.T) {
	s := amazontest.New(amazontest.Config{})
	s.Add(amazontest.Listing{SKU: "A,B"}, amazontest.Listing{SKU: "A"})
	c := newCaller(t, s)
	found, _ := c.search("A,B") // which the query escapes
	assert.Equal(t, []string{"A"}, found)
	status, body, _ := c.do("GET", items+"/A%2CB?marketplaceIds="+marketplace, nil)
	assert.Equal(t, 200, status)
	assert.Equal(t, "A,B", body["sku"])
	assert.Contains(t, body, "summaries")
	assert.NotContains(t, body, "fulfillmentAvailability", "which is to be asked for")
}

func TestPathsAreOneEscapedSegment(t *testing.T) {
	s := amazontest.New(amazontest.Config{})
	s.Add(amazontest.Listing{SKU: "A B/C#1"}, amazontest.Listing{SKU: ".."})
	c := newCaller(t, s)
	for path, want := range map[string]int{
		"/A%20B%2FC%231":     200,
		"/%2E%2E":            200,
		"/..":                403,
		"/A%20B/C%231":       403, // a path that is none
		"/A%2520B%252FC%231": 404, // escaped twice
		"/A+B%2FC%231":       404, // as in a form
	} {
		status, body, _ := c.do("GET", items+path+"?marketplaceIds="+marketplace, nil)
		assert.Equal(t, want, status, "%s: %v", path, body)
		if status == 403 {
			e := body["errors"].([]any)[0].(map[string]any)
			assert.Equal(t, "Unauthorized", e["code"])
			assert.Empty(t, e["details"])
		}
	}
}

func TestAcceptedIsNotShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := amazontest.New(amazontest.Config{Lag: time.Minute, MaxLag: 15 * time.Minute})
		s.Add(amazontest.Listing{SKU: "A", Quantity: 5})
		c := newCaller(t, s)
		assert.Equal(t, "ACCEPTED", c.patch("A", set("merge", 7))["status"])
		assert.Equal(t, "ACCEPTED", c.patch("A", set("merge", 8))["status"])
		quantity := func() int { n, _ := s.Quantity("A"); return n }
		submitted := func() int { n, _ := s.Submitted("A"); return n }
		assert.Equal(t, []int{5, 8}, []int{quantity(), submitted()})
		s.Sell("A", 2)
		assert.Equal(t, []int{3, 8}, []int{quantity(), submitted()})
		time.Sleep(15 * time.Minute)
		assert.Equal(t, 8, quantity(), "the last write shows last")
		s.Sell("A", 1)
		assert.Equal(t, []int{7, 8}, []int{quantity(), submitted()}, "two quantities, by design")
		h := s.History()
		require.Len(t, h, 2)
		assert.False(t, h[1].Shows.Before(h[0].Shows))
		assert.GreaterOrEqual(t, h[0].Shows.Sub(h[0].Accepted), time.Minute)
		assert.Equal(t, "VALID", preview(c, "A", set("merge", 99))["status"])
		assert.Equal(t, 8, submitted())
	})
}

func preview(c *caller, sku string, patch map[string]any) map[string]any {
	_, body, _ := c.do("PATCH", items+"/"+sku+"?mode=VALIDATION_PREVIEW&marketplaceIds="+marketplace,
		map[string]any{"productType": "PRODUCT", "patches": []any{patch}})
	return body
}

// Amazon accepts all of it.
func TestHarm(t *testing.T) {
	for name, tt := range map[string]struct {
		listing amazontest.Listing
		sku     string
		patch   map[string]any
		harm    string
	}{
		"nothing":         {amazontest.Listing{SKU: "A", HandlingDays: 3}, "A", set("merge", 1), ""},
		"both fulfil":     {amazontest.Listing{SKU: "A", FBA: true, Merchant: true}, "A", set("merge", 1), ""},
		"an unknown SKU":  {amazontest.Listing{SKU: "A"}, "B", set("merge", 1), "incomplete listing"},
		"Amazon fulfils":  {amazontest.Listing{SKU: "A", FBA: true}, "A", set("merge", 1), "fulfilled by Amazon"},
		"locations":       {amazontest.Listing{SKU: "A", Locations: []string{"2b1f"}}, "A", set("merge", 1), "supply sources"},
		"replace":         {amazontest.Listing{SKU: "A", HandlingDays: 3}, "A", set("replace", 1), "handling time"},
		"add":             {amazontest.Listing{SKU: "A", HandlingDays: 3}, "A", set("add", 1), "handling time"},
		"a deleted value": {amazontest.Listing{SKU: "A", Quantity: 3}, "A", set("merge", nil), ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := amazontest.New(amazontest.Config{})
			s.Add(tt.listing)
			c := newCaller(t, s)
			assert.Equal(t, "ACCEPTED", c.patch(tt.sku, tt.patch)["status"])
			if tt.harm == "" {
				assert.Empty(t, s.Harm())
				assert.Equal(t, tt.listing.HandlingDays, s.HandlingDays("A"))
				return
			}
			require.Len(t, s.Harm(), 1)
			assert.Contains(t, s.Harm()[0], tt.harm)
			if tt.harm == "handling time" {
				assert.Zero(t, s.HandlingDays("A"))
			}
			if tt.sku == "B" {
				assert.Equal(t, []string{"B"}, s.Ghosts())
			}
		})
	}
}

func TestInvalidWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const path = "/attributes/fulfillment_availability"
		value := func(v map[string]any) map[string]any {
			return map[string]any{"op": "merge", "path": path, "value": []any{v}}
		}
		s := amazontest.New(amazontest.Config{})
		s.Add(amazontest.Listing{SKU: "A", Quantity: 5})
		c := newCaller(t, s)
		for code, patches := range map[string][]map[string]any{
			"90000900": {
				{"op": "merge", "path": "/attributes/fulfillmentAvailability", "value": []any{map[string]any{"quantity": 1}}},
				value(map[string]any{"fulfillment_channel_code": "DEFAULT", "quantity": 1, "fulfillmentChannelCode": "DEFAULT"}),
			},
			"99022":    {value(map[string]any{"quantity": 1}), value(map[string]any{"fulfillment_channel_code": "DEFAULT"})},
			"90000901": {set("merge", -1), set("merge", 1.5), set("merge", "7")},
		} {
			for _, p := range patches {
				body := c.patch("A", p)
				assert.Equal(t, "INVALID", body["status"], "%v", p)
				assert.Equal(t, code, body["issues"].([]any)[0].(map[string]any)["code"], "%v", p)
				time.Sleep(time.Second / 4) // the quota
			}
		}
		for _, body := range []map[string]any{
			{"productType": "PRODUCT", "patches": []any{map[string]any{"op": "merge", "path": path}}},
			{"productType": "PRODUCT", "patches": []any{map[string]any{"op": "merge", "path": path, "value": map[string]any{"quantity": 1}}}},
			{"patches": []any{set("merge", 1)}},
			{"productType": "PRODUCT", "patches": []any{}},
			{"productType": "PRODUCT", "patches": []any{set("merge", 1)}, "more": 1},
		} {
			status, answer, _ := c.do("PATCH", items+"/A?marketplaceIds="+marketplace, body)
			assert.Equal(t, 400, status, "%v", answer)
			time.Sleep(time.Second / 4)
		}
		n, _ := s.Quantity("A")
		assert.Equal(t, 5, n)
		assert.Empty(t, s.History())
	})
}

func TestFoldedCase(t *testing.T) {
	s := amazontest.New(amazontest.Config{FoldCase: true})
	s.Add(amazontest.Listing{SKU: "Abc"})
	c := newCaller(t, s)
	found, _ := c.search("ABC")
	assert.Equal(t, []string{"Abc"}, found)
	s = amazontest.New(amazontest.Config{})
	s.Add(amazontest.Listing{SKU: "Abc"})
	found, _ = newCaller(t, s).search("ABC")
	assert.Empty(t, found)
}
