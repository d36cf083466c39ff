package syncer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ecosire/stocksync/channel"
)

// write pushes changes. What came of each goes to out; but with again, those that
// the channel refused with ErrConflict are returned, and not in out. An error means
// that the channel as a whole failed.
func (p *pass) write(ctx context.Context, changes []change, out *outcome, again bool) (conflicts []change, whole error) {
	if len(changes) == 0 {
		return nil, nil
	}
	w := &writing{p: p, out: out, again: again}
	end, err := p.writing(ctx, changes)
	if err != nil {
		w.unsent(changes, err)
		return nil, err
	}
	defer end()
	defer p.foresee(ctx, changes)()
	var together, suspects []change
	for _, c := range changes {
		if p.t.memory.isAlone(c.sku) {
			suspects = append(suspects, c)
		} else {
			together = append(together, c)
		}
	}
	if p.t.state.probing(true) && len(together) > 0 {
		if err := w.push(ctx, together[:1]); err != nil {
			w.blame(together[0], err)
			w.unsent(together[1:], err)
			w.unsent(suspects, err)
			return w.conflicts, err
		}
		together = together[1:]
	}
	done := 0
	for some := range batches(together, p.t.size) {
		var culprits []string
		push := func(some []change) error { return w.push(ctx, some) }
		done += len(some)
		if whole = halve(some, maxCalls, push, func(c change, err error) {
			w.blame(c, err)
			culprits = append(culprits, c.sku)
		}); whole != nil {
			w.unsent(together[done:], whole)
			w.unsent(suspects, whole)
			return w.conflicts, whole
		}
		for _, sku := range culprits {
			p.t.memory.setAlone(sku, true)
		}
	}
	for i, c := range suspects {
		err := w.push(ctx, suspects[i:i+1])
		switch {
		case err == nil:
			p.t.memory.setAlone(c.sku, false)
		case isContext(ctx, err):
			w.unsent(suspects[i+1:], err)
			w.blame(c, err)
			return w.conflicts, err
		default: // its own trouble, and never the channel's
			w.blame(c, err)
		}
	}
	return w.conflicts, whole
}

// A writing is the state of one write.
type writing struct {
	p         *pass
	out       *outcome
	again     bool
	conflicts []change
	awaited   []Record // see awaitedSet
}

// push pushes one batch. It returns an error if nothing is known of any of
// them, and else says of each what came of it.
func (w *writing) push(ctx context.Context, some []change) error {
	updates := make([]channel.Update, len(some))
	for i := range some {
		c := &some[i]
		updates[i] = channel.Update{SKU: c.sku, Quantity: c.quantity, Seen: c.seen, AsOf: c.asOf}
	}
	t := w.p.t
	if t.Observe && slices.ContainsFunc(some, func(c change) bool { observes, _ := w.p.observes(ctx, &c); return observes }) {
		return unsent{ErrObserving} // pass.observe has taken them out; this is for one that gets past it
	}
	of := ctx
	if len(some) == 1 {
		of = about(ctx, t.name, some[0].stock.ProductID, some[0].sku)
	}
	err := t.call(of, w.p.s, "Push", func(ctx context.Context) error {
		if w.p.unsetter != nil {
			return w.p.unsetter.Unset(ctx, updates)
		}
		return t.Channel.Push(ctx, updates)
	})
	errs, err := answers(err, some)
	if err != nil {
		return err
	}
	if err := t.fruitless(some, errs); err != nil {
		return err
	}
	w.out.answered = true
	t.worked(ctx, w.p.s, len(errs) < len(some) || !passing(errs))
	for i := range some {
		w.account(&some[i], errs[some[i].sku])
	}
	t.await(ctx, w.p.s, w.awaited)
	w.awaited = nil
	return nil
}

// maxFruitless is how many different SKUs may fail with ErrUnavailable or
// ErrUnclear, each for itself and with no success between them, before the channel
// counts as down. One alone never takes it down.
const maxFruitless = 3

