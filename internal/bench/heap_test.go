package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net/http"
	"runtime"
	"runtime/metrics"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/ecosire"
	"github.com/ecosire/stocksync/shopify"
	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/woocommerce"
)

// generated is a catalogue of that many products without a memory: whatever a
// service answers about it is made as it is asked for, so that what the heap
// holds is ours. One product in a hundred is shown wrongly. It is a source and a
// channel.
type generated int

func generatedSKU(i int) string { return "SKU-" + strconv.Itoa(i) }

func (g generated) number(sku string) int {
	n, err := strconv.Atoi(strings.TrimPrefix(sku, "SKU-"))
	if err != nil || n < 0 || n >= int(g) {
		panic("no such product: " + sku)
	}
	return n
}

func (g generated) Name() string { return "generated" }

func (g generated) Stock(context.Context, ...string) iter.Seq2[channel.Stock, error] {
	return func(yield func(channel.Stock, error) bool) {
		var asOf time.Time
		for i := range int(g) {
			if i%ecosirePage == 0 {
				asOf = time.Now()
			}
			if !yield(channel.Stock{ProductID: strconv.Itoa(i), SKU: generatedSKU(i), Available: Start(i), AsOf: asOf}, nil) {
				return
			}
		}
	}
}

func (g generated) Levels(_ context.Context, skus []string) ([]channel.Level, error) {
	levels := make([]channel.Level, len(skus))
	for i, sku := range skus {
		levels[i] = channel.Level{SKU: sku, Quantity: Percent.shows(g.number(sku))}
	}
	return levels, nil
}

func (g generated) Push(context.Context, []channel.Update) error { return nil }

// ecosire answers the pages of the catalogue, or the products that are named.
// Its quota is never spent.
func (g generated) ecosire(r *http.Request) (*http.Response, error) {
	q := r.URL.Query()
	page, err := strconv.Atoi(q.Get("page"))
	if err != nil {
		return nil, err
	}
	const id = "018e5678-abcd-7000-8000-"
	total := int(g)
	var asked []int
	if named := q.Get("productIds"); named != "" {
		for text := range strings.SplitSeq(named, ",") {
			i, err := strconv.Atoi(strings.TrimPrefix(text, id))
			if err != nil {
				return nil, err
			}
			asked = append(asked, i)
		}
		total = len(asked)
	} else {
		for i := (page - 1) * ecosirePage; i < min(page*ecosirePage, total); i++ {
			asked = append(asked, i)
		}
	}
	var b bytes.Buffer
	b.WriteString(`{"data":[`)
	for n, i := range asked {
		comma(&b, n)
		fmt.Fprintf(&b, `{"productId":"%s%012d","sku":%q,"onHand":%d,"reserved":0,"available":%[4]d}`, id, i, generatedSKU(i), Start(i))
	}
	fmt.Fprintf(&b, `],"meta":{"total":%d,"page":%d,"limit":100,"totalPages":%d}}`, total, page, pages(total, ecosirePage))
	return respond(r, &b, http.Header{
		"X-Ratelimit-Limit": {"1000000"}, "X-Ratelimit-Remaining": {"900000"},
		"X-Ratelimit-Reset": {strconv.FormatInt(time.Now().Unix()+50, 10)},
	})
}

