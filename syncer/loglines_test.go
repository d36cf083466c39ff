package syncer_test

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/syncer"
)

// lineKeys says what each line of the log must have besides its level, whoever
// causes it. Keys with a bar are alternatives.
var lineKeys = map[string]string{
	"what the guard counted in real time cannot be kept for the next leader": "err",
	"batch pushed":              "run channel",
	"channel synced":            "run channel",
	"run not completed":         "run err",
	"reconciliation":            "err",
	"products marked":           "products",
	"event received":            "event",
	"event not stored":          "event err",
	"webhook refused":           "err",
	"will be tried again":       "product|order run|order channel|order err",
	"given up until it changes": "product|order run|order channel|order err",
	"channel down":              "run channel err",
	"channel up":                "run channel",
	"channel paused":            "channel who",
	"channel resumed":           "channel after",
	"whether a channel is paused is not known; what was known goes on": "err",
	"what is pending is not kept; the next process writes it again":    "channel err",
	"units in flight": "channel product what units age",
	"what is in flight cannot be kept; a restart may undo sales":                                              "err",
	"what is in flight was kept by another version, and is not read":                                          "",
	"units in flight expired and were booked later: Config.Settle is shorter than the import of orders takes": "units settle",
	"approved":                                "channel who",
	"what was approved is done":               "run channel",
	"the guard is clear again":                "channel",
	"recovered from a panic":                  "op",
	"webhook refused: Config.Webhooks is nil": "",
	"the event names an order, and the source cannot tell its products; it is refused":                      "err",
	"the guard has tripped: nothing dangerous is written on the channel until somebody approves":            "run channel",
	"held lines could not be forgotten":                                                                     "run channel err",
	"what was approved could not be done yet":                                                               "err",
	"an approval covers what the guard would hold":                                                          "run channel",
	"what is retired was not found out as a whole":                                                          "run channel err",
	"preloading failed; the run is slower for it":                                                           "run channel err",
	"work that outlasts calls could not go on":                                                              "channel err",
	"a channel is no longer configured; what waited for it is dropped":                                      "channel",
	"a call does not return and is left behind; the channel is down until it does":                          "channel op",
	"a call that was left behind has returned":                                                              "op",
	"Run ends, and leaves a call behind that has not returned":                                              "channel op",
	"watching for changes failed":                                                                           "err",
	"the source's quantities are as of a time in the future; now counts instead":                            "product",
	"the source cannot pace its reads; they go on without":                                                  "err",
	"a kit without an SKU, without parts, or with an impossible number of units is left out":                "channel",
	"the queue failed, and is tried again":                                                                  "op err",
	"the queue works again":                                                                                 "op",
	"the journal cannot be written; what happens meanwhile will be missing from it":                         "err",
	"what is old in the journal cannot be removed":                                                          "err",
	"what is in trouble cannot be kept":                                                                     "channel err",
	"what is no longer in trouble cannot be forgotten":                                                      "channel err",
	"a call about a product does not return and is left behind; what it answers is not known until it does": "channel op",
	"a hook does not return and is left behind; it is not called again until it does":                       "op",
	"a hook that was left behind has returned":                                                              "op missed",
	"a call does not return and is left behind; there is no other until it does":                            "op",
	"a call of the queue does not return and is left behind; there is no other until it does":               "op",
	"a call of the queue that was left behind has returned":                                                 "op",
	"tasks that were leased too late could not be put back":                                                 "tasks err",
	"the source answered with a product that it was not asked for; it is left out":                          "product",
	"what is marked has no id, or one that is too long; it is left out":                                     "err",
	"the schedule's next time is not after the time that it was asked for; it is asked again in an hour":    "next",
	"a restart will forget what is to be compared when the channel is done":                                 "channel err",
	"what the guard remembers makes no sense, and is begun anew":                                            "channel",
	"a channel is done with writes of which nothing is remembered; the next reconciliation compares them":   "channel skus",
	"what a channel had kept is not restored; it costs requests to find it out again":                       "channel err",
	"what a channel knows is not kept; a restart costs requests to find it out again":                       "channel err",
	"leads":           "term",
	"leads no longer": "term",
	"could not resign; another process leads when the lease ends":    "err",
	"looks again at what was being written when the last term ended": "products",
	"old answers could not be removed":                               "err",
	"other replicas cannot see how the channels are":                 "err",

	"the channel is only observed: nothing is written to it, but for what its Pilot chooses":                     "channel",
	"a channel tells that what it shows has changed":                                                             "channel skus",
	"watching a channel failed":                                                                                  "channel err",
	"the watch finds that a channel shows other quantities":                                                      "channel skus",
	"no delivery of a channel's webhooks comes, while its watch finds changes":                                   "channel skus",
	"a channel tells nothing new":                                                                                "channel skus",
	"a part of a delivery makes no sense":                                                                        "channel err",
	"a channel told of an SKU that no product has":                                                               "channel sku",
	"the product of an SKU that a channel told of could not be found yet":                                        "channel sku err",
	"which product each SKU is was kept and is not restored; the next run over the catalogue finds it out again": "err",
	"which product each SKU is cannot be kept; after a restart it is found out again":                            "err",
	"the run goes on where another one was cut off":                                                              "run from products",
	"the run rests until its hours begin again":                                                                  "run next",
	"how far the run has come cannot be kept; after a restart it starts anew":                                    "run err",
	"alarm":                         "class text",
	"an alarm is over":              "class",
	"a product is pinned":           "product who",
	"a product is pinned no longer": "product who",
}

