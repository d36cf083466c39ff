package bench

import (
	"bytes"
	"context"
	"fmt"
	"hash/maphash"
	"io"
	"iter"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/ecosire"
	"github.com/ecosire/stocksync/ecosire/ecosiretest"
	"github.com/ecosire/stocksync/shopify"
	"github.com/ecosire/stocksync/shopify/shopifytest"
	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/woocommerce"
	"github.com/ecosire/stocksync/woocommerce/woocommercetest"
)

// costProducts is the catalogue of the benchmarks of our own code.
const costProducts = 10_000

// free is a source and a channel that cost next to nothing: what they answer
// is there already.
type free struct {
	stocks []channel.Stock
	levels map[string]channel.Level
}

func newFree(n int, fill Fill) *free {
	f := &free{levels: make(map[string]channel.Level, n)}
	for i := range n {
		s := channel.Stock{ProductID: fmt.Sprintf("018e5678-abcd-7000-8000-%012x", i), SKU: SKU(i), OnHand: Start(i), Available: Start(i)}
		f.stocks = append(f.stocks, s)
		f.levels[s.SKU] = channel.Level{SKU: s.SKU, Quantity: fill.shows(i), Ref: "1"}
	}
	return f
}

func (f *free) Name() string { return "free" }

func (f *free) Stock(context.Context, ...string) iter.Seq2[channel.Stock, error] {
	return func(yield func(channel.Stock, error) bool) {
		asOf := time.Now()
		for _, s := range f.stocks {
			s.AsOf = asOf
			if !yield(s, nil) {
				return
			}
		}
	}
}

func (f *free) Levels(_ context.Context, skus []string) ([]channel.Level, error) {
	levels := make([]channel.Level, len(skus))
	for i, sku := range skus {
		levels[i] = f.levels[sku]
	}
	return levels, nil
}

func (f *free) Push(context.Context, []channel.Update) error { return nil }

// replay answers a request that it has seen before with the answer that it got
// then, so that the service costs next to nothing.
type replay struct {
	next http.RoundTripper
	mu   sync.Mutex
	seen map[uint64]*recorded
	seed maphash.Seed
	body bytes.Buffer // of the latest request
}

type recorded struct {
	header http.Header
	body   []byte
}

func newReplay(next http.RoundTripper) *http.Client {
	return &http.Client{Transport: &replay{next: next, seen: make(map[uint64]*recorded), seed: maphash.MakeSeed()}}
}

func (p *replay) RoundTrip(r *http.Request) (*http.Response, error) {
	p.mu.Lock()
	p.body.Reset()
	if r.Body != nil {
		if _, err := p.body.ReadFrom(r.Body); err != nil {
			p.mu.Unlock()
			return nil, err
		}
	}
	query := r.URL.Query()
	query.Del("fresh") // WooCommerce's, which differs each time
	key := maphash.String(p.seed, r.URL.Path+"?"+query.Encode()) ^ maphash.Bytes(p.seed, p.body.Bytes())
	if bytes.Contains(p.body.Bytes()[:min(100, p.body.Len())], []byte("SetQuantities")) {
		key = 0 // it has a key of its own each time, and the same answer
	}
	known := p.seen[key]
	if known == nil {
		r.Body = io.NopCloser(bytes.NewReader(bytes.Clone(p.body.Bytes())))
	}
	p.mu.Unlock()
	if known == nil {
		resp, err := p.next.RoundTrip(r)
		if err != nil {
			return nil, err
		}
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			return nil, err
		}
		known = &recorded{resp.Header, text}
		p.mu.Lock()
		p.seen[key] = known
		p.mu.Unlock()
	}
	header := known.header
	if header.Get("X-RateLimit-Limit") != "" { // ECOSIRE's quota is not what is measured
		header = header.Clone()
		header.Set("X-RateLimit-Limit", "1000000000")
		header.Set("X-RateLimit-Remaining", "1000000000")
		header.Set("X-RateLimit-Reset", strconv.FormatInt(time.Now().Unix()+30, 10))
		header.Del("Date")
	}
	return &http.Response{
		StatusCode: http.StatusOK, Header: header, Body: io.NopCloser(bytes.NewReader(known.body)), Request: r,
	}, nil
}

