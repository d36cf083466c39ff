package shopifytest_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/shopify/shopifytest"
)

func TestValidate(t *testing.T) {
	const byID = `query($id: ID!) { inventoryItem(id: $id) { sku } }`
	const item = "gid://shopify/InventoryItem/1"
	for name, c := range map[string]struct {
		query string
		vars  object
		bad   string // a part of the error; "" for none
	}{
		"right":                     {byID, object{"id": item}, ""},
		"variables are Go values":   {`query($ids: [ID!]!) { nodes(ids: $ids) { id } }`, object{"ids": []string{item}}, ""},
		"one value for a list":      {`query($ids: [ID!]!) { nodes(ids: $ids) { id } }`, object{"ids": item}, ""},
		"an unused variable":        {byID, object{"id": item, "other": 1}, ""},
		"syntax":                    {`{ shop { name }`, nil, "Expected"},
		"unknown field":             {`{ shop { secret } }`, nil, "secret"},
		"unknown argument":          {`{ shop(id: 1) { name } }`, nil, "id"},
		"missing argument":          {`{ inventoryItem { sku } }`, nil, "id"},
		"no selection":              {`{ shop }`, nil, "selection"},
		"unknown directive":         {`{ shop @fast { name } }`, nil, "fast"},
		"missing variable":          {byID, nil, "$id"},
		"null variable":             {byID, object{"id": nil}, "$id"},
		"an ID that is no gid":      {byID, object{"id": "1"}, "$id"},
		"an ID of another service":  {byID, object{"id": "gid://stocksync/InventoryItem/1"}, "$id"},
		"a variable never used":     {`query($id: ID!) { shop { name } }`, object{"id": item}, "id"},
		"a variable of other type":  {`query($id: String!) { inventoryItem(id: $id) { sku } }`, object{"id": item}, "id"},
		"a number in quotes":        {`query($n: Int!) { inventoryItems(first: $n) { nodes { id } } }`, object{"n": "5"}, "$n"},
		"a fraction":                {`query($n: Int!) { inventoryItems(first: $n) { nodes { id } } }`, object{"n": 5.5}, "$n"},
		"more than 32 bits":         {`query($n: Int!) { inventoryItems(first: $n) { nodes { id } } }`, object{"n": int64(3_000_000_000)}, "$n"},
		"a boolean that is a text":  {`query($b: Boolean!) { shop { name @skip(if: $b) } }`, object{"b": "true"}, "$b"},
		"an unknown enum value":     {`query($k: LocationSortKeys!) { locations(first: 1, sortKey: $k) { nodes { id } } }`, object{"k": "name"}, "$k"},
		"an unknown input field":    {setMutation, object{"key": "k", "input": object{"name": "", "reason": "", "quantities": []any{}, "ignoreCompareQuantity": true}}, "$input"},
		"a missing input field":     {setMutation, object{"key": "k", "input": object{"name": "", "quantities": []any{}}}, "reason"},
		"two operations, no name":   {`query A { shop { name } } query B { shop { name } }`, nil, "operation name"},
		"a retired input is not it": {`mutation { inventorySetOnHandQuantities(input: {}) { userErrors { field } } }`, nil, "inventorySetOnHandQuantities"},
	} {
		t.Run(name, func(t *testing.T) {
			err := shopifytest.Validate(c.query, c.vars)
			if c.bad == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.bad)
		})
	}
	assert.Contains(t, shopifytest.Schema(), "type QueryRoot {")
}

func TestADocumentThatIsNotInTheSchemaIsRefusedWithStatus200(t *testing.T) {
	s := shopifytest.New(shopifytest.Config{})
	a := ask(t, s, `{ shop { secret } }`, nil)
	assert.Equal(t, "undefinedField", a.code(t))
	assert.Nil(t, a.Data)
	a = ask(t, s, `query($id: ID!) { inventoryItem(id: $id) { sku } }`, object{"id": "7"})
	assert.Equal(t, "INVALID_VARIABLE", a.code(t))
	assert.Contains(t, a.text, "Invalid global id '7'")
	a = ask(t, s, `{ inventoryItem(id: "7") { sku } }`, nil)
	assert.Equal(t, "argumentLiteralsIncompatible", a.code(t))
}

func TestOperationName(t *testing.T) {
	s := shopifytest.New(shopifytest.Config{})
	two := `query A { shop { name } } query B { other: shop { name } }`
	a := post(t, s.Client(), endpoint, "shpat_test", object{"query": two, "operationName": "B"})
	assert.Equal(t, "test-shop", a.at("other", "name"))
}

