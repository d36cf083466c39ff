package shopifytest_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/shopify/shopifytest"
)

func TestSeveralLocations(t *testing.T) {
	s := shopifytest.New(shopifytest.Config{})
	id := s.Add(shopifytest.Item{SKU: "A", Available: 3}, shopifytest.Item{SKU: "B", Available: 1})[0]
	outlet := s.AddLocation(7)
	_, ok := s.AvailableAt(outlet, "A")
	assert.False(t, ok, "nothing is stocked there")
	s.StockAt(outlet, "A", 9)

	level := func(location string) any {
		return ask(t, s, `query($id: ID!, $at: ID!) { inventoryItem(id: $id) { inventoryLevel(locationId: $at) { isActive quantities(names: ["available"]) { quantity } location { id } } } }`,
			object{"id": id, "at": location}).at("inventoryItem", "inventoryLevel")
	}
	assert.Equal(t, object{"isActive": true, "quantities": []any{object{"quantity": 9.0}}, "location": object{"id": outlet}}, level(outlet))
	assert.Equal(t, 3.0, level(s.Location()).(object)["quantities"].([]any)[0].(object)["quantity"])

	write := row(s, id, 4, 9)
	write["locationId"] = outlet
	require.Empty(t, refusals(t, set(t, s, input(write, row(s, id, 5, 3))), setField), "two locations of one item are two rows")
	n, _ := s.AvailableAt(outlet, "A")
	assert.Equal(t, 4, n)
	n, _ = s.Available("A")
	assert.Equal(t, 5, n)
	assert.Equal(t, outlet, s.History()[0].LocationID)
	assert.Empty(t, s.History()[1].LocationID)

	assert.Equal(t, []any{object{"id": s.Location()}, object{"id": outlet}}, ask(t, s, `{ locations(first: 9) { nodes { id } } }`, nil).at("locations", "nodes"))
}

func TestAClosedLocation(t *testing.T) {
	s := shopifytest.New(shopifytest.Config{})
	id := s.Add(shopifytest.Item{SKU: "A", Available: 3})[0]
	s.AddLocation(7)
	s.CloseLocation(s.Location())
	a := ask(t, s, `query($id: ID!, $at: ID!) { location(id: $at) { id } locations(first: 9) { nodes { id } }
		inventoryItem(id: $id) { a: inventoryLevel(locationId: $at) { isActive } b: inventoryLevel(locationId: $at, includeInactive: true) { isActive } } }`,
		object{"id": id, "at": s.Location()})
	assert.Equal(t, object{"id": s.Location()}, a.at("location"))
	assert.Equal(t, []any{object{"id": "gid://shopify/Location/7"}}, a.at("locations", "nodes"))
	assert.Nil(t, a.at("inventoryItem", "a"))
	assert.Equal(t, object{"isActive": false}, a.at("inventoryItem", "b"))
	assert.Equal(t, []refusal{{"INVALID_LOCATION", "input.quantities.0.locationId"}}, refusals(t, set(t, s, input(row(s, id, 5, nil))), setField))
	assert.Empty(t, s.History())
	s.OpenLocation(s.Location())
	assert.Empty(t, refusals(t, set(t, s, input(row(s, id, 5, nil))), setField))
}

func TestDeactivate(t *testing.T) {
	s := shopifytest.New(shopifytest.Config{})
	id := s.Add(shopifytest.Item{SKU: "A", Available: 3})[0]
	level := ask(t, s, `query($id: ID!, $at: ID!) { inventoryItem(id: $id) { inventoryLevel(locationId: $at) { id } } }`,
		object{"id": id, "at": s.Location()}).at("inventoryItem", "inventoryLevel", "id")
	const end = `mutation($level: ID!) { inventoryDeactivate(inventoryLevelId: $level) { userErrors { message field } } }`
	assert.Empty(t, refusals(t, ask(t, s, end, object{"level": level}), "inventoryDeactivate"))
	item, _ := s.Item(id)
	assert.True(t, item.NotStocked)
	assert.Len(t, refusals(t, ask(t, s, end, object{"level": level}), "inventoryDeactivate"), 1)
}

func TestProductsNeedTheirScope(t *testing.T) {
	s := shopifytest.New(shopifytest.Config{ReadProducts: true})
	s.Add(shopifytest.Item{SKU: "A"}, shopifytest.Item{SKU: "B", Draft: true, Continue: true, Bundle: true})
	a := ask(t, s, `{ inventoryItems(first: 9) { nodes { variants(first: 1) { nodes { inventoryPolicy requiresComponents product { status } } } } } }`, nil)
	require.Empty(t, a.Errors)
	assert.Equal(t, object{"inventoryPolicy": "DENY", "requiresComponents": false, "product": object{"status": "ACTIVE"}},
		a.at("inventoryItems", "nodes", 0, "variants", "nodes", 0))
	assert.Equal(t, object{"inventoryPolicy": "CONTINUE", "requiresComponents": true, "product": object{"status": "DRAFT"}},
		a.at("inventoryItems", "nodes", 1, "variants", "nodes", 0))
}

