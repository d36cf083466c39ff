// Package amazontest is a seller's account at Amazon in memory, for tests of
// programs that keep stock in step over the Selling Partner API.
//
// # A seller
//
// [New] makes a seller with one store, and [Server.Add] gives it listings:
//
//	seller := amazontest.New(amazontest.Config{Lag: time.Minute, MaxLag: 15 * time.Minute})
//	seller.Add(amazontest.Listing{SKU: "MUG-1", Quantity: 5})
//
// A [Server] is reached without a socket by its HTTP client, which answers for
// every host and works inside a testing/synctest bubble:
//
//	client, err := amazon.New(amazon.Config{
//		SellerID: "A1TESTSELLER", Region: amazon.NorthAmerica, HTTPClient: seller.Client(),
//		Credentials: amazon.NewCredentials(amazontest.ClientID, amazontest.ClientSecret, amazontest.RefreshToken),
//	})
//
// or with one, through httptest.NewServer(seller): its address is that of the
// API and, with the path /auth/o2/token, of Login with Amazon. What goes wrong
// on the way is up to the [channeltest.Wire] in it.
//
// # What it does
//
// It serves [Operations], and the files of feeds and reports, which lie on
// another host. Requests are checked against a part of Amazon's own models, and
// are counted and limited by operation: see [Server.Calls], [Server.Drain] and
// [Server.SetRate]. Whatever else the models have ends with status 501.
//
// It has Amazon's traps, as far as they are known: what is accepted shows later,
// and sales lower what is shown and not what was submitted; a page of a search
// has 10 listings, and a comma separates SKUs, escaped or not; what is wrong is
// said with status 200, and a bad token, a missing role and a wrong path with
// the same 403; 429 comes without a time to wait; feeds of retired types are
// taken and fail. And it accepts, as Amazon does, what does harm: a quantity for
// an unknown SKU, or for a listing that Amazon fulfils, and a patch that drops
// the handling time. [Server.Harm] has a list of what was done so; a test
// should want it to be empty.
//
// # What is not known
//
// Nothing here was measured at Amazon. Where its behaviour is not known, the
// server takes the stricter one, or lets the test choose: [Config].FoldCase.
package amazontest
