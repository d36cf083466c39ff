// Package shopifytest is a Shopify shop in memory, for tests of programs that
// keep inventory in step over Shopify's Admin GraphQL API.
//
// # A shop
//
// [New] makes a shop with one location, to which [Server.AddLocation] adds, and
// [Server.Add] puts items into it:
//
//	shop := shopifytest.New(shopifytest.Config{})
//	shop.Add(shopifytest.Item{SKU: "MUG-1", Available: 5})
//
// A [Server] is reached without a socket by its HTTP client, which answers for
// every host and works inside a testing/synctest bubble:
//
//	client, err := shopify.New(shopify.Config{
//		Shop: "test-shop", Token: shopify.StaticToken("shpat_test"), HTTPClient: shop.Client(),
//	})
//
// or with one, through httptest.NewServer(shop). What goes wrong on the way is
// up to the [channeltest.Wire] in it: lost answers, broken connections, delays,
// other answers. [OddRow], [OddPoints], [HalfFile] and [Server.Echo] make the
// dirt that shops, and what is between, put into answers; a [Config] makes the
// search late, or bulk operations endless; [Server.CloseLocation] closes a
// location.
//
// [Server.Subscribe] delivers each change to a handler as a subscription to
// inventory_levels/update does, and [Config].Deliver gets it at once.
//
// # What it does
//
// Every query and its variables are checked against [Schema], a part of the
// real schema, and what comes back is exactly what was selected. The shop
// serves POST /admin/api/{version}/graphql.json, the client credentials grant
// at POST /admin/oauth/access_token, and the files of bulk operations. It
// knows these fields:
//
//   - node, nodes, inventoryItem, inventoryLevel, location, locations, shop
//   - inventoryItems, with a search that is as inexact as Shopify's: it finds
//     other cases, longer SKUs, and SKUs with the same words in them
//   - bulkOperationRunQuery over inventoryItems, bulkOperationCancel,
//     bulkOperation and currentBulkOperation
//   - inventorySetQuantities, inventoryActivate, inventoryDeactivate, and
//     inventoryItemUpdate of tracked
//   - webhookSubscriptions, which are those of [Server.Subscribe]
//   - with [Config].ReadProducts an item's variant, its product's status
//
// Whatever else the schema has ends with status 501 and an error that says so,
// before anything is changed.
//
// # What it refuses
//
// It is at least as strict as Shopify with version 2026-10: a write needs
// changeFromQuantity in every row and an idempotency key, is done as a whole or
// not at all, and takes no more than 250 rows. An access token has the scopes
// read_inventory and write_inventory only, so that a product, a variant or the
// name of a location cannot be read, unless [Config].ReadProducts is set. Points are taken from a bucket that fills
// again as time passes, and a request that it cannot pay is THROTTLED.
//
// Where Shopify's behaviour is not known, it takes the stricter one: a quantity
// for an untracked item is refused, with an error that has no code, and so is
// any at a location that is closed, as INVALID_LOCATION.
package shopifytest
