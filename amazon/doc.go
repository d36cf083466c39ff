// Package amazon calls Amazon's Selling Partner API and shows stock in the
// stores of a seller.
//
// A [Client] belongs to one seller in one region; its [Client.Channel] is the
// channel.Channel to hand to a syncer, and [Client.Do] reaches every other
// operation.
//
//	client, err := amazon.New(amazon.Config{
//		SellerID: "A2XXXXXXXXXXXX",
//		Region:   amazon.Europe,
//		Credentials: amazon.NewCredentials(
//			os.Getenv("AMAZON_CLIENT_ID"), os.Getenv("AMAZON_CLIENT_SECRET"), os.Getenv("AMAZON_REFRESH_TOKEN")),
//	})
//	if err != nil {
//		return err
//	}
//	stores, err := client.Channel(amazon.ChannelConfig{MarketplaceID: "A1PA6795UKMFR9"})
//
// # One channel for a region
//
// In Europe an offer that the merchant ships has one quantity for all stores of
// an account, whichever store a request names. So there is one channel for a
// seller and a region, not one for each store.
//
// # Accepted is not shown
//
// Amazon accepts a quantity at once and shows it minutes later. Push therefore
// names what was accepted with channel.ErrPending, and [Channel.Lag] says how
// long that usually lasts. Levels reads what customers are offered, not the
// quantity last submitted, which sales do not change.
//
// # What is never written
//
// Amazon accepts more than is good for a merchant. This package does not send:
//
//   - a quantity for an SKU that was not read. Amazon takes it, and leaves an
//     incomplete listing behind;
//   - a quantity for a listing that Amazon fulfils. It would become an offer
//     that the merchant has to ship, too. A listing that both fulfil is written;
//   - a quantity for a listing whose stock is kept by locations;
//   - anything but a merge of the quantity. Other operations drop the shop's
//     handling time and restock date.
//
// # SKUs
//
// SKUs match byte for byte. They have at most 40 characters, and may hold
// blanks, slashes and letters of all scripts. One that differs from a listing's
// in case or blanks is unknown, and the error names the near miss if Amazon
// finds it. Amazon takes a comma for the end of an SKU, so one with a comma
// costs a request of its own.
//
// # Pace
//
// Amazon grants requests by operation and seller: 5 a second for reading,
// 20 SKUs each, and 5 a second for writing, one listing each. A client starts
// with these and follows what Amazon says in its answers, up and down. It does
// not know what other processes of the same application use; where these use
// the quota up it waits, longer each time. Calls that can wait (see
// channel.WithUrgency) come after all others, and leave a share of each burst.
//
// # Feeds
//
// With [ChannelConfig].FeedFrom the writes of a first sync go by a feed, a file
// that Amazon processes in a quarter of an hour at best, and in hours on bad
// days. Push then gathers what a run writes. [Channel.Resume], which a syncer
// calls, submits it, asks how far it is, and returns the listings to compare
// when it is done. [ChannelConfig].Store keeps what is known of a feed, so that
// another process can go on with it.
//
// An event about a listing in a feed is written at once, and the listing is
// compared again when the feed is done: the feed's older quantity may land
// last.
//
// # Credentials
//
// The application needs the role Product Listing. Access tokens are kept and
// renewed early, and once more when Amazon says that one has expired.
// [Credentials.Rotate] replaces the client secret while the program runs.
// Files are carried to and from another host by presigned addresses, without
// credentials. No credential and no such address gets into an error or a log
// line.
//
// # Testing
//
// Package [github.com/ecosire/stocksync/amazon/amazontest] has a seller's
// account in memory, which checks what it is asked against Amazon's models.
package amazon
