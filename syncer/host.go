package syncer

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/logs"
	"github.com/ecosire/stocksync/internal/text"
)

// This file is the boundary to code that is not ours: channels, sources,
// policies, filters, hooks, schedules. A panic there becomes an error, and a
// call that does not return is left behind. Nothing else in this package calls
// such code directly.

const (
	// defaultPatience is how long a call may take: long enough for an adapter
	// that repeats a request five times, a minute each, with waits between.
	defaultPatience = 10 * time.Minute
	// maxReturning is how long a call may go on after its context is done, at
	// most; see Syncer.returning.
	maxReturning = 2 * time.Second
)

// errStuck: a call has not returned in time. Whether it did its work is not
// known.
var errStuck = fmt.Errorf("%w: the call did not return in time", channel.ErrUnavailable)

// safely calls f, and makes an error of a panic, whose stack goes to the log.
func (s *Syncer) safely(ctx context.Context, what string, f func() error) error {
	return s.safelyOn(ctx, what, nil, f)
}

// safelyOn is safely for something that is about a channel or a product, which
// subject puts into the context of the log line.
func (s *Syncer) safelyOn(ctx context.Context, what string, subject func(context.Context) context.Context, f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%s panicked: %v", what, r)
			if subject != nil {
				ctx = subject(ctx)
			}
			s.logger.LogAttrs(ctx, slog.LevelError, "recovered from a panic", slog.String("op", what), slog.Any("panic", r), slog.String("stack", string(debug.Stack())))
		}
	}()
	return f()
}

// about returns a context for log lines about a product on a channel. What is
// not known may be "".
func about(ctx context.Context, name, productID, sku string) context.Context {
	return logs.With(logs.With(logs.With(ctx, logs.Channel, name), logs.Product, text.Clean(productID)), logs.SKU, text.Clean(sku))
}

// hook calls one of the host's hooks, about what about says.
func (s *Syncer) hook(ctx context.Context, name, productID, sku string, f func()) {
	subject := func(ctx context.Context) context.Context { return about(ctx, name, productID, sku) }
	_ = s.safelyOn(ctx, "a hook", subject, func() error { f(); return nil })
}

// A stuckCall is a channel's call that was left behind.
type stuckCall struct {
	op    string
	since time.Time
	ends  []func() // what is to be done when it returns at last
}

// calls are the calls of one channel that have been left behind. There is at
// most one at a time but for those that were under way together: until it
// returns the channel gets no other, and is down.
type calls struct {
	mu    sync.Mutex
	stuck map[*stuckCall]bool
}

// left returns the oldest call that was left behind, or nil.
func (c *calls) left() *stuckCall {
	c.mu.Lock()
	defer c.mu.Unlock()
	var oldest *stuckCall
	for call := range c.stuck {
		if oldest == nil || call.since.Before(oldest.since) {
			oldest = call
		}
	}
	return oldest
}

// after does f now, or when the last call that was left behind returns: what
// such a call still does must not meet anything newer.
func (c *calls) after(f func()) {
	c.mu.Lock()
	for call := range c.stuck {
		call.ends = append(call.ends, f)
		c.mu.Unlock()
		return
	}
	c.mu.Unlock()
	f()
}

// stuck returns an error while a call has been left behind.
func (t *target) stuck() error {
	if stuck := t.calls.left(); stuck != nil {
		return fmt.Errorf("%w: %s has not returned since %s", errStuck, stuck.op, stuck.since.Format(time.RFC3339))
	}
	return nil
}

// call calls a method of the target's channel. It returns when that does, or
// soon after ctx is done or the patience ends; then the call is left behind.
func (t *target) call(ctx context.Context, s *Syncer, op string, f func(context.Context) error) error {
	if err := t.stuck(); err != nil {
		return err
	}
	return t.attempt(ctx, s, op, s.patience, f)
}

