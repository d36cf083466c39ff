// Tenants serves fifty merchants in one process: each with an ECOSIRE key, a shop,
// a queue and quotas of its own, which it shares with nobody.
//
//	go run ./examples/tenants
//	go run ./examples/tenants -merchants 200 -products 5000
//
// All services are simulated, and nothing leaves the process. It sells something of
// each merchant, reconciles each catalogue, and prints what a merchant costs:
// goroutines, memory, files. One merchant's shop is down from the start, which is
// nobody else's affair.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/ecosire/stocksync"
	"github.com/ecosire/stocksync/ecosire"
	"github.com/ecosire/stocksync/ecosire/ecosiretest"
	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/syncer/boltqueue"
	"github.com/ecosire/stocksync/woocommerce/woocommercetest"
)

func main() {
	merchants := flag.Int("merchants", 50, "how many merchants")
	products := flag.Int("products", 1000, "how many products each of them sells")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Stdout, *merchants, *products)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// A merchant is one tenant, and its simulated services.
type merchant struct {
	name    string
	ecosire *ecosiretest.Server
	shop    *woocommercetest.Server
	ids     []string
	down    bool

	queue  *boltqueue.Queue
	syncer *syncer.Syncer
}

func newMerchant(i, products int) *merchant {
	m := &merchant{
		name: fmt.Sprintf("merchant-%02d", i), ecosire: ecosiretest.New(ecosiretest.Config{}), shop: woocommercetest.New(woocommercetest.Config{}), down: i == 0,
	}
	for p := range products {
		sku := fmt.Sprintf("MUG-%05d", p)
		m.ids = append(m.ids, m.ecosire.Add(ecosiretest.Product{SKU: sku, OnHand: 100})...)
		m.shop.Add(woocommercetest.Product{SKU: sku, Quantity: 100})
	}
	return m
}

// RoundTrip leads to the merchant's services, and nowhere else.
func (m *merchant) RoundTrip(req *http.Request) (*http.Response, error) {
	switch {
	case req.URL.Host == "ecosire.example":
		return m.ecosire.RoundTrip(req)
	case m.down:
		return nil, errors.New("the shop is down")
	}
	return m.shop.RoundTrip(req)
}

func (m *merchant) secret() string { return "the secret of " + m.name }

// build builds what serves the merchant, as for a merchant of yours: but for the HTTP
// client, and the map that stands for your settings.
func (m *merchant) build(dir string) error {
	settings := map[string]string{
		"ECOSIRE_API_KEY": "eco_live_test", "ECOSIRE_URL": "https://ecosire.example/api", "ECOSIRE_WEBHOOK_SECRET": m.secret(),
		"WC_SITE_URL": "https://" + m.name + ".example", "WC_CONSUMER_KEY": "ck_test", "WC_CONSUMER_SECRET": "cs_test",
	}
	services, err := stocksync.FromEnv(stocksync.Config{
		Getenv:     func(name string) string { return settings[name] },
		HTTPClient: &http.Client{Transport: m},
	})
	if err != nil {
		return err
	}
	if m.queue, err = boltqueue.Open(filepath.Join(dir, m.name+".db")); err != nil {
		return err
	}
	m.syncer, err = services.Writer(syncer.Config{Tenant: m.name, Queue: m.queue})
	return err
}

// deliver is ECOSIRE's delivery about a product that was sold.
func (m *merchant) deliver(to http.Handler, id string) error {
	m.ecosire.Sell(id, 1)
	body := fmt.Appendf(nil, `{"id":"evt_1","event":"checkout.completed","data":{"lineItems":[{"productId":%q,"quantity":1}]}}`, id)
	req := httptest.NewRequest("POST", "/webhooks/"+m.name, bytes.NewReader(body))
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Ecosire-Signature", ecosire.Sign(m.secret(), body))
	answer := httptest.NewRecorder()
	to.ServeHTTP(answer, req)
	if answer.Code >= 300 {
		return fmt.Errorf("%s: the delivery was answered with %d", m.name, answer.Code)
	}
	return nil
}

// usage is what the process takes.
type usage struct {
	goroutines, files int
	heap              uint64
}

func measure() usage {
	runtime.GC()
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	fds, _ := os.ReadDir("/proc/self/fd") // where there is none, no files are counted
	return usage{runtime.NumGoroutine(), len(fds), mem.HeapAlloc}
}

// run simulates a day of that many merchants.
func run(ctx context.Context, out io.Writer, merchants, products int) error {
	dir, err := os.MkdirTemp("", "tenants")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	all := make([]*merchant, merchants)
	for i := range all {
		all[i] = newMerchant(i, products)
	}
	before := measure() // the simulated services are none of the library's
	mux := http.NewServeMux()
	for _, m := range all {
		if err := m.build(dir); err != nil {
			return err
		}
		defer m.queue.Close()
		mux.Handle("POST /webhooks/"+m.name, m.syncer.WebhookHandler())
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "for each merchant\tgoroutines\tKiB of heap\topen files\t")
	row := func(when string) {
		for _, m := range all { // what the simulated services note of requests is none of the library's
			m.ecosire.Forget()
			m.shop.Forget()
		}
		now, n := measure(), float64(merchants)
		fmt.Fprintf(table, "%s\t%.1f\t%.0f\t%.1f\t\n", when, float64(now.goroutines-before.goroutines)/n,
			(float64(now.heap)-float64(before.heap))/1024/n, float64(now.files-before.files)/n)
	}
	row("built")

	running, stop := context.WithCancel(ctx)
	var runs sync.WaitGroup
	for _, m := range all {
		runs.Go(func() { _ = m.syncer.Run(running) }) // it fails only if it runs already
	}
	pause(ctx, time.Second)
	row("idle")
	visible, err := sellEach(ctx, all, mux)
	row("after a sale of each")
	took, err2 := reconcileEach(ctx, all)
	row("after a reconciliation of each")
	stop()
	runs.Wait()
	table.Flush()
	fmt.Fprintf(out, "\n%d merchants of %d products. A sale of each was visible in all shops within %v; all catalogues at once took %v.\n",
		merchants, products, visible.Round(time.Millisecond), took.Round(time.Millisecond))
	return errors.Join(err, err2)
}

// sellEach sells a unit of each merchant, and returns how long it takes until all
// shops that work show it.
func sellEach(ctx context.Context, all []*merchant, mux http.Handler) (time.Duration, error) {
	began := time.Now()
	for _, m := range all {
		if err := m.deliver(mux, m.ids[0]); err != nil {
			return 0, err
		}
	}
	for _, m := range all {
		for n := 0; !m.down; pause(ctx, 5*time.Millisecond) {
			if n, _ = m.shop.Quantity("MUG-00000"); n == 99 {
				break
			}
			if time.Since(began) > time.Minute || ctx.Err() != nil {
				return 0, fmt.Errorf("%s shows %d, and not 99", m.name, n)
			}
		}
	}
	return time.Since(began), nil
}

// reconcileEach reconciles all catalogues at once, which Tenant avoids at night.
func reconcileEach(ctx context.Context, all []*merchant) (time.Duration, error) {
	began := time.Now()
	errs := make([]error, len(all))
	var nights sync.WaitGroup
	for i, m := range all {
		if !m.down {
			nights.Go(func() { _, errs[i] = m.syncer.Reconcile(ctx) })
		}
	}
	nights.Wait()
	return time.Since(began), errors.Join(errs...)
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
