package syncer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/logs"
	"github.com/ecosire/stocksync/internal/text"
)

// The lanes of the queue. A mark that is about a product comes into an inbox,
// whoever makes it: which channels it concerns is decided by who works on it, so that
// processes with different targets can share a queue. Run moves it to the lanes of
// its own channels. What the engine has to do again on one channel it marks in that
// channel's lane.
const (
	inboxLane   = "inbox"         // products that somebody said have changed
	noticedLane = "inbox/watched" // products that were found to have changed by watching
	orderLane   = "orders"        // orders whose products are not known yet
)

// Each channel has a lane for what somebody said has changed, one for what of
// that is dangerous where more is waiting than can be read, and one for what was
// only watched, which must not make an event wait.
func (t *target) eventLane() string   { return "channel/" + t.name }
func (t *target) dangerLane() string  { return "danger/" + t.name }
func (t *target) watchedLane() string { return "watched/" + t.name }

func (t *target) lanes() []string { return []string{t.dangerLane(), t.eventLane(), t.watchedLane()} }

// trouble is the queue's, as Health tells it.
type trouble struct {
	mu    sync.Mutex
	since time.Time
	err   error
}

func (t *trouble) set(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err == nil {
		t.since, t.err = time.Time{}, nil
		return
	}
	if t.since.IsZero() {
		t.since = time.Now()
	}
	t.err = err
}

func (t *trouble) get() (since time.Time, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.since, t.err
}

// insist does something with the queue until it succeeds, or ctx is done: a
// queue's trouble passes, as a full disk does. It returns ctx's error, or that
// the term is over in which the work was to be done.
func (s *Syncer) insist(ctx context.Context, op string, do func() error) error {
	for failures := 0; ; failures++ {
		err := do()
		if err == nil {
			if failures > 0 {
				s.trouble.set(nil)
				s.logger.LogAttrs(ctx, slog.LevelInfo, "the queue works again", slog.String("op", op))
			}
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if t := tenureOf(ctx); t != nil && t.shared && errors.Is(err, ErrDeposed) {
			t.deposed.Store(true)
			t.over()
			return ErrDeposed
		}
		s.trouble.set(err)
		wait := backoff(nil, failures, maxQueueBackoff)
		s.logger.LogAttrs(ctx, slog.LevelError, "the queue failed, and is tried again", slog.String("op", op),
			slog.Duration("wait", wait), slog.Any("err", err))
		if err := sleep(ctx, wait); err != nil {
			return err
		}
	}
}

// maxQueueBackoff caps the wait between attempts at a queue that fails.
const maxQueueBackoff = 30 * time.Second

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

// dispatch moves marks of products from an inbox to the lanes of the channels.
// Where a channel has more waiting than its next two turns take, the dangerous
// ones go past these.
func (s *Syncer) dispatch(ctx context.Context, tasks []Task, lane func(*target) string) {
	s.alarms.events.heard(tasks)
	marks := make([]Mark, 0, len(tasks)*len(s.targets))
	for _, t := range s.targets {
		d, err := s.queue.Depth(ctx, lane(t))
		crowded := err == nil && d.Tasks >= backlogSize && lane(t) == t.eventLane()
		for _, task := range tasks {
			if crowded && (task.Why == CauseOrder || t.memory.few(task.ID)) {
				marks = append(marks, task.Mark(t.dangerLane()))
			} else {
				marks = append(marks, task.Mark(lane(t)))
			}
		}
	}
	o := &settlement{s: s}
	if s.insist(ctx, "Mark", func() error { return s.on(ctx).Mark(ctx, marks...) }) != nil {
		for _, t := range tasks { // it was to end: they stay where they are
			o.putBack(t, 0)
		}
	} else {
		o.acked = tasks
	}
	o.settle(ctx)
}

var errNoOrders = errors.New("the source cannot tell an order's products")

// resolve marks the products of orders.
func (s *Syncer) resolve(ctx context.Context, tasks []Task) {
	o := &settlement{s: s}
	for _, task := range tasks {
		ids, err := bounded(s.urgentOrders(ctx), s, "the source: OrderProducts", s.patience, func(ctx context.Context) ([]string, error) {
			return s.orders.OrderProducts(ctx, task.ID)
		})
		if err == nil {
			marks := make([]Mark, len(ids))
			for i, id := range ids {
				marks[i] = task.Mark(inboxLane)
				marks[i].ID = id
			}
			err = s.on(ctx).Mark(ctx, marks...)
		}
		switch {
		case err == nil:
			o.done(task)
		case channel.Permanent(err):
			o.giveUp(ctx, task, Problem{Err: fmt.Errorf("order %q: %w", task.ID, err)})
		default:
			o.countAndRetry(task, err, maxProductBackoff)
		}
	}
	o.settle(ctx)
}
