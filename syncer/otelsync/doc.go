// Package otelsync gives a syncer OpenTelemetry's metrics, traces and log
// correlation. It is a module of its own, so that a host that does not use it
// does not have OpenTelemetry among its dependencies.
//
// One line does it:
//
//	s, err := syncer.New(otelsync.Instrument(cfg, otelsync.Config{}))
//
// The providers are OpenTelemetry's global ones unless [Config] names others;
// setting up these, and their exporters, is the host's.
//
// # Metrics
//
// docs/opentelemetry.md lists them; beside it are alert rules for Prometheus and
// a dashboard for Grafana. No metric has a label for a product or an SKU, so
// their number does not grow with the catalogue.
//
// Each replica of a service reports what the queue holds and how the channels
// are: take the maximum over them, and not the sum.
//
// # Traces
//
// A delivery is a span; if the host traces its server by otelhttp, or the sender
// has a trace, it belongs to that. The marks that it makes carry its context
// through the queue, over restarts and to other replicas. A turn, which takes
// marked products through one channel, is a span with a link to each delivery
// that it is about, at most 32. If they are all of one trace the turn belongs to
// that trace, too: so a lone sale is one trace from the shop's webhook to what
// was written on each channel. Requests to services are spans within turns and
// calls; each quantity written is an event of the turn's span.
//
// A trace begins with a delivery, or with a call or a mark that the host makes
// with a span in its context. A watch or a schedule begins none of its own,
// except for its runs and turns. The context of a trace is sent to no service.
package otelsync
