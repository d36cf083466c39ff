package otelsync_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	client "github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/syncer/otelsync"
)

const docs = "../../docs/"

// everything tells hooks of one of each thing that they can be told of.
func everything(t *testing.T, h syncer.Hooks) {
	ctx, now, down := t.Context(), time.Now(), fmt.Errorf("shop: %w", channel.ErrUnavailable)
	quota := &channel.Quota{Left: 7, Limit: 60, Unit: "request"}
	ctx, done := h.Delivery(ctx, httptest.NewRequest("POST", "/", nil))
	h.Received(ctx, channel.Event{Type: "order.created"})
	h.Marked(ctx, []string{"p1"})
	done(202)
	report := syncer.ChannelReport{
		Channel: "shop", Updated: 1, Pending: 1, Unclear: 1, Superseded: 1, Held: 1, Replanned: 1, Unknown: 1, Failed: 1, Over: 1,
	}
	_, end := h.Work(ctx, syncer.Work{Kind: "turn", Channel: "shop"})
	h.Request(ctx, "shop", channel.Request{Service: "shop", Op: "GET /", Method: "GET", Host: "shop.example", Status: 500})
	h.Changed(ctx, "shop", syncer.Change{SKU: "MUG"})
	end(syncer.WorkDone{Channel: &report})
	h.Pushed(ctx, syncer.Pushed{ChannelReport: report, Delays: []time.Duration{time.Second}})
	h.Retry(ctx, syncer.Retry{Channel: "shop", Products: 1, Err: down})
	h.GaveUp(ctx, syncer.Problem{Channel: "shop", Err: channel.ErrUnknownSKU})
	h.Down(ctx, "shop", down)
	h.Up(ctx, "shop", time.Second)
	h.Tripped(ctx, "shop", syncer.Trip{})
	h.InFlight(ctx, syncer.FlightEvent{Channel: "shop", Units: 2, Kind: "noticed"})
	h.Observed(ctx, "shop", syncer.Change{})
	h.Alarm(ctx, syncer.Alarm{Class: syncer.CredentialsRefused, Channel: "shop"})
	h.Leading(ctx, syncer.LeaderInfo{Number: 3})
	h.Health(ctx, syncer.Health{
		Running: true, Role: syncer.RoleLeader, Leader: &syncer.LeaderInfo{Number: 3}, Reconciled: now, Next: now.Add(time.Hour), Progress: now, Quota: quota,
		Channels: []syncer.ChannelHealth{{Channel: "shop", Depth: syncer.Depth{Tasks: 2, Oldest: now.Add(-time.Minute)}, Held: 4, Quota: quota, Paused: &syncer.Pause{}}},
	}, nil)
	_, end = h.Work(ctx, syncer.Work{Kind: "reconcile"})
	end(syncer.WorkDone{Report: &syncer.Report{Duration: time.Minute, Channels: []syncer.ChannelReport{report}}})
	h.Deposed(ctx, 3, true)
}

// An exported is a metric as it leaves: its kind and unit, and the attributes
// that it has had.
type exported struct {
	kind, unit string
	attributes map[string]bool
}

// recorded is everything that a run of everything records, by name.
func recorded(t *testing.T, reader *metric.ManualReader) map[string]*exported {
	var data metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(t.Context(), &data))
	all := make(map[string]*exported)
	for _, scope := range data.ScopeMetrics {
		for _, m := range scope.Metrics {
			e := &exported{unit: m.Unit, attributes: make(map[string]bool)}
			all[m.Name] = e
			switch d := m.Data.(type) {
			case metricdata.Sum[int64]:
				e.kind = "counter"
				keysOf(e, d.DataPoints)
			case metricdata.Gauge[int64]:
				e.kind = "gauge"
				keysOf(e, d.DataPoints)
			case metricdata.Gauge[float64]:
				e.kind = "gauge"
				keysOf(e, d.DataPoints)
			case metricdata.Histogram[float64]:
				e.kind = "histogram"
				for _, p := range d.DataPoints {
					for _, a := range p.Attributes.ToSlice() {
						e.attributes[string(a.Key)] = true
					}
				}
			}
			assert.NotEmpty(t, m.Description, m.Name)
		}
	}
	return all
}

