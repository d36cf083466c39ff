// Package woocommerce calls the REST API (wc/v3) of a WooCommerce shop and
// shows stock in it.
//
// A [Client] belongs to one shop; its [Client.Channel] is the channel.Channel
// to hand to a syncer, and [Client.Do] reaches every other endpoint.
//
//	client, err := woocommerce.New(woocommerce.Config{
//		URL:            "https://shop.example",
//		ConsumerKey:    os.Getenv("WOOCOMMERCE_KEY"),
//		ConsumerSecret: os.Getenv("WOOCOMMERCE_SECRET"),
//	})
//	shop, err := client.Channel(woocommerce.ChannelConfig{})
//
// # SKUs
//
// SKUs match byte for byte, although the shop's database ignores case, accents
// and blanks at the end: a near miss is reported as one. A few SKUs cannot be
// looked up at all and are reported as channel.ErrInvalid: a blank one and "0",
// which WooCommerce takes for no filter and answers with the whole catalogue.
// SKUs with a comma, with "<", with a percent-encoded character or with several
// blanks in a row cost a request each. All but the first kind are found by a
// search for their longest plain part, if that matches a thousand products at
// most, and are channel.ErrInvalid otherwise.
//
// # Which products take a figure
//
// Simple products and variations do, in every status but the trash. If their
// stock is not managed yet, the first figure pushed starts that (see
// [ChannelConfig]). A variable product takes one if its stock is managed for
// all its variations together; a variation that shows such a stock is reported
// as channel.ErrShared, unless [ChannelConfig].WriteParents says that its
// figure may go to the parent. External and grouped products have no stock:
// channel.ErrNotTracked.
//
// # Requests
//
// Reading takes one request for 100 SKUs, writing one for 100 products and one
// for 100 variations. A shop spends about 20 milliseconds on each item that it
// writes, changed or not, and a tenth of that on one that it reads, so read
// first and push what differs. [Config].Parallel bounds the load.
//
// A batch that answers 200 may not have been applied, and one that answers 504
// may be, or be going on. Push compares each item of the answer with what was
// sent, and reads back whatever is not clear (see [Channel.Push]). Two writes
// of one client never overlap on one product.
//
// Variations of many parents share a batch by a property of the API that is
// not documented. Where a shop does not have it, the client notices, sends one
// batch a parent from then on, and is only slower.
//
// # Authentication
//
// Keys are sent by Basic authentication over HTTPS, never in a URL. WooCommerce
// ignores them over plain HTTP, which this package accepts on the loopback
// only, for a WordPress on a developer's machine: when it is answered like a
// stranger there, it signs its requests by OAuth 1.0a.
//
// # Errors
//
// What the shop refuses is an [*Error], which matches the errors of package
// channel. Redirects are not followed: the error names the address to
// configure. A page of HTML, a PHP warning in front of the JSON, an empty or
// a cut answer is an error that matches channel.ErrUnavailable; it never
// counts as "done" nor as "unknown SKU".
package woocommerce
