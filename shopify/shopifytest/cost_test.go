package shopifytest_test

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/shopify/shopifytest"
)

func TestCosts(t *testing.T) {
	const level = `inventoryLevel(locationId: "gid://shopify/Location/1") { isActive quantities(names: ["available"]) { quantity } }`
	for name, c := range map[string]struct {
		query             string
		requested, actual float64
	}{
		"an object":                {`{ shop { name } }`, 1, 1},
		"nodes with a level":       {`{ nodes(ids: ["gid://shopify/InventoryItem/1001", "gid://shopify/InventoryItem/1002"]) { ... on InventoryItem { sku ` + level + ` } } }`, 3, 3},
		"one that is not there":    {`{ inventoryItem(id: "gid://shopify/InventoryItem/9") { sku } }`, 1, 0},
		"a connection of 10":       {`{ inventoryItems(first: 10) { nodes { sku } pageInfo { endCursor } } }`, 6, 3},
		"its edges cost the same":  {`{ inventoryItems(first: 10) { edges { cursor node { sku } } } }`, 6, 3},
		"a connection of 250":      {`{ inventoryItems(first: 250) { nodes { sku } } }`, 13, 3},
		"with levels":              {`{ inventoryItems(first: 250) { nodes { ` + level + ` } } }`, 2 + 11*3, 2 + 1*3},
		"two root fields":          {`{ a: shop { name } b: shop { name } }`, 2, 2},
		"what is skipped":          {`{ a: shop { name } b: shop @skip(if: true) { name } }`, 1, 1},
		"poll":                     {`{ currentBulkOperation { id status } }`, 1, 0},
		"start of a bulk":          {`mutation { bulkOperationRunQuery(query: "{ inventoryItems { edges { node { id } } } }") { bulkOperation { id status } userErrors { code field } } }`, 10, 10},
		"a mutation":               {`mutation { inventoryItemUpdate(id: "gid://shopify/InventoryItem/1001", input: {tracked: true}) { inventoryItem { id } userErrors { field } } }`, 10, 10},
		"a refused one costs too":  {`mutation { inventoryItemUpdate(id: "gid://shopify/InventoryItem/9", input: {tracked: true}) { inventoryItem { id } userErrors { field } } }`, 10, 10},
		"even without a key":       {`mutation { inventoryActivate(inventoryItemId: "gid://shopify/InventoryItem/1001", locationId: "gid://shopify/Location/1") { userErrors { field } } }`, 10, 10},
		"a mutation selects a lot": {`mutation { inventorySetQuantities(input: {name: "available", reason: "correction", quantities: [{inventoryItemId: "gid://shopify/InventoryItem/1001", locationId: "gid://shopify/Location/1", quantity: 9, changeFromQuantity: null}]}) @idempotent(key: "k") { inventoryAdjustmentGroup { changes { delta item { id } location { id } } } userErrors { field } } }`, 13, 13},
	} {
		t.Run(name, func(t *testing.T) {
			s := shopifytest.New(shopifytest.Config{})
			s.Add(shopifytest.Item{SKU: "A"}, shopifytest.Item{SKU: "B"})
			a := ask(t, s, c.query, nil)
			cost := a.Extensions.Cost
			assert.Equal(t, c.requested, cost.Requested)
			require.NotNil(t, cost.Actual, a.text)
			assert.Equal(t, c.actual, *cost.Actual)
			assert.InDelta(t, 2000-c.actual, cost.Throttle.Available, 1, "only the actual cost is taken")
			assert.EqualValues(t, 2000, cost.Throttle.Maximum)
			assert.EqualValues(t, 100, cost.Throttle.Rate)
			assert.Contains(t, a.text, `"maximumAvailable":2000.0`, "numbers with a fraction must be read")
		})
	}
}

func TestAQueryThatCostsMoreThan1000IsRefused(t *testing.T) {
	s := shopifytest.New(shopifytest.Config{})
	query := "{"
	for i := range 77 {
		query += fmt.Sprintf(" q%d: inventoryItems(first: 250) { nodes { id } }", i)
	}
	a := ask(t, s, query+"}", nil)
	assert.Equal(t, "MAX_COST_EXCEEDED", a.code(t))
	assert.EqualValues(t, 1001, a.Extensions.Cost.Requested)
	assert.EqualValues(t, 2000, a.Extensions.Cost.Throttle.Available)
	assert.Nil(t, a.Data)
}

