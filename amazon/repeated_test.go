package amazon_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/ecosire/stocksync/amazon/amazontest"
	"github.com/ecosire/stocksync/channel/channeltest"
)

// A listing that comes on two pages of a search, since others moved meanwhile, is one,
// and shows what it did last.
func TestAListingOnTwoPagesIsOne(t *testing.T) {
	seller := amazontest.New(amazontest.Config{})
	ch := open(t, seller)
	item := func(sku string, n int) string {
		return fmt.Sprintf(`{"sku":%q,"fulfillmentAvailability":[{"fulfillmentChannelCode":"DEFAULT","quantity":%d}]}`, sku, n)
	}
	for _, page := range []string{
		`{"numberOfResults":2,"pagination":{"nextToken":"more"},"items":[` + item("A", 5) + `]}`,
		`{"numberOfResults":2,"items":[` + item("A", 4) + `,` + item("B", 7) + `]}`,
	} {
		seller.Inject(channeltest.Fault{Match: channeltest.On("GET", "/listings/"), Rewrite: func(int, http.Header, []byte) (int, []byte) {
			return http.StatusOK, []byte(page)
		}})
	}
	shown := levels(t, ch, "A", "B")
	assert.Equal(t, []int{4, 7}, []int{shown["A"].Quantity, shown["B"].Quantity})
}
