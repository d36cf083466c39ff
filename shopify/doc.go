// Package shopify shows stock in a Shopify shop: a client for the GraphQL
// Admin API, as far as inventory goes, and the [channel.Channel] on top of it.
//
//	client, err := shopify.New(shopify.Config{
//		Shop:  "acme",
//		Token: shopify.ClientCredentials(id, secret),
//	})
//	if err != nil {
//		return err
//	}
//	store, err := client.Channel(shopify.ChannelConfig{LocationID: "71234567890"})
//
// Share one [Client] among all locations of a shop: they draw on the same
// points, and the map from SKUs to items is the same for all.
//
// # Credentials
//
// An app that was made in the shop's admin has a token that does not change:
// [StaticToken]. An app of the merchant's organization, which is all that can
// be made since 2026, has an id and a secret, with which [ClientCredentials]
// gets a token each day. Either way the app needs the scopes read_inventory
// and write_inventory, and no other. Credentials go to the shop's own host
// only, and never into an error or a log line.
//
// # SKUs and items
//
// Shopify writes by the id of an inventory item, and its search for an SKU is
// not exact. So what it finds is compared byte for byte, and remembered: with
// known items, 250 SKUs cost one request to read, and 250 differences one to
// write. Each reading checks that the items still have their SKUs; those that
// were renamed or deleted are looked up again.
//
// The search is also late: an item made a moment ago may not be found yet. An
// SKU that is unknown is looked up again in the next call. For work on a whole
// catalogue call [Channel.Preload] first; it reads all SKUs in one go.
//
// # Writing
//
// A figure is written only on top of the one that was seen. If a sale or an
// edit came in between, the update ends in [channel.ErrConflict], and is to be
// planned anew. A request whose answer got lost is sent again with the same
// idempotency key, and so never applied twice.
//
// What cannot be written is reported for its SKU alone, and the rest is
// written: [channel.ErrNotTracked] and [channel.ErrNotStocked] (which
// [ChannelConfig] can mend), [channel.ErrShared] for bundles,
// [channel.ErrAmbiguousSKU], [channel.ErrUnknownSKU], [channel.ErrInvalid].
//
// # Pace
//
// Shopify grants points by time, 100 a second on its smallest plan. A client
// learns the plan and the prices from each answer, and waits before a call
// that the points left do not pay, so it is not throttled as long as it is
// alone; if others use the points too, it waits as long as Shopify says.
//
// # API version
//
// Shopify answers a version that is retired by another one, in silence. The
// client logs one warning when it sees that.
//
// # Testing
//
// Package [github.com/ecosire/stocksync/shopify/shopifytest] has a shop in
// memory, which checks every query against the schema.
package shopify