// shopify answers our operations, and its points are never spent. The item of
// the product number i has the number i+1.
func (g generated) shopify(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodGet { // the bulk operation's result
		return respond(r, &lines{n: int(g)}, nil)
	}
	var q struct {
		Query     string
		Variables struct {
			IDs     []string
			After   string
			Reverse bool
		}
	}
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.WriteString(`{"data":{`)
	switch {
	case strings.Contains(q.Query, "StartBulk"):
		b.WriteString(`"bulkOperationRunQuery":{"bulkOperation":{"id":"gid://shopify/BulkOperation/1"},"userErrors":[]}`)
	case strings.Contains(q.Query, "PollBulk"):
		fmt.Fprintf(&b, `"bulkOperation":{"status":"COMPLETED","errorCode":null,"url":"https://result.example/1","rootObjectCount":"%d"}`, g)
	case strings.Contains(q.Query, "ListItems"):
		b.WriteString(`"inventoryItems":{"nodes":[`)
		first, _ := strconv.Atoi(q.Variables.After)
		last := min(first+shopifyPage, int(g))
		for i := first; i < last; i++ {
			comma(&b, i-first)
			number := i
			if q.Variables.Reverse {
				number = int(g) - 1 - i
			}
			fmt.Fprintf(&b, `{"id":"gid://shopify/InventoryItem/%d","sku":%q}`, number+1, generatedSKU(number))
		}
		fmt.Fprintf(&b, `],"pageInfo":{"hasNextPage":%t,"endCursor":"%d"}}`, last < int(g), last)
	case strings.Contains(q.Query, "ReadLevels"):
		b.WriteString(`"nodes":[`)
		for n, id := range q.Variables.IDs {
			i, err := strconv.Atoi(id[strings.LastIndexByte(id, '/')+1:])
			if err != nil {
				return nil, err
			}
			comma(&b, n)
			fmt.Fprintf(&b, `{"id":%q,"sku":%q,"tracked":true,"duplicateSkuCount":0,"inventoryLevel":{"isActive":true,"quantities":[{"name":"available","quantity":%d}]}}`,
				id, generatedSKU(i-1), Percent.shows(i-1))
		}
		b.WriteByte(']')
	case strings.Contains(q.Query, "SetQuantities"):
		b.WriteString(`"inventorySetQuantities":{"inventoryAdjustmentGroup":null,"userErrors":[]}`)
	default:
		return nil, fmt.Errorf("unexpected: %s", q.Query)
	}
	b.WriteString(`},"extensions":{"cost":{"requestedQueryCost":1,"actualQueryCost":1,"throttleStatus":{"maximumAvailable":1e9,"currentlyAvailable":1e9,"restoreRate":1e9}}}}`)
	return respond(r, &b, http.Header{"X-Shopify-Api-Version": {"2026-10"}})
}

// woocommerce answers lookups by SKU and batches. The product number i has the
// id i+1.
func (g generated) woocommerce(r *http.Request) (*http.Response, error) {
	var b bytes.Buffer
	if r.Method == http.MethodGet {
		skus := strings.Split(r.URL.Query().Get("sku"), ",")
		b.WriteByte('[')
		for n, sku := range skus {
			i := g.number(sku)
			comma(&b, n)
			fmt.Fprintf(&b, `{"id":%d,"type":"simple","sku":%q,"parent_id":0,"manage_stock":true,"stock_quantity":%d}`, i+1, sku, Percent.shows(i))
		}
		b.WriteByte(']')
		return respond(r, &b, http.Header{"X-Wp-Total": {strconv.Itoa(len(skus))}})
	}
	var batch struct {
		Update []struct {
			ID       int `json:"id"`
			Quantity int `json:"stock_quantity"`
		}
	}
	if err := json.NewDecoder(r.Body).Decode(&batch); err != nil {
		return nil, err
	}
	b.WriteString(`{"update":[`)
	for n, u := range batch.Update {
		comma(&b, n)
		fmt.Fprintf(&b, `{"id":%d,"manage_stock":true,"stock_quantity":%d}`, u.ID, u.Quantity)
	}
	b.WriteString(`]}`)
	return respond(r, &b, nil)
}

func comma(b *bytes.Buffer, n int) {
	if n > 0 {
		b.WriteByte(',')
	}
}

func respond(r *http.Request, body io.Reader, h http.Header) (*http.Response, error) {
	if h == nil {
		h = http.Header{}
	}
	h.Set("Content-Type", "application/json")
	return &http.Response{StatusCode: http.StatusOK, Header: h, Body: io.NopCloser(body), Request: r}, nil
}

// lines is the result of a bulk operation over n items.
type lines struct {
	n, next int
	line    []byte
}

func (l *lines) Read(p []byte) (int, error) {
	if len(l.line) == 0 {
		if l.next == l.n {
			return 0, io.EOF
		}
		l.line = fmt.Appendf(l.line, `{"id":"gid://shopify/InventoryItem/%d","sku":%q}`+"\n", l.next+1, generatedSKU(l.next))
		l.next++
	}
	n := copy(p, l.line)
	l.line = l.line[n:]
	return n, nil
}