func keysOf[N int64 | float64](e *exported, points []metricdata.DataPoint[N]) {
	for _, p := range points {
		for _, a := range p.Attributes.ToSlice() {
			e.attributes[string(a.Key)] = true
		}
	}
}

// instrumented returns the hooks of a host, what they record, and the names that
// Prometheus has for it.
func instrumented(t *testing.T) (hooks syncer.Hooks, reader *metric.ManualReader, registry *client.Registry) {
	reader, registry = metric.NewManualReader(), client.NewRegistry()
	exporter, err := prometheus.New(prometheus.WithRegisterer(registry))
	require.NoError(t, err)
	provider := metric.NewMeterProvider(metric.WithReader(reader), metric.WithReader(exporter))
	return otelsync.Instrument(syncer.Config{}, otelsync.Config{MeterProvider: provider}).Hooks, reader, registry
}

var row = regexp.MustCompile("(?m)^\\| `([a-z_.]+)` \\| `([a-z_]+)` \\| (\\w+) \\|([^|]*)\\|([^|]*)\\|")

// The documentation's table has each metric, with its name at Prometheus, its
// kind, its unit and its attributes, and no other.
func TestEveryMetricIsDocumented(t *testing.T) {
	page, err := os.ReadFile(docs + "opentelemetry.md")
	require.NoError(t, err)
	hooks, reader, registry := instrumented(t)
	everything(t, hooks)
	have := recorded(t, reader)
	families := make(map[string]bool)
	gathered, err := registry.Gather()
	require.NoError(t, err)
	for _, f := range gathered {
		families[f.GetName()] = true
	}
	documented := make(map[string]bool)
	for _, m := range row.FindAllStringSubmatch(string(page), -1) {
		name, series, kind, unit, attributes := m[1], m[2], m[3], strings.TrimSpace(m[4]), strings.FieldsFunc(m[5], func(r rune) bool { return strings.ContainsRune("`, ", r) })
		documented[name] = true
		e := have[name]
		if !assert.NotNil(t, e, "%s is documented, and recorded by nothing", name) {
			continue
		}
		assert.True(t, families[series], "Prometheus has no %s", series)
		assert.Equal(t, e.kind, kind, name)
		assert.Equal(t, strings.Trim(e.unit, "{}"), unit, name)
		assert.ElementsMatch(t, slices.Collect(maps.Keys(e.attributes)), attributes, name)
	}
	for name := range have {
		assert.True(t, documented[name], "%s is not in docs/opentelemetry.md", name)
	}
}

// names are the metrics and labels that are named in a text of PromQL.
var promName = regexp.MustCompile(`\b(?:stocksync|http|server|error)_[a-z_]+`)

// unknownNames are those in PromQL that are neither a series nor a label.
func unknownNames(t *testing.T, expressions []string) (unknown []string) {
	hooks, _, registry := instrumented(t)
	everything(t, hooks)
	known := make(map[string]bool)
	gathered, err := registry.Gather()
	require.NoError(t, err)
	for _, f := range gathered {
		known[f.GetName()] = true
		if f.GetType().String() == "HISTOGRAM" {
			for _, suffix := range []string{"_bucket", "_count", "_sum"} {
				known[f.GetName()+suffix] = true
			}
		}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				known[l.GetName()] = true
			}
		}
	}
	for _, e := range expressions {
		for _, name := range promName.FindAllString(e, -1) {
			if !known[name] {
				unknown = append(unknown, name)
			}
		}
	}
	return unknown
}

var expr = regexp.MustCompile(`(?m)^\s+expr: (.+)$`)

func TestAlertRulesNameWhatThereIs(t *testing.T) {
	data, err := os.ReadFile(docs + "alerts.yml")
	require.NoError(t, err)
	var expressions []string
	for _, m := range expr.FindAllStringSubmatch(string(data), -1) {
		expressions = append(expressions, m[1])
	}
	require.Len(t, expressions, strings.Count(string(data), "- alert: "))
	assert.Empty(t, unknownNames(t, expressions))
	assert.Equal(t, []string{"stocksync_nothing"}, unknownNames(t, []string{"stocksync_nothing > 0"}), "this test can fail")
	page, err := os.ReadFile(docs + "opentelemetry.md")
	require.NoError(t, err)
	for _, m := range regexp.MustCompile(`- alert: (\w+)`).FindAllStringSubmatch(string(data), -1) {
		assert.Contains(t, string(page), "`"+m[1]+"`", "what to do about the alert is not documented")
	}
}

