package shopifytest_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/internal/racetest"
	"github.com/ecosire/stocksync/shopify/shopifytest"
)

const searchQuery = `query($q: String, $first: Int!, $after: String) {
	inventoryItems(query: $q, first: $first, after: $after) { nodes { sku } pageInfo { hasNextPage endCursor } }
}`

func found(t *testing.T, s *shopifytest.Server, query string) (skus []string) {
	t.Helper()
	a := ask(t, s, searchQuery, object{"q": query, "first": 250})
	require.Empty(t, a.Errors, a.text)
	list, ok := a.at("inventoryItems", "nodes").([]any)
	require.True(t, ok, a.text)
	for _, n := range list {
		skus = append(skus, n.(map[string]any)["sku"].(string))
	}
	return skus
}

func TestSearchIsNotExact(t *testing.T) {
	s := shopifytest.New(shopifytest.Config{})
	for _, sku := range []string{"MUG-1", "mug-1", "MUG-10", "MUG-1-BLUE", "OLD MUG-1", "MUG-2", "CUP-1", "", `O'Neil "5: (a)\b`, "O", "a,b", "ÄÖ-1"} {
		s.Add(shopifytest.Item{SKU: sku})
	}
	for query, want := range map[string][]string{
		`sku:'MUG-1'`:                      {"MUG-1", "mug-1", "MUG-10", "MUG-1-BLUE", "OLD MUG-1"},
		`sku:"mug-2"`:                      {"MUG-2"},
		`sku:CUP-1`:                        {"CUP-1"},
		`sku:'CUP-1' OR sku:'MUG-2'`:       {"MUG-2", "CUP-1"},
		`sku:'MUG-2' OR sku:'mug-2'`:       {"MUG-2"},
		`sku:'O\'Neil \"5: (a)\\b'`:        {`O'Neil "5: (a)\b`},
		`sku:'blue'`:                       {"MUG-1-BLUE"},
		`sku:'1 mug'`:                      nil,
		`sku:'mug'`:                        {"MUG-1", "mug-1", "MUG-10", "MUG-1-BLUE", "OLD MUG-1", "MUG-2"},
		`sku:'äö-1'`:                       {"ÄÖ-1"},
		`sku:'a,b'`:                        {`O'Neil "5: (a)\b`, "a,b"}, // the same words
		`sku:'nothing'`:                    nil,
		`sku:'nothing' OR sku:'old mug-1'`: {"OLD MUG-1"},
	} {
		assert.Equal(t, want, found(t, s, query), query)
	}
}

func TestSearchSyntaxThatTheFakeDoesNotKnowIsRefused(t *testing.T) {
	s := shopifytest.New(shopifytest.Config{})
	for _, query := range []string{
		`MUG-1`, `sku:`, `sku:''`, `sku:'MUG`, `sku:'O'Neil'`, `sku:a:b`, `sku:(a)`, `sku:MUG*`, `title:'x'`,
		`sku:'a' AND sku:'b'`, `sku:'a' sku:'b'`, `sku:'a' OR `, `sku:'a'OR sku:'b'`, `NOT sku:'a'`,
	} {
		unsupported(t, ask(t, s, searchQuery, object{"q": query, "first": 5}))
	}
}

func TestSearchFollowsChanges(t *testing.T) {
	s := shopifytest.New(shopifytest.Config{})
	ids := s.Add(shopifytest.Item{SKU: "A"}, shopifytest.Item{SKU: "B"}, shopifytest.Item{SKU: "C", Unindexed: true})
	assert.Equal(t, []string{"A"}, found(t, s, "sku:'A'"))
	s.Rename("A", "X")
	assert.Empty(t, found(t, s, "sku:'A'"))
	assert.Equal(t, []string{"X"}, found(t, s, "sku:'X'"))
	s.Remove("X")
	assert.Empty(t, found(t, s, "sku:'X'"))
	s.Add(shopifytest.Item{SKU: "X"})
	assert.Equal(t, []string{"X"}, found(t, s, "sku:'X'"))

	assert.Empty(t, found(t, s, "sku:'C'"), "not indexed yet")
	assert.Equal(t, []string{"B", "X"}, found(t, s, ""))
	assert.Equal(t, `{"inventoryItem":{"sku":"C"}}`, data(t, s, `query($id: ID!) { inventoryItem(id: $id) { sku } }`, object{"id": ids[2]}))
}

