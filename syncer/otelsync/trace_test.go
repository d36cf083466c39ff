package otelsync_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/ecosire/stocksync/ecosire"
	"github.com/ecosire/stocksync/ecosire/ecosiretest"
	"github.com/ecosire/stocksync/shopify"
	"github.com/ecosire/stocksync/shopify/shopifytest"
	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/syncer/boltqueue"
	"github.com/ecosire/stocksync/syncer/otelsync"
	"github.com/ecosire/stocksync/woocommerce"
	"github.com/ecosire/stocksync/woocommerce/woocommercetest"
)

const secret = "whsec_test"

// A merchant has an ECOSIRE with two products of ten units, and two shops that
// show seven.
type merchant struct {
	ecosire *ecosiretest.Server
	shopify *shopifytest.Server
	woo     *woocommercetest.Server
	ids     []string
	logs    lockedBuffer
}

func newMerchant() *merchant {
	m := &merchant{
		ecosire: ecosiretest.New(ecosiretest.Config{}),
		shopify: shopifytest.New(shopifytest.Config{}),
		woo:     woocommercetest.New(woocommercetest.Config{}),
	}
	for _, sku := range []string{"MUG", "CUP"} {
		m.ids = append(m.ids, m.ecosire.Add(ecosiretest.Product{SKU: sku, OnHand: 12, Reserved: 2})...)
		m.shopify.Add(shopifytest.Item{SKU: sku, Available: 7})
		m.woo.Add(woocommercetest.Product{SKU: sku, Quantity: 7})
	}
	return m
}

// config is that of a syncer for the merchant.
func (m *merchant) config(t *testing.T) syncer.Config {
	source, err := ecosire.New(ecosire.Config{APIKey: "eco_live_test", HTTPClient: m.ecosire.Client()})
	require.NoError(t, err)
	shop, err := shopify.New(shopify.Config{Shop: "test-shop", Token: shopify.StaticToken("shpat_test"), HTTPClient: m.shopify.Client()})
	require.NoError(t, err)
	location, err := shop.Channel(shopify.ChannelConfig{LocationID: m.shopify.Location()})
	require.NoError(t, err)
	site, err := woocommerce.New(woocommerce.Config{URL: "https://shop.example", ConsumerKey: "ck_test", ConsumerSecret: "cs_test", HTTPClient: m.woo.Client()})
	require.NoError(t, err)
	store, err := site.Channel(woocommerce.ChannelConfig{})
	require.NoError(t, err)
	webhooks, err := ecosire.NewWebhooks(secret)
	require.NoError(t, err)
	return syncer.Config{
		Source: source, Webhooks: webhooks, Schedule: syncer.Never(), WatchEvery: -1,
		Targets: []syncer.Target{{Channel: location}, {Channel: store}},
		Logger:  slog.New(slog.NewTextHandler(&m.logs, nil)),
	}
}

// post delivers an event about products.
func post(t *testing.T, s *syncer.Syncer, traceparent string, ids ...string) {
	t.Helper()
	body := `{"id":"evt_1","event":"checkout.completed","data":{"productIds":["` + strings.Join(ids, `","`) + `"]}}`
	r := httptest.NewRequest("POST", "/", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Ecosire-Signature", ecosire.Sign(secret, []byte(body)))
	if traceparent != "" {
		r.Header.Set("Traceparent", traceparent)
	}
	w := httptest.NewRecorder()
	s.WebhookHandler().ServeHTTP(w, r)
	require.Equal(t, 202, w.Code)
}

// run runs the syncer until both shops show what they should.
func (m *merchant) run(t *testing.T, s *syncer.Syncer, skus ...string) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	assert.Eventually(t, func() bool {
		for _, sku := range skus {
			a, _ := m.shopify.Available(sku)
			b, _ := m.woo.Quantity(sku)
			if a != 10 || b != 10 {
				return false
			}
		}
		h, err := s.Health(ctx)
		return err == nil && h.Channels[0].Tasks+h.Channels[1].Tasks == 0
	}, 20*time.Second, 5*time.Millisecond)
	stop()
	require.NoError(t, <-done)
}

// recorder is an SDK's provider of traces, and what it recorded.
func recorder() (*sdktrace.TracerProvider, *tracetest.InMemoryExporter) {
	memory := tracetest.NewInMemoryExporter()
	return sdktrace.NewTracerProvider(sdktrace.WithSyncer(memory)), memory
}

func named(spans tracetest.SpanStubs, name string) (found tracetest.SpanStubs) {
	for _, s := range spans {
		if s.Name == name {
			found = append(found, s)
		}
	}
	return found
}

func value(s tracetest.SpanStub, key string) string {
	for _, a := range s.Attributes {
		if a.Key == attribute.Key(key) {
			return a.Value.String()
		}
	}
	return ""
}

const (
	traceID = "0af7651916cd43dd8448eb211c80319c"
	sent    = "00-" + traceID + "-b7ad6b7169203331-01"
)

