package otelsync

import (
	"context"
	"net/http"
	"strconv"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/syncer"
)

const header = "traceparent"

// traceparent is the context's span as a W3C traceparent, or "".
func traceparent(ctx context.Context) string {
	c := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, c)
	return c[header]
}

// spansOf are the spans that traceparents name, each once.
func spansOf(traceparents []string) (spans []trace.SpanContext) {
	seen := make(map[string]bool, len(traceparents))
	for _, text := range traceparents {
		if seen[text] {
			continue
		}
		seen[text] = true
		ctx := propagation.TraceContext{}.Extract(context.Background(), propagation.MapCarrier{header: text})
		if span := trace.SpanContextFromContext(ctx); span.IsValid() {
			spans = append(spans, span)
		}
	}
	return spans
}

// ofOne reports whether spans are all of one trace.
func ofOne(spans []trace.SpanContext) bool {
	for _, s := range spans {
		if s.TraceID() != spans[0].TraceID() {
			return false
		}
	}
	return len(spans) > 0
}

// work begins the span of a turn or a call.
func (o *observer) work(ctx context.Context, w syncer.Work) (context.Context, func(syncer.WorkDone)) {
	spans := spansOf(w.Links)
	options := []trace.SpanStartOption{trace.WithAttributes(o.always...)}
	for _, s := range spans {
		options = append(options, trace.WithLinks(trace.Link{SpanContext: s}))
	}
	parent := ctx
	if ofOne(spans) && !trace.SpanContextFromContext(ctx).IsValid() {
		parent = trace.ContextWithRemoteSpanContext(ctx, spans[len(spans)-1])
	}
	name := string(w.Kind)
	if w.Kind == syncer.WorkTurn {
		name = "process " + w.Channel
		options = append(options, trace.WithSpanKind(trace.SpanKindConsumer), trace.WithAttributes(
			semconv.MessagingSystemKey.String("stocksync"), semconv.MessagingOperationTypeProcess, semconv.MessagingOperationName("process"),
			semconv.MessagingDestinationName(w.Channel), semconv.MessagingBatchMessageCount(w.Products), channelKey.String(w.Channel)))
	}
	options = append(options, trace.WithAttributes(runKey.String(w.Run)))
	inner, span := o.tracer.Start(parent, name, options...)
	return inner, func(d syncer.WorkDone) {
		o.done(inner, w.Kind, d)
		if c := d.Channel; c != nil {
			span.SetAttributes(counts(c)...)
		}
		if r := d.Report; r != nil {
			span.SetAttributes(productsKey.Int(r.Read))
		}
		end(span, d.Err)
	}
}

func counts(c *syncer.ChannelReport) []attribute.KeyValue {
	return []attribute.KeyValue{
		attribute.Int("stocksync.written", c.Updated), attribute.Int("stocksync.unchanged", c.Unchanged),
		attribute.Int("stocksync.held", c.Held), attribute.Int("stocksync.failed", c.Failed+c.Unclear),
	}
}

func end(span trace.Span, err error) {
	if err != nil {
		span.SetStatus(codes.Error, err.Error())
		span.SetAttributes(semconv.ErrorTypeKey.String(channel.Class(err)))
	}
	span.End()
}

// delivery begins the span of a request that the webhook handler got.
func (o *observer) delivery(ctx context.Context, r *http.Request) (context.Context, func(int)) {
	kind := trace.SpanKindInternal // within the host's server span
	if !trace.SpanContextFromContext(ctx).IsValid() {
		kind = trace.SpanKindServer
		ctx = propagation.TraceContext{}.Extract(ctx, propagation.HeaderCarrier(r.Header))
	}
	method := r.Method
	if method != http.MethodPost {
		method = "_OTHER" // whoever sends it chooses the word
	}
	ctx, span := o.tracer.Start(ctx, "webhook", trace.WithSpanKind(kind), trace.WithAttributes(o.always...),
		trace.WithAttributes(semconv.HTTPRequestMethodKey.String(method)))
	return ctx, func(status int) {
		o.deliveries.Add(ctx, 1, o.with(semconv.HTTPResponseStatusCode(status)))
		span.SetAttributes(semconv.HTTPResponseStatusCode(status))
		if status >= http.StatusInternalServerError {
			span.SetStatus(codes.Error, "")
			span.SetAttributes(semconv.ErrorTypeKey.String(strconv.Itoa(status)))
		}
		span.End()
	}
}

// changed notes a quantity that was written in the span of the turn or call.
func (o *observer) changed(ctx context.Context, name string, c syncer.Change) {
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return
	}
	attrs := []attribute.KeyValue{channelKey.String(name), skuKey.String(c.SKU), productKey.String(c.ProductID), wantedKey.Int(c.Wanted)}
	if c.Shown != nil {
		attrs = append(attrs, shownKey.Int(*c.Shown))
	}
	if c.State != "" {
		attrs = append(attrs, stateKey.String(string(c.State)))
	}
	span.AddEvent("stocksync.write", trace.WithAttributes(attrs...))
}

// requestSpan records a request that was made within a span. One that was not,
// such as a watch's, would be a trace of its own with nothing else in it.
func (o *observer) requestSpan(ctx context.Context, r channel.Request, attrs []attribute.KeyValue) {
	if !trace.SpanFromContext(ctx).IsRecording() {
		return
	}
	_, span := o.tracer.Start(ctx, r.Service+" "+r.Op, trace.WithSpanKind(trace.SpanKindClient), trace.WithTimestamp(r.Sent),
		trace.WithAttributes(attrs...), trace.WithAttributes(o.always...))
	if r.Attempt > 1 {
		span.SetAttributes(semconv.HTTPRequestResendCount(r.Attempt - 1))
	}
	switch {
	case r.Err != nil:
		span.SetStatus(codes.Error, r.Err.Error())
	case r.Status >= 400:
		span.SetStatus(codes.Error, "")
	}
	span.End(trace.WithTimestamp(r.Sent.Add(r.Took)))
}
