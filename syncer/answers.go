package syncer

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/text"
)

// This file asks the host's functions that answer about a product: a target's
// Filter, Listings, Policy, Pilot and Retire, and Config.Booked. A call that does
// not return is left behind, and what it was to answer is not known. So a
// function may hang for a product or two without harm to the others; if it goes on
// the channel is down, as with a call of the channel's own.

const (
	// maxAnswer is how long the host's own code, such as a Policy, Kits or a
	// Schedule, may take to answer.
	maxAnswer = 10 * time.Second
	// maxUnanswered is for how many products calls may be left behind while the
	// channel works.
	maxUnanswered = 2
	// minLate is how long a call may take at least, when its context is done already.
	minLate = 100 * time.Millisecond
	// answersCall names what holds a channel down when there are more.
	answersCall = "Policy, Filter, Listings, Pilot, Retire or Booked"
)

// A question is what a function of the host's is asked about.
type question struct{ what, productID, sku string }

func (q question) op() string {
	if q.productID == "" {
		return fmt.Sprintf("%s of %q", q.what, text.Clean(q.sku))
	}
	return fmt.Sprintf("%s of product %s", q.what, text.Clean(q.productID))
}

func (q question) subject(t *target) func(context.Context) context.Context {
	return func(ctx context.Context) context.Context { return about(ctx, t.name, q.productID, q.sku) }
}

// consult calls f, which asks a function of the host's, and touches nothing that
// another goroutine has.
func consult[T any](ctx context.Context, s *Syncer, t *target, q question, f func() (T, error)) (none T, err error) {
	if err := t.answers(q); err != nil {
		return none, err
	}
	began := time.Now()
	inner, cancel := context.WithTimeout(ctx, s.soonAnswered())
	defer cancel()
	answer := new(T)
	returned, err := await(inner, s.lateAnswer(), func() error {
		return s.safelyOn(ctx, q.what, q.subject(t), func() (err error) { *answer, err = f(); return heeded(err) })
	}, func() func() { return t.unanswered(ctx, s, q, began) })
	if !returned {
		return none, cmp.Or(t.answers(q), errStuck) // or it has just returned
	}
	return *answer, err
}

// soonAnswered is how long a call may take, and lateAnswer how long when its context
// is done.
func (s *Syncer) soonAnswered() time.Duration { return min(s.patience, maxAnswer) }
func (s *Syncer) lateAnswer() time.Duration   { return max(s.returning, minLate) }

// answers returns an error while the host is not asked: a call with the same
// question has not returned, or too many.
func (t *target) answers(q question) error {
	if err := t.answering(); err != nil {
		return err
	}
	if t.asked.count() == 0 {
		return nil
	}
	if call := t.asked.left(q.op()); call != nil {
		return call.err()
	}
	return nil
}

// answering returns an error while too many calls have not returned.
func (t *target) answering() error {
	if call := t.calls.left(answersCall); call != nil {
		return call.err()
	}
	return nil
}

// unanswered leaves a call behind.
func (t *target) unanswered(ctx context.Context, s *Syncer, q question, began time.Time) (back func()) {
	ctx = q.subject(t)(ctx)
	attrs := []slog.Attr{slog.String("op", q.what), slog.Duration("after", time.Since(began))}
	ends := []func(){t.asked.leave(q.op(), began)}
	if t.asked.count() <= maxUnanswered {
		s.logger.LogAttrs(ctx, slog.LevelError, "a call about a product does not return and is left behind; what it answers is not known until it does", attrs...)
	} else {
		ends = append(ends, t.calls.leave(answersCall, began))
		s.logger.LogAttrs(ctx, slog.LevelError, "a call does not return and is left behind; the channel is down until it does", attrs...)
	}
	return func() {
		for _, end := range ends {
			end()
		}
		s.logger.LogAttrs(ctx, slog.LevelWarn, "a call that was left behind has returned", slog.String("op", q.what),
			slog.Duration("after", time.Since(began)))
	}
}

// An answer is what the host says of a product: how many units, under which
// SKUs. A plain target has no listings; there the product is its own.
type answer struct {
	keep     bool // the Filter does
	quantity int
	err      error
	listings []Listing
}

