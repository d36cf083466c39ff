// Package woocommerce calls the REST API (wc/v3) of a WooCommerce shop and
// shows stock in it.
//
// A [Client] belongs to one shop; its [Client.Channel] is the channel.Channel
// to hand to a syncer, and [Client.Do] reaches every other endpoint.
//
//	client, err := woocommerce.New(woocommerce.Config{
//		URL:            "https://shop.example",
//		ConsumerKey:    os.Getenv("WC_CONSUMER_KEY"),
//		ConsumerSecret: os.Getenv("WC_CONSUMER_SECRET"),
//	})
//	if err != nil {
//		return err
//	}
//	shop, err := client.Channel(woocommerce.ChannelConfig{})
//
// # SKUs
//
// SKUs match byte for byte, although the shop's database ignores case, accents
// and blanks at the end: a near miss is reported as one. A blank SKU and "0"
// cannot be looked up and are reported as channel.ErrInvalid: WooCommerce takes
// them for no filter and answers with the whole catalogue. SKUs with a comma,
// with "<", with a percent-encoded character or with several blanks in a row
// cost a request each. Of these, all but the ones with a comma are found by a
// search for their longest plain part, if that matches at most a thousand
// products, and are channel.ErrInvalid otherwise.
//
// # Which products take a quantity
//
// Simple products and variations do, in every status but the trash, if the shop
// manages their stock. Others are channel.ErrNotTracked, unless
// [ChannelConfig].Track lets the first push start that; [Channel.Unset] ends it
// again. A variable product takes one if its stock is managed for all its
// variations together; a variation that shows such a stock is
// channel.ErrShared, unless [ChannelConfig].WriteParents says that its quantity
// may go to the parent. External and grouped products have no stock. An SKU
// that several items have is ambiguous, unless [ChannelConfig].Duplicates
// chooses.
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
// # Unclear outcomes
//
// PHP does not notice that its client has gone. When a Push ends before the
// shop has answered, because its context is done, the shop goes on writing, a
// batch of 100 for some seconds on a quick server and for a minute or more on a
// slow one. An update that was sent and whose outcome is not known is
// channel.ErrUnclear, and the client remembers it for ten minutes: it waits
// until the shop is done before it writes the same products again. A client in
// another process, or one made after a restart, does not know of it. Its writes
// to these products may be overwritten until PHP's max_execution_time is over,
// 30 seconds by default and rarely more than five minutes; the next
// reconciliation finds that. So give a Push, and Run, time to end.
//
// # One product's trouble
//
// A row of an answer that makes no sense is an error of its product. A lookup
// or a batch that keeps failing is sent in halves, until it is clear which SKU
// or product is the cause; for a day that one is read and written last and
// alone. Before that the client checks that the shop works otherwise, so a shop
// that is down is not asked for each of its products.
//
// A gateway's limits are learned likewise: addresses and batches get shorter
// from then on, until the next start.
//
// # Caches
//
// Each read has an address of its own, by a parameter that WooCommerce ignores,
// and asks caches to stand aside. An answer whose headers show that a cache
// gave it all the same is refused.
//
// # Authentication
//
// Keys are sent by Basic authentication over HTTPS, never in a URL. WooCommerce
// ignores them over plain HTTP, which this package accepts on the loopback
// only, for a WordPress on a developer's machine; if that ignores the keys,
// requests are signed by OAuth 1.0a.
//
// # Errors
//
// What the shop refuses is an [*Error], which matches the errors of package
// channel. Redirects are not followed: the error names the address to
// configure. A page of HTML, a PHP error, an empty or a truncated answer is an
// error that matches channel.ErrUnavailable, and names the page's title or
// PHP's words; it never counts as "done" nor as "unknown SKU". A byte order
// mark, HTML comments and PHP's warnings around the JSON are skipped, and
// logged once.
package woocommerce