// A lineChecker is the log of the syncers of these tests. It finds fault with
// lines that lack what they are about.
type lineChecker struct {
	mu     sync.Mutex
	seen   map[string]int
	faults map[string]bool
	keep   func(message string, attrs map[string]string) // sees each line
}

// checked gets the lines of all syncers of these tests that have no other log.
var checked = &lineChecker{seen: make(map[string]int), faults: make(map[string]bool)}

func (c *lineChecker) logger() *slog.Logger                   { return slog.New(c) }
func (*lineChecker) Enabled(context.Context, slog.Level) bool { return true }
func (c *lineChecker) WithAttrs([]slog.Attr) slog.Handler     { return c }
func (c *lineChecker) WithGroup(string) slog.Handler          { return c }
func (c *lineChecker) Handle(ctx context.Context, r slog.Record) error {
	attrs := make(map[string]string)
	var faults []string
	r.Attrs(func(a slog.Attr) bool {
		if _, twice := attrs[a.Key]; twice {
			faults = append(faults, "has "+a.Key+" twice")
		}
		attrs[a.Key] = a.Value.String()
		switch a.Key {
		case "run", "channel", "product", "sku", "op":
			if a.Value.String() == "" {
				faults = append(faults, "has an empty "+a.Key)
			}
		case "error", "productID", "product_id", "SKU", "shop", "in":
			faults = append(faults, "calls it "+a.Key)
		}
		return true
	})
	if run := channel.Run(ctx); run != "" && attrs["run"] == "" {
		faults = append(faults, "happens within a run and lacks it")
	}
	keys, known := lineKeys[r.Message]
	if !known {
		faults = append(faults, "is not among lineKeys")
	}
	for _, key := range strings.Fields(keys) {
		if !slices.ContainsFunc(strings.Split(key, "|"), func(k string) bool { _, ok := attrs[k]; return ok }) {
			faults = append(faults, "lacks "+key)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen[r.Message]++
	for _, f := range faults {
		c.faults[fmt.Sprintf("%q %s: %v", r.Message, f, attrs)] = true
	}
	if c.keep != nil {
		c.keep(r.Message, attrs)
	}
	return nil
}

// complaints are what was found so far, at most ten.
func (c *lineChecker) complaints() (all []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for f := range c.faults {
		if all = append(all, f); len(all) == 10 {
			break
		}
	}
	return all
}

// checkLines ends the tests: a line that any of them caused may be at fault.
func checkLines(code int) {
	for _, f := range checked.complaints() {
		fmt.Fprintln(os.Stderr, "FAIL: a line of the log:", f)
		code = max(code, 1)
	}
	os.Exit(code)
}

func TestLineKeysAreComplete(t *testing.T) {
	paths, err := filepath.Glob("*.go")
	require.NoError(t, err)
	found := make(map[string]bool)
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		require.NoError(t, err)
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			f, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || !slices.Contains([]string{"LogAttrs", "InfoContext", "WarnContext", "ErrorContext", "DebugContext", "warn"}, f.Sel.Name) {
				return true
			}
			for _, arg := range call.Args {
				if lit, ok := arg.(*ast.BasicLit); ok && lit.Kind == token.STRING {
					message, _ := strconv.Unquote(lit.Value)
					found[message] = true
					_, known := lineKeys[message]
					assert.True(t, known, "which keys does the line %q have?", message)
					break
				}
			}
			return true
		})
	}
	for message := range lineKeys {
		assert.True(t, found[message], "nobody logs %q", message)
	}
}

