package otelsync_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net/http/httptest"
	"strings"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/exporters/stdout/stdouttrace"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/trace"

	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/ecosire"
	"github.com/ecosire/stocksync/ecosire/ecosiretest"
	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/syncer/otelsync"
)

// A host sets up OpenTelemetry as it does for the rest of its process, and
// instruments the syncer. Here Prometheus reads the metrics from a handler, and
// traces are written as JSON.
func Example() {
	exporter, err := prometheus.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	otel.SetMeterProvider(metric.NewMeterProvider(metric.WithReader(exporter)))
	var traces bytes.Buffer // os.Stdout, or an OTLP exporter in place of this one
	spans, err := stdouttrace.New(stdouttrace.WithWriter(&traces))
	if err != nil {
		fmt.Println(err)
		return
	}
	tracing := trace.NewTracerProvider(trace.WithBatcher(spans))
	otel.SetTracerProvider(tracing)

	s, products, err := instrumentedSyncer()
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := s.SyncProducts(context.Background(), products...); err != nil {
		fmt.Println(err)
		return
	}

	page := httptest.NewRecorder() // the host mounts promhttp.Handler() at /metrics
	promhttp.Handler().ServeHTTP(page, httptest.NewRequest("GET", "/metrics", nil))
	for lines := bufio.NewScanner(page.Body); lines.Scan(); {
		if name, _, _ := strings.Cut(lines.Text(), "{"); name == "stocksync_writes_total" {
			fmt.Println(name, lines.Text()[strings.LastIndex(lines.Text(), " ")+1:])
		}
	}
	if err := tracing.Shutdown(context.Background()); err != nil {
		fmt.Println(err)
	}
	fmt.Println(strings.Contains(traces.String(), `"Name":"ecosire GET /inventory/products"`))
	// Output:
	// stocksync_writes_total 1
	// true
}

// instrumentedSyncer is a syncer for a simulated ECOSIRE with one product, and
// a channel in memory.
func instrumentedSyncer() (*syncer.Syncer, []string, error) {
	server := ecosiretest.New(ecosiretest.Config{})
	products := server.Add(ecosiretest.Product{SKU: "MUG", OnHand: 12})
	source, err := ecosire.New(ecosire.Config{APIKey: "eco_live_test", HTTPClient: server.Client()})
	if err != nil {
		return nil, nil, err
	}
	shop := channeltest.NewMemory("shop")
	shop.Set("MUG", 7)
	cfg := syncer.Config{Source: source, Targets: []syncer.Target{{Channel: shop}}}
	s, err := syncer.New(otelsync.Instrument(cfg, otelsync.Config{}))
	return s, products, err
}
