// Package square shows stock at the tills of one of Square's locations: a
// client for Square's API, as far as the catalog and inventory go, and the
// [channel.Channel] on top of it.
//
//	client, err := square.New(square.Config{Token: square.StaticToken(token)})
//	if err != nil {
//		return err
//	}
//	shelf, err := client.Channel(square.ChannelConfig{
//		LocationID: "L8XAMPLE0001",
//		BookingLag: 15 * time.Minute,
//	})
//
// Share one [Client] among all locations of a seller: they draw on the same
// allowance, and the catalog is the same for all. Each location is a channel of
// its own. Share the source's quantities out among them (syncer.Split,
// syncer.In), or each shows all.
//
// # Credentials
//
// The personal access token of the seller's own application never expires and
// may do everything: [StaticToken]. A host with OAuth tokens renews them itself
// and passes a [TokenFunc]. The token goes to Square's host only, and never
// into an error or a log line.
//
// # SKUs and variations
//
// What has an SKU and a stock at Square is an item variation. Its search
// ignores case, so what it finds is compared byte for byte. What cannot be
// counted is reported for its SKU alone, and the rest is written:
// [channel.ErrNotTracked] where Square does not track the stock,
// [channel.ErrNotStocked] where the location does not sell the item or it is
// archived, [channel.ErrShared] for a variation that is sold from the stock of
// another one, [channel.ErrAmbiguousSKU] for an SKU that several have. This
// package never writes the catalog: a person has to mend these in Square.
//
// # Sales at the till
//
// Square keeps the stock as a ledger in the order of the times at which things
// occurred, and not of those at which they arrive. So a physical count is dated
// when the source was read, by Square's clock, and Square itself deducts what
// the till has sold since: no sale is lost between reading and writing. For
// sales that the source has not booked yet, [ChannelConfig.BookingLag] dates
// the count that much earlier, so that what the till sold in that time is
// deducted, too.
//
// It errs towards too few: sales of that time that the source has booked
// already are deducted twice, until a later count. In a simulated day of 5,000
// sales that the source booked after 2 seconds to 15 minutes, no answer of
// Square's showed more than lay on the shelf with a BookingLag of 15 minutes;
// six of ten showed too few, 2.7 units on average. Without it more than a third
// showed up to 4 units too many.
//
// A count that is older than somebody's own count at the till, or than a
// delivery booked there, does not undo that. If Square then shows more than was
// pushed, the update ends in [channel.ErrNotApplied], and the next one is dated
// now. If it shows less, the difference counts as sold until the BookingLag has
// passed.
//
// # Pace
//
// Square does not publish its limits, and other applications of the seller draw
// on them, too. A client begins with five requests a second, halves that when
// it is refused, and raises it slowly. At most three requests are under way,
// the urgent ones first. With 10,000 variations a run takes ten requests to
// read the catalog, ten to read what is in stock, and one for each hundred that
// differ.
//
// # Events
//
// [Webhooks] reads the deliveries of inventory.count.updated: a hint that the
// till has sold. It names SKUs and no quantities.
//
// # API version
//
// Every request names the version 2025-08-20, unless [Config.Version] says
// otherwise. Counts read the same in all versions up to 2026-09-16.
//
// # What is assumed
//
// Some of Square's behaviour is not documented: above all whether a sale that
// occurred after the moment of a count is deducted even when the count arrives
// last. Where it is not, a count overwrites the sales between that moment and
// its arrival, as on any channel that cannot compare and set.
//
// # Testing
//
// Package [github.com/ecosire/stocksync/square/squaretest] has a seller's
// account in memory.
package square
