// Package ecosire is a client of the ECOSIRE API: stock, orders, adjustments,
// transfers, moves and locations. A [Client] is the [channel.Source] of a
// syncer.
//
// # Stock
//
// [Client.Stock] reads named products, a hundred to a request, or the whole
// catalogue. Of a product's three quantities only Available, what is on hand
// less what confirmed orders have reserved, may be published.
//
// Each row of an answer is checked by itself. A quantity that is missing, null,
// text or a fraction is an error for that product, never a 0, and costs no
// other product. A list that is not whole ends in [channel.ErrIncomplete]. An
// id that ECOSIRE refuses is found among the others by halving the request, and
// is not asked for again for a day.
//
// With [channel.WithWarehouses] the stock of single warehouses is read, too, and
// must not add up to more than there is: what the documented filter warehouseId
// does to quantities is not documented. W warehouses cost W+1 requests for a
// hundred products; a single one costs one if nothing uses the total, and then
// there is nothing to check it against.
//
// # Lists
//
// Lists page by themselves: range over them and stop when you like.
//
//	for order, err := range client.Orders(ctx, ecosire.OrderFilter{Status: "confirmed"}) {
//		if err != nil {
//			return err // always the last pair
//		}
//		…
//	}
//
// A page is a window on a list that changes meanwhile, not a snapshot. So
// entries are asked for oldest first, repeated ones are left out, and the end
// is checked against the total that ECOSIRE states: if fewer came, the last
// pair holds an error that matches [channel.ErrIncomplete]. What came before
// it holds.
//
// # Quota
//
// ECOSIRE allows 60 requests a minute for each API key, and tells with each
// answer how many are left and when the next minute begins. A Client, which is
// safe for concurrent use, sends requests by their [channel.Urgency]. Urgent
// ones, which is the default, leave at once while any are left. Others wait
// until enough are left for an urgent one every 1.2 seconds until the minute
// ends, unless what is left covers all that a run still needs and no urgent
// work is expected. [Client.Pace] spreads steady urgent work over the minute.
// Share one Client in a process, and set Config.Sole if nothing else uses the
// key: two Clients learn of each other only from ECOSIRE's answers.
//
// What ECOSIRE says about its quota is believed within limits: no wait is longer
// than two minutes, and what claims more is logged as an error.
//
// # Events
//
// [Webhooks] authenticates and reads what ECOSIRE sends; [Client.Changes] finds
// what moved without an event. Neither carries quantities: read them.
//
// # Errors
//
// What ECOSIRE refuses is an [*Error] with its status and message, which
// matches [channel.ErrUnauthorized], [channel.ErrInvalid] or
// [channel.ErrUnavailable]. Reads are repeated after a broken connection or a
// 5xx, with growing waits. Calls that change something are not repeated, unless
// ECOSIRE refused them for the rate: after an error that matches
// ErrUnavailable, look before you post again.
package ecosire
