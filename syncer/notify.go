package syncer

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"

	"github.com/ecosire/stocksync/channel"
)

// Notify marks products as changed on every channel, for what the source
// sends no event for: an adjustment, a validated transfer, a return. [Syncer.Run]
// does the work, within a moment; before Run is called the marks wait. With no
// ids it does nothing. A trace context put into ctx by [WithTrace] goes with
// the marks.
//
// It returns nil when the marks are stored, as safely as the queue stores. An id
// that is empty, or longer than 1,000 bytes, is no product's: the others are marked,
// and the error matches [channel.ErrInvalid].
func (s *Syncer) Notify(ctx context.Context, productIDs ...string) error {
	var bad error
	for _, id := range productIDs {
		if err := checkID(id); err != nil {
			bad = fmt.Errorf("syncer: Notify: %w", err)
		}
	}
	return cmp.Or(s.mark(ctx, inboxLane, CauseNotify, channel.Event{ProductIDs: productIDs}), bad)
}

// mark stores the marks of an event.
func (s *Syncer) mark(ctx context.Context, lane string, why Cause, event channel.Event) error {
	marks := make([]Mark, 0, len(event.ProductIDs)+len(event.OrderIDs))
	trace := s.trace(ctx)
	for _, id := range event.ProductIDs {
		marks = append(marks, Mark{Key: Key{Lane: lane, ID: id}, Why: why, Trace: trace})
	}
	for _, id := range event.OrderIDs {
		marks = append(marks, Mark{Key: Key{Lane: orderLane, ID: id}, Why: why, Trace: trace})
	}
	if len(marks) == 0 {
		return nil
	}
	if err := s.queue.Mark(ctx, marks...); err != nil {
		return fmt.Errorf("syncer: %w", err)
	}
	if len(event.ProductIDs) > 0 {
		s.logger.LogAttrs(ofEvent(ctx, event), slog.LevelDebug, "products marked", slog.Int("products", len(event.ProductIDs)))
		s.hooks.marked(ctx, s, event.ProductIDs)
	}
	return nil
}

type traceKey struct{}

// WithTrace returns a context that carries a trace context, as a W3C
// traceparent, for the marks that are made with it: see [Mark].
func WithTrace(ctx context.Context, traceparent string) context.Context {
	return context.WithValue(ctx, traceKey{}, traceparent)
}

func traceOf(ctx context.Context) string {
	trace, _ := ctx.Value(traceKey{}).(string)
	return trace
}
