package syncer

import (
	"context"
	"errors"
	"fmt"

	"github.com/ecosire/stocksync/channel"
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
