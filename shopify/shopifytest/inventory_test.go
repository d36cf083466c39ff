package shopifytest_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/shopify/shopifytest"
)

const setField = "inventorySetQuantities"

func TestSetQuantities(t *testing.T) {
	s := shopifytest.New(shopifytest.Config{LocationID: 77})
	ids := s.Add(shopifytest.Item{SKU: "A", Available: 3}, shopifytest.Item{SKU: "B", Available: 1}, shopifytest.Item{SKU: "C", Available: 8})
	assert.Equal(t, "gid://shopify/Location/77", s.Location())
	a := set(t, s, input(row(s, ids[0], 5, 3), row(s, ids[1], -2, nil), row(s, ids[2], 8, 8)))
	require.Empty(t, refusals(t, a, setField))
	assert.Equal(t, "gid://stocksync/SyncRun/1", a.at(setField, "inventoryAdjustmentGroup", "referenceDocumentUri"))
	assert.Equal(t, []any{
		object{"name": "available", "delta": 2.0, "item": object{"sku": "A"}},
		object{"name": "available", "delta": -3.0, "item": object{"sku": "B"}},
	}, a.at(setField, "inventoryAdjustmentGroup", "changes"))

	for sku, want := range map[string]int{"A": 5, "B": -2, "C": 8} {
		n, ok := s.Available(sku)
		assert.True(t, ok)
		assert.Equal(t, want, n, sku)
	}
	history := s.History()
	require.Len(t, history, 2)
	assert.Equal(t, shopifytest.Change{
		SKU: "A", ItemID: ids[0], From: 3, To: 5, ReferenceDocumentURI: "gid://stocksync/SyncRun/1",
		Key: history[0].Key, Time: history[0].Time,
	}, history[0])
	assert.NotEmpty(t, history[0].Key)
	assert.WithinDuration(t, time.Now(), history[0].Time, time.Minute)
}

func TestAnUnchangedValueGivesAnEmptyGroupAndNoErrors(t *testing.T) {
	s := shopifytest.New(shopifytest.Config{})
	id := s.Add(shopifytest.Item{SKU: "A", Available: 3})[0]
	a := set(t, s, input(row(s, id, 3, 3)))
	assert.Empty(t, refusals(t, a, setField))
	assert.Nil(t, a.at(setField, "inventoryAdjustmentGroup"))
	assert.Empty(t, s.History())
}

func TestChangeFromQuantityMustBeThereInEveryRow(t *testing.T) {
	s := shopifytest.New(shopifytest.Config{})
	ids := s.Add(shopifytest.Item{SKU: "A"}, shopifytest.Item{SKU: "B"})
	without := row(s, ids[1], 5, nil)
	delete(without, "changeFromQuantity")
	a := set(t, s, input(row(s, ids[0], 5, nil), without))
	assert.Equal(t, "INVALID_FIELD_ARGUMENTS", a.code(t))
	assert.Nil(t, a.at(setField))
	assert.Empty(t, s.History())
	// An unset variable in a literal is missing too.
	a = ask(t, s, `mutation($from: Int) { inventorySetQuantities(input: {name: "available", reason: "correction", quantities: [
		{inventoryItemId: "`+ids[0]+`", locationId: "`+s.Location()+`", quantity: 1, changeFromQuantity: $from}]}) @idempotent(key: "k") { userErrors { field } } }`, nil)
	assert.Equal(t, "INVALID_FIELD_ARGUMENTS", a.code(t))
}

func TestAStaleValueIsRefused(t *testing.T) {
	s := shopifytest.New(shopifytest.Config{})
	ids := s.Add(shopifytest.Item{SKU: "A", Available: 3}, shopifytest.Item{SKU: "B", Available: 3})
	s.Set("B", 2)
	a := set(t, s, input(row(s, ids[0], 9, 3), row(s, ids[1], 9, 3)))
	assert.Equal(t, []refusal{{"CHANGE_FROM_QUANTITY_STALE", "input.quantities.1.changeFromQuantity"}}, refusals(t, a, setField))
	assert.Nil(t, a.at(setField, "inventoryAdjustmentGroup"))
	n, _ := s.Available("A")
	assert.Equal(t, 3, n, "with one wrong row nothing is done")
	assert.Empty(t, s.History())
}