func TestPaging(t *testing.T) {
	s := shopifytest.New(shopifytest.Config{Bucket: 1e6})
	for i := range 601 {
		s.Add(shopifytest.Item{SKU: fmt.Sprintf("P-%d", i)})
	}
	var pages []int
	seen := map[string]bool{}
	var after any
	for {
		a := ask(t, s, searchQuery, object{"q": "sku:'P'", "first": 250, "after": after})
		list := a.at("inventoryItems", "nodes").([]any)
		pages = append(pages, len(list))
		for _, n := range list {
			seen[n.(map[string]any)["sku"].(string)] = true
		}
		if a.at("inventoryItems", "pageInfo", "hasNextPage") != true {
			break
		}
		after = a.at("inventoryItems", "pageInfo", "endCursor")
	}
	assert.Equal(t, []int{250, 250, 101}, pages)
	assert.Len(t, seen, 601)

	for name, vars := range map[string]object{
		"more than 250": {"first": 251},
		"none":          {"first": 0},
		"wrong cursor":  {"first": 1, "after": "?"},
	} {
		assert.Equal(t, "BAD_REQUEST", ask(t, s, searchQuery, vars).code(t), name)
	}
	assert.Equal(t, "BAD_REQUEST", ask(t, s, `{ inventoryItems { nodes { id } } }`, nil).code(t), "neither first nor last")
}

func TestOnly25000ObjectsCanBePagedThrough(t *testing.T) {
	s := shopifytest.New(shopifytest.Config{Bucket: 1e6})
	items := make([]shopifytest.Item, 25_001)
	for i := range items {
		items[i].SKU = fmt.Sprintf("P-%d", i)
	}
	s.Add(items...)
	var after any
	for range 100 {
		a := ask(t, s, searchQuery, object{"first": 250, "after": after})
		require.Empty(t, a.Errors, a.text)
		after = a.at("inventoryItems", "pageInfo", "endCursor")
	}
	assert.Equal(t, "BAD_REQUEST", ask(t, s, searchQuery, object{"first": 250, "after": after}).code(t))
}

// A shop with 100,000 items must not make the tests of its users slow.
func TestManyItems(t *testing.T) {
	racetest.Long(t)
	s := shopifytest.New(shopifytest.Config{Bucket: 1e9})
	items := make([]shopifytest.Item, 100_000)
	for i := range items {
		items[i].SKU = fmt.Sprintf("SKU-%06d", i)
	}
	start := time.Now()
	ids := s.Add(items...)
	for i := 0; i < len(ids); i += 25_000 {
		assert.Equal(t, []string{items[i].SKU}, found(t, s, "sku:'"+items[i].SKU+"'"))
	}
	var last *answer
	for i := 0; i < len(ids); i += 5_000 {
		rows := make([]object, 250)
		for j := range rows {
			rows[j] = row(s, ids[i+j], 5, 0)
		}
		last = set(t, s, input(rows...))
	}
	assert.Empty(t, refusals(t, last, "inventorySetQuantities"))
	assert.Len(t, s.History(), 5_000)
	a := ask(t, s, `mutation { bulkOperationRunQuery(query: "{ inventoryItems { edges { node { id sku } } } }") { bulkOperation { id } userErrors { message } } }`, nil)
	assert.NotNil(t, a.at("bulkOperationRunQuery", "bulkOperation", "id"), a.text)
	t.Logf("%v", time.Since(start))
}
