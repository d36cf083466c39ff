package shopifytest

import (
	"fmt"
	"slices"
	"strconv"
)

// subscriptionResolvers hold what the shop tells of its webhook subscriptions.
// A subscription has no address here.
var subscriptionResolvers = map[string]resolver{
	"QueryRoot.webhookSubscriptions": webhookSubscriptions,

	"WebhookSubscriptionConnection.nodes":    of(func(c *connection) any { return c.nodes }),
	"WebhookSubscriptionConnection.edges":    of(edges),
	"WebhookSubscriptionConnection.pageInfo": of(func(c *connection) any { return c }),
	"WebhookSubscriptionEdge.node":           of(func(e edge) any { return e.node }),
	"WebhookSubscriptionEdge.cursor":         of(func(e edge) any { return e.cursor }),

	"WebhookSubscription.id":               of(func(s *Subscription) any { return fmt.Sprintf("gid://shopify/WebhookSubscription/%d", s.number) }),
	"WebhookSubscription.legacyResourceId": of(func(s *Subscription) any { return strconv.FormatInt(s.number, 10) }),
	"WebhookSubscription.topic":            of(func(*Subscription) any { return levelsUpdate }),
	"WebhookSubscription.format":           of(func(*Subscription) any { return "JSON" }),
	"WebhookSubscription.filter":           of(func(*Subscription) any { return nil }),
	"WebhookSubscription.createdAt":        of(func(s *Subscription) any { return dateTime(s.made) }),
	"WebhookSubscription.updatedAt":        of(func(s *Subscription) any { return dateTime(s.made) }),
}

// levelsUpdate is the topic of every [Subscription].
const levelsUpdate = "INVENTORY_LEVELS_UPDATE"

func webhookSubscriptions(c *call) (any, error) {
	c.onlyArgs("first", "after", "topics", "sortKey")
	all := c.server.subscriptions
	if topics, ok := c.args["topics"].([]any); ok && !slices.Contains(topics, any(levelsUpdate)) {
		all = nil
	}
	return c.page(len(all), func(i int) (any, int64) { return all[i], all[i].number })
}
