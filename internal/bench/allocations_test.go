package bench

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// mostAllocations is how often each work may allocate for a product, a fifth more
// than it does.
var mostAllocations = map[string]float64{
	"planning":                1,
	"planning/again":          1,
	"decoding/ecosire":        3,
	"decoding/shopify":        3,
	"decoding/woocommerce":    3,
	"pushing/shopify":         1,
	"pushing/woocommerce":     1,
	"reconciling/shopify":     10,
	"reconciling/woocommerce": 10,
	"reconciling/both":        10,
	"again/both":              10,
}

// TestAllocations keeps our own code from allocating more for each product than it
// has to: time depends on the machine, this does not.
func TestAllocations(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector allocates, too")
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	const n = 2 * costGroup
	for _, c := range costs(t, n) {
		require.NoError(t, c.run(), c.name)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		require.NoError(t, c.run(), c.name)
		runtime.ReadMemStats(&after)
		each := float64(after.Mallocs-before.Mallocs) / n
		t.Logf("%-25s %.2f", c.name, each)
		assert.Less(t, each, mostAllocations[c.name], c.name)
	}
}
