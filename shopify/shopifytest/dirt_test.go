package shopifytest_test

import (
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/shopify/shopifytest"
)

func TestOddRow(t *testing.T) {
	s := shopifytest.New(shopifytest.Config{})
	ids := s.Add(shopifytest.Item{SKU: "A"}, shopifytest.Item{SKU: "B"}, shopifytest.Item{SKU: "C"})
	s.Inject(shopifytest.OddRow(ids[1], func(row []byte) []byte {
		assert.Equal(t, `{"id":"`+ids[1]+`","sku":"B"}`, string(row))
		return []byte(`7`)
	}))
	a := post(t, s.Client(), endpoint, "shpat_test", object{"query": `{ inventoryItems(first: 9) { nodes { id sku } } }`})
	assert.Contains(t, a.text, `"sku":"A"},7,{"id"`)
	assert.Contains(t, a.text, `"sku":"C"}]`)
}

func TestMentioning(t *testing.T) {
	match := shopifytest.Mentioning("gid://shopify/InventoryItem/10")
	for body, want := range map[string]bool{
		`{"ids":["gid://shopify/InventoryItem/10"]}`:                                   true,
		`{"ids":["gid://shopify/InventoryItem/100"]}`:                                  false,
		`{"ids":["gid://shopify/InventoryItem/100","gid://shopify/InventoryItem/10"]}`: true,
		`{}`: false,
	} {
		assert.Equal(t, want, match(channeltest.Request{Body: []byte(body)}), body)
	}
}

func TestOddPoints(t *testing.T) {
	s := shopifytest.New(shopifytest.Config{})
	s.Inject(shopifytest.OddPoints(`{"maximumAvailable":1,"currentlyAvailable":-5,"restoreRate":3}`))
	a := ask(t, s, shopQuery, nil)
	assert.Equal(t, -5.0, a.Extensions.Cost.Throttle.Available)
}

func TestEcho(t *testing.T) {
	s := shopifytest.New(shopifytest.Config{Token: "shpat_secret"})
	s.Inject(s.Echo())
	a := post(t, s.Client(), endpoint, "shpat_secret", object{"query": shopQuery})
	require.Len(t, a.Errors, 2)
	assert.Greater(t, strings.Count(a.text, "shpat_secret"), 1000)
	assert.Contains(t, a.header.Get("X-Request-Id"), "shpat_secret")
}

func TestHalfFile(t *testing.T) {
	s := shopifytest.New(shopifytest.Config{})
	s.Add(shopifytest.Item{SKU: "A"}, shopifytest.Item{SKU: "B"})
	ask(t, s, `mutation { bulkOperationRunQuery(query: "{ inventoryItems { edges { node { id sku } } } }") { bulkOperation { id } } }`, nil)
	url := ask(t, s, `{ currentBulkOperation { url } }`, nil).at("currentBulkOperation", "url").(string)
	s.Inject(shopifytest.HalfFile(1))
	get := func() int {
		resp, err := s.Client().Get(url)
		require.NoError(t, err)
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return len(text)
	}
	half := get()
	assert.Equal(t, half, get()/2)
}
