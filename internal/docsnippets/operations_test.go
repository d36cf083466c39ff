// Package docsnippets_test has the code that the pages in docs quote. A test at
// the module's root compares the pages with it; the tests here run it.
package docsnippets_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"expvar"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/ecosire"
	"github.com/ecosire/stocksync/shopify"
	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/syncer/boltqueue"
	"github.com/ecosire/stocksync/woocommerce"
)

func mayWrite(ctx context.Context, site *woocommerce.Client) error {
	// Writes nothing; answers 401 if the key may only read.
	return site.Do(ctx, http.MethodPost, "products/batch", nil, struct{}{}, nil)
}

func locations(shop *shopify.Client) ([]syncer.Target, error) {
	online, err := shop.Channel(shopify.ChannelConfig{Name: "shopify:acme:online", LocationID: "71234567890"})
	if err != nil {
		return nil, err
	}
	outlet, err := shop.Channel(shopify.ChannelConfig{Name: "shopify:acme:outlet", LocationID: "71234567891"})
	if err != nil {
		return nil, err
	}
	parts := syncer.Available().Split(80, 20)
	targets := []syncer.Target{
		{Channel: online, Policy: parts[0]},
		{Channel: outlet, Policy: parts[1]},
	}
	return targets, nil
}

func policies(marketplace, wholesale, flagship channel.Channel) []syncer.Target {
	return []syncer.Target{
		// Two units stay back, and the marketplace never sees more than fifty.
		{Channel: marketplace, Policy: syncer.Available().Buffer(2).Cap(50)},
		// Only products whose SKU begins so are this channel's business.
		{Channel: wholesale, Filter: func(s channel.Stock) bool { return strings.HasPrefix(s.SKU, "BULK-") }},
		// A policy of your own: any pure function of the stock.
		{Channel: flagship, Policy: syncer.Custom("none of the last two", func(s channel.Stock) (int, error) {
			if s.Available < 3 {
				return 0, nil
			}
			return s.Available, nil
		})},
	}
}

func serve(ctx context.Context, cfg syncer.Config, queueFile, addr string) error {
	queue, err := boltqueue.Open(queueFile)
	if err != nil {
		return err
	}
	defer queue.Close() // the last thing: Run and the handler need it
	cfg.Queue = queue
	s, err := syncer.New(cfg)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("POST /webhooks/ecosire", s.WebhookHandler())
	mux.Handle("GET /ready", ready(s))
	server := &http.Server{Addr: addr, Handler: mux, ReadHeaderTimeout: 10 * time.Second}

	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.Run(ctx) }) // an error means that it runs already
	group.Go(server.ListenAndServe)
	group.Go(func() error {
		<-ctx.Done()
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		return server.Shutdown(grace)
	})
	if err := group.Wait(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func ready(s *syncer.Syncer) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		health, err := s.Health(r.Context())
		if err != nil || !health.Running {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}
}

func rotating() (*ecosire.Webhooks, error) {
	secrets := []string{os.Getenv("ECOSIRE_WEBHOOK_SECRET")}
	if next := os.Getenv("ECOSIRE_WEBHOOK_SECRET_NEXT"); next != "" {
		secrets = append(secrets, next)
	}
	return ecosire.NewWebhooks(secrets...)
}

// base64Signed is for deliveries whose signature is in base64.
type base64Signed struct{ *ecosire.Webhooks }

func (b base64Signed) Receive(ctx context.Context, header http.Header, body []byte) (channel.Event, error) {
	mac, err := base64.StdEncoding.DecodeString(header.Get("X-Ecosire-Signature"))
	if err != nil {
		return channel.Event{}, channel.ErrUnauthorized
	}
	header = header.Clone()
	header.Set("X-Ecosire-Signature", fmt.Sprintf("%x", mac))
	return b.Webhooks.Receive(ctx, header, body)
}

type metrics struct {
	events                 expvar.Map // by type
	written, tried, gaveUp expvar.Map // by channel
	failed, held, unread   expvar.Int // of the latest reconciliation
	reconciled             expvar.Int // when the latest one began that ended without an error, in Unix seconds
}

