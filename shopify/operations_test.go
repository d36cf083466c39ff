package shopify

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/shopify/shopifytest"
)

func TestOperationsMatchTheSchema(t *testing.T) {
	item, location := itemID(1), "gid://shopify/Location/1"
	five, cursor := 5, "c"
	for _, test := range []struct {
		op   operation
		vars any
	}{
		{findItems, findItemsVars{Query: "sku:'a'"}},
		{findItems, findItemsVars{Query: "sku:'a'", After: &cursor}},
		{readLevels, readLevelsVars{IDs: []string{item}, Location: location}},
		{setQuantities, setQuantitiesVars{Key: "k", Input: setQuantitiesInput{
			Name: "available", Reason: "correction", ReferenceDocumentURI: "gid://stocksync/SyncRun/1",
			Quantities: []quantityInput{{item, location, 1, nil}, {item, location, 1, &five}},
		}}},
		{readProducts, readLevelsVars{IDs: []string{item}, Location: location}},
		{listItems, listItemsVars{}},
		{listItems, listItemsVars{After: &cursor, Reverse: true}},
		{trackItem, trackItemVars{item, true}},
		{findLevel, findLevelVars{item, location}},
		{deactivateLevel, deactivateLevelVars{"gid://shopify/InventoryLevel/1?inventory_item_id=1"}},
		{findLocation, findLocationVars{ID: location, After: &cursor}},
		{ping, struct{}{}},
		{findSubscription, struct{}{}},
		{cancelBulk, pollBulkVars{"gid://shopify/BulkOperation/1"}},
		{activateItem, activateItemVars{item, location, "k"}},
		{startBulk, startBulkVars{everyItem}},
		{pollBulk, pollBulkVars{"gid://shopify/BulkOperation/1"}},
		{operation{name: "everyItem", query: everyItem}, struct{}{}},
	} {
		raw, err := json.Marshal(test.vars)
		require.NoError(t, err)
		var vars map[string]any
		require.NoError(t, json.Unmarshal(raw, &vars))
		assert.NoError(t, shopifytest.Validate(test.op.query, vars), test.op.name)
	}
	assert.Error(t, shopifytest.Validate(`{ nothing }`, nil))
}

// Left out, it is refused; so null must be written, and 0 too.
func TestChangeFromQuantityIsNeverLeftOut(t *testing.T) {
	zero := 0
	for want, from := range map[string]*int{`null`: nil, `0`: &zero} {
		raw, err := json.Marshal(quantityInput{ChangeFromQuantity: from})
		require.NoError(t, err)
		assert.Contains(t, string(raw), `"quantity":0,"changeFromQuantity":`+want)
	}
}

func TestUserErrorNamesItsRow(t *testing.T) {
	for _, test := range []struct {
		field []string
		row   int
		ok    bool
	}{
		{[]string{"input", "quantities", "0", "inventoryItemId"}, 0, true},
		{[]string{"input", "quantities", "9"}, 9, true},
		{[]string{"input", "quantities", "10", "quantity"}, 0, false},
		{[]string{"input", "quantities", "-1", "quantity"}, 0, false},
		{[]string{"input", "quantities", "x"}, 0, false},
		{[]string{"input", "quantities"}, 0, false},
		{[]string{"input", "name"}, 0, false},
		{nil, 0, false},
	} {
		row, ok := userError{field: test.field}.row(10)
		assert.Equal(t, test.ok, ok, test.field)
		if ok {
			assert.Equal(t, test.row, row)
		}
	}
}

func TestDescribe(t *testing.T) {
	for _, test := range []struct {
		query, name string
		repeat      bool
	}{
		{`{ shop { id } }`, "query", true},
		{`query { shop { id } }`, "query", true},
		{"# mutation\nquery Shop($a: Int = 1) { mutation: shop { id } }", "Shop", true},
		{`query mutation { shop { id } }`, "mutation", true},
		{`mutation { do }`, "mutation", false},
		{`mutation Do($x: In = {a: "}"}) { do(x: $x) }`, "Do", false},
		{`mutation Do { do } # @idempotent(key: "k")`, "Do", false},
		{`mutation Do { do(text: "@idempotent") }`, "Do", false},
		{`mutation Do { do(text: """@idempotent " \""" @idempotent""") }`, "Do", false},
		{`mutation Do($key: String!) { do @idempotent(key: $key) { id } }`, "Do", true},
		{`fragment F on Shop { id } mutation Do { do { ...F } }`, "Do", false},
		{`fragment mutation on Shop { id } query Q { shop { ...mutation } }`, "Q", true},
	} {
		op := describe(test.query)
		assert.Equal(t, test.name, op.name, test.query)
		assert.Equal(t, test.repeat, op.repeat, test.query)
	}
}
