package syncer

import (
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"

	"github.com/ecosire/stocksync/channel"
)

// mostBody bounds a delivery.
const mostBody = 1 << 20

// WebhookHandler returns the handler for the source's webhooks, to be mounted
// under any path of any mux. It authenticates a delivery, marks its products,
// and answers; [Syncer.Run] does the work. What it answers:
//
//	202  the event is stored as safely as the queue stores, or concerns no stock
//	400  the body is not an event
//	401  the signature is wrong, or Config.Webhooks is nil
//	405  not a POST
//	413  the body is larger than 1 MiB
//	415  the body is not application/json
//	503  the event could not be stored; send it again
//
// An answer has no body that would help a forger.
func (s *Syncer) WebhookHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status := s.deliver(w, r)
		if status == http.StatusServiceUnavailable {
			w.Header().Set("Retry-After", "5")
		}
		w.WriteHeader(status)
	})
}

// deliver handles a delivery and returns the status of the answer.
func (s *Syncer) deliver(w http.ResponseWriter, r *http.Request) int {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return http.StatusMethodNotAllowed
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return http.StatusUnsupportedMediaType
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, mostBody))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return http.StatusRequestEntityTooLarge
	} else if err != nil {
		return http.StatusBadRequest
	}
	if s.webhooks == nil {
		s.logger.Error("webhook refused: Config.Webhooks is nil")
		return http.StatusUnauthorized
	}
	event, err := s.webhooks.Receive(r.Context(), r.Header, body)
	if err != nil {
		s.logger.LogAttrs(r.Context(), slog.LevelWarn, "webhook refused", slog.Any("err", err))
		if errors.Is(err, channel.ErrUnauthorized) {
			return http.StatusUnauthorized
		}
		return http.StatusBadRequest
	}
	s.logger.LogAttrs(r.Context(), slog.LevelInfo, "event received", slog.String("event", event.Type), slog.String("id", event.ID),
		slog.Int("products", len(event.ProductIDs)), slog.Int("orders", len(event.OrderIDs)))
	s.hooks.received(event)
	if err := s.accept(r.Context(), event, Evented, urgentLane); err != nil {
		s.logger.LogAttrs(r.Context(), slog.LevelError, "event not stored", slog.String("event", event.Type), slog.Any("err", err))
		return http.StatusServiceUnavailable
	}
	return http.StatusAccepted
}