func TestRefusedRows(t *testing.T) {
	for name, c := range map[string]struct {
		change func(s *shopifytest.Server, in object, ids []string)
		want   []refusal
	}{
		"unknown item": {func(_ *shopifytest.Server, in object, _ []string) {
			in["quantities"].([]object)[1]["inventoryItemId"] = "gid://shopify/InventoryItem/9"
		}, []refusal{{"INVALID_INVENTORY_ITEM", "input.quantities.1.inventoryItemId"}}},
		"removed item": {func(s *shopifytest.Server, _ object, _ []string) { s.Remove("A") },
			[]refusal{{"INVALID_INVENTORY_ITEM", "input.quantities.0.inventoryItemId"}}},
		"unknown location": {func(_ *shopifytest.Server, in object, _ []string) {
			in["quantities"].([]object)[0]["locationId"] = "gid://shopify/Location/9"
		}, []refusal{{"INVALID_LOCATION", "input.quantities.0.locationId"}}},
		"bundle": {func(_ *shopifytest.Server, in object, ids []string) {
			in["quantities"].([]object)[0]["inventoryItemId"] = ids[2]
		}, []refusal{{"NON_MUTABLE_INVENTORY_ITEM", "input.quantities.0.inventoryItemId"}}},
		"untracked": {func(_ *shopifytest.Server, in object, ids []string) {
			in["quantities"].([]object)[0]["inventoryItemId"] = ids[3]
		}, []refusal{{nil, "input.quantities.0.inventoryItemId"}}},
		"duplicate pair on both rows": {func(_ *shopifytest.Server, in object, ids []string) {
			in["quantities"].([]object)[1]["inventoryItemId"] = ids[0]
		}, []refusal{
			{"NO_DUPLICATE_INVENTORY_ITEM_ID_GROUP_ID_PAIR", "input.quantities.0.inventoryItemId"},
			{"NO_DUPLICATE_INVENTORY_ITEM_ID_GROUP_ID_PAIR", "input.quantities.1.inventoryItemId"},
		}},
		"too high": {func(_ *shopifytest.Server, in object, _ []string) {
			in["quantities"].([]object)[0]["quantity"] = 1_000_000_001
		}, []refusal{{"INVALID_QUANTITY_TOO_HIGH", "input.quantities.0.quantity"}}},
		"too low": {func(_ *shopifytest.Server, in object, _ []string) {
			in["quantities"].([]object)[0]["quantity"] = -1_000_000_001
		}, []refusal{{"INVALID_QUANTITY_TOO_LOW", "input.quantities.0.quantity"}}},
		"the last that fit": {func(_ *shopifytest.Server, in object, _ []string) {
			in["quantities"].([]object)[0]["quantity"] = 1_000_000_000
			in["quantities"].([]object)[1]["quantity"] = -1_000_000_000
		}, nil},
		"name":              {func(_ *shopifytest.Server, in object, _ []string) { in["name"] = "sellable" }, []refusal{{"INVALID_NAME", "input.name"}}},
		"reason":            {func(_ *shopifytest.Server, in object, _ []string) { in["reason"] = "because" }, []refusal{{"INVALID_REASON", "input.reason"}}},
		"no reference":      {func(_ *shopifytest.Server, in object, _ []string) { delete(in, "referenceDocumentUri") }, nil},
		"several things":    {func(_ *shopifytest.Server, in object, _ []string) { in["reason"], in["name"] = "because", "sellable" }, []refusal{{"INVALID_NAME", "input.name"}, {"INVALID_REASON", "input.reason"}}},
		"rows with nothing": {func(_ *shopifytest.Server, in object, _ []string) { in["quantities"] = []object{} }, nil},
		"two stale, in order": {func(s *shopifytest.Server, _ object, _ []string) { s.Set("A", 8); s.Set("B", 8) },
			[]refusal{{"CHANGE_FROM_QUANTITY_STALE", "input.quantities.0.changeFromQuantity"}, {"CHANGE_FROM_QUANTITY_STALE", "input.quantities.1.changeFromQuantity"}}},
	} {
		t.Run(name, func(t *testing.T) {
			s := shopifytest.New(shopifytest.Config{})
			ids := s.Add(
				shopifytest.Item{SKU: "A"}, shopifytest.Item{SKU: "B"},
				shopifytest.Item{SKU: "BUNDLE", Bundle: true}, shopifytest.Item{SKU: "U", Untracked: true},
			)
			in := input(row(s, ids[0], 5, 0), row(s, ids[1], 5, 0))
			c.change(s, in, ids)
			assert.Equal(t, c.want, refusals(t, set(t, s, in), setField))
			if c.want != nil {
				assert.Empty(t, s.History())
			}
		})
	}
}