// answer asks the target's Filter, Policy and Listings.
func (t *target) answer(s channel.Stock) (a answer) {
	if a.keep = t.Filter == nil || t.Filter(s); !a.keep {
		return a
	}
	a.quantity, a.err = t.Policy.Quantity(s)
	_ = heeded(a.err)
	if t.Listings != nil {
		a.listings = slices.Clone(t.Listings(s))
	}
	return a
}

const answerWhat = "a target's Filter, Listings or Policy"

// foreign reports whether answer calls functions of the host's.
func (t *target) foreign() bool { return t.Filter != nil || t.Listings != nil || t.Policy.foreign }

// answerOf is answer for a single product.
func (t *target) answerOf(ctx context.Context, s *Syncer, stock channel.Stock) (answer, error) {
	if !t.foreign() {
		return t.answer(stock), nil
	}
	return consult(ctx, s, t, question{answerWhat, stock.ProductID, stock.SKU}, func() (answer, error) { return t.answer(stock), nil })
}

// quantityOf asks the target's Policy about one product.
func (t *target) quantityOf(ctx context.Context, s *Syncer, stock channel.Stock) (int, error) {
	if !t.Policy.foreign {
		return t.Policy.Quantity(stock)
	}
	own := stock // a copy: others' stocks need not be on the heap
	return consult(ctx, s, t, question{"a target's Policy", stock.ProductID, stock.SKU}, func() (int, error) { return t.Policy.Quantity(own) })
}

// answersOf asks about many products in one goroutine, and gives take what is
// answered, in order. If there is an error too many calls hang, or ctx is done, and
// nothing is known of the rest.
func (t *target) answersOf(ctx context.Context, s *Syncer, stocks []channel.Stock, take func(*channel.Stock, answer, error)) error {
	if !t.foreign() {
		for i := range stocks {
			take(&stocks[i], t.answer(stocks[i]), nil)
		}
		return nil
	}
	for i := 0; i < len(stocks); {
		if err := cmp.Or(ctx.Err(), t.answering()); err != nil {
			return err
		}
		next, err := t.answersFrom(ctx, s, stocks, i, take)
		if i = next; err != nil {
			take(&stocks[i], answer{}, err)
			i++
		}
	}
	return nil
}

// answersFrom is answersOf until a call panics, which is the error, or is left behind:
// that is the one about the product next. It also ends with an answer that came late.
func (t *target) answersFrom(ctx context.Context, s *Syncer, stocks []channel.Stock, from int, take func(*channel.Stock, answer, error)) (next int, err error) {
	var mu sync.Mutex // of these, and of what take has
	next, left, since := from, false, time.Now()
	about := func() question { return question{answerWhat, stocks[next].ProductID, stocks[next].SKU} }
	// took hands an answer over, unless the call was left behind.
	took := func(a answer) (more bool) {
		mu.Lock()
		defer mu.Unlock()
		if left {
			return false
		}
		take(&stocks[next], a, nil)
		next, since = next+1, time.Now()
		return true
	}

	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	soon := s.soonAnswered()
	watch := time.AfterFunc(soon, cancel)
	defer watch.Stop()

	_, err = await(inner, s.lateAnswer(), func() error {
		return s.safelyOn(ctx, answerWhat, func(ctx context.Context) context.Context { return about().subject(t)(ctx) }, func() error {
			for i := from; i < len(stocks); i++ {
				if err := t.answers(question{answerWhat, stocks[i].ProductID, stocks[i].SKU}); err != nil {
					return err
				}
				// A slow answer is late for itself alone: the others are asked for anew.
				if !took(t.answer(stocks[i])) || inner.Err() != nil {
					return nil
				}
				watch.Reset(soon)
			}
			return nil
		})
	}, func() (back func()) {
		mu.Lock()
		defer mu.Unlock()
		if left = true; next == len(stocks) { // the last one has just been answered
			return func() {}
		}
		return t.unanswered(ctx, s, about(), since)
	})
	return next, err
}

// listingsOf asks the target's Listings about one product.
func (t *target) listingsOf(ctx context.Context, s *Syncer, stock channel.Stock) ([]Listing, error) {
	return consult(ctx, s, t, question{"a target's Listings", stock.ProductID, stock.SKU}, func() ([]Listing, error) { return slices.Clone(t.Listings(stock)), nil })
}
