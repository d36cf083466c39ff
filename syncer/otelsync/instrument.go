package otelsync

import (
	"log/slog"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/ecosire/stocksync/syncer"
)

// scope names this package to OpenTelemetry.
const scope = "github.com/ecosire/stocksync/syncer/otelsync"

// Config configures [Instrument]. Nothing is required.
type Config struct {
	// MeterProvider and TracerProvider are where metrics and traces go; nil means
	// OpenTelemetry's global ones.
	MeterProvider  metric.MeterProvider
	TracerProvider trace.TracerProvider
	// Attributes are added to all metrics and spans, such as a tenant's name where
	// one process has several syncers.
	Attributes []attribute.KeyValue
}

// Instrument returns cfg for a syncer that is observed: with hooks that record
// metrics and traces, and with a Logger, if it has one, whose lines name their
// trace; see [LogHandler]. Hooks that cfg has already are called as before,
// after these.
//
// What is wrong with an instrument is told to OpenTelemetry's error handler. A
// configuration serves one syncer; for another one call Instrument again.
func Instrument(cfg syncer.Config, c Config) syncer.Config {
	if c.MeterProvider == nil {
		c.MeterProvider = otel.GetMeterProvider()
	}
	if c.TracerProvider == nil {
		c.TracerProvider = otel.GetTracerProvider()
	}
	o := &observer{
		metrics: newMetrics(c.MeterProvider.Meter(scope, metric.WithSchemaURL(semconv.SchemaURL))),
		tracer:  c.TracerProvider.Tracer(scope, trace.WithSchemaURL(semconv.SchemaURL)),
		always:  c.Attributes,
		types:   make(map[string]bool),
	}
	cfg.Hooks = o.hooks(cfg.Hooks)
	if cfg.Logger != nil {
		cfg.Logger = slog.New(LogHandler(cfg.Logger.Handler()))
	}
	return cfg
}