func (t *target) attempt(ctx context.Context, s *Syncer, op string, patience time.Duration, f func(context.Context) error) error {
	if err := proven(ctx); err != nil {
		return err
	}
	began := time.Now()
	ctx = logs.With(ctx, logs.Channel, t.name)
	inner, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	done := make(chan error, 1)
	call := &stuckCall{op: op, since: began}
	go func() { // ends with the call
		done <- s.safely(ctx, t.name+": "+op, func() error { return f(inner) })
		t.calls.mu.Lock()
		left := t.calls.stuck[call]
		delete(t.calls.stuck, call)
		ends := call.ends
		t.calls.mu.Unlock()
		for _, end := range ends {
			t.calls.after(end)
		}
		if left {
			s.logger.LogAttrs(ctx, slog.LevelWarn, "a call that was left behind has returned", slog.String("op", op),
				slog.Duration("after", time.Since(began)))
		}
	}()
	select {
	case err := <-done:
		return timedOut(ctx, inner, err)
	case <-inner.Done():
	}
	timer := time.NewTimer(s.returning)
	defer timer.Stop()
	select {
	case err := <-done:
		return timedOut(ctx, inner, err)
	case <-timer.C:
	}
	t.calls.mu.Lock()
	select {
	case err := <-done:
		t.calls.mu.Unlock()
		return timedOut(ctx, inner, err)
	default:
		if t.calls.stuck == nil {
			t.calls.stuck = make(map[*stuckCall]bool)
		}
		t.calls.stuck[call] = true
	}
	t.calls.mu.Unlock()
	s.logger.LogAttrs(ctx, slog.LevelError, "a call does not return and is left behind; the channel is down until it does",
		slog.String("op", op), slog.Duration("after", time.Since(began)))
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("%w: %s: %s", errStuck, op, time.Since(began).Round(time.Second))
}

// timedOut makes it plain that a call failed because its patience ended: an
// adapter may return the bare error of the context.
func timedOut(ctx, inner context.Context, err error) error {
	if err != nil && ctx.Err() == nil && inner.Err() != nil {
		return fmt.Errorf("%w: %w", errStuck, err)
	}
	return err
}

// bounded calls f, which reads something and changes nothing, and leaves it
// behind if it does not return soon after ctx is done or the patience ends.
func bounded[T any](ctx context.Context, s *Syncer, what string, f func(context.Context) (T, error)) (answer T, err error) {
	inner, cancel := context.WithTimeout(ctx, s.patience)
	defer cancel()
	type answered struct {
		value T
		err   error
	}
	done := make(chan answered, 1)
	go func() { // ends with the call
		var a answered
		a.err = s.safely(inner, what, func() (err error) { a.value, err = f(inner); return err })
		done <- a
	}()
	select {
	case a := <-done:
		return a.value, timedOut(ctx, inner, a.err)
	case <-inner.Done():
	}
	late := time.NewTimer(s.returning)
	defer late.Stop()
	select {
	case a := <-done:
		return a.value, timedOut(ctx, inner, a.err)
	case <-late.C:
	}
	s.logger.LogAttrs(ctx, slog.LevelError, "a call does not return and is left behind", slog.String("op", what))
	if ctx.Err() != nil {
		return answer, ctx.Err()
	}
	return answer, fmt.Errorf("%w: %s", errStuck, what)
}

// A stream is a source's answer on its way.
type stream struct {
	s      *Syncer
	ctx    context.Context
	out    chan item
	cancel context.CancelFunc
	idle   *time.Timer
	began  time.Time
	ended  bool
}

type item struct {
	stock channel.Stock
	err   error
}

// open begins to read the source. close must be called.
func (s *Syncer) open(ctx context.Context, ids ...string) *stream {
	if len(ids) == 1 {
		ctx = logs.With(ctx, logs.Product, text.Clean(ids[0]))
	}
	inner, cancel := context.WithCancel(s.need.in(ctx))
	st := &stream{s: s, ctx: ctx, out: make(chan item, 100), cancel: cancel, idle: time.NewTimer(s.patience), began: time.Now()}
	go func() { // ends when the source's iterator does, or with the next thing that it yields after close
		defer close(st.out)
		err := s.safely(inner, "the source", func() error {
			for stock, err := range s.source.Stock(inner, ids...) {
				select {
				case st.out <- item{stock, err}:
				case <-inner.Done():
					return inner.Err()
				}
				if err != nil {
					return nil
				}
			}
			return nil
		})
		if err != nil {
			select {
			case st.out <- item{err: err}:
			case <-inner.Done():
			}
		}
	}()
	return st
}

