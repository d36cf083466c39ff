package syncer

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/ecosire/stocksync/channel"
)

// A memory has the newest quantity of an SKU, whether it is young or old, and of a
// catalogue only what it has already.
func TestAMemoryHasWhatWasSeenLast(t *testing.T) {
	var m memory
	agrees := func(sku string, quantity int, catalogue bool) {
		m.agrees(&want{sku: sku, stock: &channel.Stock{ProductID: "p"}, quantity: quantity}, catalogue)
	}
	more := func() {
		for i := range maxShown {
			agrees(strconv.Itoa(i), i, false)
		}
	}
	agrees("SKU", 5, false)
	more()
	assert.True(t, m.shows("SKU", 5))
	assert.Contains(t, m.old, "SKU")
	agrees("SKU", 6, false)
	assert.True(t, m.shows("SKU", 6))
	assert.False(t, m.shows("SKU", 5))
	agrees("SKU", 7, true)
	assert.True(t, m.shows("SKU", 7))
	agrees("another", 1, true)
	assert.False(t, m.shows("another", 1), "a whole catalogue would crowd out the rest")
	more()
	more()
	assert.False(t, m.shows("SKU", 7), "it is bounded")
	assert.LessOrEqual(t, len(m.young)+len(m.old), 2*maxShown)
}