// Everything goes wrong, and every line says what it is about.
func TestLinesOfRunsSayWhatTheyAreAbout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type about struct{ run, channel, product, sku string }
		log := &lineChecker{seen: make(map[string]int), faults: make(map[string]bool)}
		lines := make(map[string][]about)
		log.keep = func(message string, a map[string]string) {
			lines[message] = append(lines[message], about{a["run"], a["channel"], a["product"], a["sku"]})
		}
		source, _ := catalogue(400)
		shop := func(name string) *channeltest.Memory {
			m := channeltest.NewMemory(name)
			for i := range 400 {
				m.Set(fmt.Sprintf("SKU-%d", i), 10)
			}
			return m
		}
		var mu sync.Mutex
		var trouble error
		sick := &channeltest.Intercept{Channel: shop("sick"), OnPush: func(ctx context.Context, next channel.Channel, updates []channel.Update) error {
			mu.Lock()
			err := trouble
			mu.Unlock()
			switch {
			case err != nil:
				return err
			case slices.ContainsFunc(updates, func(u channel.Update) bool { return u.SKU == "SKU-6" }):
				panic("SKU-6")
			}
			return next.Push(ctx, updates)
		}}
		well, gone := shop("well"), shop("gone")
		gone.Remove("SKU-3")
		policy := syncer.Custom("panics", func(s channel.Stock) (int, error) {
			if s.ProductID == "p5" {
				panic("p5")
			}
			return s.Available, nil
		})
		s := configure(t, syncer.Config{
			Source: source, Logger: log.logger(), Schedule: syncer.Never(),
			Targets: []syncer.Target{{Channel: gone, Policy: policy}},
			Hooks: syncer.Hooks{Changed: func(_ context.Context, _ string, c syncer.Change) {
				if c.SKU == "SKU-7" {
					panic("the hook")
				}
			}},
		}, well, sick)
		stop := running(t, s)
		sell := func(ids ...int) {
			for _, i := range ids {
				source.put(fmt.Sprintf("p%d", i), fmt.Sprintf("SKU-%d", i), 8)
				require.NoError(t, s.Notify(t.Context(), fmt.Sprintf("p%d", i)))
			}
			pass(time.Minute)
		}
		sell(1)
		sell(3) // unknown to gone
		sell(5) // the policy panics
		sell(6) // the adapter panics
		sell(7) // the hook panics
		mu.Lock()
		trouble = fmt.Errorf("503: %w", channel.ErrUnavailable)
		mu.Unlock()
		sell(8)
		mu.Lock()
		trouble = nil
		mu.Unlock()
		pass(time.Hour)
		for i := 10; i < 400; i++ {
			source.put(fmt.Sprintf("p%d", i), fmt.Sprintf("SKU-%d", i), 0)
		}
		_, err := s.Reconcile(t.Context())
		require.ErrorIs(t, err, syncer.ErrHeld)
		source.mu.Lock()
		source.fail = errors.New("502")
		source.mu.Unlock()
		_, err = s.Reconcile(t.Context())
		require.Error(t, err)
		stop()

		assert.Empty(t, log.complaints())
		for _, want := range []struct {
			message, run string
			about
		}{
			{"batch pushed", "event-", about{channel: "well"}},
			{"channel synced", "reconcile-", about{channel: "well"}},
			{"run not completed", "reconcile-", about{}},
			{"given up until it changes", "event-", about{channel: "gone", product: "p3", sku: "SKU-3"}},
			{"recovered from a panic", "event-", about{channel: "gone", product: "p5", sku: "SKU-5"}},
			{"recovered from a panic", "event-", about{channel: "sick", product: "p6", sku: "SKU-6"}},
			{"recovered from a panic", "event-", about{channel: "well", product: "p7", sku: "SKU-7"}},
			{"will be tried again", "event-", about{channel: "sick", product: "p6", sku: "SKU-6"}},
			{"channel down", "event-", about{channel: "sick"}},
			{"channel up", "event-", about{channel: "sick"}},
			{"the guard has tripped: nothing dangerous is written on the channel until somebody approves", "reconcile-", about{channel: "well"}},
		} {
			assert.True(t, slices.ContainsFunc(lines[want.message], func(l about) bool {
				run := l.run
				l.run = ""
				return strings.HasPrefix(run, want.run) && l == want.about
			}), "%q: no line is about %+v, but these: %+v", want.message, want.about, lines[want.message])
		}
	})
}