// plain hides what else a channel can do, such as preloading, which takes a
// while by the clock and no work.
type plain struct {
	channel.Channel
	channel.Reader
}

// clients are our clients before services that answer at once.
type clients struct {
	source               *ecosire.Client
	shopify, woocommerce plain
	skus                 []string
}

func newClients(tb testing.TB, n int, fill Fill) *clients {
	tb.Helper()
	e := ecosiretest.New(ecosiretest.Config{Limit: 1 << 30})
	s := shopifytest.New(shopifytest.Config{Bucket: 1e9, RestoreRate: 1e9})
	w := woocommercetest.New(woocommercetest.Config{})
	c := new(clients)
	for i := range n {
		c.skus = append(c.skus, SKU(i))
		e.Add(ecosiretest.Product{SKU: SKU(i), OnHand: Start(i)})
		s.Add(shopifytest.Item{SKU: SKU(i), Available: fill.shows(i)})
		w.Add(woocommercetest.Product{SKU: SKU(i), Quantity: fill.shows(i)})
	}
	check := func(err error) {
		if err != nil {
			tb.Helper()
			tb.Fatal(err)
		}
	}
	var err error
	c.source, err = ecosire.New(ecosire.Config{APIKey: "eco_live_test", HTTPClient: newReplay(e.Wire)})
	check(err)
	shop, err := shopify.New(shopify.Config{Shop: "test-shop", Token: shopify.StaticToken("shpat_test"), HTTPClient: newReplay(s.Wire)})
	check(err)
	location, err := shop.Channel(shopify.ChannelConfig{LocationID: s.Location()})
	check(err)
	check(location.Preload(context.Background()))
	c.shopify = plain{location, location}
	site, err := woocommerce.New(woocommerce.Config{URL: "https://shop.example", ConsumerKey: "ck_test", ConsumerSecret: "cs_test", HTTPClient: newReplay(w.Wire)})
	check(err)
	store, err := site.Channel(woocommerce.ChannelConfig{})
	check(err)
	c.woocommerce = plain{store, store}
	return c
}

// A cost is one thing that our own code does with each product of a catalogue.
type cost struct {
	name string
	n    int          // products
	run  func() error // for all of them
}

// costs are what is measured of our own code.
func costs(tb testing.TB, n int) []cost {
	f, c := newFree(n, Percent), newClients(tb, n, Percent)
	same, agreed := newFree(n, Agreed), newClients(tb, n, Agreed)
	return []cost{
		// The syncer alone: grouping, comparing, guarding, reporting.
		{"planning", n, reconciliation(n, Percent, f, f)},
		{"planning/again", n, nightly(tb, n, same, same)},
		// Reading from services whose answers are there already.
		{"decoding/ecosire", n, func() error {
			for _, err := range c.source.Stock(context.Background()) {
				if err != nil {
					return err
				}
			}
			return nil
		}},
		{"decoding/shopify", n, levels(c.shopify, c.skus)},
		{"decoding/woocommerce", n, levels(c.woocommerce, c.skus)},
		// Writing every product, after it was read.
		{"pushing/shopify", n, pushes(tb, c.shopify, c.skus)},
		{"pushing/woocommerce", n, pushes(tb, c.woocommerce, c.skus)},
		// All of it together, by a syncer that knows nothing yet; one product in a
		// hundred differs.
		{"reconciling/shopify", n, reconciliation(n, Percent, c.source, c.shopify)},
		{"reconciling/woocommerce", n, reconciliation(n, Percent, c.source, c.woocommerce)},
		{"reconciling/both", n, reconciliation(n, Percent, c.source, c.shopify, c.woocommerce)},
		// The nights after, in which nothing differs.
		{"again/both", n, nightly(tb, n, agreed.source, agreed.shopify, agreed.woocommerce)},
	}
}

