package syncer

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"time"

	"github.com/ecosire/stocksync/channel"
)

// A hostQueue is the boundary to the host's queue. Its errors name the queue and
// the method, a panic is an error, and a call that does not return is left
// behind: until it does nothing else is asked of the queue, since what is still
// to come of it must not meet anything newer.
type hostQueue struct {
	s     *Syncer
	q     Queue
	calls calls // that have not returned
	waits calls // of Wait and Lead: these change nothing
}

var _ Queue = (*hostQueue)(nil)

// maxQueuePatience is how long a call of the queue may take, at most.
const maxQueuePatience = time.Minute

// fromQueue calls a method of the queue. orphan, which may be nil, gets what a call
// that was left behind answers at last.
func fromQueue[T any](ctx context.Context, h *hostQueue, op string, f func(context.Context) (T, error), orphan func(T)) (none T, err error) {
	if stuck := h.calls.left(); stuck != nil {
		return none, fmt.Errorf("the queue: %w", stuck.err())
	}
	began := time.Now()
	inner, cancel := context.WithTimeout(ctx, min(h.s.patience, maxQueuePatience))
	defer cancel()
	answer := new(T)
	returned, err := await(inner, h.s.returning/2, func() error {
		return h.s.safely(ctx, "the queue: "+op, func() (err error) { *answer, err = f(inner); return heeded(err) })
	}, func() func() {
		end := h.leave(ctx, &h.calls, op, began)
		return func() {
			if orphan != nil {
				orphan(*answer)
			}
			end()
		}
	})
	if returned {
		return *answer, named(op, timedOut(ctx, inner, err))
	}
	return none, named(op, cmp.Or(ctx.Err(), errStuck))
}

// named says that an error is the queue's, and whose.
func named(op string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("the queue: %s: %w", op, err)
}

// leave leaves a call behind.
func (h *hostQueue) leave(ctx context.Context, c *calls, op string, began time.Time) (back func()) {
	h.s.logger.ErrorContext(ctx, "a call of the queue does not return and is left behind; there is no other until it does",
		slog.String("op", op), slog.Duration("after", time.Since(began)))
	end := c.leave(op, began)
	return func() {
		end()
		h.s.logger.WarnContext(ctx, "a call of the queue that was left behind has returned", slog.String("op", op), slog.Duration("after", time.Since(began)))
	}
}

// done is fromQueue for a method that answers nothing but its error.
func (h *hostQueue) done(ctx context.Context, op string, f func(context.Context) error) error {
	_, err := fromQueue(ctx, h, op, func(ctx context.Context) (struct{}, error) { return struct{}{}, f(ctx) }, nil)
	return err
}

// maxID bounds the ids of products and orders, and SKUs, in bytes: what a queue
// cannot keep, it would refuse with all that is marked or saved beside it.
const maxID = 1000

// checkID says why a text is no id of a product or of an order, or nil.
func checkID(id string) error {
	if id == "" || len(id) > maxID {
		return fmt.Errorf("%w: an id has 1 to %d bytes, and not %d", channel.ErrInvalid, maxID, len(id))
	}
	return nil
}

// Mark leaves out what is no id: the others' marks must not fail for it, in this
// lane or in a later one.
func (h *hostQueue) Mark(ctx context.Context, marks ...Mark) error {
	bad := func(m Mark) bool { return m.Lane != skuLane && checkID(m.ID) != nil } // SKUs are bounded there
	if i := slices.IndexFunc(marks, bad); i >= 0 {
		h.s.once.warn(ctx, h.s, "what is marked has no id, or one that is too long; it is left out", slog.Any("err", checkID(marks[i].ID)))
		if marks = slices.DeleteFunc(slices.Clone(marks), bad); len(marks) == 0 {
			return nil
		}
	}
	return h.done(ctx, "Mark", func(ctx context.Context) error { return h.q.Mark(ctx, marks...) })
}

// Wait takes as long as it takes.
func (h *hostQueue) Wait(ctx context.Context, lane string) error {
	return h.waiting(ctx, "Wait for "+lane, func() error { return h.q.Wait(ctx, lane) })
}

// waiting is for methods that wait for something to happen.
func (h *hostQueue) waiting(ctx context.Context, op string, f func() error) error {
	if stuck := cmp.Or(h.waits.left(op), h.calls.left()); stuck != nil {
		return fmt.Errorf("the queue: %w", stuck.err())
	}
	began := time.Now()
	returned, err := await(ctx, h.s.returning/2, func() error {
		return h.s.safely(ctx, "the queue: "+op, func() error { return heeded(f()) })
	}, func() func() { return h.leave(ctx, &h.waits, op, began) })
	if !returned {
		err = ctx.Err()
	}
	return named(op, err)
}

// maxAttempt is more than anybody counts.
const maxAttempt = 1 << 20

