package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ecosire/stocksync"
	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/syncer/boltqueue"
)

// serve is the service. It ends when ctx is done, and closes the listener. With
// a login it has a status page.
func serve(ctx context.Context, listener net.Listener, services *stocksync.Services, queueFile string, who login, logger *slog.Logger) (err error) {
	defer listener.Close()
	// What was acknowledged to ECOSIRE is in this file until it is done.
	queue, err := boltqueue.Open(queueFile)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, queue.Close()) }()
	s, err := services.Writer(syncer.Config{Queue: queue, Logger: logger, Journal: 7 * 24 * time.Hour})
	if err != nil {
		return err
	}

	mux := http.NewServeMux()
	mux.Handle("/webhooks/ecosire", s.WebhookHandler())
	for _, t := range services.Targets {
		if t.Webhooks != nil { // its secret is set
			kind, _, _ := strings.Cut(t.Channel.Name(), ":")
			hears, err := s.ChannelHandler(t.Channel.Name())
			if err != nil {
				return err
			}
			mux.Handle("/webhooks/"+kind, hears)
		}
	}
	mux.Handle("GET /healthz", healthz(s))
	if who != nil {
		mux.Handle("/status/", status(s, who))
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second}

	// The first of these to fail ends the others.
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.Run(ctx) })
	group.Go(func() error {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	group.Go(func() error {
		<-ctx.Done()
		patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		return server.Shutdown(patience) // events that are being received still get their answer
	})
	return group.Wait()
}

// healthz answers 200 while the service does its work, and 503 otherwise. A
// shop that is down, or whose guard holds something, is no reason to restart
// it: it is in the answer.
func healthz(s *syncer.Syncer) http.Handler {
	type shop struct {
		Channel   string    `json:"channel"`
		Waiting   int       `json:"waiting"`
		Oldest    time.Time `json:"oldest,omitzero"`
		DownSince time.Time `json:"downSince,omitzero"`
		Held      int       `json:"held,omitzero"`
		Why       string    `json:"why,omitzero"` // the guard's
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h, err := s.Health(r.Context())
		status := http.StatusOK
		if err != nil || !h.Running {
			status = http.StatusServiceUnavailable
		}
		shops := make([]shop, 0, len(h.Channels))
		for _, c := range h.Channels {
			row := shop{Channel: c.Channel, Waiting: c.Tasks, Oldest: c.Oldest, DownSince: c.DownSince, Held: c.Held}
			if c.Guard != nil {
				row.Why = c.Guard.Why()
			}
			shops = append(shops, row)
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]any{"running": h.Running, "inbox": h.Inbox.Tasks, "channels": shops})
	})
}
