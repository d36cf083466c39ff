package syncer

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/ecosire/stocksync/channel"
)

// A product counts once, however many listings it has and however often it is
// looked at, and is on sale if any of its listings is.
func TestAComparedProductCountsOnce(t *testing.T) {
	var few, c compared
	few.add("a", true)
	few.remove("a")
	assert.Zero(t, few.count())
	is := func(count, onSale int) {
		t.Helper()
		assert.Equal(t, []int{count, onSale}, []int{c.count(), c.onSale()})
	}
	c.add("a", false)
	c.add("a", true)
	c.add("a", false)
	is(1, 1)
	c.add("b", false)
	is(2, 1)
	c.add("a", false) // not in their order any more
	is(2, 1)
	c.add("b", true)
	is(2, 2)
	c.add("b", false)
	c.add("c", false)
	is(3, 2)
	c.remove("b")
	is(2, 1)
}

// Several items with one SKU are no listing to write, but customers can buy what
// any of them sells. What is looked at again counts once.
func TestWhatSeveralItemsSellIsOnSale(t *testing.T) {
	stocks := []channel.Stock{{ProductID: "a"}, {ProductID: "b"}}
	wants := []want{{sku: "A", stock: &stocks[0]}, {sku: "B", stock: &stocks[1], quantity: 3}}
	for _, levels := range [][]channel.Level{
		{{SKU: "A"}, {SKU: "A", Quantity: 5, SellsAtZero: true}, {SKU: "B"}},
		{{SKU: "A"}, {SKU: "A", SellsAtZero: true}, {SKU: "A", Quantity: 5}, {SKU: "B"}},
		{{SKU: "A", Quantity: 5, SellsAtZero: true}, {SKU: "A"}, {SKU: "B"}},
	} {
		var o outcome
		o.looked(wants, index(wants, levels))
		o.looked(wants, index(wants, levels))
		o.looked(wants[1:], index(wants[1:], levels))
		assert.Equal(t, []int{2, 1}, []int{o.compared.count(), o.compared.onSale()})
		assert.Equal(t, []zeroListing{{"A", "a", true}}, o.zeros)
	}
	var o outcome
	o.looked(wants, index(wants, []channel.Level{{SKU: "A", SellsAtZero: true}, {SKU: "B", SellsAtZero: true}}))
	assert.Equal(t, []zeroListing{{"A", "a", true}, {"B", "b", false}}, o.zeros)
}
