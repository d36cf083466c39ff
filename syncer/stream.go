package syncer

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"log/slog"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/logs"
	"github.com/ecosire/stocksync/internal/text"
)

// A stream is a source's answer on its way. What has come is handed over all at
// once: passing it through a channel one by one took as long as comparing it.
type stream struct {
	s      *Syncer
	ctx    context.Context
	what   string // that is asked for
	cancel context.CancelFunc
	idle   *time.Timer
	began  time.Time
	ended  bool
	said   time.Time // the AsOf of the last item, as the source said it
	sane   time.Time // and as it counts
	have   []item    // that next gives away, from at on
	at     int

	mu   sync.Mutex
	came []item
	left bool          // nobody wants more
	over bool          // the source's iterator has ended
	back func()        // what is to be done when it does, if it was left behind
	more chan struct{} // has a token when something came, or it is over
	room chan struct{} // has one when what came was taken
}

// maxCame is how many items wait in a stream at most.
const maxCame = 100

type item struct {
	stock channel.Stock
	err   error
}

// What is asked of a source. One that does not answer about single products may
// do so about all.
const (
	someStock = "the source: Stock of some products"
	allStock  = "the source: Stock of the catalogue"
)

// open begins to read the source. close must be called.
func (s *Syncer) open(ctx context.Context, ids ...string) *stream {
	what := allStock
	if len(ids) > 0 {
		what = someStock
	}
	if len(ids) == 1 {
		ctx = logs.With(ctx, logs.Product, text.Clean(ids[0]))
	}
	free := s.free(ctx, what)
	inner, cancel := context.WithCancel(s.reporting(s.need.in(ctx), ""))
	st := &stream{
		s: s, ctx: ctx, what: what, cancel: cancel, idle: time.NewTimer(s.patience), began: time.Now(),
		more: make(chan struct{}, 1), room: make(chan struct{}, 1),
	}
	if free != nil {
		_ = st.put(inner, item{err: free})
		st.end()
		return st
	}
	go func() { // ends when the source's iterator does, or with the next thing that it yields after close
		defer st.end()
		err := errExited
		defer func() {
			if err != nil {
				_ = st.put(inner, item{err: err})
			}
		}()
		err = s.safely(inner, "the source", func() error {
			for stock, err := range s.reads(inner, ids) {
				_ = heeded(err)
				stock.Err = cmp.Or(stock.Err, senseOf(&stock))
				if stock.Err != nil {
					stock.Err = s.tame(about(inner, "", stock.ProductID, stock.SKU), "a product's Err", stock.Err)
				}
				if put := st.put(inner, item{stock, err}); put != nil || err != nil {
					return put
				}
			}
			return nil
		})
	}()
	return st
}

// senseOf says what of a product cannot be reckoned with, or kept under its name.
func senseOf(s *channel.Stock) error {
	switch {
	case !(sound(s.Available) && sound(s.OnHand) && sound(s.Reserved)):
		return fmt.Errorf("%w: available %d, on hand %d, reserved %d are no quantities", channel.ErrInvalid, s.Available, s.OnHand, s.Reserved)
	case len(s.ProductID) > maxID || len(s.SKU) > maxID:
		return fmt.Errorf("%w: an id of %d bytes and an SKU of %d; neither has more than %d", channel.ErrInvalid, len(s.ProductID), len(s.SKU), maxID)
	case !utf8.ValidString(s.ProductID) || !utf8.ValidString(s.SKU):
		return fmt.Errorf("%w: its id %q or its SKU %q is no UTF-8", channel.ErrInvalid, text.Clean(s.ProductID), text.Clean(s.SKU))
	}
	return nil
}

// put hands an item over, when there is room, or fails if nobody wants it.
func (st *stream) put(ctx context.Context, it item) error {
	st.mu.Lock()
	for len(st.came) >= maxCame && !st.left {
		st.mu.Unlock()
		select {
		case <-st.room:
		case <-ctx.Done():
			return ctx.Err()
		}
		st.mu.Lock()
	}
	if st.left {
		st.mu.Unlock()
		return context.Canceled
	}
	st.came = append(st.came, it)
	first := len(st.came) == 1
	st.mu.Unlock()
	if first {
		nudge(st.more)
	}
	return nil
}

