package amazon_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/amazon/amazontest"
	"github.com/ecosire/stocksync/channel/channeltest"
)

// brokenRows are ways in which the row of one listing can make no sense. N is a
// record of the merchant's without its end.
var brokenRows = []string{
	// the row
	`null`, `[]`, `"SKU-00000"`, `7`, `{}`,
	// its SKU
	`{"fulfillmentAvailability":[N,"quantity":1}]}`, `{"sku":null,"fulfillmentAvailability":[N,"quantity":1}]}`, `{"sku":12,"fulfillmentAvailability":[N,"quantity":1}]}`,
	`{"sku":"","fulfillmentAvailability":[N,"quantity":1}]}`, `{"sku":["SKU-00000"],"fulfillmentAvailability":[N,"quantity":1}]}`,
	`{"sku":"SKU-00000","sku":"SKU-00000","fulfillmentAvailability":[N,"quantity":1}]}`, `{"sku":"SKU-00000","SKU":"SKU-00001","fulfillmentAvailability":[N,"quantity":1}]}`,
	// its records
	`{"sku":"SKU-00000","fulfillmentAvailability":{}}`, `{"sku":"SKU-00000","fulfillmentAvailability":"none"}`, `{"sku":"SKU-00000","fulfillmentAvailability":7}`,
	`{"sku":"SKU-00000","fulfillmentAvailability":true}`, `{"sku":"SKU-00000","fulfillmentAvailability":[null]}`, `{"sku":"SKU-00000","fulfillmentAvailability":["DEFAULT"]}`,
	`{"sku":"SKU-00000","fulfillmentAvailability":[7]}`, `{"sku":"SKU-00000","fulfillmentAvailability":[[]]}`, `{"sku":"SKU-00000","fulfillmentAvailability":[{}]}`,
	`{"sku":"SKU-00000","fulfillmentAvailability":[N,"quantity":1},N,"quantity":2}]}`, `{"sku":"SKU-00000","fulfillmentAvailability":[N,"quantity":1}],"fulfillmentAvailability":[]}`,
	// what a record is of
	`{"sku":"SKU-00000","fulfillmentAvailability":[{"quantity":1}]}`, `{"sku":"SKU-00000","fulfillmentAvailability":[{"fulfillmentChannelCode":null,"quantity":1}]}`,
	`{"sku":"SKU-00000","fulfillmentAvailability":[{"fulfillmentChannelCode":7,"quantity":1}]}`, `{"sku":"SKU-00000","fulfillmentAvailability":[{"fulfillmentChannelCode":[],"quantity":1}]}`,
	`{"sku":"SKU-00000","fulfillmentAvailability":[{"FulfillmentChannelCode":"DEFAULT","quantity":1}]}`, `{"sku":"SKU-00000","fulfillmentAvailability":[N,"fulfillmentChannelCode":"DEFAULT","quantity":1}]}`,
	// its quantity
	`{"sku":"SKU-00000","fulfillmentAvailability":[N,"quantity":-1}]}`, `{"sku":"SKU-00000","fulfillmentAvailability":[N,"quantity":1.5}]}`, `{"sku":"SKU-00000","fulfillmentAvailability":[N,"quantity":"1"}]}`,
	`{"sku":"SKU-00000","fulfillmentAvailability":[N,"quantity":""}]}`, `{"sku":"SKU-00000","fulfillmentAvailability":[N,"quantity":true}]}`, `{"sku":"SKU-00000","fulfillmentAvailability":[N,"quantity":[1]}]}`,
	`{"sku":"SKU-00000","fulfillmentAvailability":[N,"quantity":{}}]}`, `{"sku":"SKU-00000","fulfillmentAvailability":[N,"quantity":1e300}]}`, `{"sku":"SKU-00000","fulfillmentAvailability":[N,"quantity":9007199254740993}]}`,
	`{"sku":"SKU-00000","fulfillmentAvailability":[N,"quantity":99999999999999999999}]}`, `{"sku":"SKU-00000","fulfillmentAvailability":[N,"quantity":1e-1}]}`,
	`{"sku":"SKU-00000","fulfillmentAvailability":[N,"quantity":1,"quantity":2}]}`, `{"sku":"SKU-00000","fulfillmentAvailability":[N,"quantity":1,"Quantity":2}]}`,
}

// A good page of which one row is broken: exactly that listing fails.
func TestOneBrokenRow(t *testing.T) {
	require.GreaterOrEqual(t, len(brokenRows), 40)
	for _, row := range brokenRows {
		t.Run(row, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s := amazontest.New(amazontest.Config{})
				skus := stock(s, 3)
				row := strings.ReplaceAll(row, "N", `{"fulfillmentChannelCode":"DEFAULT"`)
				s.Inject(channeltest.Fault{Match: channeltest.On("GET", ""), Times: -1, Rewrite: func(int, http.Header, []byte) (int, []byte) {
					return 200, []byte(`{"numberOfResults":3,"items":[` + row + `,
						{"sku":"SKU-00001","fulfillmentAvailability":[{"fulfillmentChannelCode":"DEFAULT","quantity":1}]},
						{"sku":"SKU-00002","fulfillmentAvailability":[{"fulfillmentChannelCode":"DEFAULT","quantity":2}]}]}`)
				}})
				got := levels(t, open(t, s), skus...)
				require.Contains(t, got, skus[0])
				assert.Error(t, got[skus[0]].Err)
				for i, sku := range skus[1:] {
					assert.NoError(t, got[sku].Err)
					assert.Equal(t, i+1, got[sku].Quantity)
				}
			})
		})
	}
}
