package otelsync

import (
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
)

// metrics are the instruments. docs/opentelemetry.md says what each means, and
// which attributes it has.
type metrics struct {
	deliveries, events, marked metric.Int64Counter
	visible                    metric.Float64Histogram
	requests                   metric.Float64Histogram
	writes, drift              metric.Int64Counter
	retries, gaveUp, trips     metric.Int64Counter
	downs, flights, observed   metric.Int64Counter
	reconciliation             metric.Float64Histogram

	running, leading, term       metric.Int64Gauge
	progressAge                  metric.Float64Gauge
	queueUp                      metric.Int64Gauge
	up, paused, held             metric.Int64Gauge
	waiting                      metric.Int64Gauge
	waitingAge                   metric.Float64Gauge
	orders, alarms, pinned       metric.Int64Gauge
	ordersAge                    metric.Float64Gauge
	quotaLeft, quotaLimit        metric.Float64Gauge
	reconciledAge, reconcileNext metric.Float64Gauge
}

// Buckets in seconds: of what should take two seconds, and of a night.
var (
	moments = metric.WithExplicitBucketBoundaries(0.25, 0.5, 1, 2, 5, 10, 30, 60, 300, 900, 3600, 14400)
	nights  = metric.WithExplicitBucketBoundaries(10, 60, 300, 900, 1800, 3600, 7200, 14400, 28800)
	// Those that the semantic conventions name for requests, and two above, since
	// shops can be slow.
	answers = metric.WithExplicitBucketBoundaries(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 30, 60)
)

func newMetrics(m metric.Meter) metrics {
	counter := func(name, unit, about string) metric.Int64Counter {
		c, err := m.Int64Counter(name, metric.WithUnit(unit), metric.WithDescription(about))
		return heeded(c, err)
	}
	gauge := func(name, unit, about string) metric.Int64Gauge {
		g, err := m.Int64Gauge(name, metric.WithUnit(unit), metric.WithDescription(about))
		return heeded(g, err)
	}
	measure := func(name, unit, about string) metric.Float64Gauge {
		g, err := m.Float64Gauge(name, metric.WithUnit(unit), metric.WithDescription(about))
		return heeded(g, err)
	}
	seconds := func(name string, buckets metric.HistogramOption, about string) metric.Float64Histogram {
		h, err := m.Float64Histogram(name, metric.WithUnit("s"), buckets, metric.WithDescription(about))
		return heeded(h, err)
	}
	return metrics{
		deliveries: counter("stocksync.deliveries", "{delivery}", "Requests that the webhook handler answered, whoever sent them."),
		events:     counter("stocksync.events", "{event}", "Events that were accepted as genuine."),
		marked:     counter("stocksync.marked", "{product}", "Products marked as changed, each time that they are."),
		visible:    seconds("stocksync.event.visible.duration", moments, "Time from a product's oldest mark until a channel shows it."),
		requests:   seconds("http.client.request.duration", answers, "Duration of requests to ECOSIRE and to the channels' services, each attempt by itself."),
		writes:     counter("stocksync.writes", "{listing}", "Listings dealt with on a channel other than unchanged, by what became of them."),
		drift:      counter("stocksync.drift", "{listing}", "Listings that a reconciliation found to show more or less than they should."),
		retries:    counter("stocksync.retries", "{product}", "Products put back to be tried again."),
		gaveUp:     counter("stocksync.given_up", "{product}", "Products given up until they change."),
		trips:      counter("stocksync.guard.trips", "{trip}", "Times that a channel's guard has tripped."),
		downs:      counter("stocksync.channel.downs", "{failure}", "Times that a channel began to fail as a whole."),
		flights:    counter("stocksync.flights", "{unit}", "Units that a channel has sold before the source booked them, by what became of them."),
		observed:   counter("stocksync.observed", "{listing}", "Listings that would have been written if the channel were not only observed."),

		reconciliation: seconds("stocksync.reconciliation.duration", nights, "Duration of reconciliations."),

		running:       gauge("stocksync.running", "", "1 while Run runs in this process, and 0 when it has ended."),
		leading:       gauge("stocksync.leading", "", "1 if this process does the work: it leads, or has a queue of its own."),
		term:          gauge("stocksync.term", "{term}", "Number of the term of whoever leads."),
		progressAge:   measure("stocksync.progress.age", "s", "Time since this process last got on with work."),
		queueUp:       gauge("stocksync.queue.up", "", "1 if the queue works, and 0 while it fails."),
		up:            gauge("stocksync.channel.up", "", "1 if the channel works, and 0 while it fails as a whole."),
		paused:        gauge("stocksync.channel.paused", "", "1 while somebody has paused the channel."),
		held:          gauge("stocksync.held", "{line}", "Lines that the guard of the channel holds."),
		waiting:       gauge("stocksync.waiting", "{product}", "Products marked as changed that the channel does not show yet."),
		waitingAge:    measure("stocksync.waiting.age", "s", "Age of the channel's oldest mark; 0 if none waits."),
		orders:        gauge("stocksync.orders.waiting", "{order}", "The backlog of orders not yet resolved to products."),
		ordersAge:     measure("stocksync.orders.waiting.age", "s", "Age of the oldest of these orders; 0 if none waits."),
		alarms:        gauge("stocksync.alarms", "", "1 while an alarm is on, and 0 when it is over."),
		pinned:        gauge("stocksync.pinned", "{product}", "Products that somebody has pinned."),
		quotaLeft:     measure("stocksync.quota.left", "{unit}", "What is left of a service's quota."),
		quotaLimit:    measure("stocksync.quota.limit", "{unit}", "What can be left of a service's quota at most."),
		reconciledAge: measure("stocksync.reconciliation.age", "s", "Time since the last complete reconciliation began; none before the first."),
		reconcileNext: measure("stocksync.reconciliation.next", "s", "Time until the next reconciliation; none if none is planned."),
	}
}

// heeded tells OpenTelemetry's handler of an error. The instrument is of use all
// the same.
func heeded[T any](instrument T, err error) T {
	if err != nil {
		otel.Handle(err)
	}
	return instrument
}
