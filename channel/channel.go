package channel

import (
	"context"
	"io"
	"iter"
	"time"
)

// A Level is what a channel shows for one SKU.
type Level struct {
	// SKU is the SKU asked for, byte for byte.
	SKU string
	// Quantity is the number of units that the channel offers. It means
	// nothing when Err is not nil.
	Quantity int
	// Unset reports that the item exists but has no quantity yet, so any
	// quantity is a difference. Quantity is then 0. Customers can buy such an
	// item without a limit, unless it is OffSale.
	Unset bool
	// Inexact reports that the channel shows a fraction of a unit on top of
	// Quantity, such as 3.7 kg, so any quantity is a difference.
	Inexact bool
	// OffSale reports that customers cannot buy the item, whatever its
	// quantity: it is out of stock by a switch of its own, say. What is off
	// sale already loses nothing by being set to 0.
	OffSale bool
	// SellsAtZero reports that customers can go on buying the item when its
	// quantity is 0 or less: backorders, "continue selling". It is for reports,
	// and set only where reading it costs nothing more.
	SellsAtZero bool
	// Ref is the channel's own name for the item, for people and for the
	// channel itself; nobody else interprets it.
	Ref string
	// Err says why the quantity cannot be read or written: [ErrNotTracked],
	// [ErrNotStocked], [ErrShared], [ErrInvalid], or [ErrUnknownSKU] where the
	// channel has something to add to a plain absence (see [UnknownSKU]). A row
	// of the service's answer that makes no sense is an Err, too: it concerns
	// this item only.
	Err error
}

// An Update asks a channel to show a quantity.
type Update struct {
	// SKU names the item.
	SKU string
	// Quantity is the number of units to show. It is absolute.
	Quantity int
	// Seen is what the channel showed when the update was planned, or nil if
	// that was not read. A channel that can compare and set refuses the update
	// with [ErrConflict] when it shows something else by now.
	Seen *Level
	// AsOf is when the quantity was read from the source of truth.
	AsOf time.Time
}

// A Channel shows stock to customers: a web shop, a marketplace, a till.
//
// It only translates. Comparing, ordering, retrying, policies and reports are
// the work of its caller, most often a syncer.Syncer. Its methods may be called
// by several goroutines at once, but never for the same SKU.
//
// What else a channel can do is found by type with [As], also through
// wrappers: [Reader], [Sizer], [Preloader], [Lister], [ChangeLister],
// [Unsetter], [Lagger], [Deductor], [Comparer], [Resumer], [Keeper], [Meter],
// [Receiver], [Subscriber], [Clocked], [Limited].
type Channel interface {
	// Name is stable, and unique among the channels that are used together,
	// such as "shopify:acme". It appears in reports and logs.
	Name() string

	// Push makes the channel show every update. Each SKU occurs once; any
	// number of updates may come (see [Sizer]).
	//
	// A nil error means that every update is shown, or that the channel took it
	// and has sold from it since (see [Deductor]). An error of type [Errors]
	// names the updates that are not shown; all others are. An error that is
	// [Permanent] refuses the call as it stands, most often because of one of the
	// updates: the caller asks again with parts of them to find out which. After
	// any other error, an Errors joined with one included, nothing is known of any
	// update: each may have been applied or not.
	//
	// Pushing the same updates twice is harmless. Push returns soon after ctx
	// is done.
	Push(ctx context.Context, updates []Update) error
}

// A Reader is a [Channel] that can tell what it shows. A channel that is read
// is written only where it differs.
type Reader interface {
	// Levels reads the levels of SKUs, in any order. An SKU that the channel
	// does not know is absent from the answer; one that stands for several
	// items comes back once for each. Every level's SKU is one of those asked
	// for. An error means that nothing was learned.
	//
	// Levels come from the service itself, never from a cache between: what a
	// cache answers may be hours old.
	Levels(ctx context.Context, skus []string) ([]Level, error)
}

// A Sizer is a [Channel] that takes at most a number of updates in one Push,
// and, if it is a [Reader], of SKUs in one Levels. One that splits its work
// itself need not be a Sizer.
type Sizer interface {
	// BatchSize is the largest number of updates, at least 1.
	BatchSize() int
}

// A Preloader is a [Channel] that can prepare for a run over the whole
// catalogue, such as by reading all its SKUs in one go.
type Preloader interface {
	// Preload is called before a run over the whole catalogue. An error does
	// not stop the run: it only makes it slower.
	Preload(ctx context.Context) error
}

// A Lister is a [Channel] that can tell every SKU that it has.
type Lister interface {
	// SKUs yields the SKUs, in any order, those that stand for several items
	// perhaps several times. At most one error is yielded, as the last pair. One
	// that matches [errors.ErrUnsupported] says that the channel was told not to
	// list: it is then as if it were no Lister.
	SKUs(ctx context.Context) iter.Seq2[string, error]
}

