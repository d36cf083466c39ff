//go:build unix

// Package storm has three replicas, each a process of its own, lead and work on
// one queue in PostgreSQL while everything goes wrong that can.
package storm

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/ecosire"
	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/syncer/pgqueue"
)

const (
	lease = 2 * time.Second
	// secret is that of the events.
	secret = "s3cret"
)

func TestMain(m *testing.M) {
	if os.Getenv("STORM_NAME") == "" {
		os.Exit(m.Run())
	}
	go func() { // ends with the test
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(1)
	}()
	fmt.Println("error", replica())
	os.Exit(1)
}

// replica is the service, in a process of its own.
func replica() error {
	ctx := context.Background()
	config, err := pgxpool.ParseConfig(os.Getenv("STORM_DATABASE"))
	if err != nil {
		return err
	}
	config.MaxConns = 8
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return err
	}
	q, err := pgqueue.New(pool, pgqueue.Options{Queue: os.Getenv("STORM_QUEUE"), Lease: lease, Poll: 20 * time.Millisecond})
	if err != nil {
		return err
	}
	source, err := ecosire.New(ecosire.Config{APIKey: "eco_live_test", BaseURL: os.Getenv("STORM_ECOSIRE") + "/api"})
	if err != nil {
		return err
	}
	hooks, err := ecosire.NewWebhooks(secret)
	if err != nil {
		return err
	}
	name := os.Getenv("STORM_NAME")
	var term atomic.Uint64
	unguarded := syncer.Guard{Losses: -1, Gains: -1}
	s, err := syncer.New(syncer.Config{
		Source: source, Webhooks: hooks, Queue: control(q, pool), Name: name, Schedule: slots(),
		Gather: 20 * time.Millisecond, Grace: time.Second, WatchEvery: -1,
		Targets: []syncer.Target{
			{Channel: &remote{"quick", os.Getenv("STORM_QUICK"), name, &term, 50}, Guard: unguarded},
			{Channel: &remote{"slow", os.Getenv("STORM_SLOW"), name, &term, 5}, Guard: unguarded},
		},
		Hooks: syncer.Hooks{
			Leading: func(_ context.Context, l syncer.LeaderInfo) { term.Store(l.Number); fmt.Println("leads", l.Number) },
			Deposed: func(_ context.Context, n uint64, _ bool) { fmt.Println("ends", n) },
			Reconciled: func(_ context.Context, r *syncer.Report, err error) {
				if r != nil && !errors.Is(err, syncer.ErrNotCompared) && !errors.Is(err, channel.ErrIncomplete) && r.Read > 0 {
					fmt.Println("reconciled", r.Started.UnixMilli())
				}
			},
		},
	})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go func() { _ = http.Serve(listener, s.WebhookHandler()) }()
	fmt.Println("listening http://" + listener.Addr().String())
	return s.Run(ctx)
}

// slots is a schedule of some moments.
func slots() syncer.Schedule {
	at := moments{}
	for _, ms := range strings.Fields(os.Getenv("STORM_SLOTS")) {
		n, _ := strconv.ParseInt(ms, 10, 64)
		at = append(at, time.UnixMilli(n))
	}
	return at
}

type moments []time.Time

func (m moments) Next(t time.Time) time.Time {
	for _, at := range m {
		if at.After(t) {
			return at
		}
	}
	return time.Time{}
}

// A remote is a shop as a channel.
type remote struct {
	name, url, replica string
	term               *atomic.Uint64
	size               int
}

func (r *remote) Name() string   { return r.name }
func (r *remote) BatchSize() int { return r.size }

func (r *remote) Levels(ctx context.Context, skus []string) ([]channel.Level, error) {
	w := write{Replica: r.replica}
	for _, sku := range skus {
		w.Updates = append(w.Updates, updated{SKU: sku})
	}
	if err := r.post(ctx, "/levels", &w, &w); err != nil {
		return nil, err
	}
	levels := make([]channel.Level, len(w.Updates))
	for i, u := range w.Updates {
		levels[i] = channel.Level{SKU: u.SKU, Quantity: u.Quantity}
	}
	return levels, nil
}

func (r *remote) Push(ctx context.Context, updates []channel.Update) error {
	w := write{Replica: r.replica, Term: r.term.Load()}
	for _, u := range updates {
		w.Updates = append(w.Updates, updated{u.SKU, u.Quantity, u.AsOf})
	}
	return r.post(ctx, "/push", &w, nil)
}

func (r *remote) post(ctx context.Context, path string, in *write, out *write) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("%w: %w", channel.ErrUnavailable, err)
	}
	defer resp.Body.Close()
	if out != nil {
		return json.NewDecoder(resp.Body).Decode(out)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}