func TestThrottledWithStatus200(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := shopifytest.New(shopifytest.Config{Bucket: 1000, RestoreRate: 50})
		id := s.Add(shopifytest.Item{SKU: "A", Available: 1})[0]
		s.Drain(995.5)
		a := set(t, s, input(row(s, id, 2, 1)))
		assert.Equal(t, "THROTTLED", a.code(t))
		assert.Nil(t, a.Data)
		cost := a.Extensions.Cost
		assert.EqualValues(t, 12, cost.Requested)
		assert.Nil(t, cost.Actual)
		assert.EqualValues(t, 4, cost.Throttle.Available)
		n, _ := s.Available("A")
		assert.Equal(t, 1, n, "nothing was done")

		// What is missing comes back with time, and not a moment earlier.
		time.Sleep(149 * time.Millisecond)
		assert.Equal(t, "THROTTLED", set(t, s, input(row(s, id, 2, 1))).code(t))
		time.Sleep(time.Millisecond)
		a = set(t, s, input(row(s, id, 2, 1)))
		assert.Empty(t, refusals(t, a, "inventorySetQuantities"))
		assert.EqualValues(t, 0, a.Extensions.Cost.Throttle.Available)

		time.Sleep(time.Hour)
		assert.EqualValues(t, 999, ask(t, s, shopQuery, nil).Extensions.Cost.Throttle.Available, "no more than the bucket holds")
		s.Drain(5000)
		assert.Equal(t, "THROTTLED", ask(t, s, shopQuery, nil).code(t))
		time.Sleep(20 * time.Millisecond)
		assert.Empty(t, ask(t, s, shopQuery, nil).Errors, "a bucket is never emptier than empty")
	})
}

// Whoever waits for exactly what is missing is served, over and over.
func TestWaitingForWhatIsMissingIsEnough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := shopifytest.New(shopifytest.Config{Bucket: 20, RestoreRate: 7})
		s.Drain(20)
		for range 200 {
			time.Sleep(time.Second / 7)
			require.Empty(t, ask(t, s, shopQuery, nil).Errors)
		}
	})
}

func TestMoreThan250InputRowsAreRefusedWithoutData(t *testing.T) {
	s := shopifytest.New(shopifytest.Config{})
	var rows []object
	var ids []string
	for i := range 251 {
		ids = append(ids, s.Add(shopifytest.Item{SKU: fmt.Sprint(i)})...)
		rows = append(rows, row(s, ids[i], 5, nil))
	}
	a := set(t, s, input(rows...))
	assert.Equal(t, "MAX_INPUT_SIZE_EXCEEDED", a.code(t))
	assert.Equal(t, []any{"inventorySetQuantities", "input", "quantities"}, a.Errors[0].Path)
	assert.NotContains(t, a.text, `"data"`)
	assert.Empty(t, s.History())
	assert.InDelta(t, 1988, a.Extensions.Cost.Throttle.Available, 1, "a refused call costs")
	assert.Empty(t, refusals(t, set(t, s, input(rows[:250]...)), "inventorySetQuantities"))
	assert.Len(t, s.History(), 250)

	const byIDs = `query($ids: [ID!]!) { nodes(ids: $ids) { id } }`
	assert.Equal(t, "MAX_INPUT_SIZE_EXCEEDED", ask(t, s, byIDs, object{"ids": ids}).code(t))
	assert.Empty(t, ask(t, s, byIDs, object{"ids": ids[:250]}).Errors)
}

func TestConcurrentUse(t *testing.T) {
	s := shopifytest.New(shopifytest.Config{Bucket: 1e6})
	ids := s.Add(shopifytest.Item{SKU: "A"}, shopifytest.Item{SKU: "B"})
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			for i := range 20 {
				a := ask(t, s, setMutation, object{"input": input(row(s, ids[n%2], n*100+i, nil)), "key": fmt.Sprintf("%d-%d", n, i)})
				assert.Equal(t, http.StatusOK, a.status)
				found(t, s, "sku:'A'")
				s.Set("A", i)
				s.Rename("B", "B")
				s.Available("B")
				s.History()
				s.Drain(1)
				s.Add(shopifytest.Item{SKU: "C"})
			}
		})
	}
	wg.Wait()
}