func TestPromtoolAcceptsTheAlertRules(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		if os.Getenv("STOCKSYNC_PROMTOOL") == "require" {
			t.Fatal("promtool is missing, which Debian's package prometheus has")
		}
		t.Skip("promtool is missing, which Debian's package prometheus has")
	}
	for _, args := range [][]string{{"check", "rules", docs + "alerts.yml"}, {"test", "rules", docs + "alerts_test.yml"}} {
		out, err := exec.CommandContext(t.Context(), promtool, args...).CombinedOutput()
		assert.NoError(t, err, "promtool %v: %s", args, out)
	}
}

func TestTheDashboardNamesWhatThereIs(t *testing.T) {
	data, err := os.ReadFile(docs + "dashboard.json")
	require.NoError(t, err)
	var dashboard struct {
		Title  string
		Panels []struct {
			Title, Description string
			GridPos            struct{ H, W, X, Y int }
			Targets            []struct{ Expr, RefID string }
		}
	}
	require.NoError(t, json.Unmarshal(data, &dashboard))
	assert.Equal(t, "stocksync", dashboard.Title)
	require.NotEmpty(t, dashboard.Panels)
	var expressions []string
	taken := make(map[[2]int]string)
	for _, p := range dashboard.Panels {
		assert.NotEmpty(t, p.Title)
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				assert.Empty(t, taken[[2]int{x, y}], "%s lies over another panel", p.Title)
				taken[[2]int{x, y}] = p.Title
			}
		}
		for _, target := range p.Targets {
			expressions = append(expressions, target.Expr)
		}
	}
	require.NotEmpty(t, expressions)
	assert.Empty(t, unknownNames(t, expressions))
}

// The hooks of the host are called as before.
func TestTheHostsHooksAreCalled(t *testing.T) {
	var called []string
	tell := func(name string) { called = append(called, name) }
	h := otelsync.Instrument(syncer.Config{Hooks: hostHooks(tell)}, otelsync.Config{}).Hooks
	everything(t, h)
	assert.Equal(t, "the host's", h.Trace(t.Context()))
	slices.Sort(called)
	assert.Equal(t, []string{
		"Alarm", "Changed", "Delivery", "Deposed", "Down", "GaveUp", "Health", "InFlight", "Leading", "Marked", "Observed", "Pushed", "Received", "Request", "Retry",
		"Tripped", "Up", "Work", "Work", "answered", "done", "done",
	}, called)
}

func TestManyTypesOfEventsAreFewSeries(t *testing.T) {
	hooks, reader, _ := instrumented(t)
	for i := range 500 {
		hooks.Received(t.Context(), channel.Event{Type: fmt.Sprintf("type-%d", i)})
	}
	var data metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(t.Context(), &data))
	assert.LessOrEqual(t, len(data.ScopeMetrics[0].Metrics[0].Data.(metricdata.Sum[int64]).DataPoints), 51)
}

func TestAnAlarmThatAnotherReplicaEndedIsOver(t *testing.T) {
	hooks, reader, _ := instrumented(t)
	is := func(alarms ...syncer.Alarm) (value int64) {
		hooks.Health(t.Context(), syncer.Health{Running: true, Alarms: alarms}, nil)
		var data metricdata.ResourceMetrics
		require.NoError(t, reader.Collect(t.Context(), &data))
		for _, m := range data.ScopeMetrics[0].Metrics {
			if m.Name == "stocksync.alarms" {
				value = m.Data.(metricdata.Gauge[int64]).DataPoints[0].Value
			}
		}
		return value
	}
	assert.Equal(t, int64(1), is(syncer.Alarm{Class: syncer.SecretFails}))
	assert.Equal(t, int64(0), is())
}

func TestAQueueThatFailsSaysSo(t *testing.T) {
	hooks, reader, _ := instrumented(t)
	hooks.Health(t.Context(), syncer.Health{Running: true}, errors.New("down"))
	have := recorded(t, reader)
	assert.Contains(t, have, "stocksync.queue.up")
	assert.NotContains(t, have, "stocksync.waiting", "what is not known is not told")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	hooks.Health(ctx, syncer.Health{}, nil)
	assert.Contains(t, recorded(t, reader), "stocksync.running")
}
