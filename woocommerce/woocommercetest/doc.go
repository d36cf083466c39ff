// Package woocommercetest is a WooCommerce shop in memory, for tests.
//
// It answers the part of the REST API (wc/v3) that reading and writing stock
// takes, as WooCommerce 10.0.2 on WordPress 6.8.8 was measured to answer it,
// the traps included. A client that keeps its stock right here has met them:
//
//   - sku= and sku=0 drop the filter and return every product.
//   - SKUs are compared without case, accents and trailing blanks.
//   - per_page is 10 also if 100 SKUs are asked for.
//   - The default order of lists loses rows between pages.
//   - A batch checks no value: "abc" becomes 0, and 3.7 becomes 3.
//   - A batch is 200 whatever became of its items, and is no transaction.
//   - Where stock is not managed, or is the parent's, a quantity is taken with
//     200 and applied nowhere.
//   - Variations cannot be written under /products.
//   - Keys sent over plain HTTP are ignored, unless OAuth 1.0a signs with them.
//
// # Use
//
// [New] makes a shop, [Server.Add] fills it, and the client under test gets
// [channeltest.Wire.Client], which reaches the shop without a socket under any
// host name and any path before /wp-json. What the client should see as HTTPS
// has to be an https URL. [Server.Set], [Server.Sell] and their like are
// what other people do in the shop meanwhile.
//
// The shop can be used over a socket too: a Server is an [http.Handler], for
// [net/http/httptest.NewTLSServer].
//
// # Faults
//
// [channeltest.Wire.Inject] makes the network fail: pages of HTML with status
// 200, maintenance (503), a connection that is cut when the work is done. What
// needs the shop itself:
//
//   - [Server.ApplySlowly]: a proxy gives up while PHP goes on with the batch.
//     With Config.Lingers it goes on, too, when the client has gone.
//   - [Server.Disguise]: a plugin changes how a product is shown.
//   - [Server.Fatal]: PHP dies of a product, whatever else was asked for.
//   - [Server.Forgetful]: a quantity is taken, answered, and not kept.
//   - [Server.Cache] and [Server.Noise]: a cache in front, and texts around JSON.
//   - [Server.Trash], and Config.QueryLimit: a gateway with a limit.
//   - [Server.Visit]: customers, who share the shop's processor with the API.
//
// # Time
//
// A shop answers at once unless [Config] says how long things take. All its
// waiting is by package time, so that a testing/synctest bubble makes it
// short. With Config.ItemWriteTime each product is loaded, and saved that much
// later, and what happens in between is overwritten: there is no
// compare-and-set, and batches that overlap interleave item by item.
//
// [Server.Subscribe] delivers each change to a handler, as a webhook does.
//
// # What it does not do
//
// Making webhooks over the API, orders and the rest of it; fields that have nothing to do
// with stock; creating variations, creating or deleting in a batch, and
// DELETE. Where a real shop does something and this one does not, it answers
// 501 with the code woocommercetest_not_implemented. There is one key, of a
// user with all rights.
package woocommercetest