// A heap is something whose memory is measured while it reconciles a catalogue
// of n products.
type heap struct {
	name string
	// make makes the clients; with says how the services are reached.
	make func(g generated, with func(service string) *http.Client) (channel.Source, []channel.Channel, error)
}

var heaps = []heap{
	{"syncer alone", func(g generated, _ func(string) *http.Client) (channel.Source, []channel.Channel, error) {
		return g, []channel.Channel{g}, nil
	}},
	{"ECOSIRE to WooCommerce", func(_ generated, with func(string) *http.Client) (channel.Source, []channel.Channel, error) {
		source, err := ecosire.New(ecosire.Config{APIKey: "eco_live_test", HTTPClient: with("ecosire")})
		if err != nil {
			return nil, nil, err
		}
		site, err := woocommerce.New(woocommerce.Config{
			URL: "https://shop.example", ConsumerKey: "ck_test", ConsumerSecret: "cs_test", HTTPClient: with("woocommerce")})
		if err != nil {
			return nil, nil, err
		}
		store, err := site.Channel(woocommerce.ChannelConfig{Track: true})
		return source, []channel.Channel{store}, err
	}},
	{"ECOSIRE to Shopify", func(_ generated, with func(string) *http.Client) (channel.Source, []channel.Channel, error) {
		source, err := ecosire.New(ecosire.Config{APIKey: "eco_live_test", HTTPClient: with("ecosire")})
		if err != nil {
			return nil, nil, err
		}
		shop, err := shopify.New(shopify.Config{Shop: "test-shop", Token: shopify.StaticToken("shpat_test"), HTTPClient: with("shopify")})
		if err != nil {
			return nil, nil, err
		}
		location, err := shop.Channel(shopify.ChannelConfig{LocationID: "1"})
		return source, []channel.Channel{location}, err
	}},
}

// service is one of the services, by its name.
func (g generated) service(name string) roundTrip {
	return map[string]roundTrip{"ecosire": g.ecosire, "shopify": g.shopify, "woocommerce": g.woocommerce}[name]
}

// here reaches a service in this process.
func (g generated) here(service string) *http.Client {
	return &http.Client{Transport: g.service(service)}
}

// peak returns the most that was live on the heap during a reconciliation,
// beyond what was before.
func (h heap) peak(tb testing.TB, n int) (mib float64) {
	tb.Helper()
	live := func() float64 {
		runtime.GC()
		marked := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
		metrics.Read(marked)
		return float64(marked[0].Value.Uint64()) / (1 << 20)
	}
	before, most := live(), 0.0
	g := generated(n)
	source, channels, err := h.make(g, g.here)
	if err != nil {
		tb.Fatal(err)
	}
	cfg := syncer.Config{Source: source}
	for _, c := range channels {
		cfg.Targets = append(cfg.Targets, syncer.Target{Channel: c})
	}
	s, err := syncer.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				most = max(most, live())
			}
		}
	})
	r, err := s.Reconcile(tb.Context())
	close(stop)
	wg.Wait()
	if err != nil || r.Err() != nil || r.Channels[0].Checked != n || r.Channels[0].Updated != n/100 {
		tb.Fatal(r, err)
	}
	return max(0, most-before)
}

// BenchmarkHeap is the peak of the live heap during a reconciliation.
func BenchmarkHeap(b *testing.B) {
	for _, h := range heaps {
		for _, n := range []int{10_000, 200_000} {
			b.Run(fmt.Sprintf("%s/%d", h.name, n), func(b *testing.B) {
				most := 0.0
				for b.Loop() {
					most = max(most, h.peak(b, n))
				}
				b.ReportMetric(most, "peak-MiB")
			})
		}
	}
}

// TestHeap makes a table of it.
func TestHeap(t *testing.T) {
	measured(t)
	head := []string{"products"}
	for _, h := range heaps {
		head = append(head, h.name+", MiB")
	}
	out := newTable("heap", head...)
	all := []int{10_000, 100_000}
	if mode == "full" {
		all = append(all, 1_000_000)
	}
	for _, n := range all {
		row := []any{number(n)}
		for _, h := range heaps {
			row = append(row, fmt.Sprintf("%.1f", h.peak(t, n)))
		}
		out.row(row...)
	}
	out.done(t)
}
