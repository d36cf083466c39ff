package channel

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"time"
)

// Stock is what the source of truth knows about one product.
type Stock struct {
	// ProductID is the source's own name for the product: 1 to 1,000 bytes of
	// UTF-8.
	ProductID string
	// SKU is what channels know the product by: at most 1,000 bytes of UTF-8. SKUs
	// are compared byte for byte, case included.
	SKU string

	// OnHand is the number of units in the warehouse, Reserved the number
	// promised to orders that have not shipped, and Available what may be sold:
	// OnHand - Reserved, which may be negative. They are those of all
	// warehouses together, in whole units.
	OnHand, Reserved, Available int
	// Warehouses has the quantities of single warehouses, by the source's own
	// ids, or is nil where these were not read. One that the product is not in
	// has a zero Quantity; one that is missing could not be read. See
	// [Stock.In] and [WithWarehouses].
	Warehouses map[string]Quantity

	// InFlight is how many units a channel has sold that the source has not
	// booked. A syncer has added them to Reserved, and taken them off Available,
	// before it asks a policy; In takes them off, too. The quantities in
	// Warehouses are as they were read. A source leaves it 0.
	InFlight int

	// Name is the product's name, for people. It may be "".
	Name string
	// Unit is the unit of measure in the source's words, such as "units" or
	// "kg", or "".
	Unit string
	// ReorderPoint is the quantity at which the source orders more, or 0 if it
	// has none.
	ReorderPoint int
	// Extra is what else the source knows and a policy may want, by the
	// source's own names. It is usually nil, and must not be changed.
	Extra map[string]string

	// AsOf is when the request that read the quantities was sent: they are at
	// least as new as that. It orders two reads of the same product.
	AsOf time.Time

	// Err says why the quantities above cannot be relied on; they are then
	// meaningless and must not be published. It is nil for a product that was
	// read well. It concerns this product only.
	Err error
}

// A Quantity is how much of a product one warehouse has. See [Stock].
type Quantity struct{ OnHand, Reserved, Available int }

// In returns what some warehouses have together, less what is in flight. It is an
// error if one of them was not read: that is not the same as 0.
func (s Stock) In(warehouses ...string) (Quantity, error) {
	var sum Quantity
	for _, w := range warehouses {
		q, ok := s.Warehouses[w]
		if !ok {
			return Quantity{}, fmt.Errorf("the stock in warehouse %q was not read: %w", w, ErrUnavailable)
		}
		sum.OnHand += q.OnHand
		sum.Reserved += q.Reserved
		sum.Available += q.Available
	}
	sum.Reserved += s.InFlight
	sum.Available -= s.InFlight
	return sum, nil
}

// A Source is the single source of truth.
//
// What else a source can do is found by type with [As], also through wrappers:
// [ChangeSource], [OrderSource], [Pacer], [Counter], [Finder], [Meter], [Continuer],
// [Subscriber], [Clocked], [Limited].
type Source interface {
	// Stock reads the named products, or every product when none is named. Of
	// the named ones it yields only those that exist, in any order; a product
	// may be yielded more than once. Of the whole catalogue each product comes
	// once: a second one with its SKU would be another product.
	//
	// At most one error is yielded, as the last pair, with a zero Stock: what came
	// before it holds, and of all else nothing is known. A source that is not
	// certain to have yielded every product ends with an error that matches
	// [ErrIncomplete]. Ranging again reads again; breaking off stops the reading.
	//
	// An error that matches [ErrInvalid] means that the source refuses the
	// request as it stands, most often for one of the ids: the caller asks
	// again for parts of them to find out which.
	Stock(ctx context.Context, productIDs ...string) iter.Seq2[Stock, error]
}

// A ChangeSource is a [Source] that can tell which products changed lately, so
// that changes of which it sends no event are noticed soon. Its counterpart among
// channels, which tells of sales, is the [ChangeLister].
type ChangeSource interface {
	// Changes returns the products that may have changed since the call that
	// returned the cursor, and the cursor for the next call. The cursor "" asks
	// for a first one.
	Changes(ctx context.Context, cursor string) (productIDs []string, next string, err error)
}

