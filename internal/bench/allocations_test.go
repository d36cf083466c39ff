package bench

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// maxAllocations is how often each work may allocate for a product, a fifth more
// than it does.
var maxAllocations = map[string]float64{
	"planning":                1.5,
	"planning/again":          0.3,
	"decoding/ecosire":        2.9,
	"decoding/shopify":        3,
	"decoding/woocommerce":    2.9,
	"pushing/shopify":         0.55,
	"pushing/woocommerce":     1.1,
	"reconciling/shopify":     7.5,
	"reconciling/woocommerce": 7.5,
	"reconciling/both":        11,
	"again/both":              9.2,
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
		assert.Less(t, each, maxAllocations[c.name], c.name)
	}
}