func TestReferenceDocumentURI(t *testing.T) {
	for uri, good := range map[string]bool{
		"gid://stocksync/SyncRun/2026-10-01T10.00": true,
		"gid://my-app/Run/1":                       true,
		"gid://stocksync/SyncRun/":                 false,
		"gid://stocksync/SyncRun":                  false,
		"gid://stocksync/SyncRun/a b":              false,
		"gid://stocksync/Sync/Run/1":               false,
		"gid:///SyncRun/1":                         false,
		"https://example.com/runs/1":               false,
		"":                                         false,
	} {
		s := shopifytest.New(shopifytest.Config{})
		in := input(row(s, s.Add(shopifytest.Item{SKU: "A"})[0], 5, 0))
		in["referenceDocumentUri"] = uri
		var want []refusal
		if !good {
			want = []refusal{{"INVALID_REFERENCE_DOCUMENT", "input.referenceDocumentUri"}}
		}
		assert.Equal(t, want, refusals(t, set(t, s, in), setField), uri)
	}
}

func TestSettingOnHandIsNotDone(t *testing.T) {
	s := shopifytest.New(shopifytest.Config{})
	in := input(row(s, s.Add(shopifytest.Item{SKU: "A"})[0], 5, 0))
	in["name"] = "on_hand"
	unsupported(t, set(t, s, in))
}

func TestAnIdempotencyKeyIsRequired(t *testing.T) {
	s := shopifytest.New(shopifytest.Config{})
	id := s.Add(shopifytest.Item{SKU: "A", NotStocked: true})[0]
	bare := strings.NewReplacer("@idempotent(key: $key)", "", ", $key: String!", "").Replace(setMutation)
	assert.Equal(t, "BAD_REQUEST", ask(t, s, bare, object{"input": input(row(s, id, 5, nil))}).code(t))
	assert.Equal(t, "BAD_REQUEST", ask(t, s, setMutation, object{"input": input(row(s, id, 5, nil)), "key": ""}).code(t))
	bare = strings.NewReplacer("@idempotent(key: $key)", "", ", $key: String!", "").Replace(activateMutation)
	assert.Equal(t, "BAD_REQUEST", ask(t, s, bare, object{"item": id, "location": s.Location()}).code(t))
	i, _ := s.Item(id)
	assert.True(t, i.NotStocked)
}

func TestTheSameKeyAndVariablesGiveTheSameAnswerAndAreNotAppliedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := shopifytest.New(shopifytest.Config{})
		id := s.Add(shopifytest.Item{SKU: "A", Available: 3})[0]
		vars := object{"input": input(row(s, id, 5, 3)), "key": "once"}
		first := data(t, s, setMutation, vars)
		s.Set("A", 4)
		assert.Equal(t, first, data(t, s, setMutation, vars))
		n, _ := s.Available("A")
		assert.Equal(t, 4, n)
		assert.Len(t, s.History(), 1)

		// Other variables, even in another mutation, are refused.
		other := object{"input": input(row(s, id, 6, 4)), "key": "once"}
		assert.Equal(t, []refusal{{"IDEMPOTENCY_KEY_PARAMETER_MISMATCH", ""}}, refusals(t, ask(t, s, setMutation, other), setField))
		a := ask(t, s, activateMutation, object{"item": id, "location": s.Location(), "key": "once"})
		assert.Equal(t, []refusal{{nil, ""}}, refusals(t, a, "inventoryActivate"))
		assert.Len(t, s.History(), 1)

		// After a refusal too.
		stale := object{"input": input(row(s, id, 9, 1)), "key": "stale"}
		first = data(t, s, setMutation, stale)
		s.Set("A", 1)
		assert.Equal(t, first, data(t, s, setMutation, stale))

		time.Sleep(24*time.Hour - time.Millisecond)
		assert.Equal(t, first, data(t, s, setMutation, stale))
		time.Sleep(time.Millisecond)
		assert.Empty(t, refusals(t, ask(t, s, setMutation, stale), setField), "after a day the key is forgotten")
		n, _ = s.Available("A")
		assert.Equal(t, 9, n)
	})
}

