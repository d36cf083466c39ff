package syncer

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"

	"github.com/ecosire/stocksync/channel"
)

// attempts is how often an update is planned anew when the channel changed
// between reading and writing.
const attempts = 3

// A target is a [Target] with what the syncer found out about its channel.
type target struct {
	Target
	name   string
	reader channel.Reader // nil if the channel cannot be read
	size   int            // updates in a batch; 0 means any number
	lane   *lane
	lately lately

	health         health
	sourceFailures atomic.Int64 // of reads for it, in a row
}

func (t *target) isDown() bool {
	since, _ := t.health.state()
	return !since.IsZero()
}

func newTarget(t Target) *target {
	if t.Policy == nil {
		t.Policy = Available()
	}
	full := &target{Target: t, name: t.Channel.Name(), lane: newLane()}
	full.reader, _ = channel.As[channel.Reader](t.Channel)
	if s, ok := channel.As[channel.Sizer](t.Channel); ok {
		full.size = s.BatchSize()
	}
	return full
}

// show makes the channel show the stocks: it reads, compares and writes the
// differences, and adds what came of it to r. What the guard, which may be nil,
// does not let pass is not written.
func (t *target) show(ctx context.Context, stocks []channel.Stock, guard *budget, r *ChannelReport) {
	pending, problems := t.wants(stocks)
	r.fail(problems...)
	t.make(ctx, pending, guard, nil, r)
}

// make is show for wants. If expect is not nil, a difference is written only if
// it is what expect has for the SKU; see [Syncer.Apply].
func (t *target) make(ctx context.Context, pending []want, guard *budget, expect map[string]Line, r *ChannelReport) {
	if len(pending) == 0 {
		return
	}
	skus := make([]string, len(pending))
	for i, w := range pending {
		skus[i] = w.SKU
	}
	if err := t.lane.enter(ctx, skus); err != nil {
		r.failAll(t, pending, err)
		return
	}
	defer t.lane.leave(skus)
	had := t.lately.drop(pending)
	pending = slices.DeleteFunc(pending, func(w want) bool {
		admitted := t.lane.admit(w.SKU, w.AsOf)
		if !admitted {
			r.supersede(w)
		}
		return !admitted
	})

	for n := 1; len(pending) > 0; n++ {
		d, err := t.plan(ctx, pending)
		if err != nil {
			r.Err = err
			r.failAll(t, pending, err)
			return
		}
		r.Checked += len(d.agreed)
		r.Unchanged += len(d.agreed)
		for _, w := range d.agreed {
			if guard == nil || had[w.SKU] { // a whole catalogue would crowd out what events were about
				t.lately.put(w)
			}
		}
		r.fail(d.problems...)
		changes := d.changes
		if expect != nil {
			changes = r.expected(t, changes, expect)
		}
		inOrder(changes)
		compared, shown := len(pending), d.shown
		if n > 1 {
			compared, shown = 0, 0 // counted before
		}
		r.compared += compared
		r.shown += shown
		if guard != nil && t.reader != nil {
			var held []change
			changes, held = guard.pass(changes, compared, shown)
			r.hold(t, held)
		}
		pending = t.write(ctx, changes, r, n < attempts)
	}
}

// plan compares pending with what the channel shows. An error means that the
// channel could not be read. One that cannot be is to be written in any case.
func (t *target) plan(ctx context.Context, pending []want) (diff, error) {
	if t.reader == nil {
		d := diff{changes: make([]change, len(pending))}
		for i, w := range pending {
			d.changes[i] = change{want: w}
		}
		return d, nil
	}
	var levels []channel.Level
	for some := range batches(pending, t.size) {
		skus := make([]string, len(some))
		for i, w := range some {
			skus[i] = w.SKU
		}
		ls, err := t.reader.Levels(ctx, skus)
		if err != nil {
			return diff{}, err
		}
		if levels == nil { // most often there is one batch
			levels = slices.Clip(ls)
		} else {
			levels = append(levels, ls...)
		}
	}
	return t.compare(pending, levels), nil
}

// write pushes changes and returns those that must be planned again because
// the channel had changed, if again allows that.
func (t *target) write(ctx context.Context, changes []change, r *ChannelReport, again bool) (pending []want) {
	for some := range batches(changes, t.size) {
		if r.Err != nil { // the channel is out of order: the rest would fare no better
			for _, c := range some {
				r.fail(t.problem(c.want, r.Err))
			}
			continue
		}
		errs, err := t.push(ctx, some)
		if err != nil {
			r.Err = err
		}
		for _, c := range some {
			switch err := errs[c.SKU]; {
			case err == nil:
				r.done(c)
				t.lately.put(c.want)
			case again && t.reader != nil && errors.Is(err, channel.ErrConflict):
				pending = append(pending, c.want)
			default:
				r.fail(t.problem(c.want, err))
			}
		}
	}
	return pending
}

// push pushes one batch. It returns the error of each SKU that is not shown,
// and the error of the call if the channel as a whole is to blame.
//
// A channel that answers for the batch what concerns one update, as many a
// REST API does, is asked again with the halves until it is clear which.
func (t *target) push(ctx context.Context, some []change) (errs channel.Errors, whole error) {
	updates := make([]channel.Update, len(some))
	for i, c := range some {
		updates[i] = channel.Update{SKU: c.SKU, Quantity: c.quantity, Seen: c.seen, AsOf: c.AsOf}
	}
	err := t.Channel.Push(ctx, updates)
	if errs, ok := errors.AsType[channel.Errors](err); ok || err == nil {
		return errs, nil
	}
	if len(some) > 1 && channel.Permanent(err) {
		half := len(some) / 2
		a, err := t.push(ctx, some[:half])
		if err != nil {
			return t.all(some, err), err
		}
		b, err := t.push(ctx, some[half:])
		errs = make(channel.Errors, len(a)+len(b))
		for _, part := range []channel.Errors{a, b} {
			for sku, err := range part {
				errs[sku] = err
			}
		}
		return errs, err
	}
	if channel.Permanent(err) {
		return t.all(some, err), nil
	}
	return t.all(some, err), err
}

func (t *target) all(some []change, err error) channel.Errors {
	errs := make(channel.Errors, len(some))
	for _, c := range some {
		errs[c.SKU] = err
	}
	return errs
}

// batches cuts s into slices of at most size; 0 means any size.
func batches[T any](s []T, size int) func(yield func([]T) bool) {
	if size <= 0 {
		size = max(1, len(s))
	}
	return slices.Chunk(s, size)
}
