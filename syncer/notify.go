package syncer

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/ecosire/stocksync/channel"
)

// Notify marks products as changed on every channel, for what the source
// sends no event for: an adjustment, a validated transfer, a return. [Syncer.Run]
// does the work, within a moment; before Run is called the marks wait. With no
// ids it does nothing.
//
// It returns nil when the marks are stored, as safely as the queue stores.
func (s *Syncer) Notify(ctx context.Context, productIDs ...string) error {
	return s.accept(ctx, channel.Event{ProductIDs: productIDs}, Notified, urgentLane)
}

// accept stores the marks of an event in one of each channel's lanes.
func (s *Syncer) accept(ctx context.Context, event channel.Event, why Cause, lane func(channel string) string) error {
	marks := make([]Mark, 0, len(event.ProductIDs)*len(s.targets)+len(event.OrderIDs))
	for _, t := range s.targets {
		for _, id := range event.ProductIDs {
			marks = append(marks, Mark{Key: Key{lane(t.name), id}, Why: why})
		}
	}
	for _, id := range event.OrderIDs {
		if s.orders == nil {
			s.logger.LogAttrs(ctx, slog.LevelWarn, "the source cannot tell an order's products; the event is left to reconciliation",
				slog.String("event", event.Type), slog.String("order", id))
			continue
		}
		marks = append(marks, Mark{Key: Key{orderLane, id}, Why: why})
	}
	if len(marks) == 0 {
		return nil
	}
	if err := s.queue.Mark(ctx, marks...); err != nil {
		return fmt.Errorf("syncer: marking: %w", err)
	}
	if len(event.ProductIDs) > 0 {
		s.logger.LogAttrs(ctx, slog.LevelDebug, "products marked", slog.Int("products", len(event.ProductIDs)))
		s.hooks.marked(event.ProductIDs)
	}
	return nil
}

// orderLane is the lane of orders whose products are not known yet.
const orderLane = ""

// Each channel has a lane for what somebody said has changed, and one for what
// was noticed by watching.
func urgentLane(channel string) string { return channel }
func quietLane(channel string) string  { return channel + " (watched)" }
