// Package stocksync is the way in: it builds a sync from the environment.
//
// The module keeps the stock that every sales channel shows equal to what
// ECOSIRE, the single source of truth, says may be sold. It is a library for an
// existing backend: no database, no broker, no process of its own.
//
// # Five lines
//
//	services, err := stocksync.FromEnv(stocksync.Config{})
//	check(err)
//	plan, err := services.Plan(ctx) // reads everything, writes nothing
//	check(err)
//	fmt.Println(services, plan)
//
// [FromEnv] only plans. What it returns writes once it is asked for a writer:
//
//	s, err := services.Writer(syncer.Config{})
//	check(err)
//	http.Handle("POST /webhooks/ecosire", s.WebhookHandler())
//	shop, err := s.ChannelHandler("woocommerce:shop.example") // its own webhooks
//	check(err)
//	http.Handle("POST /webhooks/shop", shop)
//	err = s.Run(ctx) // in real time, and the whole catalogue every night
//
// # The environment
//
// ECOSIRE:
//
//	ECOSIRE_API_KEY          required
//	ECOSIRE_WEBHOOK_SECRET   to receive ECOSIRE's events
//	ECOSIRE_URL              a proxy or a test server
//
// A Shopify shop:
//
//	SHOPIFY_SHOP             the shop's name, "acme" or "acme.myshopify.com"
//	SHOPIFY_LOCATION_ID      the location whose stock is kept
//	SHOPIFY_CLIENT_ID        an app's client credentials,
//	SHOPIFY_CLIENT_SECRET    both of them,
//	SHOPIFY_ACCESS_TOKEN     or a token that does not change
//	SHOPIFY_WEBHOOK_SECRET   of its webhooks, if SHOPIFY_CLIENT_SECRET does not
//	                         sign them
//	SHOPIFY_URL              a proxy or a test server
//
// A WooCommerce shop:
//
//	WC_SITE_URL              the shop's address
//	WC_CONSUMER_KEY          a REST API key that may read and write,
//	WC_CONSUMER_SECRET       and its secret
//	WC_WEBHOOK_SECRET        of its webhook of the topic product.updated
//
// Amazon, a seller's stores in one region:
//
//	AMAZON_SELLER_ID         the merchant token
//	AMAZON_REGION            na, eu or fe
//	AMAZON_MARKETPLACE_ID    any of the seller's stores in that region
//	AMAZON_CLIENT_ID         the application's credentials,
//	AMAZON_CLIENT_SECRET     both of them,
//	AMAZON_REFRESH_TOKEN     and the seller's authorization
//	AMAZON_URL               a proxy or a test server, and
//	AMAZON_AUTH_URL          where it gives out access tokens
//
// The tills of one of Square's locations:
//
//	SQUARE_ACCESS_TOKEN      a personal access token, or an application's
//	SQUARE_LOCATION_ID       the location whose stock is kept
//	SQUARE_BOOKING_LAG       how long ECOSIRE takes at most to book a sale of the
//	                         till, such as 15m; by default 0
//	SQUARE_WEBHOOK_KEY       the signature key of a subscription to
//	                         inventory.count.updated,
//	SQUARE_WEBHOOK_URL       and its notification URL, to the letter
//	SQUARE_URL               the sandbox, a proxy or a test server
//
// While the secret of a webhook is rotated, the next one goes into the variable
// of the same name with _NEXT behind it, such as ECOSIRE_WEBHOOK_SECRET_NEXT.
//
// How much of the stock a channel shows, with SHOPIFY, WC, AMAZON or SQUARE for
// PREFIX:
//
//	PREFIX_WAREHOUSES        the stock of these alone: ids, separated by commas
//	PREFIX_SHARE             percent of what is available, 1 to 100
//	PREFIX_BUFFER            units withheld after that
//	PREFIX_CAP               at most this many units, at least 1
//
// and how often it is looked at for sales that no webhook told of:
//
//	PREFIX_WATCH             such as 15s; by default never
//
// A channel none of whose variables is set is left out; one that is set in part
// is an error that names what is missing. There is one channel of each kind.
// Build the clients yourself for more, and for every option that has no
// variable: a program that does so links only the packages it imports.
//
// # Packages
//
//   - [github.com/ecosire/stocksync/syncer] does the job: it reads the source,
//     reads the channels, writes what differs, and reports.
//   - [github.com/ecosire/stocksync/ecosire] is the source: a client of ECOSIRE.
//   - [github.com/ecosire/stocksync/shopify],
//     [github.com/ecosire/stocksync/woocommerce],
//     [github.com/ecosire/stocksync/amazon] and
//     [github.com/ecosire/stocksync/square] are channels.
//   - [github.com/ecosire/stocksync/channel] is the contract between them, to
//     be implemented for any other channel.
//   - Next to each client is its fake, such as ecosiretest or shopifytest, for
//     the tests of the service that uses it.
package stocksync