const activateMutation = `mutation Activate($item: ID!, $location: ID!, $available: Int, $key: String!) {
	inventoryActivate(inventoryItemId: $item, locationId: $location, available: $available) @idempotent(key: $key) {
		inventoryLevel { isActive quantities(names: ["available"]) { quantity } }
		userErrors { field message }
	}
}`

const levelQuery = `query($id: ID!, $location: ID!, $all: Boolean!) {
	inventoryItem(id: $id) { inventoryLevel(locationId: $location, includeInactive: $all) { isActive quantities(names: ["available"]) { quantity } } }
}`

func TestANotStockedItemGetsAnInactiveLevelByAWrite(t *testing.T) {
	s := shopifytest.New(shopifytest.Config{})
	id := s.Add(shopifytest.Item{SKU: "A", NotStocked: true})[0]
	see := func(all bool) string {
		return data(t, s, levelQuery, object{"id": id, "location": s.Location(), "all": all})
	}
	assert.Equal(t, `{"inventoryItem":{"inventoryLevel":null}}`, see(true))
	_, ok := s.Available("A")
	assert.False(t, ok)

	assert.Empty(t, refusals(t, set(t, s, input(row(s, id, 5, nil))), setField))
	assert.Equal(t, `{"inventoryItem":{"inventoryLevel":{"isActive":false,"quantities":[{"quantity":5}]}}}`, see(true))
	assert.Equal(t, `{"inventoryItem":{"inventoryLevel":null}}`, see(false), "what is not active is not shown unasked")

	a := ask(t, s, activateMutation, object{"item": id, "location": s.Location(), "key": "activate"})
	assert.Empty(t, refusals(t, a, "inventoryActivate"))
	assert.Equal(t, true, a.at("inventoryActivate", "inventoryLevel", "isActive"))
	assert.Equal(t, `{"inventoryItem":{"inventoryLevel":{"isActive":true,"quantities":[{"quantity":5}]}}}`, see(false))
}

func TestActivate(t *testing.T) {
	s := shopifytest.New(shopifytest.Config{})
	ids := s.Add(shopifytest.Item{SKU: "A", NotStocked: true}, shopifytest.Item{SKU: "B", Inactive: true, Available: 4}, shopifytest.Item{SKU: "C", Bundle: true, NotStocked: true})
	call := func(id, location string, available any) *answer {
		keys++
		return ask(t, s, activateMutation, object{"item": id, "location": location, "available": available, "key": fmt.Sprintf("activate-%d", keys)})
	}
	a := call(ids[0], s.Location(), 6)
	assert.Empty(t, refusals(t, a, "inventoryActivate"))
	assert.EqualValues(t, 6, a.at("inventoryActivate", "inventoryLevel", "quantities", 0, "quantity"))
	assert.Len(t, s.History(), 1)
	assert.Equal(t, []refusal{{nil, "available"}}, refusals(t, call(ids[0], s.Location(), 7), "inventoryActivate"), "it is active already")
	assert.Empty(t, refusals(t, call(ids[0], s.Location(), nil), "inventoryActivate"))
	assert.Empty(t, refusals(t, call(ids[1], s.Location(), nil), "inventoryActivate"))
	i, _ := s.Item(ids[1])
	assert.Equal(t, shopifytest.Item{SKU: "B", Available: 4}, i)
	assert.Equal(t, []refusal{{nil, "inventoryItemId"}}, refusals(t, call("gid://shopify/InventoryItem/9", s.Location(), nil), "inventoryActivate"))
	assert.Equal(t, []refusal{{nil, "inventoryItemId"}}, refusals(t, call(ids[2], s.Location(), nil), "inventoryActivate"))
	assert.Equal(t, []refusal{{nil, "locationId"}}, refusals(t, call(ids[0], "gid://shopify/Location/9", nil), "inventoryActivate"))
}

