package shopifytest_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/ecosire/stocksync/shopify/shopifytest"
)

func TestTheShopShowsItsSubscriptions(t *testing.T) {
	s := shopifytest.New(shopifytest.Config{})
	ask := func(topic string) string {
		return data(t, s, `{ webhookSubscriptions(first: 5, topics: [`+topic+`]) { nodes { id topic format } pageInfo { hasNextPage } } }`, nil)
	}
	const none = `{"webhookSubscriptions":{"nodes":[],"pageInfo":{"hasNextPage":false}}}`
	assert.JSONEq(t, none, ask("INVENTORY_LEVELS_UPDATE"))
	unsubscribe := s.Subscribe(shopifytest.Subscription{Handler: &hook{status: 200}})
	assert.JSONEq(t, `{"webhookSubscriptions":{"nodes":[{"id":"gid://shopify/WebhookSubscription/1","topic":"INVENTORY_LEVELS_UPDATE","format":"JSON"}],"pageInfo":{"hasNextPage":false}}}`,
		ask("INVENTORY_LEVELS_UPDATE"))
	assert.JSONEq(t, none, ask("ORDERS_CREATE"))
	unsubscribe()
	assert.JSONEq(t, none, ask("INVENTORY_LEVELS_UPDATE"))
}