// Lease puts back what comes too late for whoever asked.
func (h *hostQueue) Lease(ctx context.Context, lane string, n int) ([]Task, error) {
	tasks, err := h.lease(ctx, lane, n)
	tasks = slices.DeleteFunc(tasks, func(t Task) bool { return t.Lane != lane }) // nobody asked for these
	for i := range tasks {
		t := &tasks[i]
		t.Attempt, t.Marks = min(max(t.Attempt, 0), maxAttempt), max(t.Marks, 0)
	}
	return tasks, err
}

func (h *hostQueue) lease(ctx context.Context, lane string, n int) ([]Task, error) {
	return fromQueue(ctx, h, "Lease", func(ctx context.Context) ([]Task, error) { return h.q.Lease(ctx, lane, n) }, func(tasks []Task) {
		if len(tasks) > 0 {
			if err := h.s.safely(ctx, "the queue: Retry", func() error { return h.q.Retry(context.Background(), time.Now(), tasks...) }); err != nil {
				h.s.logger.ErrorContext(ctx, "tasks that were leased too late could not be put back", slog.Int("tasks", len(tasks)), slog.Any("err", err))
			}
		}
	})
}

func (h *hostQueue) Ack(ctx context.Context, tasks ...Task) error {
	return h.done(ctx, "Ack", func(ctx context.Context) error { return h.q.Ack(ctx, tasks...) })
}

func (h *hostQueue) Retry(ctx context.Context, at time.Time, tasks ...Task) error {
	return h.done(ctx, "Retry", func(ctx context.Context) error { return h.q.Retry(ctx, at, tasks...) })
}

func (h *hostQueue) Depth(ctx context.Context, lane string) (Depth, error) {
	return fromQueue(ctx, h, "Depth", func(ctx context.Context) (Depth, error) { return h.q.Depth(ctx, lane) }, nil)
}

func (h *hostQueue) Save(ctx context.Context, set string, records ...Record) error {
	return h.done(ctx, "Save", func(ctx context.Context) error { return h.q.Save(ctx, set, records...) })
}

func (h *hostQueue) Load(ctx context.Context, set, key string) ([]byte, error) {
	return fromQueue(ctx, h, "Load", func(ctx context.Context) ([]byte, error) { return h.q.Load(ctx, set, key) }, nil)
}

// Peek implements [Peeker], as far as the queue does.
func (h *hostQueue) Peek(ctx context.Context, key Key) (*Waiting, error) {
	p, ok := h.q.(Peeker)
	if !ok {
		return nil, nil
	}
	return fromQueue(ctx, h, "Peek", func(ctx context.Context) (*Waiting, error) { return p.Peek(ctx, key) }, nil)
}

// A hostShared is the boundary to a queue that several processes have open.
type hostShared struct {
	*hostQueue
	shared SharedQueue
}

// Lead takes as long as it takes.
func (h *hostShared) Lead(ctx context.Context, self string) (Term, error) {
	var term Term
	err := h.waiting(ctx, "Lead", func() (err error) { term, err = h.shared.Lead(ctx, self); return err })
	if err != nil {
		return nil, err
	}
	return &hostTerm{&hostQueue{s: h.s, q: term}, term}, nil
}

func (h *hostShared) Leader(ctx context.Context) (LeaderInfo, error) {
	return fromQueue(ctx, h.hostQueue, "Leader", h.shared.Leader, nil)
}

// A hostTerm is the boundary to a term. What it says without asking anybody it
// says by itself.
type hostTerm struct {
	*hostQueue
	term Term
}

func (h *hostTerm) Number() uint64        { return h.term.Number() }
func (h *hostTerm) Left() time.Duration   { return h.term.Left() }
func (h *hostTerm) Done() <-chan struct{} { return h.term.Done() }
func (h *hostTerm) Interrupted() []Key    { return h.term.Interrupted() }

func (h *hostTerm) Resign(ctx context.Context) error { return h.done(ctx, "Resign", h.term.Resign) }

// page is how many records are asked for at a time.
const page = 100

// Records ranges in pages, so that the caller's loop may take as long as it
// likes, and panics on its own account.
func (h *hostQueue) Records(ctx context.Context, set, from string) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		for more := true; more; {
			records, err := fromQueue(ctx, h, "Records", func(ctx context.Context) (some []Record, err error) {
				for rec, err := range h.q.Records(ctx, set, from) {
					if err != nil {
						return some, err
					}
					if some = append(some, rec); len(some) == page {
						break
					}
				}
				return some, nil
			}, nil)
			for _, rec := range records {
				if !yield(rec, nil) {
					return
				}
			}
			if err != nil {
				yield(Record{}, err) // behind a page that is not full
			}
			if more = len(records) == page; more {
				from = records[page-1].Key + "\x00" // the next possible key
			}
		}
	}
}
