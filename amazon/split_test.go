package amazon_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/ecosire/stocksync/amazon/amazontest"
	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
)

// A refusal that is about none of the SKUs is found out with few requests.
func TestARefusalOfTheCallCostsFewRequests(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := amazontest.New(amazontest.Config{})
		skus := stock(s, 20)
		requests := 0
		s.Inject(channeltest.Fault{Match: func(r channeltest.Request) bool {
			if r.Method == "GET" {
				requests++
			}
			return r.Method == "GET"
		}, Times: -1, Status: 400, Header: http.Header{"Content-Type": {"application/json"}},
			Body: `{"errors":[{"code":"InvalidInput","message":"Invalid 'marketplaceIds' provided.","details":""}]}`})
		_, err := open(t, s).Levels(t.Context(), skus)
		assert.ErrorContains(t, err, "marketplaceIds")
		assert.False(t, channel.Permanent(err))
		assert.LessOrEqual(t, requests, 8)
	})
}
