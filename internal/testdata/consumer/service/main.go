// Service is somebody else's backend, with chi as its router, that has all of
// stocksync mounted: services from the environment, a queue in a file, events,
// health, a plan, a product's sync, an adjustment, and Run beside the server.
//
// It drives itself: it sends itself requests as ECOSIRE and as people would,
// and looks whether both shops show what ECOSIRE has.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	"github.com/ecosire/stocksync"
	"github.com/ecosire/stocksync/ecosire"
	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/syncer/boltqueue"
)

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("OK")
}

func run(ctx context.Context) error {
	m := newMerchant()
	services, err := stocksync.FromEnv(m.config())
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "service")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	queue, err := boltqueue.Open(filepath.Join(dir, "queue.db"))
	if err != nil {
		return err
	}
	defer queue.Close()
	s, err := services.Writer(syncer.Config{Queue: queue, Schedule: syncer.Never(), WatchEvery: -1})
	if err != nil {
		return err
	}

	server := httptest.NewServer(routes(services, s))
	defer server.Close()
	running, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- s.Run(running) }()

	if err := drive(ctx, m, server.URL); err != nil {
		return err
	}
	stop()
	return <-ended
}

// routes mounts everything that the service has.
func routes(services *stocksync.Services, s *syncer.Syncer) http.Handler {
	r := chi.NewRouter()
	r.Use(middleware.Recoverer)
	r.Handle("/webhooks/ecosire", s.WebhookHandler())
	r.Get("/healthz", func(w http.ResponseWriter, r *http.Request) {
		h, err := s.Health(r.Context())
		if err != nil || !h.Running {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		waiting := 0
		for _, c := range h.Channels {
			waiting += c.Tasks
		}
		fmt.Fprintf(w, "%d channels, %d waiting", len(h.Channels), waiting)
	})
	r.Route("/stock", func(r chi.Router) {
		r.Get("/plan", func(w http.ResponseWriter, r *http.Request) {
			plan, err := services.Plan(r.Context())
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadGateway)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(plan)
		})
		r.Post("/{product}/sync", func(w http.ResponseWriter, r *http.Request) {
			report, err := s.SyncProducts(r.Context(), chi.URLParam(r, "product"))
			if err := errors.Join(err, report.Err()); err != nil {
				http.Error(w, err.Error(), http.StatusBadGateway)
				return
			}
			fmt.Fprint(w, report)
		})
		r.Post("/{product}/count", func(w http.ResponseWriter, r *http.Request) {
			// ECOSIRE sends no event for it; the client tells the syncer.
			for location, err := range services.ECOSIRE.Locations(r.Context()) {
				if err == nil {
					err = services.ECOSIRE.PostAdjustment(r.Context(), ecosire.Adjustment{
						ProductID: chi.URLParam(r, "product"), LocationID: location.ID, Quantity: 5, Reason: "count",
					})
				}
				if err != nil {
					http.Error(w, err.Error(), http.StatusBadGateway)
				}
				return
			}
			http.Error(w, "ECOSIRE has no location", http.StatusBadGateway)
		})
	})
	return r
}
