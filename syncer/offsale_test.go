package syncer_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
)

// What nobody can buy gains nothing by a smaller quantity, nor by the same.
func TestWhatIsNotOnSaleIsEmptiedUnguarded(t *testing.T) {
	source, m := catalogue(100)
	for i := range 60 {
		sku := fmt.Sprintf("SKU-%d", i)
		m.Remove(sku)
		m.Add(channel.Level{SKU: sku, Quantity: 7, OffSale: true})
		source.put(fmt.Sprintf("p%d", i), sku, 0)
	}
	r, err := build(t, source, m).Reconcile(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 60, r.Channels[0].Updated)
}