// An OrderSource is a [Source] that knows which products an order has, so that
// an event may name the order alone.
type OrderSource interface {
	// OrderProducts returns the products of an order. An error that is
	// [Permanent] means that there will never be an answer.
	OrderProducts(ctx context.Context, orderID string) (productIDs []string, err error)
}

// A Pacer is a [Source] with a quota that steady work could spend too early.
type Pacer interface {
	// Pace blocks until a read may be sent, and returns nil or ctx's error.
	// Marks made meanwhile join the read. Any other error is as if nil were
	// returned: pacing is a courtesy, and never a reason not to work.
	Pace(ctx context.Context) error
}

// A Counter is a [Source] that can tell cheaply how many products it has.
type Counter interface {
	Count(ctx context.Context) (int, error)
}

// A Finder is a [Source] that can find products by their SKU.
type Finder interface {
	// Find returns the products whose own SKU is exactly this one, as a rule one
	// or none. It costs a request, so whoever calls it does so rarely.
	Find(ctx context.Context, sku string) (productIDs []string, err error)
}

// A Receiver authenticates the deliveries of a service's webhooks and says
// what they are about: those of the source, such as an *ecosire.Webhooks, which
// names products, or those of a channel, such as a *shopify.Webhooks, which names
// SKUs. A [Channel] may be one itself. It is safe for concurrent use.
type Receiver interface {
	// Receive is given a delivery's headers and its exact body. Its error
	// matches [ErrUnauthorized] if the sender is not the service and
	// [ErrUnavailable] if somebody had to be asked who did not answer; any other
	// error says that the delivery makes no sense.
	Receive(ctx context.Context, header http.Header, body []byte) (Event, error)
}

// An Event says that something may have changed. Its receiver reads what is true, so
// a lost, repeated, late or forged event cannot make a wrong number.
type Event struct {
	// ID and Type are the service's, for logs.
	ID, Type string
	// ProductIDs are the products that the event is about; none if it concerns
	// no stock.
	ProductIDs []string
	// OrderIDs are orders whose products the event does not name.
	OrderIDs []string
	// SKUs are what a channel's event is about: channels know no product ids.
	SKUs []string
	// Shows is what a channel says that it shows, for some of SKUs, or nil. It is
	// never believed. It only identifies the echo of one's own write: if the channel
	// is known to show just that, nothing has changed.
	Shows map[string]int
	// Order says that the event is about an order: its products were sold a moment
	// ago, and may be sold twice until every channel knows.
	Order bool
	// Odd says what part of the delivery makes no sense and was left out, for logs;
	// "" if none. What the event names holds.
	Odd string
}

// A Subscriber is a [Source] or a [Channel] that can find out whether its service
// still sends the events that it was subscribed to: some services drop or disable
// a subscription after a few deliveries that failed.
type Subscriber interface {
	// Subscribed asks the service. It returns nil if the events are sent, an error
	// that matches [ErrUnsubscribed] if they are not, and any other error if that
	// could not be found out. It is called about six times an hour.
	Subscribed(ctx context.Context) error
}

// A Clocked is a [Source] or a [Channel] that knows how its service's clock
// differs from this machine's.
type Clocked interface {
	// Skew is how far the service's clock is ahead, as of its last answers, and
	// whether that is known. It asks nobody.
	Skew() (ahead time.Duration, ok bool)
}

// A Continuer is a [Source] whose catalogue can be read from a given product on, so
// that a long reading that was cut off goes on where it was.
type Continuer interface {
	// StockAfter yields what Stock yields of the whole catalogue after a product, in
	// the same order. before is the number of products up to and including it, as a
	// hint to its place. Up to a page of these may come again. If the place cannot
	// be found, it yields only an error that matches [errors.ErrUnsupported]. In all
	// else it is like Stock.
	StockAfter(ctx context.Context, productID string, before int) iter.Seq2[Stock, error]
}
