package syncer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/logs"
	"github.com/ecosire/stocksync/internal/text"
)

// This file is the boundary to code that is not ours: channels, sources,
// policies, filters, hooks, schedules; stream.go and hostqueue.go are its parts
// for what the source yields, and for the queue. A panic there becomes an error,
// and a call that does not return is left behind. Nothing else in this package
// calls such code directly.

const (
	// defaultPatience is how long a call may take: long enough for an adapter
	// that repeats a request five times, a minute each, with waits between.
	defaultPatience = 10 * time.Minute
	// maxReturning is how long a call may go on after its context is done, at
	// most; see Syncer.returning.
	maxReturning = 2 * time.Second
	// maxCounting is how long a [channel.Meter] may take, which only counts.
	maxCounting = time.Second
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

// heeded is err, whose methods, which are the host's too, have been called once:
// where safely recovers. An error that holds a nil pointer panics then, and not
// when a report is made of it.
func heeded(err error) error {
	if err != nil {
		_ = err.Error()
		_ = errors.Is(err, errNobodys)
		_, _ = channel.RetryAfter(err)
		_, _ = channel.LagOf(err)
	}
	return err
}

// sound reports whether a number can be a quantity, and be reckoned with.
func sound(n int) bool { return int64(n) > -1<<53 && int64(n) < 1<<53 }

// tame is an error that is part of an answer, or the panic that it ends in.
func (s *Syncer) tame(ctx context.Context, what string, err error) error {
	if odd := s.safely(ctx, what, func() error { _ = heeded(err); return nil }); odd != nil {
		return odd
	}
	return err
}

var errNobodys = errors.New("matches nothing")

// maxHook is how long a call of a hook may take: long enough to write to a database.
const maxHook = time.Minute

// hooked calls one of the host's hooks, which may be about a product on a channel.
// One that does not return is left behind. Until it does it is not called again: it
// would wait for the same, and is to be called in order.
func hooked[T any](ctx context.Context, s *Syncer, what, name, productID, sku string, f func() T) (none T) {
	if call := s.hung.left(what); call != nil {
		call.missed.Add(1)
		return none
	}
	subject := func(ctx context.Context) context.Context { return about(ctx, name, productID, sku) }
	began := time.Now()
	inner, cancel := context.WithTimeout(context.WithoutCancel(ctx), maxHook)
	defer cancel()
	answer := new(T)
	if returned, _ := await(inner, 0, func() error {
		return s.safelyOn(ctx, "a hook", subject, func() error { *answer = f(); return nil })
	}, func() func() { return s.leaveHook(subject(ctx), what, began) }); !returned {
		return none
	}
	return *answer
}

// hook is hooked for those that answer nothing.
func (s *Syncer) hook(ctx context.Context, what, name, productID, sku string, f func()) {
	hooked(ctx, s, what, name, productID, sku, func() (none struct{}) { f(); return })
}

func (s *Syncer) leaveHook(ctx context.Context, what string, began time.Time) (back func()) {
	s.logger.LogAttrs(ctx, slog.LevelError, "a hook does not return and is left behind; it is not called again until it does",
		slog.String("op", what), slog.Duration("after", time.Since(began)))
	call := s.hung.keep(what, began)
	return func() {
		s.hung.end(call)
		s.logger.LogAttrs(ctx, slog.LevelWarn, "a hook that was left behind has returned", slog.String("op", what),
			slog.Duration("after", time.Since(began)), slog.Int64("missed", call.missed.Load()))
	}
}

// await calls f and waits for it: until it returns, or has not returned for
// late after ctx was done. Then the call is left behind, and returned is false:
// abandon is called, and the function that abandon returns when f does at last.
func await(ctx context.Context, late time.Duration, f func() error, abandon func() (back func())) (returned bool, err error) {
	var mu sync.Mutex
	var back func()
	done := make(chan error, 1)
	go func() { // ends with the call
		err := errExited
		defer func() {
			mu.Lock()
			done <- err
			end := back
			mu.Unlock()
			if end != nil {
				end()
			}
		}()
		err = f()
	}()
	select {
	case err := <-done:
		return true, err
	case <-ctx.Done():
	}
	timer := time.NewTimer(late)
	defer timer.Stop()
	select {
	case err := <-done:
		return true, err
	case <-timer.C:
	}
	mu.Lock()
	defer mu.Unlock()
	select {
	case err := <-done:
		return true, err
	default:
	}
	back = abandon()
	return false, nil
}

// A stuckCall is a call that was left behind.
type stuckCall struct {
	op    string
	since time.Time
	done  chan struct{} // closed when it returns at last
	ends  []func()      // what is to be done then
	// missed is how many calls of a hook were not made meanwhile.
	missed atomic.Int64
}

// calls are the calls that have been left behind. Of what holds the same thing
// down there is one at a time, but for those that were under way together.
type calls struct {
	mu    sync.Mutex
	stuck map[*stuckCall]bool
}

// left returns the oldest call that was left behind, of some methods or of any,
// or nil.
func (c *calls) left(ops ...string) *stuckCall {
	c.mu.Lock()
	defer c.mu.Unlock()
	var oldest *stuckCall
	for call := range c.stuck {
		if (len(ops) == 0 || slices.Contains(ops, call.op)) && (oldest == nil || call.since.Before(oldest.since)) {
			oldest = call
		}
	}
	return oldest
}

// count is how many there are.
func (c *calls) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.stuck)
}

// leave records that a call is left behind. The function that it returns is to
// be called when that call returns.
func (c *calls) leave(op string, since time.Time) (back func()) {
	call := c.keep(op, since)
	return func() { c.end(call) }
}

