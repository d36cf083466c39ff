package syncer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/logs"
	"github.com/ecosire/stocksync/internal/text"
)

const (
	// maxBody bounds a delivery. The largest events of shops are below 130 kB.
	maxBody = 256 << 10
	// maxReceiving bounds the deliveries that are read at a time.
	maxReceiving = 100
	// receiveWithin is how long a delivery may take to come, and to be
	// understood.
	receiveWithin = 10 * time.Second
)

// WebhookHandler returns the handler for the source's webhooks, to be mounted
// under any path of any mux. It authenticates a delivery, marks its products,
// and answers; [Syncer.Run] does the work. What it answers:
//
//	202  the event is stored as safely as the queue stores, or concerns no stock
//	400  the body is not an event, or did not come within 10 seconds
//	401  the signature is wrong, or Config.Webhooks is nil
//	405  not a POST
//	413  the body is larger than 256 KiB
//	415  the body is not application/json
//	501  the event names an order, and the source cannot tell an order's products
//	503  the event could not be stored, or its receiver did not say within 10
//	     seconds what it is about, or 100 others are being read; send it again
//
// An answer has no body that would help a forger. A W3C traceparent among the
// headers goes with the marks.
func (s *Syncer) WebhookHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r, done := s.hooks.delivered(s, r)
		status := s.deliver(w, r)
		done(status)
		if status == http.StatusServiceUnavailable {
			w.Header().Set("Retry-After", "5")
		}
		w.WriteHeader(status)
	})
}

// deliver handles a delivery and returns the status of the answer.
func (s *Syncer) deliver(w http.ResponseWriter, r *http.Request) int {
	if r.Method == http.MethodPost && s.webhooks == nil && isJSON(r) {
		s.logger.ErrorContext(r.Context(), "webhook refused: Config.Webhooks is nil")
		return http.StatusUnauthorized
	}
	ctx := r.Context()
	event, status := s.accept(ctx, w, r, "Config.Webhooks", s.webhooks, s.receiving, isJSON)
	if status != 0 {
		return status
	}
	ctx = ofEvent(ctx, event)
	s.logger.LogAttrs(ctx, slog.LevelInfo, "event received", slog.Int("products", len(event.ProductIDs)), slog.Int("orders", len(event.OrderIDs)))
	s.hooks.received(ctx, s, event)
	ctx = s.tracedBy(ctx, r)
	unresolved := len(event.OrderIDs) > 0 && s.orders == nil
	if unresolved {
		s.logger.LogAttrs(ctx, slog.LevelError, "the event names an order, and the source cannot tell its products; it is refused",
			slog.Any("err", errNoOrders))
		event.OrderIDs = nil
	}
	why := CauseEvent
	if event.Order {
		why = CauseOrder
	}
	if err := s.mark(ctx, inboxLane, why, event); err != nil {
		s.logger.LogAttrs(ctx, slog.LevelError, "event not stored", slog.Any("err", err))
		return http.StatusServiceUnavailable
	}
	if unresolved {
		return http.StatusNotImplemented
	}
	return http.StatusAccepted
}

// ofEvent returns a context for log lines about an event.
func ofEvent(ctx context.Context, e channel.Event) context.Context {
	ctx = logs.With(logs.With(ctx, "event", text.Clean(e.Type)), "id", text.Clean(e.ID))
	if len(e.ProductIDs) == 1 {
		ctx = logs.With(ctx, logs.Product, text.Clean(e.ProductIDs[0]))
	}
	if len(e.OrderIDs) == 1 {
		ctx = logs.With(ctx, "order", text.Clean(e.OrderIDs[0]))
	}
	return ctx
}

// accept authenticates and reads a delivery, or returns the status of a refusal.
// op names the receiver, slots holds a token for each delivery that is being read,
// and fits says whether the kind of body is one that the receiver takes.
func (s *Syncer) accept(ctx context.Context, w http.ResponseWriter, r *http.Request, op string, receiver channel.Receiver,
	slots chan struct{}, fits func(*http.Request) bool) (event channel.Event, status int) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return event, http.StatusMethodNotAllowed
	}
	if !fits(r) {
		return event, http.StatusUnsupportedMediaType
	}
	select { // until it is read and understood
	case slots <- struct{}{}:
	default:
		return event, http.StatusServiceUnavailable
	}
	body, status := readBody(w, r)
	returned, err := true, error(nil)
	if status == 0 {
		event, returned, err = s.receive(ctx, r.Header, body, op, receiver, slots)
	}
	if returned {
		<-slots
	}
	if status == 0 {
		s.authentic(ctx, strings.TrimSuffix(strings.TrimSuffix(op, "Config.Webhooks"), ": Receive"), r.Header, err)
	}
	if status != 0 || err == nil {
		return event, status
	}
	s.logger.LogAttrs(ctx, slog.LevelWarn, "webhook refused", slog.Any("err", err))
	switch {
	case errors.Is(err, channel.ErrUnavailable): // the receiver had to ask somebody
		return event, http.StatusServiceUnavailable
	case errors.Is(err, channel.ErrUnauthorized):
		return event, http.StatusUnauthorized
	}
	return event, http.StatusBadRequest
}

func isJSON(r *http.Request) bool {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && kind == "application/json"
}

// tracedBy puts a delivery's trace context into ctx, unless that has one.
func (s *Syncer) tracedBy(ctx context.Context, r *http.Request) context.Context {
	if trace := r.Header.Get("Traceparent"); trace != "" && s.trace(ctx) == "" {
		return WithTrace(ctx, trace)
	}
	return ctx
}

// readBody reads a delivery, or returns the status of a refusal. Whatever the
// host's server does, a client that stops in the middle does not hold it for long.
func readBody(w http.ResponseWriter, r *http.Request) (body []byte, status int) {
	rc := http.NewResponseController(w)
	if rc.SetReadDeadline(time.Now().Add(receiveWithin)) == nil { // else the host's server has its own ways
		defer func() { _ = rc.SetReadDeadline(time.Time{}) }()
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return nil, http.StatusRequestEntityTooLarge
	} else if err != nil {
		return nil, http.StatusBadRequest
	}
	return body, 0
}

// receive lets the receiver say what a delivery is about. One that does not
// return is left behind, and keeps its slot until it does.
func (s *Syncer) receive(ctx context.Context, header http.Header, body []byte, op string, receiver channel.Receiver, slots chan struct{}) (event channel.Event, returned bool, err error) {
	ctx, cancel := context.WithTimeout(s.reporting(ctx, ""), receiveWithin)
	defer cancel()
	answer := new(channel.Event)
	returned, err = await(ctx, s.returning, func() error {
		return s.safely(ctx, op, func() (err error) {
			*answer, err = receiver.Receive(ctx, header, body)
			return heeded(err)
		})
	}, func() func() { return func() { <-slots } })
	switch {
	case !returned:
		return event, false, fmt.Errorf("%w: %s does not return", channel.ErrUnavailable, op)
	case err != nil && ctx.Err() != nil:
		err = fmt.Errorf("%w: %w", channel.ErrUnavailable, err)
	}
	return *answer, true, err
}
