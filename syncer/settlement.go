package syncer

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/ecosire/stocksync/internal/logs"
	"github.com/ecosire/stocksync/internal/text"
)

// A settlement gathers what becomes of the tasks of one turn.
type settlement struct {
	s       *Syncer
	channel string
	run     string
	acked   []Task
	waits   map[time.Duration][]Task // by how long until they are due
	failed  int
	longest time.Duration
	t       *target // nil for orders
	trouble []Trouble
	gaveUp  []Entry
	err     error  // the first one
	product string // whose it was
	sku     string // the product's
	order   string // or which order's
}

func (o *settlement) done(t Task) { o.acked = append(o.acked, t) }

func (o *settlement) giveUp(ctx context.Context, t Task, p Problem) {
	o.acked = append(o.acked, t)
	o.trouble = append(o.trouble, Trouble{
		Channel: p.Channel, ProductID: p.ProductID, SKU: p.SKU, Name: p.Name, GivenUp: true, Attempts: t.Attempt + 1, Err: p.Err,
	})
	if o.t != nil {
		o.gaveUp = append(o.gaveUp, Entry{
			Kind: EntryGaveUp, Run: o.run, Channel: p.Channel, ProductID: p.ProductID, SKU: p.SKU, Name: p.Name, Why: string(t.Why), Err: p.Err,
		})
	}
	o.s.hooks.gaveUp(ctx, o.s, p)
	if o.t == nil {
		ctx = logs.With(ctx, "order", text.Clean(t.ID))
	}
	attrs := []slog.Attr{slog.Any("err", p.Err)}
	if p.ProductSKU != "" {
		attrs = append(attrs, slog.String("productSKU", p.ProductSKU))
	}
	o.s.logger.LogAttrs(about(ctx, p.Channel, p.ProductID, p.SKU), slog.LevelWarn, "given up until it changes", attrs...)
}

const (
	// maxMisses is how often a product is asked for that the source does not
	// answer, within some minutes: a list may come short for a while.
	maxMisses = 8
	// maxUnreadBackoff caps the wait for a product whose quantity cannot be
	// read: only the source can mend that, and it tells.
	maxUnreadBackoff = time.Hour
)

// missing deals with a product that the source did not answer. In most cases
// it does not exist, but it may be a list that came short.
func (o *settlement) missing(ctx context.Context, t Task) {
	if t.Attempt >= maxMisses {
		o.giveUp(ctx, t, Problem{Channel: o.channel, ProductID: t.ID, Err: ErrNoProduct})
		return
	}
	o.countAndRetry(t, ErrNoProduct, maxProductBackoff)
}

// countAndRetry puts a task back for as long as its own failures call for, and counts
// one more.
func (o *settlement) countAndRetry(t Task, err error, limit time.Duration) {
	wait := backoff(err, t.Attempt, limit)
	// What failed at different times is tried together: it costs one request.
	if grid := min(firstBackoff<<min(t.Attempt, 20), limit) / 4; grid > time.Second {
		now := time.Now()
		wait = now.Add(wait).Truncate(grid).Add(grid).Sub(now)
	}
	t.Attempt++
	o.trouble = append(o.trouble, Trouble{Channel: o.channel, ProductID: t.ID, Attempts: t.Attempt, Next: time.Now().Add(wait), Err: err})
	o.retry(t, wait, err)
}

// retry puts a task back after a failure, its Attempt as it is: who counts the
// failure as the task's own has added one (countAndRetry).
func (o *settlement) retry(t Task, wait time.Duration, err error) {
	if o.waits == nil {
		o.waits = make(map[time.Duration][]Task)
	}
	if o.err == nil {
		o.err = err
		if o.t != nil {
			o.product = t.ID
		} else {
			o.order = text.Clean(t.ID)
		}
	}
	wait = wait.Round(100 * time.Millisecond) // tasks that failed together are tried together
	o.waits[wait] = append(o.waits[wait], t)
	o.failed++
	o.longest = max(o.longest, wait)
}

// putBack puts a task back that has not failed.
func (o *settlement) putBack(t Task, wait time.Duration) {
	if o.waits == nil {
		o.waits = make(map[time.Duration][]Task)
	}
	o.waits[wait] = append(o.waits[wait], t)
}

// settle tells the queue. It does so even after the grace has ended, since
// what was done is done, but does not insist then: the next Run will. Of a term
// that is over nothing is owed: who leads next does it again.
func (o *settlement) settle(ctx context.Context) {
	o.s.gotOn()
	ctx = logs.With(ctx, logs.Channel, o.channel)
	if o.failed > 0 {
		o.s.hooks.retry(ctx, o.s, Retry{Channel: o.channel, Products: o.failed, Wait: o.longest, Err: o.err})
		o.s.logger.LogAttrs(logs.With(about(ctx, "", o.product, o.sku), "order", o.order), slog.LevelWarn, "will be tried again",
			slog.Int("products", o.failed), slog.Duration("wait", o.longest), slog.Any("err", o.err))
	}
	if o.t != nil {
		o.s.journal.write(ctx, o.gaveUp...)
		o.t.troubles.note(ctx, o.s, o.trouble, false)
	}
	last, cancel := outlive(ctx, max(o.s.returning/2, lastWord))
	defer cancel()
	tell := func() error { return o.tell(last) }
	if tell() == nil {
		return
	}
	if o.s.insist(ctx, "Ack, Retry", tell) != nil && o.s.shared == nil {
		o.s.owed.add(o)
	}
}

// lastWord is how long the queue may be told what was done after the grace of
// Run has ended, at least.
const lastWord = 500 * time.Millisecond

// outlive returns a context that is done some time after ctx is.
func outlive(ctx context.Context, by time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		timer := time.AfterFunc(by, cancel)
		context.AfterFunc(longer, func() { timer.Stop() })
	})
	return longer, func() { stop(); cancel() }
}

// tell tells the queue once. What it was told it is not told again.
func (o *settlement) tell(ctx context.Context) error {
	if len(o.acked) > 0 {
		if err := o.s.on(ctx).Ack(ctx, o.acked...); err != nil {
			return err
		}
		o.acked = nil
	}
	for wait, tasks := range o.waits {
		if err := o.s.on(ctx).Retry(ctx, time.Now().Add(wait), tasks...); err != nil {
			return err
		}
		delete(o.waits, wait)
	}
	return nil
}

// An outcome of a turn that the queue could not be told is owed to it: until
// then the tasks stay leased.
type owed struct {
	mu   sync.Mutex
	debt []*settlement
}

func (o *owed) add(s *settlement) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.debt = append(o.debt, s)
}

func (o *owed) take() []*settlement {
	o.mu.Lock()
	defer o.mu.Unlock()
	debt := o.debt
	o.debt = nil
	return debt
}
