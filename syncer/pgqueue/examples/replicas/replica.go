package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/ecosire/stocksync/ecosire"
	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/syncer/pgqueue"
	"github.com/ecosire/stocksync/woocommerce"
)

// secret is that of ECOSIRE's webhooks.
const secret = "s3cret"

// serve is the service: a replica of it, in a process of its own. All that makes
// it one of several is the queue.
func serve(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { // ends with the process that started it
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	pool, err := pgxpool.New(ctx, os.Getenv("DATABASE_URL"))
	if err != nil {
		return err
	}
	defer pool.Close()
	lease, err := time.ParseDuration(os.Getenv("REPLICAS_LEASE"))
	if err != nil {
		return err
	}
	queue, err := pgqueue.New(pool, pgqueue.Options{Queue: os.Getenv("REPLICAS_QUEUE"), Lease: lease})
	if err != nil {
		return err
	}
	if err := queue.Migrate(ctx); err != nil { // all of them do, at the same time
		return err
	}
	source, err := ecosire.New(ecosire.Config{APIKey: "eco_live_test", BaseURL: os.Getenv("REPLICAS_ECOSIRE") + "/api"})
	if err != nil {
		return err
	}
	shop, err := woocommerce.New(woocommerce.Config{URL: os.Getenv("REPLICAS_SHOP"), ConsumerKey: "ck_test", ConsumerSecret: "cs_test"})
	if err != nil {
		return err
	}
	store, err := shop.Channel(woocommerce.ChannelConfig{})
	if err != nil {
		return err
	}
	hooks, err := ecosire.NewWebhooks(secret)
	if err != nil {
		return err
	}
	s, err := syncer.New(syncer.Config{
		Name:     os.Getenv(roleEnv),
		Source:   source,
		Targets:  []syncer.Target{{Channel: store}},
		Webhooks: hooks,
		Queue:    queue,
	})
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("POST /webhooks/ecosire", s.WebhookHandler())
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, r *http.Request) {
		h, err := s.Health(r.Context())
		if err != nil || !h.Running {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_ = json.NewEncoder(w).Encode(h)
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(listener) }()
	defer server.Close()
	fmt.Println("http://" + listener.Addr().String())
	return s.Run(ctx)
}