func (m *metrics) hooks(log *slog.Logger) syncer.Hooks {
	return syncer.Hooks{
		Received: func(_ context.Context, e channel.Event) { m.events.Add(e.Type, 1) },
		Retry:    func(_ context.Context, r syncer.Retry) { m.tried.Add(r.Channel, int64(r.Products)) },
		GaveUp: func(_ context.Context, p syncer.Problem) {
			if !errors.Is(p.Err, channel.ErrUnknownSKU) { // not every channel sells everything
				m.gaveUp.Add(p.Channel, 1)
			}
		},
		Down: func(_ context.Context, name string, err error) {
			log.Error("channel is down", "channel", name, "err", err)
		},
		Up: func(_ context.Context, name string, after time.Duration) {
			log.Info("channel is up", "channel", name, "after", after)
		},
		Changed: func(_ context.Context, name string, c syncer.Change) { // the record of what was written
			m.written.Add(name, 1)
			log.Info("stock written", "channel", name, "product", c.ProductID, "sku", c.SKU,
				"shown", shown(c), "wanted", c.Wanted, "asOf", c.AsOf)
		},
		Reconciled: func(_ context.Context, r *syncer.Report, err error) {
			if r == nil {
				log.Error("reconciliation did not begin", "err", err)
				return
			}
			failed, held := 0, 0
			for _, c := range r.Channels {
				failed, held = failed+c.Failed, held+c.Held
			}
			m.failed.Set(int64(failed))
			m.held.Set(int64(held))
			m.unread.Set(int64(r.Unread))
			if err == nil { // complete, not suspicious, and nothing held
				m.reconciled.Set(r.Started.Unix())
			}
			if err := errors.Join(err, r.Err()); err != nil {
				log.Error("reconciliation", "run", r.Run, "err", err)
			}
		},
	}
}

func shown(c syncer.Change) any {
	if c.Shown == nil {
		return "unknown"
	}
	return *c.Shown
}

func waiting(ctx context.Context, s *syncer.Syncer, gauge func(name, channel string, value float64)) error {
	health, err := s.Health(ctx)
	if err != nil {
		return err
	}
	for _, c := range health.Channels {
		gauge("stocksync_waiting", c.Channel, float64(c.Tasks))
		gauge("stocksync_oldest_seconds", c.Channel, since(c.Oldest))
		gauge("stocksync_down_seconds", c.Channel, since(c.DownSince))
	}
	gauge("stocksync_orders_waiting", "", float64(health.Orders.Tasks))
	return nil
}

func since(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return time.Since(t).Seconds()
}

func keepHeld(file string) func(*syncer.Report, error) {
	return func(r *syncer.Report, _ error) {
		if r == nil || r.Held == nil {
			return
		}
		plan, err := json.MarshalIndent(r.Held, "", "\t")
		if err == nil {
			err = os.WriteFile(file, plan, 0o600)
		}
		if err != nil {
			slog.Error("held lines were not kept", "err", err)
		}
	}
}

func pauses(ctx context.Context, s *syncer.Syncer) error {
	err := s.Pause(ctx, "shopify:acme", "ann")
	return err
}

func approve(ctx context.Context, s *syncer.Syncer, file string, agreed func(string) bool) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var plan syncer.Plan
	if err := json.Unmarshal(data, &plan); err != nil {
		return err
	}
	if !agreed(plan.String()) { // SKU by SKU: shown, wanted, delta
		return nil
	}
	plan.Approved = true
	report, err := s.Apply(ctx, &plan)
	if err != nil {
		return err
	}
	return report.Err()
}

func undo(ctx context.Context, s *syncer.Syncer, report *syncer.Report) error {
	plan, err := report.Undo()
	if err != nil {
		return err
	}
	undone, err := s.Apply(ctx, plan)
	if err != nil {
		return err
	}
	return undone.Err()
}

// undoOf makes the plan from lines of a log, in which each SKU occurs once.
func undoOf(name string, changes []syncer.Change) *syncer.Plan {
	plan := &syncer.Plan{Made: time.Now(), Undo: true, Approved: true}
	for _, c := range changes {
		if c.Shown != nil {
			plan.Lines = append(plan.Lines, syncer.Line{Channel: name, ProductID: c.ProductID, SKU: c.SKU,
				Shown: &c.Wanted, Wanted: *c.Shown, Reason: syncer.ReasonUnder})
		}
	}
	return plan
}