func TestItemsInReverse(t *testing.T) {
	s := shopifytest.New(shopifytest.Config{})
	for i := range 7 {
		s.Add(shopifytest.Item{SKU: fmt.Sprint(i)})
	}
	var skus []any
	var after any
	for {
		a := ask(t, s, `query($after: String) { inventoryItems(first: 3, reverse: true, after: $after) { nodes { sku } pageInfo { hasNextPage endCursor } } }`, object{"after": after})
		for _, n := range a.at("inventoryItems", "nodes").([]any) {
			skus = append(skus, n.(object)["sku"])
		}
		if a.at("inventoryItems", "pageInfo", "hasNextPage") == false {
			break
		}
		after = a.at("inventoryItems", "pageInfo", "endCursor")
	}
	assert.Equal(t, []any{"6", "5", "4", "3", "2", "1", "0"}, skus)
}

func TestSearchIsLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := shopifytest.New(shopifytest.Config{IndexLag: time.Minute})
		id := s.Add(shopifytest.Item{SKU: "A"})[0]
		found := func(sku string) int {
			return len(ask(t, s, `query($q: String!) { inventoryItems(first: 9, query: $q) { nodes { id } } }`, object{"q": "sku:'" + sku + "'"}).at("inventoryItems", "nodes").([]any))
		}
		assert.Zero(t, found("A"))
		assert.NotNil(t, ask(t, s, `query($id: ID!) { node(id: $id) { id } }`, object{"id": id}).at("node"))
		time.Sleep(time.Minute)
		assert.Equal(t, 1, found("A"))
		s.Rename("A", "B")
		assert.Zero(t, found("B"))
	})
}

func TestABulkOperationIsCanceled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := shopifytest.New(shopifytest.Config{BulkTime: -1})
		s.Add(shopifytest.Item{SKU: "A"})
		id := ask(t, s, `mutation { bulkOperationRunQuery(query: "{ inventoryItems { edges { node { id sku } } } }") { bulkOperation { id } } }`, nil).
			at("bulkOperationRunQuery", "bulkOperation", "id")
		status := func() any {
			return ask(t, s, `query($id: ID!) { bulkOperation(id: $id) { status } }`, object{"id": id}).at("bulkOperation", "status")
		}
		time.Sleep(1000 * time.Hour)
		assert.Equal(t, "RUNNING", status())
		const cancel = `mutation($id: ID!) { bulkOperationCancel(id: $id) { bulkOperation { status } userErrors { field message } } }`
		assert.Empty(t, refusals(t, ask(t, s, cancel, object{"id": id}), "bulkOperationCancel"))
		assert.Equal(t, "CANCELED", status())
		assert.Len(t, refusals(t, ask(t, s, cancel, object{"id": id}), "bulkOperationCancel"), 1)
	})
}

func TestDeliveries(t *testing.T) {
	type told struct {
		ItemID   int64 `json:"inventory_item_id"`
		Location int64 `json:"location_id"`
		N        int   `json:"available"`
	}
	var got []told
	s := shopifytest.New(shopifytest.Config{ClientSecret: "s3cret", Deliver: func(h http.Header, body []byte) {
		mac := hmac.New(sha256.New, []byte("s3cret"))
		mac.Write(body)
		assert.Equal(t, base64.StdEncoding.EncodeToString(mac.Sum(nil)), h.Get("X-Shopify-Hmac-Sha256"))
		assert.Equal(t, "inventory_levels/update", h.Get("X-Shopify-Topic"))
		assert.Equal(t, "test-shop.myshopify.com", h.Get("X-Shopify-Shop-Domain"))
		var d told
		assert.NoError(t, json.Unmarshal(body, &d))
		got = append(got, d)
	}})
	id := s.Add(shopifytest.Item{SKU: "A", Available: 3})[0]
	outlet := s.AddLocation(7)
	s.StockAt(outlet, "A", 9)
	s.Set("A", 2)
	s.Set("A", 2)
	s.SetAt(outlet, "A", 8)
	set(t, s, input(row(s, id, 5, 2)))
	set(t, s, input(row(s, id, 5, 5)))
	var number int64
	fmt.Sscanf(id, "gid://shopify/InventoryItem/%d", &number)
	assert.Equal(t, []told{{number, 1, 2}, {number, 7, 8}, {number, 1, 5}}, got)
	_, body := s.Delivery("A")
	assert.Contains(t, string(body), `"available":5`)
}
