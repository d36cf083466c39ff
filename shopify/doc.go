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
// and write_inventory, and no other; [ChannelConfig].Products says what
// read_products adds. Credentials go to the shop's own host only, and never
// into an error, a log line, or what fmt, slog and encoding/json make of any
// value of this package.
//
// # SKUs and items
//
// Shopify writes by the id of an inventory item, and its search for an SKU is
// not exact. So what it finds is compared byte for byte, and remembered: with
// known items, 250 SKUs cost one request to read, and 250 differences one to
// write. Each reading checks that the items still have their SKUs; those that
// were renamed or deleted are looked up again. The memory takes about 11 bytes
// an item, and survives a restart by [Channel.Keep].
//
// The search also lags: it may not find an item made a moment ago. So an SKU
// that is not found is not given up at once: its error matches
// [channel.ErrUnknownSKU], and is not permanent for three minutes, or for half
// a minute if it was not found earlier that day either. The search for an SKU
// that thousands of others begin with is broken off, and not repeated for a
// day; see [Channel.Levels].
//
// For work on a whole catalogue call [Channel.Preload] first; it reads all SKUs
// where that is quicker.
//
// # One row, one error
//
// An answer's rows are read one by one and strictly: a row that lacks something
// or makes no sense is the error of its SKU. An item for which the shop refuses
// or fails a whole request is found by halving the request, and costs no other
// SKU its quantity. It is asked for alone for a day.
//
// A location that is closed or not the shop's is one error for all of it.
//
// # Writing
//
// A quantity is written only on top of the one that was seen. If a sale or an
// edit came in between, the update ends in [channel.ErrConflict]; plan it anew.
// A request whose answer got lost is sent again with the same idempotency key,
// and so never applied twice.
//
// If its outcome is still not known, because no answer came or the caller has
// left, the shop is asked what it shows; failing that, the error matches
// [channel.ErrUnclear]. The next Push for the same items sends that request
// first, with its key, for a quarter of an hour. Another process does not know
// of it. There a write of what was seen cannot do harm, since the shop refuses
// the later one of two; a write of what was not seen may land up to a minute
// late, as long as Shopify works on a request.
//
// What cannot be written is reported for its SKU alone, and the rest is
// written: [channel.ErrNotTracked] and [channel.ErrNotStocked] (which
// [ChannelConfig] can mend, and [Channel.Unset] undo), [channel.ErrShared] for
// bundles, [channel.ErrAmbiguousSKU], [channel.ErrUnknownSKU],
// [channel.ErrInvalid].
//
// # Webhooks
//
// [Channel.Webhooks] authenticates Shopify's deliveries and says which SKUs they
// are about, so that a sale in the shop is noticed at once.
//
// # Pace
//
// Shopify grants points by time, 100 a second on its smallest plan. A client
// learns the plan and the prices from each answer, and waits before a call
// until the points left cover it, so it is not throttled as long as it is
// alone; if others use the points too, it waits as long as Shopify says. Less
// urgent calls ([channel.WithUrgency]) leave some points to the others.
//
// What an answer says is believed within bounds: a rate of at least 10 points a
// second, a bucket that is full again within 100 seconds, a price of at most
// 1000, and a wait of at most a minute after a refusal, or 15 minutes if the
// shop names a time. Anything beyond is logged, and the bound counts.
//
// # API version
//
// Versions before 2026-04 lack what this package needs, and [New] refuses them.
// Shopify silently serves another version in place of a retired one. The client
// logs one warning when it sees that.
//
// # Testing
//
// Package [github.com/ecosire/stocksync/shopify/shopifytest] has a shop in
// memory, which checks every query against the schema.
package shopify