const costGroup = 1_000 // products in a call

func levels(ch plain, skus []string) func() error {
	return func() error {
		for some := range slices.Chunk(skus, costGroup) {
			levels, err := ch.Levels(context.Background(), some)
			if err != nil || len(levels) != len(some) {
				return fmt.Errorf("%d of %d levels: %w", len(levels), len(some), err)
			}
		}
		return nil
	}
}

func pushes(tb testing.TB, ch plain, skus []string) func() error {
	levels, err := ch.Levels(context.Background(), skus)
	if err != nil {
		tb.Fatal(err)
	}
	updates := make([]channel.Update, len(levels))
	for i, l := range levels {
		updates[i] = channel.Update{SKU: l.SKU, Quantity: l.Quantity + 1, Seen: &l}
	}
	return func() error {
		for some := range slices.Chunk(updates, costGroup) {
			if err := ch.Push(context.Background(), some); err != nil {
				return err
			}
		}
		return nil
	}
}

// reconciliation is a run of a syncer that is new each time, and so does not
// remember that its writes came to nothing.
func reconciliation(n int, fill Fill, source channel.Source, channels ...channel.Channel) func() error {
	cfg := syncer.Config{Source: source}
	for _, c := range channels {
		cfg.Targets = append(cfg.Targets, syncer.Target{Channel: c})
	}
	return func() error {
		s, err := syncer.New(cfg)
		if err != nil {
			return err
		}
		return reconciles(s, n, fill)
	}
}

// nightly is a run of one and the same syncer, of products that are all shown
// rightly.
func nightly(tb testing.TB, n int, source channel.Source, channels ...channel.Channel) func() error {
	cfg := syncer.Config{Source: source}
	for _, c := range channels {
		cfg.Targets = append(cfg.Targets, syncer.Target{Channel: c})
	}
	s, err := syncer.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return func() error { return reconciles(s, n, Agreed) }
}

func reconciles(s *syncer.Syncer, n int, fill Fill) error {
	right := n
	if fill == Percent {
		right -= n / 100
	}
	r, err := s.Reconcile(context.Background())
	if err == nil && r.Channels[0].Unchanged != right {
		err = fmt.Errorf("%d products are unchanged", r.Channels[0].Unchanged)
	}
	return err
}

// BenchmarkCost measures what our own code costs for each product, in time and
// memory, on one core.
func BenchmarkCost(b *testing.B) {
	for _, c := range costs(b, costProducts) {
		b.Run(c.name, c.measure)
	}
}

// TestCost makes a table of BenchmarkCost.
func TestCost(t *testing.T) {
	measured(t)
	out := newTable("cost", "work", "ns/product", "bytes/product", "allocations/product", "products/s on one core")
	for _, c := range costs(t, costProducts) {
		r := testing.Benchmark(c.measure)
		if r.N == 0 {
			t.Fatalf("%s failed", c.name)
		}
		out.row(c.name, number(int(r.Extra["ns/product"])), number(int(r.Extra["B/product"])),
			fmt.Sprintf("%.1f", r.Extra["allocs/product"]), number(int(r.Extra["products/s"])/1000*1000))
	}
	out.done(t)
}

// measure runs c once before it measures, so that all answers are recorded.
func (c cost) measure(b *testing.B) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	run := func() {
		if err := c.run(); err != nil {
			b.Fatal(err)
		}
	}
	run()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	began := cpuTime()
	for b.Loop() {
		run()
	}
	took := cpuTime() - began
	runtime.ReadMemStats(&after)
	each := float64(b.N * c.n)
	ns := float64(took.Nanoseconds()) / each
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(ns, "ns/product")
	b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/each, "B/product")
	b.ReportMetric(float64(after.Mallocs-before.Mallocs)/each, "allocs/product")
	b.ReportMetric(1e9/ns, "products/s")
}
