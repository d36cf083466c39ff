// Package ecosire is a client of the ECOSIRE API: stock, orders, adjustments,
// transfers, moves and locations. A [Client] is the [channel.Source] of a
// syncer.
//
// # Stock
//
// [Client.Stock] reads named products, a hundred to a request, or the whole
// catalogue. Of a product's three figures only Available, which is what is on
// hand less what is reserved for confirmed orders, may be published.
//
// The figures are checked before anybody sees them. A quantity that is missing,
// null, text or a fraction is an error for that product and never a 0; a list
// that turns out not to be whole ends in [channel.ErrIncomplete].
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
// safe for concurrent use, spends them at once while there are any, and then
// waits for the reset. Calls made with [channel.WithReserve] leave a share to
// the others, and more than that when the others took more in the last minute;
// what the others can no longer use, in the last seconds of the minute, they
// get. [Client.Pace] spreads steady work over the minute. Share one Client in a
// process: two of them with one key learn of each other only by being refused,
// which costs time though nothing else.
//
// # Events
//
// [Webhooks] authenticates and reads what ECOSIRE sends; [Client.Changes] finds
// what moved without an event. Neither carries figures: read them.
//
// # Errors
//
// What ECOSIRE refuses is an [*Error] with its status and message, which
// matches [channel.ErrUnauthorized], [channel.ErrInvalid] or
// [channel.ErrUnavailable]. Reads are repeated after a broken connection or a
// 5xx, with growing waits. Calls that change something are not, unless ECOSIRE
// refused them for the rate: after an error that matches ErrUnavailable look
// before you post again.
package ecosire