func (c *calls) keep(op string, since time.Time) *stuckCall {
	call := &stuckCall{op: op, since: since, done: make(chan struct{})}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stuck == nil {
		c.stuck = make(map[*stuckCall]bool)
	}
	c.stuck[call] = true
	return call
}

// end ends a call that was kept.
func (c *calls) end(call *stuckCall) {
	c.mu.Lock()
	delete(c.stuck, call)
	c.mu.Unlock()
	close(call.done)
	for _, end := range call.ends {
		c.whenReturned(end)
	}
}

// whenReturned does f now, or when the last call that was left behind returns: what
// such a call still does must not meet anything newer.
func (c *calls) whenReturned(f func()) {
	c.mu.Lock()
	for call := range c.stuck {
		call.ends = append(call.ends, f)
		c.mu.Unlock()
		return
	}
	c.mu.Unlock()
	f()
}

// err is why nothing new is begun while a call has not returned.
func (c *stuckCall) err() error {
	return fmt.Errorf("%w: %s has not returned since %s", errStuck, c.op, c.since.Format(time.RFC3339))
}

// errExited: a call has ended its goroutine instead of returning.
var errExited = errors.New("the call ended its goroutine, as runtime.Goexit and a test's FailNow do")

// An unsent error says that a call was not even made.
type unsent struct{ error }

func (u unsent) Unwrap() error { return u.error }

// stuck returns an error while a call of the channel has been left behind: it
// gets no other until that returns, and is down.
func (t *target) stuck() error {
	if call := t.calls.left(); call != nil {
		return call.err()
	}
	return nil
}

// called calls a method of the target's channel. It returns when that does, or
// soon after ctx is done or the patience ends; then the call is left behind, and
// what it answers at last is nobody's.
func called[T any](ctx context.Context, s *Syncer, t *target, op string, f func(context.Context) (T, error)) (none T, err error) {
	if err := cmp.Or(proven(ctx), t.pause.err(), t.stuck(), t.state.leftAlone()); err != nil {
		return none, unsent{err}
	}
	return awaited(ctx, s, t, op, s.patience, f)
}

// awaited calls f, which is the target's, and leaves it behind as called does.
func awaited[T any](ctx context.Context, s *Syncer, t *target, op string, patience time.Duration, f func(context.Context) (T, error)) (none T, err error) {
	began := time.Now()
	ctx = logs.With(ctx, logs.Channel, t.name)
	inner, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	answer := new(T)
	seen := s.reporting(inner, t.name)
	returned, err := await(inner, s.returning, func() error {
		return s.safely(ctx, t.name+": "+op, func() (err error) { *answer, err = f(seen); return heeded(err) })
	}, func() func() {
		back := t.calls.leave(op, began)
		return func() {
			back()
			s.logger.LogAttrs(ctx, slog.LevelWarn, "a call that was left behind has returned", slog.String("op", op),
				slog.Duration("after", time.Since(began)))
		}
	})
	if returned {
		return *answer, timedOut(ctx, inner, err)
	}
	s.logger.LogAttrs(ctx, slog.LevelError, "a call does not return and is left behind; the channel is down until it does",
		slog.String("op", op), slog.Duration("after", time.Since(began)))
	if ctx.Err() != nil {
		return none, ctx.Err()
	}
	return none, fmt.Errorf("%w: %s: %s", errStuck, op, time.Since(began).Round(time.Second))
}

// call is called for a method that answers nothing but its error.
func (t *target) call(ctx context.Context, s *Syncer, op string, f func(context.Context) error) error {
	_, err := called(ctx, s, t, op, func(ctx context.Context) (struct{}, error) { return struct{}{}, f(ctx) })
	return err
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
// Until it does, what is not called again.
func bounded[T any](ctx context.Context, s *Syncer, what string, patience time.Duration, f func(context.Context) (T, error)) (T, error) {
	var none T
	if err := s.free(ctx, what); err != nil {
		return none, err
	}
	began := time.Now()
	inner, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	answer := new(T)
	seen := s.reporting(inner, "")
	returned, err := await(inner, s.returning, func() error {
		return s.safely(ctx, what, func() (err error) { *answer, err = f(seen); return heeded(err) })
	}, func() func() { return s.leaveBehind(ctx, what, began) })
	switch {
	case returned && err == nil:
		return *answer, nil
	case returned:
		return none, timedOut(ctx, inner, err)
	case ctx.Err() != nil:
		return none, ctx.Err()
	}
	return none, fmt.Errorf("%w: %s", errStuck, what)
}

// free returns an error while a call of what was left behind. That has a moment
// yet to return.
func (s *Syncer) free(ctx context.Context, what string) error {
	call := s.calls.left(what)
	if call == nil {
		return nil
	}
	timer := time.NewTimer(s.returning)
	defer timer.Stop()
	select {
	case <-call.done:
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
	}
	if call = s.calls.left(what); call != nil {
		return call.err()
	}
	return nil
}

// leaveBehind leaves a call behind that changes nothing, and holds down only what it
// is.
func (s *Syncer) leaveBehind(ctx context.Context, what string, began time.Time) (back func()) {
	s.logger.LogAttrs(ctx, slog.LevelError, "a call does not return and is left behind; there is no other until it does",
		slog.String("op", what), slog.Duration("after", time.Since(began)))
	end := s.calls.leave(what, began)
	return func() {
		end()
		s.logger.LogAttrs(ctx, slog.LevelWarn, "a call that was left behind has returned", slog.String("op", what),
			slog.Duration("after", time.Since(began)))
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
	_, err := bounded(s.reporting(logs.With(ctx, logs.Channel, t.name), t.name), s, t.name+": Preload", 3*s.patience, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, p.Preload(ctx)
	})
	return err
}
