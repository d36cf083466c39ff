package square

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/racetest"
	"github.com/ecosire/stocksync/square/squaretest"
)

// The bodies that this package sends, with every field set.
func TestTrapBodiesMatchTheSpecification(t *testing.T) {
	assert.Equal(t, squaretest.SchemaVersion, defaultVersion)
	for _, test := range []struct {
		path, operation string
		body            any
	}{
		{searchPath, "SearchCatalogObjects", searchBody{
			Types: []string{"ITEM", "ITEM_VARIATION"}, Query: &query{set{"sku", []string{"A"}}}, BeginTime: "2026-11-26T09:00:00.000Z",
			Deleted: true, Related: true, Limit: pageSize, Cursor: "c",
		}},
		{searchPath, "SearchCatalogObjects", everything},
		{objectPath, "BatchRetrieveCatalogObjects", objectsBody{[]string{"V"}}},
		{countsPath, "BatchRetrieveInventoryCounts", countsBody{[]string{"V"}, []string{"L"}, []string{inStock}, maxIDs, "c"}},
		{changesPath, "BatchChangeInventory", changesBody{"key", false, []change{{"PHYSICAL_COUNT", physicalCount{
			"V", inStock, "L", "7", "2026-11-26T09:00:00.000Z", reference("run"),
		}}}}},
	} {
		raw, err := json.Marshal(test.body)
		require.NoError(t, err)
		operation, err := squaretest.Validate("POST", test.path, nil, raw)
		assert.NoError(t, err, "%s", raw)
		assert.Equal(t, test.operation, operation)
	}
	operation, err := squaretest.Validate("GET", locationsPath+"LMAIN", nil, nil)
	assert.NoError(t, err)
	assert.Equal(t, "RetrieveLocation", operation)
}

// Left out it would be true.
func TestIgnoreUnchangedIsNeverLeftOut(t *testing.T) {
	raw, err := json.Marshal(changesBody{})
	require.NoError(t, err)
	assert.Contains(t, string(raw), `"ignore_unchanged_counts":false`)
}

// Whatever the package does, it uses these operations only: it never writes
// the catalog.
func TestTrapNoOtherOperations(t *testing.T) {
	racetest.Long(t)
	synctest.Test(t, func(t *testing.T) {
		till := squaretest.New(squaretest.Config{})
		skus := stock(till, 1100)
		till.Add(squaretest.Variation{SKU: "UNTRACKED", Untracked: true}, squaretest.Variation{SKU: "NEW", Uncounted: true})
		ch := open(t, till)
		for _, run := range []string{"", "first", "second"} {
			ctx := channel.WithRun(t.Context(), run)
			if run != "" {
				require.NoError(t, ch.Preload(ctx))
			}
			for range ch.SKUs(ctx) {
			}
			_, err := ch.Levels(ctx, append([]string{"UNTRACKED", "NEW"}, skus...))
			require.NoError(t, err)
			assert.Error(t, ch.Push(ctx, []channel.Update{update(skus[0], 4), update("UNTRACKED", 4), update("NEW", 4)}))
			till.Set(skus[0], 9)
			time.Sleep(time.Minute)
		}
		w, err := open(t, till).Webhooks(address, "k")
		require.NoError(t, err)
		header, body := till.Delivery(address, "k", skus[0])
		_, err = w.Receive(t.Context(), header, body)
		require.NoError(t, err)

		used := map[string]bool{}
		for _, r := range till.Requests() {
			operation, err := squaretest.Validate(r.Method, r.URL.Path, r.URL.Query(), r.Body)
			require.NoError(t, err)
			used[operation] = true
		}
		assert.Equal(t, []string{
			"BatchChangeInventory", "BatchRetrieveCatalogObjects", "BatchRetrieveInventoryCounts", "RetrieveLocation", "SearchCatalogObjects",
		}, slices.Sorted(maps.Keys(used)))
	})
}

func TestReference(t *testing.T) {
	for run, want := range map[string]string{"": "", "sync-20261126T090000Z-ABC": "sync-20261126T090000Z-ABC", "a b\nä": "a-b--"} {
		assert.Equal(t, want, reference(run))
	}
}