// next returns the next item. It returns false for more if there is none
// left, and true with flush if flush fired first.
func (st *stream) next(flush <-chan time.Time) (it item, flushed, more bool) {
	if st.ended {
		return it, false, false
	}
	select {
	case it, more = <-st.out:
	default:
		st.idle.Reset(st.s.patience)
		select {
		case it, more = <-st.out:
		case <-flush:
			return it, true, true
		case <-st.ctx.Done(): // it may not look at its context; close gives it a moment
			it, more = item{err: st.ctx.Err()}, true
		case <-st.idle.C:
			it, more = item{err: fmt.Errorf("%w, %w: the source has said nothing for %s", channel.ErrUnavailable, channel.ErrIncomplete, st.s.patience)}, true
		}
	}
	if !more || it.err != nil {
		st.ended = true
	}
	if it.err == nil {
		it.stock.AsOf = st.s.sane(st.ctx, it.stock, st.began)
	}
	return it, false, more
}

// close ends the reading, and waits a moment for it.
func (st *stream) close() {
	st.cancel()
	defer st.idle.Stop()
	late := time.NewTimer(st.s.returning)
	defer late.Stop()
	for {
		select {
		case _, more := <-st.out:
			if !more {
				return
			}
		case <-late.C:
			st.s.logger.ErrorContext(st.ctx, "the source does not end its answer, and is left behind", slog.Duration("after", time.Since(st.began)))
			return
		}
	}
}

// sane is a stock's AsOf: when its reading began if the source does not say,
// and now if it says a time that has not come.
func (s *Syncer) sane(ctx context.Context, stock channel.Stock, began time.Time) time.Time {
	if stock.AsOf.IsZero() {
		return began
	}
	if now := time.Now(); stock.AsOf.After(now) {
		s.once.warn(about(ctx, "", stock.ProductID, stock.SKU), s, "the source's quantities are as of a time in the future; now counts instead",
			slog.Time("asOf", stock.AsOf))
		return now
	}
	return stock.AsOf
}

// stock is the whole answer of the source about some products, with what is
// done at the boundary.
func (s *Syncer) stock(ctx context.Context, ids []string) iter.Seq2[channel.Stock, error] {
	return func(yield func(channel.Stock, error) bool) {
		st := s.open(ctx, ids...)
		defer st.close()
		for {
			it, _, more := st.next(nil)
			if !more {
				if err := ctx.Err(); err != nil {
					yield(channel.Stock{}, err)
				}
				return
			}
			if !yield(it.stock, it.err) || it.err != nil {
				return
			}
		}
	}
}

// logOnce logs each thing once.
type logOnce struct {
	mu   sync.Mutex
	seen map[string]bool
}

func (o *logOnce) warn(ctx context.Context, s *Syncer, msg string, attrs ...slog.Attr) {
	o.mu.Lock()
	again := o.seen[msg]
	if o.seen == nil {
		o.seen = make(map[string]bool)
	}
	o.seen[msg] = true
	o.mu.Unlock()
	if !again {
		s.logger.LogAttrs(ctx, slog.LevelWarn, msg, attrs...)
	}
}

// isContext reports whether an error is just the end of ctx.
func isContext(ctx context.Context, err error) bool {
	return ctx.Err() != nil && (errors.Is(err, ctx.Err()) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded))
}

// prepare calls the channel's Preload. One that is left behind holds nothing
// up but itself: it only reads.
func (t *target) prepare(ctx context.Context, s *Syncer, p channel.Preloader) error {
	if !t.preloading.CompareAndSwap(false, true) {
		return fmt.Errorf("%w: an earlier Preload has not returned yet", errStuck)
	}
	inner, cancel := context.WithTimeout(logs.With(ctx, logs.Channel, t.name), 3*s.patience)
	done := make(chan error, 1)
	go func() { // ends with the call
		defer t.preloading.Store(false)
		done <- s.safely(inner, t.name+": Preload", func() error { return p.Preload(inner) })
	}()
	defer cancel()
	select {
	case err := <-done:
		return timedOut(ctx, inner, err)
	case <-inner.Done():
	}
	late := time.NewTimer(s.returning)
	defer late.Stop()
	select {
	case err := <-done:
		return timedOut(ctx, inner, err)
	case <-late.C:
		return errStuck
	}
}
