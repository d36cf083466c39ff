package amazon_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/amazon"
	"github.com/ecosire/stocksync/amazon/amazontest"
	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
)

// What the channel sends is checked against Amazon's models: paths, parameters
// and bodies; and what it understands of the answers is what they describe.
func TestOperationsMatchTheModels(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := amazontest.New(amazontest.Config{Lag: time.Minute})
		skus := append(stock(s, 60), "A,B", "A B/C#?&+%")
		s.Add(amazontest.Listing{SKU: "A,B"}, amazontest.Listing{SKU: "A B/C#?&+%"})
		ch := open(t, s, func(_ *amazon.Config, cc *amazon.ChannelConfig) { cc.FeedFrom, cc.FeedLimit = 50, 10*time.Minute })
		s.PlanFeed(amazontest.FeedPlan{Stuck: true}, amazontest.FeedPlan{})
		// The first feed's creation gets no answer, and a second one waits in the
		// queue behind it for too long.
		lost := channeltest.Fault{Apply: true, Cut: true, Match: func(r channeltest.Request) bool {
			return r.Method == "POST" && r.URL.Path == "/feeds/2021-06-30/feeds"
		}}
		s.Inject(lost)
		everything(t, ch, skus)
		everything(t, open(t, s, func(_ *amazon.Config, cc *amazon.ChannelConfig) { cc.FeedFrom, cc.FeedLimit = 50, 10*time.Minute }), skus)
		s.Unstick()
		everything(t, open(t, s, func(_ *amazon.Config, cc *amazon.ChannelConfig) { cc.FeedFrom = 50 }), skus)

		used := make(map[string]int)
		for _, r := range s.Requests() {
			if r.Host != "sellingpartnerapi-na.amazon.com" {
				continue
			}
			operation, err := amazontest.ValidateRequest(r.Method, r.URL, r.Body)
			assert.NoError(t, err, "%s %s", r.Method, r.URL)
			used[operation]++
		}
		assert.Equal(t, amazontest.Operations(), slices.Sorted(maps.Keys(used)), "each is checked here")
		for _, f := range s.Feeds() {
			assert.NoError(t, amazontest.ValidateFeed(f.Content))
		}
		assert.Empty(t, s.Harm())
	})
}

// An answer that is not as the models describe is no answer.
func TestAnswersThatAreNotAsTheModelsDescribe(t *testing.T) {
	for _, body := range []string{
		`{}`, `[]`, `"x"`, `{"items":[]}`, `{"numberOfResults":1}`, `{"numberOfResults":"1","items":[]}`, `{"numberOfResults":0,"items":{}}`,
		`{"numberOfResults":0,"Items":[]}`, `{"numberOfResults":1,"items":[]}`, `{"numberOfResults":1,"items":[],"pagination":{"nextToken":7}}`,
	} {
		bubble(t, func(t *testing.T) {
			s := amazontest.New(amazontest.Config{})
			skus := stock(s, 2)
			s.Inject(channeltest.Fault{Match: channeltest.On("GET", ""), Times: -1, Status: 200, Body: body})
			_, err := open(t, s).Levels(t.Context(), skus)
			assert.ErrorIs(t, err, channel.ErrUnavailable, body)
		})
	}
	for _, body := range []string{
		`{}`, `{"status":"ACCEPTED","submissionId":"1"}`, `{"sku":"SKU-00001","status":"ACCEPTED","submissionId":"1"}`, `{"sku":"SKU-00000","status":"VALID","submissionId":"1"}`,
		`{"sku":"SKU-00000","Status":"ACCEPTED"}`, `{"sku":"SKU-00000","status":"ACCEPTED","issues":{}}`, `{"sku":"SKU-00000","status":"accepted"}`,
	} {
		bubble(t, func(t *testing.T) {
			s := amazontest.New(amazontest.Config{})
			skus := stock(s, 1)
			s.Inject(channeltest.Fault{Match: channeltest.On("PATCH", ""), Times: -1, Status: 200, Body: body})
			err := open(t, s).Push(t.Context(), []channel.Update{to(skus[0], 7)})
			_, named := err.(channel.Errors)
			require.False(t, named, body)
			assert.ErrorIs(t, err, channel.ErrUnclear, body)
		})
	}
}