func TestLevelByID(t *testing.T) {
	s := shopifytest.New(shopifytest.Config{})
	id := s.Add(shopifytest.Item{SKU: "A", Available: 2})[0]
	level := ask(t, s, `query($id: ID!) { inventoryItem(id: $id) { inventoryLevel(locationId: "gid://shopify/Location/1") { id } } }`, object{"id": id}).
		at("inventoryItem", "inventoryLevel", "id")
	assert.Equal(t, `{"inventoryLevel":{"item":{"sku":"A"},"location":{"id":"gid://shopify/Location/1"}}}`,
		data(t, s, `query($id: ID!) { inventoryLevel(id: $id) { item { sku } location { id } } }`, object{"id": level}))
	assert.Equal(t, `{"location":{"inventoryLevel":{"id":"`+level.(string)+`"}}}`,
		data(t, s, `query($id: ID!) { location { inventoryLevel(inventoryItemId: $id) { id } } }`, object{"id": id}))
}

func TestTracked(t *testing.T) {
	s := shopifytest.New(shopifytest.Config{})
	ids := s.Add(shopifytest.Item{SKU: "A", Untracked: true}, shopifytest.Item{SKU: "B", Untracked: true, Bundle: true})
	const update = `mutation($id: ID!) { inventoryItemUpdate(id: $id, input: {tracked: true}) { inventoryItem { tracked } userErrors { field message } } }`
	a := ask(t, s, update, object{"id": ids[0]})
	assert.Empty(t, refusals(t, a, "inventoryItemUpdate"))
	assert.Equal(t, true, a.at("inventoryItemUpdate", "inventoryItem", "tracked"))
	i, _ := s.Item(ids[0])
	assert.False(t, i.Untracked)
	assert.Empty(t, refusals(t, set(t, s, input(row(s, ids[0], 5, nil))), setField))

	assert.Equal(t, []refusal{{nil, "input.tracked"}}, refusals(t, ask(t, s, update, object{"id": ids[1]}), "inventoryItemUpdate"))
	assert.Equal(t, []refusal{{nil, "id"}}, refusals(t, ask(t, s, update, object{"id": "gid://shopify/InventoryItem/9"}), "inventoryItemUpdate"))
}

func TestSeveralItemsMayShareAnSKU(t *testing.T) {
	s := shopifytest.New(shopifytest.Config{})
	ids := s.Add(shopifytest.Item{SKU: "A", Available: 1}, shopifytest.Item{SKU: "A", Available: 2}, shopifytest.Item{}, shopifytest.Item{})
	_, ok := s.Available("A")
	assert.False(t, ok)
	_, ok = s.Available("none")
	assert.False(t, ok)
	assert.Equal(t, `{"nodes":[{"duplicateSkuCount":1},{"duplicateSkuCount":1},{"duplicateSkuCount":0},{"duplicateSkuCount":0}]}`,
		data(t, s, `query($ids: [ID!]!) { nodes(ids: $ids) { ... on InventoryItem { duplicateSkuCount } } }`, object{"ids": ids}))
	s.Set("A", 7)
	for _, id := range ids[:2] {
		i, ok := s.Item(id)
		assert.True(t, ok)
		assert.Equal(t, 7, i.Available)
	}
	s.Rename("A", "B")
	assert.Equal(t, []string{"B", "B"}, found(t, s, "sku:'B'"))
	s.Remove("B")
	_, ok = s.Item(ids[0])
	assert.False(t, ok)
	assert.Empty(t, s.History(), "only writes over the API are in it")
}

func TestWhatIsSetInTheAdminNeedsALevel(t *testing.T) {
	s := shopifytest.New(shopifytest.Config{})
	id := s.Add(shopifytest.Item{SKU: "A", NotStocked: true, Available: 9})[0]
	s.Set("A", 7)
	i, _ := s.Item(id)
	assert.Equal(t, shopifytest.Item{SKU: "A", NotStocked: true}, i)
}