// A ChangeLister is a [Channel] that can tell cheaply which of its levels changed
// lately, so that sales of which no webhook told are noticed soon. Its counterpart
// among sources is the [ChangeSource].
type ChangeLister interface {
	// Changes returns the levels of what may have changed since the call that
	// returned the cursor, as Levels of a [Reader] would, changes by Push included,
	// and the cursor for the next call. The cursor "" asks for a first cursor, and
	// returns no levels. What cannot be found in reasonable time is left out: the
	// next comparison of the whole catalogue finds it. An error that matches
	// [errors.ErrUnsupported] means that this service cannot tell.
	Changes(ctx context.Context, cursor string) (levels []Level, next string, err error)
}

// An Unsetter is a [Channel] that can go back to showing no quantity for an
// item, so that the first quantity an item was ever given can be undone.
type Unsetter interface {
	// Unset makes the items of the updates show no quantity, as before their
	// first one. Update.Quantity is ignored; Seen and the error are as for
	// Push.
	Unset(ctx context.Context, updates []Update) error
}

// A Comparer is a [Channel] whose Push refuses an update with [ErrConflict] if
// the channel shows something else than [Update].Seen: nothing is written on top
// of a sale that nobody saw.
type Comparer interface {
	// ComparesAndSets only marks the type: it does nothing, and nobody calls it.
	ComparesAndSets()
}

// A Lagger is a [Channel] whose accepted updates take time to show. Its Push
// answers [ErrPending] for an update that was accepted and does not show yet.
type Lagger interface {
	// Lag is the longest time that an accepted update usually takes to show.
	// Until then a level that still has the old quantity is no drift, and the
	// update is not sent again. An update may take longer; see [LagOf].
	Lag() time.Duration
}

// A Keeper is a [Channel] that knows something that is costly to find out
// again, such as which item each SKU is, and can carry it over a restart.
// What it knows is never a quantity, and its loss costs requests only. A syncer
// with a durable queue keeps it there.
type Keeper interface {
	// Keep writes what the channel knows to w, in a form of its own.
	Keep(w io.Writer) error
	// Restore reads what Keep wrote, by this version of the package or another
	// one, and adds it to what the channel knows. After an error the channel
	// works as if nothing had been restored.
	Restore(r io.Reader) error
}

// Duplicates says what a channel does about an SKU that several of its items
// have, such as a product and the draft that somebody made of it.
type Duplicates int

const (
	// DuplicatesReported: Levels returns each item, and Push refuses the SKU
	// with [ErrAmbiguousSKU]. This is the default.
	DuplicatesReported Duplicates = iota
	// DuplicatesForSale: of the items only one is for sale, and that is the one
	// the SKU means. Otherwise it is as with DuplicatesReported.
	DuplicatesForSale
	// DuplicatesAll: all of the items get the quantity, and Levels returns one
	// level for them. Where they disagree the level is Unset, so that any
	// quantity is a difference. Where customers can buy the items independently,
	// each offers the whole quantity, so that it can be sold several times.
	DuplicatesAll
)

// A Resumer is a [Channel] with work that outlasts the call that began it, such
// as a file that the service processes for hours. The channel keeps its record of
// such work where the host told it to.
type Resumer interface {
	// Resume does what is due of that work. It returns the SKUs to compare now,
	// whatever is pending for them, since what became of their updates is known or
	// can be read; and how long to wait before the next call. A wait of 0 means that
	// nothing is under way: Resume need not be called before the next Push. After an
	// error the caller calls again, later.
	//
	// Any process that pushes may call it, at any time. Like Push it writes. A caller
	// that will go on calling it calls it once before the first Push: a channel
	// begins such work only for these.
	Resume(ctx context.Context) (skus []string, again time.Duration, err error)
}

// A Deductor is a [Channel] that keeps the books of its own sales, as a till
// does: it takes a pushed quantity as of an earlier moment, and deducts what it has
// sold since. So its Push returns nil for an update that it took, although it shows
// less than was pushed.
//
// A level below the quantity pushed, read within Deducts of the Push, is then
// no proof of drift, of a write that failed, or of a new sale: the units
// missing may be ones that the source has booked already. A push after that
// time gives these back. A level above the quantity has another cause.
type Deductor interface {
	// Deducts is how long before [Update].AsOf that earlier moment is; 0 means AsOf
	// itself.
	Deducts() time.Duration
}

// A Meter is a [Source] or a [Channel] that counts what it costs.
type Meter interface {
	// Requests is how many requests have been sent to the service so far,
	// repeated ones included.
	Requests() int64
}
