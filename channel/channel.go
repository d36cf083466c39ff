package channel

import (
	"context"
	"iter"
	"time"
)

// Stock is what the source of truth knows about one product.
type Stock struct {
	// ProductID is the source's own name for the product.
	ProductID string
	// SKU is what channels know the product by. SKUs are compared byte for
	// byte, case included.
	SKU string

	// OnHand is the number of units in the warehouse, Reserved the number
	// promised to orders that have not shipped, and Available what may be sold.
	OnHand, Reserved, Available int

	// AsOf is when the request that read these figures was sent: they are at
	// least as new as that. It orders two reads of the same product.
	AsOf time.Time

	// Err says why the figures above cannot be relied on; they are then
	// meaningless and must not be published. It is nil for a product that was
	// read well. It concerns this product only.
	Err error
}

// A Source is the single source of truth.
type Source interface {
	// Stock reads the named products, or every product when none is named. Of
	// the named ones it yields only those that exist, in any order; a product
	// may be yielded more than once.
	//
	// At most one error is yielded, as the last pair, with a zero Stock: what
	// came before it holds, and of all else nothing is known. A source that
	// cannot vouch for having yielded every product ends with an error that
	// matches [ErrIncomplete]. Ranging again reads again; breaking off stops
	// the reading.
	Stock(ctx context.Context, productIDs ...string) iter.Seq2[Stock, error]
}

// A Level is what a channel shows for one SKU.
type Level struct {
	// SKU is the SKU asked for, byte for byte.
	SKU string
	// Quantity is the number of units that the channel offers. It means
	// nothing when Err is not nil.
	Quantity int
	// Unset tells that the channel has the item but shows no figure for it
	// yet, so that any quantity is a difference. Quantity is then 0.
	Unset bool
	// Ref is the channel's own name for the item, for people and for the
	// channel itself; nobody else interprets it.
	Ref string
	// Err says why the quantity cannot be read or written: [ErrNotTracked],
	// [ErrNotStocked], [ErrShared], [ErrInvalid], or [ErrUnknownSKU] where the
	// channel has something to add to a plain absence (see [UnknownSKU]).
	Err error
}

// An Update asks a channel to show a quantity.
type Update struct {
	// SKU names the item.
	SKU string
	// Quantity is the number of units to show: an absolute figure.
	Quantity int
	// Seen is what the channel showed when the update was planned, or nil if
	// that was not read. A channel that can compare and set refuses the update
	// with [ErrConflict] when it shows something else by now.
	Seen *Level
	// AsOf is when the figure was read from the source of truth.
	AsOf time.Time
}

// A Channel shows stock to customers: a web shop, a marketplace, a till.
//
// It only translates. Comparing, ordering, retrying, policies and reports are
// the work of its user, most often a syncer.Syncer. Its methods may be called
// by several goroutines at once, but never for the same SKU.
type Channel interface {
	// Name is stable, and unique among the channels that are used together,
	// such as "shopify:acme". It appears in reports and logs.
	Name() string

	// Push makes the channel show every update. Each SKU occurs once; any
	// number of updates may come (see [Sizer]).
	//
	// A nil error means that every update is shown. An error of type [Errors]
	// says which are not, and the others are. Any other error means that
	// nothing is known of any of them. Pushing the same updates twice is
	// harmless. Push returns soon after ctx is done.
	Push(ctx context.Context, updates []Update) error
}

// A Reader is a [Channel] that can tell what it shows. A channel that is read
// is written only where it differs.
type Reader interface {
	// Levels reads the levels of SKUs, in any order. An SKU that the channel
	// does not know is absent from the answer; one that stands for several
	// items comes back once for each. Every level's SKU is one of those asked
	// for. An error means that nothing was learned.
	Levels(ctx context.Context, skus []string) ([]Level, error)
}

// A Sizer is a [Channel] that takes no more than so many updates in one Push,
// and, if it is a [Reader], so many SKUs in one Levels. One that splits its
// work itself need not be a Sizer.
type Sizer interface {
	// BatchSize is the largest number of updates, at least 1.
	BatchSize() int
}

// A Preloader is a [Channel] that prepares cheaply for work on its whole
// catalogue, such as by reading all its SKUs in one go.
type Preloader interface {
	// Preload is called before a run over the whole catalogue. An error does
	// not stop the run: it only makes it slower.
	Preload(ctx context.Context) error
}

// A Lister is a [Channel] that can tell every SKU that it has.
type Lister interface {
	// SKUs yields the SKUs, in any order, those that stand for several items
	// perhaps several times. At most one error is yielded, as the last pair.
	SKUs(ctx context.Context) iter.Seq2[string, error]
}

// A Meter is a [Source] or a [Channel] that counts what it costs.
type Meter interface {
	// Requests is how many requests have been sent to the service so far,
	// repeated ones included.
	Requests() int64
}

// A Counter is a [Source] that can tell cheaply how many products it has.
type Counter interface {
	Count(ctx context.Context) (int, error)
}

// As finds the first channel among c and what it wraps that is a T, an
// optional interface such as [Reader]. A channel that wraps another one tells
// so by a method Unwrap() Channel.
func As[T any](c Channel) (T, bool) {
	for c != nil {
		if t, ok := c.(T); ok {
			return t, true
		}
		w, ok := c.(interface{ Unwrap() Channel })
		if !ok {
			break
		}
		c = w.Unwrap()
	}
	var zero T
	return zero, false
}

type runKey struct{}

// WithRun returns a context that carries the name of the run that causes the
// calls made with it. Channels that keep a history of changes write it there.
func WithRun(ctx context.Context, run string) context.Context {
	return context.WithValue(ctx, runKey{}, run)
}

// Run returns the name that [WithRun] put into ctx, or "".
func Run(ctx context.Context) string {
	run, _ := ctx.Value(runKey{}).(string)
	return run
}
