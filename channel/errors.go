package channel

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// What can be wrong, for every source and channel. The errors of adapters
// match these with [errors.Is] and say more in their text.
var (
	// ErrUnknownSKU: the channel has no item with this SKU.
	ErrUnknownSKU = errors.New("unknown SKU")
	// ErrAmbiguousSKU: the SKU stands for several items.
	ErrAmbiguousSKU = errors.New("ambiguous SKU")
	// ErrNotTracked: the channel has the item but keeps no count of it.
	ErrNotTracked = errors.New("stock is not tracked")
	// ErrNotStocked: the channel has the item, but not at this location.
	ErrNotStocked = errors.New("not stocked at this location")
	// ErrShared: the item shows the stock of another one, such as its parent
	// or the parts of a bundle, and cannot be given a quantity of its own.
	ErrShared = errors.New("stock belongs to another item")
	// ErrInvalid: the channel can never take this SKU or this quantity, or the
	// source this id.
	ErrInvalid = errors.New("invalid")

	// ErrConflict: the channel shows something else than what was seen when
	// the update was planned. Read again and decide again.
	ErrConflict = errors.New("changed since it was read")
	// ErrPending: the channel accepted the update, and does not show it yet.
	// See [Lagger].
	ErrPending = errors.New("accepted, and not shown yet")
	// ErrNotApplied: the channel accepted the update, and shows another quantity
	// all the same.
	ErrNotApplied = errors.New("accepted but not applied")
	// ErrUnclear: the update was sent, and whether it was applied is not known.
	ErrUnclear = errors.New("sent, not known whether applied")
	// ErrUnauthorized: the service refuses the credentials, or they lack a right.
	ErrUnauthorized = errors.New("unauthorized")
	// ErrUnsubscribed: the service does not send its events any more. See
	// [Subscriber].
	ErrUnsubscribed = errors.New("the service sends no events any more")
	// ErrUnavailable: the service is down, throttled or answering nonsense. A
	// write that ended like this may or may not have been applied.
	ErrUnavailable = errors.New("unavailable")

	// ErrIncomplete: a list is not whole. What was read of it holds; nothing
	// may be concluded about what was not.
	ErrIncomplete = errors.New("incomplete list")
)

// classes names the errors above for metrics and for JSON, the more telling
// ones first.
var classes = []struct {
	class string
	err   error
}{
	{"unknown_sku", ErrUnknownSKU}, {"ambiguous_sku", ErrAmbiguousSKU}, {"not_tracked", ErrNotTracked},
	{"not_stocked", ErrNotStocked}, {"shared", ErrShared}, {"invalid", ErrInvalid},
	{"conflict", ErrConflict}, {"pending", ErrPending}, {"not_applied", ErrNotApplied}, {"unclear", ErrUnclear},
	{"unauthorized", ErrUnauthorized}, {"incomplete", ErrIncomplete}, {"unavailable", ErrUnavailable},
}

// Class is a short word for an error that can be the label of a metric. By what the
// error matches it is
//
//	unknown_sku ambiguous_sku not_tracked not_stocked shared invalid
//	conflict pending not_applied unclear
//	unauthorized incomplete unavailable
//
// or "other" if it matches none of these, and "" for nil. More words may come.
func Class(err error) string {
	if err == nil {
		return ""
	}
	for _, c := range classes {
		if errors.Is(err, c.err) {
			return c.class
		}
	}
	return "other"
}

// OfClass returns an error with a text that matches what [Class] was given: it
// brings back an error that went through JSON.
func OfClass(class, text string) error {
	if class == "" && text == "" {
		return nil
	}
	for _, c := range classes {
		if c.class == class {
			return &classed{text, c.err}
		}
	}
	return errors.New(text)
}

type classed struct {
	text string
	err  error
}

func (e *classed) Error() string { return e.text }
func (e *classed) Unwrap() error { return e.err }

// Permanent reports whether an error will stay until somebody changes the
// product, the catalogue or the configuration, so that trying again by itself
// is pointless. What [NotYet] returned is not permanent.
func Permanent(err error) bool {
	if _, ok := errors.AsType[*notYet](err); ok {
		return false
	}
	for _, target := range []error{
		ErrUnknownSKU, ErrAmbiguousSKU, ErrNotTracked, ErrNotStocked, ErrShared, ErrInvalid,
	} {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

// NotYet returns an error that matches what err matches, and yet is not
// [Permanent]. A channel returns it for an SKU that it does not know while its
// search may only be late: the item may have been made a moment ago.
func NotYet(err error) error { return &notYet{err} }

type notYet struct{ error }

func (e *notYet) Unwrap() error { return e.error }

// RetryAfter finds out how long a service asked to be left alone: it looks in
// err's tree for an error with a method RetryAfter() time.Duration that
// returns more than zero.
func RetryAfter(err error) (wait time.Duration, ok bool) {
	if e, found := errors.AsType[interface {
		error
		RetryAfter() time.Duration
	}](err); found {
		wait = e.RetryAfter()
	}
	return wait, wait > 0
}

// LagOf returns how long an update that ended in err, an [ErrPending], may take
// to show, where that is longer than the channel's [Lagger] says: it looks in
// err's tree for an error with a method Lag() time.Duration.
func LagOf(err error) (lag time.Duration, ok bool) {
	if e, found := errors.AsType[interface {
		error
		Lag() time.Duration
	}](err); found {
		lag = e.Lag()
	}
	return lag, lag > 0
}

// Errors says which updates of a Push are not shown, by SKU. An SKU that is
// not in it was done.
type Errors map[string]error

// Error names the first few SKUs.
func (e Errors) Error() string {
	const most = 3
	var b strings.Builder
	fmt.Fprintf(&b, "%d not shown", len(e))
	for i, sku := range slices.Sorted(maps.Keys(e)) {
		if i == most {
			fmt.Fprintf(&b, "; and %d more", len(e)-most)
			break
		}
		fmt.Fprintf(&b, "; %q: %v", sku, e[sku])
	}
	return b.String()
}

// Unwrap returns the errors in the order of their SKUs.
func (e Errors) Unwrap() []error {
	errs := make([]error, 0, len(e))
	for _, sku := range slices.Sorted(maps.Keys(e)) {
		errs = append(errs, e[sku])
	}
	return errs
}

// Err returns e, or nil if it is empty. A Push ends with it.
func (e Errors) Err() error {
	if len(e) == 0 {
		return nil
	}
	return e
}

// UnknownSKU returns an error that matches [ErrUnknownSKU]. If one of the
// candidates, SKUs that the channel does have, differs from sku in case or
// blanks only, the error says so: that is most often a slip of the pen in one
// of the two systems.
func UnknownSKU(sku string, candidates ...string) error {
	for _, c := range candidates {
		if c != sku && fold(c) == fold(sku) {
			return &nearMiss{c, fmt.Errorf("%w %q: did you mean %q? SKUs must match exactly", ErrUnknownSKU, sku, c)}
		}
	}
	return fmt.Errorf("%w %q", ErrUnknownSKU, sku)
}

// NearMiss returns the SKU that the channel has instead, if err is of
// [UnknownSKU] and names one; "" if not.
func NearMiss(err error) string {
	if e, ok := errors.AsType[*nearMiss](err); ok {
		return e.sku
	}
	return ""
}

type nearMiss struct {
	sku string
	error
}

func (e *nearMiss) Unwrap() error { return e.error }

// fold drops what people overlook: case, and blanks anywhere.
func fold(sku string) string {
	return strings.ToLower(strings.Join(strings.Fields(sku), ""))
}