// fruitless counts the SKUs that failed so since anything succeeded. It
// returns an error when these are too many to be the products' own.
func (t *target) fruitless(some []change, errs channel.Errors) error {
	t.barren.mu.Lock()
	defer t.barren.mu.Unlock()
	if len(errs) < len(some) || !passing(errs) {
		t.barren.skus = nil
		return nil
	}
	if t.barren.skus == nil {
		t.barren.skus = make(map[string]bool)
	}
	var err error
	for sku, e := range errs {
		err = e
		if len(t.barren.skus) < maxFruitless {
			t.barren.skus[sku] = true
		}
	}
	if len(t.barren.skus) < maxFruitless {
		return nil
	}
	return fmt.Errorf("nothing that is written is applied: %w", err)
}

// passing reports whether all of the errors are a service's that may be down.
func passing(errs channel.Errors) bool {
	for _, err := range errs {
		if channel.Permanent(err) || errors.Is(err, channel.ErrConflict) || errors.Is(err, channel.ErrPending) ||
			!errors.Is(err, channel.ErrUnavailable) && !errors.Is(err, channel.ErrUnclear) {
			return false
		}
	}
	return true
}

// account records what came of a change that the channel answered for.
func (w *writing) account(c *change, err error) {
	switch {
	case err == nil:
		w.p.t.memory.wrote(c, false, 0)
		w.p.wrote(c, applied)
		w.out.add(result{want: c.want, seen: c.seen, state: updated, settles: w.p.t.memory.deducts})
	case errors.Is(err, channel.ErrPending):
		lag := w.p.t.lag
		if longer, ok := channel.LagOf(err); ok {
			lag = max(lag, min(longer, remembered)) // a service's word
		}
		if lag > w.p.t.lag && w.p.t.resumes() && c.stock.ProductID != "" {
			w.awaited = append(w.awaited, Record{c.sku, []byte(c.stock.ProductID)})
		}
		w.p.t.memory.wrote(c, true, lag)
		w.p.wrote(c, uncertain)
		w.out.add(result{want: c.want, seen: c.seen, state: pending, err: err, settles: max(lag, time.Second)})
	case w.again && w.p.t.reader != nil && errors.Is(err, channel.ErrConflict):
		w.p.wrote(c, refused)
		w.conflicts = append(w.conflicts, *c)
	case errors.Is(err, channel.ErrUnclear):
		w.p.wrote(c, uncertain)
		w.out.add(result{want: c.want, seen: c.seen, state: unclear, err: err})
	default:
		w.p.wrote(c, refused)
		w.out.add(result{want: c.want, seen: c.seen, state: failed, err: err})
	}
}

// blame records a change whose push failed. Unless it was refused, or not even
// sent, nothing is known of it: it may have been applied.
func (w *writing) blame(c change, err error) {
	r := result{want: c.want, seen: c.seen, state: unclear, err: err}
	_, r.unsent = errors.AsType[unsent](err)
	if r.unsent || channel.Permanent(err) || errors.Is(err, channel.ErrUnauthorized) {
		r.state = failed
		w.p.wrote(&c, refused)
	} else {
		w.p.wrote(&c, uncertain)
	}
	w.out.add(r)
}

// unsent records changes that were not sent because the channel is out of order.
func (w *writing) unsent(changes []change, err error) {
	for _, c := range changes {
		w.p.wrote(&c, refused)
		w.out.add(result{want: c.want, seen: c.seen, state: failed, err: err, unsent: true})
	}
}

// answers takes apart what Push returned: what it says of single updates, or
// an error if nothing is known of any. Answers for updates that were not sent,
// and answers joined with another error, are nothing to rely on.
func answers(err error, some []change) (channel.Errors, error) {
	for e := err; e != nil; e = errors.Unwrap(e) { // not through joined errors
		errs, ok := e.(channel.Errors)
		if !ok {
			continue
		}
		sent := 0
		for i := range some {
			if _, ok := errs[some[i].sku]; ok {
				sent++
			}
		}
		if sent < len(errs) {
			return nil, fmt.Errorf("%w: the channel answered for %d SKUs that it was not given: %w", channel.ErrUnavailable, len(errs)-sent, withoutPermanent{err})
		}
		return errs, nil
	}
	if _, joined := err.(interface{ Unwrap() []error }); joined {
		if _, ok := errors.AsType[channel.Errors](err); ok {
			return nil, fmt.Errorf("%w: %w", channel.ErrUnavailable, withoutPermanent{err})
		}
	}
	return nil, err
}

// withoutPermanent hides what an error says about single updates: it is about
// the whole call.
type withoutPermanent struct{ error }