// A sale is one trace: from the delivery, over a queue in a file and a restart,
// to the request that writes on each shop.
func TestASaleIsOneTraceOverARestart(t *testing.T) {
	m := newMerchant()
	path := filepath.Join(t.TempDir(), "queue.db")
	before, received := recorder()
	queue, err := boltqueue.Open(path)
	require.NoError(t, err)
	cfg := m.config(t)
	cfg.Queue = queue
	s, err := syncer.New(otelsync.Instrument(cfg, otelsync.Config{TracerProvider: before}))
	require.NoError(t, err)
	post(t, s, sent, m.ids[0])
	require.NoError(t, queue.Close())

	after, worked := recorder() // of another process
	queue, err = boltqueue.Open(path)
	require.NoError(t, err)
	defer queue.Close()
	cfg = m.config(t)
	cfg.Queue = queue
	s, err = syncer.New(otelsync.Instrument(cfg, otelsync.Config{TracerProvider: after, Attributes: []attribute.KeyValue{attribute.String("tenant", "acme")}}))
	require.NoError(t, err)
	m.run(t, s, "MUG")

	deliveries := received.GetSpans()
	require.Len(t, deliveries, 1)
	delivery := deliveries[0]
	assert.Equal(t, "webhook", delivery.Name)
	assert.Equal(t, trace.SpanKindServer, delivery.SpanKind)
	assert.Equal(t, traceID, delivery.SpanContext.TraceID().String(), "the sender's")
	assert.Equal(t, "b7ad6b7169203331", delivery.Parent.SpanID().String())
	assert.Equal(t, "checkout.completed", value(delivery, "stocksync.event.type"))
	assert.Equal(t, "202", value(delivery, "http.response.status_code"))

	spans := worked.GetSpans()
	for _, span := range spans {
		assert.Equal(t, traceID, span.SpanContext.TraceID().String(), "%s is of another trace", span.Name)
		assert.Equal(t, "acme", value(span, "tenant"), span.Name)
	}
	for channel, write := range map[string]string{
		"shopify:test-shop":        "shopify inventorySetQuantities",
		"woocommerce:shop.example": "woocommerce POST /products/batch",
	} {
		turns := named(spans, "process "+channel)
		require.Len(t, turns, 1, channel)
		turn := turns[0]
		assert.Equal(t, delivery.SpanContext.SpanID(), turn.Parent.SpanID(), "the delivery's is the parent")
		require.Len(t, turn.Links, 1)
		assert.Equal(t, delivery.SpanContext.SpanID(), turn.Links[0].SpanContext.SpanID(), "and linked")
		require.Len(t, turn.Events, 1)
		assert.Equal(t, "stocksync.write", turn.Events[0].Name)
		writes := named(spans, write)
		if assert.Len(t, writes, 1, "%s of %v", write, names(spans)) {
			assert.Equal(t, turn.SpanContext.SpanID(), writes[0].Parent.SpanID())
			assert.Equal(t, trace.SpanKindClient, writes[0].SpanKind)
			assert.Equal(t, channel, value(writes[0], "stocksync.channel"))
			assert.Equal(t, "200", value(writes[0], "http.response.status_code"))
			assert.True(t, writes[0].EndTime.After(writes[0].StartTime))
		}
	}
	assert.Contains(t, m.logs.String(), "trace_id="+traceID, "a log line names its trace")
}

func names(spans tracetest.SpanStubs) (names []string) {
	for _, s := range spans {
		names = append(names, s.Name)
	}
	return names
}

// What is of several traces belongs to none of them, and is linked to each.
func TestATurnOfSeveralTracesIsLinkedToEach(t *testing.T) {
	m := newMerchant()
	provider, memory := recorder()
	s, err := syncer.New(otelsync.Instrument(m.config(t), otelsync.Config{TracerProvider: provider}))
	require.NoError(t, err)
	post(t, s, "", m.ids[0])
	post(t, s, sent, m.ids[1])
	m.run(t, s, "MUG", "CUP")
	spans := memory.GetSpans()
	deliveries := named(spans, "webhook")
	require.Len(t, deliveries, 2)
	assert.False(t, deliveries[0].Parent.IsValid(), "a trace of its own")
	turns := named(spans, "process shopify:test-shop")
	require.Len(t, turns, 1)
	assert.False(t, turns[0].Parent.IsValid())
	linked := make(map[trace.SpanID]bool)
	for _, l := range turns[0].Links {
		linked[l.SpanContext.SpanID()] = true
	}
	assert.Equal(t, map[trace.SpanID]bool{deliveries[0].SpanContext.SpanID(): true, deliveries[1].SpanContext.SpanID(): true}, linked)
}

// A call that the host makes within a span is part of it, and so are the
// marks.
func TestCallsAndMarksBelongToTheHostsSpan(t *testing.T) {
	m := newMerchant()
	provider, memory := recorder()
	reader := metric.NewManualReader()
	s, err := syncer.New(otelsync.Instrument(m.config(t), otelsync.Config{TracerProvider: provider, MeterProvider: metric.NewMeterProvider(metric.WithReader(reader))}))
	require.NoError(t, err)
	ctx, span := provider.Tracer("host").Start(t.Context(), "adjustment")
	_, err = s.SyncProducts(ctx, m.ids[0])
	require.NoError(t, err)
	require.NoError(t, s.Notify(ctx, m.ids[1]))
	span.End()
	m.run(t, s, "MUG", "CUP")
	own := memory.GetSpans()
	for _, span := range own {
		assert.Equal(t, span.SpanContext.TraceID(), own[0].SpanContext.TraceID(), span.Name)
	}
	calls := named(own, "sync")
	require.Len(t, calls, 1)
	assert.Equal(t, span.SpanContext().SpanID(), calls[0].Parent.SpanID())
	assert.Len(t, named(own, "process woocommerce:shop.example"), 1)
}

func TestLogLinesNameTheirTrace(t *testing.T) {
	var b bytes.Buffer
	logger := slog.New(otelsync.LogHandler(otelsync.LogHandler(slog.NewTextHandler(&b, nil)))).With("a", 1)
	provider, _ := recorder()
	ctx, span := provider.Tracer("").Start(t.Context(), "")
	logger.InfoContext(ctx, "in")
	logger.InfoContext(t.Context(), "out")
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	assert.Equal(t, 1, strings.Count(lines[0], "trace_id="+span.SpanContext().TraceID().String()))
	assert.Contains(t, lines[0], "a=1")
	assert.NotContains(t, lines[1], "trace_id")
}