func TestTheAnswerIsExactlyTheSelection(t *testing.T) {
	s := shopifytest.New(shopifytest.Config{})
	s.Add(shopifytest.Item{SKU: `A "quoted" <SKU>`, Available: 7})
	for name, c := range map[string]struct {
		query string
		vars  object
		want  string
	}{
		"aliases and order": {`{ second: shop { name } shop { it: name id } }`, nil,
			`{"second":{"name":"test-shop"},"shop":{"it":"test-shop","id":"gid://shopify/Shop/1"}}`},
		"fragments and merging": {`query($id: ID!) { node(id: $id) { ...F __typename ... on Location { id } ... on InventoryItem { level: inventoryLevel(locationId: "gid://shopify/Location/1") { isActive } } } }
			fragment F on InventoryItem { sku level: inventoryLevel(locationId: "gid://shopify/Location/1") { quantities(names: ["on_hand", "available", "committed"]) { name quantity } } }`, object{"id": "gid://shopify/InventoryItem/1001"},
			`{"node":{"sku":"A \"quoted\" \u003cSKU\u003e","level":{"quantities":[{"name":"on_hand","quantity":7},{"name":"available","quantity":7},{"name":"committed","quantity":0}],"isActive":true},"__typename":"InventoryItem"}}`},
		"include and skip": {`query($yes: Boolean!) { shop { id @include(if: $yes) name @skip(if: $yes) ... @skip(if: true) { currencyCode } } }`, object{"yes": true},
			`{"shop":{"id":"gid://shopify/Shop/1"}}`},
		"a default": {`query($yes: Boolean = false) { shop { id name @include(if: $yes) } }`, nil,
			`{"shop":{"id":"gid://shopify/Shop/1"}}`},
		"an interface's field": {`{ node(id: "gid://shopify/Location/1") { id } }`, nil, `{"node":{"id":"gid://shopify/Location/1"}}`},
		"edges": {`{ inventoryItems(first: 1) { edges { node { sku tracked duplicateSkuCount legacyResourceId } } pageInfo { hasNextPage hasPreviousPage } } }`, nil,
			`{"inventoryItems":{"edges":[{"node":{"sku":"A \"quoted\" \u003cSKU\u003e","tracked":true,"duplicateSkuCount":0,"legacyResourceId":"1001"}}],"pageInfo":{"hasNextPage":false,"hasPreviousPage":false}}}`},
		"locations":    {`{ locations(first: 5) { nodes { id } } location { id } other: location(id: "gid://shopify/Location/2") { id } }`, nil, `{"locations":{"nodes":[{"id":"gid://shopify/Location/1"}]},"location":{"id":"gid://shopify/Location/1"},"other":null}`},
		"unknown item": {`{ inventoryItem(id: "gid://shopify/InventoryItem/9") { sku } }`, nil, `{"inventoryItem":null}`},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Equal(t, c.want, data(t, s, c.query, c.vars))
		})
	}
}

func TestUnknownIDsAreNullInPlace(t *testing.T) {
	s := shopifytest.New(shopifytest.Config{})
	ids := s.Add(shopifytest.Item{SKU: "A"}, shopifytest.Item{SKU: "B"}, shopifytest.Item{SKU: "C"})
	s.Remove("B")
	assert.Equal(t, `{"nodes":[{"sku":"A"},null,{"sku":"C"},null]}`,
		data(t, s, `query($ids: [ID!]!) { nodes(ids: $ids) { ... on InventoryItem { sku } } }`, object{"ids": append(ids, "gid://shopify/Product/1")}))
}

func TestAnIDOfAnotherTypeIsNotFound(t *testing.T) {
	s := shopifytest.New(shopifytest.Config{})
	a := ask(t, s, `{ inventoryItem(id: "gid://shopify/Location/1") { sku } }`, nil)
	assert.Equal(t, "RESOURCE_NOT_FOUND", a.code(t))
}

func TestWhatNeedsMoreScopesIsDenied(t *testing.T) {
	s := shopifytest.New(shopifytest.Config{})
	s.Add(shopifytest.Item{SKU: "A"})
	a := ask(t, s, `{ location { id name } shop { name } }`, nil)
	assert.Equal(t, "ACCESS_DENIED", a.code(t))
	assert.Equal(t, []any{"location", "name"}, a.Errors[0].Path)
	assert.Nil(t, a.at("location"), "null where none is allowed makes the object null")
	assert.Equal(t, "test-shop", a.at("shop", "name"))
	a = ask(t, s, `{ inventoryItems(first: 1) { nodes { variant { id } } } }`, nil)
	assert.Equal(t, "ACCESS_DENIED", a.code(t))
	assert.Nil(t, a.Data)
	assert.Contains(t, a.text, `"data":null`)
}

func TestWhatTheFakeDoesNotDoFailsLoudlyAndChangesNothing(t *testing.T) {
	s := shopifytest.New(shopifytest.Config{})
	id := s.Add(shopifytest.Item{SKU: "A", Available: 1})[0]
	for name, query := range map[string]string{
		"root field":             `{ publicApiVersions { handle } }`,
		"field":                  `{ shop { plan { shopifyPlus } } }`,
		"field in a fragment":    `{ nodes(ids: []) { ... on Product { title } } }`,
		"argument":               `{ inventoryItems(last: 5) { nodes { id } } }`,
		"another order":          `{ locations(first: 5, reverse: true) { nodes { id } } }`,
		"introspection":          `{ __schema { types { name } } }`,
		"other mutation":         `mutation { webhookSubscriptionDelete(id: "gid://shopify/WebhookSubscription/1") { userErrors { message } } }`,
		"other input":            `mutation { inventoryItemUpdate(id: "` + id + `", input: {tracked: false, sku: "B"}) { userErrors { message } } }`,
		"key where none belongs": `mutation { inventoryItemUpdate(id: "` + id + `", input: {tracked: false}) @idempotent(key: "k") { userErrors { message } } }`,
		"the write before it": `mutation { inventoryItemUpdate(id: "` + id + `", input: {tracked: false}) { userErrors { message } }
			webhookSubscriptionDelete(id: "gid://shopify/WebhookSubscription/1") { userErrors { message } } }`,
	} {
		t.Run(name, func(t *testing.T) {
			unsupported(t, ask(t, s, query, nil))
			i, ok := s.Item(id)
			assert.True(t, ok)
			assert.Equal(t, shopifytest.Item{SKU: "A", Available: 1}, i)
		})
	}
	assert.Equal(t, http.StatusOK, ask(t, s, shopQuery, nil).status, "it still answers")
}
