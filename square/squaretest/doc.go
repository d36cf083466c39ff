// Package squaretest is a seller's account at Square in memory, for tests of
// programs that keep the stock of Square's tills.
//
// # An account
//
// [New] makes an account with one location, and [Server.Add] puts variations
// into its catalog:
//
//	till := squaretest.New(squaretest.Config{})
//	till.Add(squaretest.Variation{SKU: "MUG-1", Quantity: 5})
//
// A [Server] is reached without a socket by its HTTP client, which answers for
// every host and works inside a testing/synctest bubble:
//
//	client, err := square.New(square.Config{
//		Token: square.StaticToken("EAAAtest"), HTTPClient: till.Client(),
//	})
//
// or with one, through httptest.NewServer(till). What goes wrong on the way is
// up to the [channeltest.Wire] in it. [Server.Sell], [Server.Set] and their
// like are what people do at the shop meanwhile.
//
// # What it does
//
// Every request is checked against a part of Square's own specification (see
// [Validate]), and whatever that does not have is refused. The account serves
// catalog/search (without a query, or with a set_query for SKUs),
// catalog/list, catalog/batch-retrieve, inventory/counts/batch-retrieve,
// inventory/changes/batch-create (physical counts of IN_STOCK only) and
// locations. Whatever else the specification has ends with status 501.
//
// # The traps
//
// It behaves as Square is documented to, or was seen to:
//
//   - Stock is a ledger in the order of the times at which things occurred. A
//     sale after a count is deducted from it even when the count arrives last;
//     a count that is older than another one has no effect, and the answer is
//     200 all the same.
//   - occurred_at must be within 24 hours and not in the future, by the
//     account's clock.
//   - ignore_unchanged_counts is true unless it is said to be false.
//   - An idempotency key that was used gets the first answer again, with the
//     counts of then.
//   - Counts without the filters of location and state come for all of them,
//     100 a page, the latest first, so that pages move while the till sells.
//   - A search for SKUs ignores case, and finds blank SKUs; deleted objects
//     come back when a search asks what changed.
//   - Counting a variation that is not stockable changes another one's stock.
//   - An empty list is no list at all.
//
// What Square does not tell is chosen by [Doubts].
package squaretest
