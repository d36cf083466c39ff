package square

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/square/squaretest"
)

// A variation that comes on two pages of a search, since the catalog changed
// meanwhile, is one.
func TestAVariationOnTwoPagesIsOne(t *testing.T) {
	till := squaretest.New(squaretest.Config{})
	ch := open(t, till)
	const found = `{"objects":[{"type":"ITEM_VARIATION","id":"V1","item_variation_data":{"sku":"A","track_inventory":true}}]`
	first, second := answering("/v2/catalog/search", 200, found+`,"cursor":"more"}`), answering("/v2/catalog/search", 200, found+`}`)
	first.Times = 1
	till.Inject(first, second, answering(countsPath, 200, `{"counts":[{"catalog_object_id":"V1","state":"IN_STOCK","location_id":"LMAIN","quantity":"5"}]}`))
	assert.Equal(t, []channel.Level{{SKU: "A", Ref: "V1", Quantity: 5}}, levels(t, ch, "A"))
}