// take takes what has come, and reports whether more may.
func (st *stream) take() (more bool) {
	st.mu.Lock()
	defer st.mu.Unlock()
	clear(st.have)
	st.have, st.came, st.at = st.came, st.have[:0], 0
	if len(st.have) == maxCame {
		nudge(st.room)
	}
	return len(st.have) > 0 || !st.over
}

// nudge puts a token into a channel that has room for one, unless it has one.
func nudge(token chan<- struct{}) {
	select {
	case token <- struct{}{}:
	default:
	}
}

// end is called when the source's iterator has ended.
func (st *stream) end() {
	st.mu.Lock()
	st.over = true
	back := st.back
	st.mu.Unlock()
	nudge(st.more)
	if back != nil {
		back()
	}
}

// next returns the next item, which is good until it is called again. It returns
// false for more if there is none left, and true for flushed if flush fired first.
func (st *stream) next(flush <-chan time.Time) (it *item, flushed, more bool) {
	if st.ended {
		return nil, false, false
	}
	for idle := false; st.at == len(st.have); {
		if !st.take() {
			st.ended = true
			return nil, false, false
		}
		if len(st.have) > 0 {
			break
		}
		if !idle {
			idle = true
			st.idle.Reset(st.s.patience)
		}
		select {
		case <-st.more:
		case <-flush:
			return nil, true, true
		case <-st.ctx.Done(): // it may not look at its context; close gives it a moment
			return st.fail(st.ctx.Err())
		case <-st.idle.C:
			return st.fail(fmt.Errorf("%w, %w: the source has said nothing for %s", channel.ErrUnavailable, channel.ErrIncomplete, st.s.patience))
		}
	}
	it = &st.have[st.at]
	st.at++
	st.ended = it.err != nil
	if it.err == nil {
		if it.stock.AsOf != st.said || st.sane.IsZero() { // those of one page have one
			st.said, st.sane = it.stock.AsOf, st.s.sane(st.ctx, it.stock, st.began)
		}
		it.stock.AsOf = st.sane
	}
	return it, false, true
}

// fail ends the stream with an error.
func (st *stream) fail(err error) (it *item, flushed, more bool) {
	st.ended = true
	return &item{err: err}, false, true
}

// close ends the reading, and waits a moment for it. Until a source that does
// not end it does so, it is not asked again.
func (st *stream) close() {
	st.cancel()
	st.mu.Lock()
	st.left = true
	st.mu.Unlock()
	defer st.idle.Stop()
	late := time.NewTimer(st.s.returning)
	defer late.Stop()
	for st.take() {
		select {
		case <-st.more:
			continue
		case <-late.C:
		}
		st.mu.Lock()
		defer st.mu.Unlock()
		if !st.over {
			st.back = st.s.leaveBehind(st.ctx, st.what, st.began)
		}
		return
	}
}

// sane is a stock's AsOf: when its reading began if the source does not say,
// and now if it says a time that has not come. It is reckoned from now, so that
// times stay in order if the clock is set: a source may know none but the time of day.
func (s *Syncer) sane(ctx context.Context, stock channel.Stock, began time.Time) time.Time {
	if stock.AsOf.IsZero() {
		return began
	}
	now := time.Now()
	if stock.AsOf.After(now) {
		s.once.warn(about(ctx, "", stock.ProductID, stock.SKU), s, "the source's quantities are as of a time in the future; now counts instead",
			slog.Time("asOf", stock.AsOf))
		return now
	}
	if stock.AsOf != stock.AsOf.Round(0) { // it has a monotonic reading
		return stock.AsOf
	}
	asOf := now.Add(stock.AsOf.Sub(now))
	if asOf.Before(began) && !stock.AsOf.Before(began) { // the two clocks do not run at quite the same speed
		return began
	}
	return asOf
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
