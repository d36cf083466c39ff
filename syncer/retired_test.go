package syncer_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/syncer"
)

func always(string) bool { return true }
func never(string) bool  { return false }

// retiring is a Syncer of one target, whose channel shows SKU-0 and so on, and 100
// of what is retired.
func retiring(t *testing.T, source channel.Source, m channel.Channel, target syncer.Target) *syncer.Syncer {
	t.Helper()
	target.Channel = m
	s, err := syncer.New(syncer.Config{Source: source, Targets: []syncer.Target{target}})
	require.NoError(t, err)
	return s
}

func skusOf(lines []syncer.Line) (skus []string) {
	for _, l := range lines {
		skus = append(skus, l.SKU)
	}
	return skus
}

func TestRetired(t *testing.T) {
	source, m := newStock(100, 100), shop("a", 2)
	m.Add(channel.Level{SKU: "GONE", Quantity: 3}, channel.Level{SKU: "GONE-TOO", Unset: true}, channel.Level{SKU: "EMPTY"},
		channel.Level{SKU: "OFF", Quantity: 3, OffSale: true}, channel.Level{SKU: "ODD", Err: channel.ErrNotTracked})

	for _, tt := range []struct {
		name    string
		retire  func(string) bool
		retired []string
		lines   int
	}{{"not asked for", nil, nil, 0}, {"reported", never, []string{"GONE", "GONE-TOO"}, 0},
		{"some", func(sku string) bool { return sku == "GONE" }, []string{"GONE", "GONE-TOO"}, 1}, {"all", always, []string{"GONE-TOO"}, 1}} {
		t.Run(tt.name, func(t *testing.T) {
			s := retiring(t, source, m, syncer.Target{Retire: tt.retire, Guard: unguarded})
			plan, err := s.Plan(t.Context())
			require.NoError(t, err)
			assert.Len(t, plan.Lines, tt.lines)
			assert.Contains(t, skusOf(plan.Channels[0].Retired), "GONE-TOO", "a plan has them in any case")
			assert.Empty(t, plan.Channels[0].Error)
			assert.Contains(t, plan.String(), `the source does not have "GONE-TOO"`)

			r, err := s.Reconcile(t.Context())
			require.NoError(t, err)
			c := r.Channels[0]
			assert.Equal(t, tt.retired, skusOf(c.Retired))
			for _, l := range slices.Concat(c.Retired, plan.Channels[0].Retired) {
				assert.Equal(t, syncer.ReasonRetired, l.Reason)
			}
			assert.Equal(t, tt.lines, c.Updated)
			assert.Equal(t, 2+tt.lines, c.Checked)
			if tt.retire != nil {
				assert.Equal(t, 5, c.Extra)
				assert.ElementsMatch(t, []string{"EMPTY", "GONE", "GONE-TOO", "ODD", "OFF"}, c.ExtraSKUs)
				assert.Contains(t, r.String(), `a: the source does not have "GONE-TOO", and customers can buy it`)
			}
			text, err := json.Marshal(r)
			require.NoError(t, err)
			var back syncer.Report
			require.NoError(t, json.Unmarshal(text, &back))
			assert.Equal(t, c.Retired, back.Channels[0].Retired)
		})
	}
	n, _ := m.Quantity("GONE")
	assert.Zero(t, n)
	n, _ = m.Quantity("GONE-TOO")
	assert.Zero(t, n)
	n, _ = m.Quantity("OFF")
	assert.Equal(t, 3, n)
	shows(t, m, 100, 100)
}

// A product that could not be read, one that is left out, and a kit that makes no
// sense are not retired, whatever the channel calls them.
func TestWhatIsNotRetired(t *testing.T) {
	prefixed := syncer.Renamed(func(s channel.Stock) string {
		if s.SKU == "SKU-3" {
			return ""
		}
		return "EU-" + s.SKU
	})
	source := newStock(100, 100, 100, 100)
	odd := source.products["p1"]
	odd.Err = errors.New("available is 1.5")
	source.products["p1"] = odd
	for name, target := range map[string]syncer.Target{
		"plain":    {},
		"filter":   {Filter: func(s channel.Stock) bool { return s.SKU != "SKU-2" }},
		"policy":   {Policy: syncer.In("berlin")},
		"listings": {Listings: prefixed, Filter: func(s channel.Stock) bool { return s.SKU != "SKU-2" }},
		"pack": {Listings: func(s channel.Stock) []syncer.Listing {
			return []syncer.Listing{{SKU: s.SKU}, {SKU: "EU-" + s.SKU, Parts: []syncer.Part{{ProductID: "other", Units: 0}}}}
		}},
		"kits": {Kits: func() []syncer.Listing { return []syncer.Listing{{SKU: "EU-SKU-0"}} }},
	} {
		t.Run(name, func(t *testing.T) {
			m := channeltest.NewMemory("a")
			for i := range 4 {
				m.Set(fmt.Sprintf("SKU-%d", i), 50)
			}
			m.Set("EU-SKU-0", 50)
			m.Set("EU-SKU-1", 50)
			m.Set("EU-SKU-2", 50)
			m.Set("GONE", 50)
			target.Retire, target.Guard = always, unguarded
			r, _ := retiring(t, source, m, target).Reconcile(t.Context())
			require.Len(t, r.Channels, 1)
			gone := map[string]bool{}
			for _, sku := range skusOf(r.Channels[0].Retired) {
				gone[sku] = true
			}
			want := map[string]bool{"GONE": true}
			switch name {
			case "plain", "filter", "policy":
				want["EU-SKU-0"], want["EU-SKU-1"], want["EU-SKU-2"] = true, true, true
			case "kits":
				want["EU-SKU-1"], want["EU-SKU-2"] = true, true
			case "listings":
				want["SKU-0"] = true // the channel lists the product as EU-SKU-0
			}
			assert.Equal(t, want, gone)
			for _, sku := range []string{"SKU-1", "SKU-2", "SKU-3"} {
				n, _ := m.Quantity(sku)
				assert.NotZero(t, n, sku)
			}
		})
	}
}

// Where a product may have any name nothing counts as retired.
func TestNothingIsRetiredInTheDark(t *testing.T) {
	for name, spoil := range map[string]func(*stock, *syncer.Target){
		"a product without a name": func(s *stock, _ *syncer.Target) {
			s.order = append(s.order, "p9")
			s.products["p9"] = channel.Stock{ProductID: "p9", Err: errors.New("no number")}
		},
		"a source that breaks off": func(s *stock, _ *syncer.Target) { s.fail = channel.ErrIncomplete },
		"a panic of Listings": func(s *stock, t *syncer.Target) {
			t.Listings = func(s channel.Stock) []syncer.Listing {
				if s.SKU == "SKU-1" {
					panic("oh")
				}
				return []syncer.Listing{{SKU: s.SKU}}
			}
		},
		"a panic of Kits":           func(_ *stock, t *syncer.Target) { t.Kits = func() []syncer.Listing { panic("oh") } },
		"a panic of Retire":         func(_ *stock, t *syncer.Target) { t.Retire = func(string) bool { panic("oh") } },
		"an empty catalogue":        func(s *stock, _ *syncer.Target) { s.order = nil },
		"less than half as before":  func(s *stock, _ *syncer.Target) { s.order = s.order[:1] },
		"a channel that is no list": nil,
	} {
		t.Run(name, func(t *testing.T) {
			source, m := newStock(100, 100, 100), shop("a", 3)
			target := syncer.Target{Channel: m, Retire: always, Guard: unguarded}
			queue := syncer.NewMemoryQueue()
			run := func() *syncer.Report {
				s, err := syncer.New(syncer.Config{Source: source, Queue: queue, Targets: []syncer.Target{target}})
				require.NoError(t, err)
				r, _ := s.Reconcile(t.Context())
				return r
			}
			run()
			m.Set("GONE", 50)
			if spoil != nil {
				spoil(source, &target)
			} else {
				target.Channel = struct {
					channel.Channel
					channel.Reader
				}{m, m}
			}
			r := run()
			n, _ := m.Quantity("GONE")
			assert.Equal(t, 50, n)
			if spoil == nil {
				assert.Contains(t, r.Channels[0].Unlisted, "unsupported")
			}
		})
	}
}

// What is retired counts for the guard, one by one, and is written once somebody
// has approved.
func TestRetiredUnderTheGuard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		available := make([]int, 20)
		for i := range available {
			available[i] = 100
		}
		source, m := newStock(available...), shop("a", 20)
		for i := range 9 {
			m.Set(fmt.Sprintf("GONE-%d", i), 10+i)
		}
		s := retiring(t, source, m, syncer.Target{Retire: always})
		plan, err := s.Plan(t.Context())
		require.NoError(t, err)
		for _, l := range plan.Lines {
			assert.Equal(t, syncer.ReasonHeld, l.Reason)
		}
		assert.Len(t, plan.Lines, 9)

		r, err := s.Reconcile(t.Context())
		require.ErrorIs(t, err, syncer.ErrHeld)
		assert.Equal(t, 9, r.Channels[0].Held)
		assert.IsIncreasing(t, skusOf(r.Channels[0].Retired))
		held, err := s.Held(t.Context())
		require.NoError(t, err)
		require.Len(t, held, 1)
		assert.Equal(t, 9, held[0].Losses)
		n, _ := m.Quantity("GONE-3")
		assert.Equal(t, 13, n)

		m.Set("GONE-4", 9)              // changed since
		source.put("p99", "GONE-5", 15) // and this one came back
		_, err = s.SyncProducts(t.Context(), "p99")
		require.NoError(t, err)
		r, err = s.Apply(t.Context(), plan)
		require.ErrorIs(t, err, syncer.ErrHeld)
		assert.Zero(t, r.Channels[0].Updated)
		held, err = s.Held(t.Context())
		require.NoError(t, err)
		require.NoError(t, s.Approve(t.Context(), syncer.Approval{Channel: "a", Who: "Ada", Hash: held[0].Hash}))
		stop := running(t, s)
		pass(time.Minute)
		stop()
		for sku, want := range map[string]int{"GONE-0": 0, "GONE-8": 0, "GONE-4": 9, "GONE-5": 15} {
			n, _ := m.Quantity(sku)
			assert.Equal(t, want, n, sku)
		}

	})
}

// What is retired and held, and not sold any more, is not held any more.
func TestWhatIsRetiredAndNotSoldIsNotHeld(t *testing.T) {
	source, m := catalogue(20)
	for i := range 9 {
		m.Set(fmt.Sprintf("GONE-%d", i), 10)
	}
	s := retiring(t, source, m, syncer.Target{Retire: always})
	for sold := 9; sold > 6; sold-- {
		_, err := s.Reconcile(t.Context())
		require.ErrorIs(t, err, syncer.ErrHeld)
		held, err := s.Held(t.Context())
		require.NoError(t, err)
		require.Len(t, held, 1)
		assert.Len(t, held[0].Lines, sold)
		m.Set(fmt.Sprintf("GONE-%d", sold-1), 0)
	}
}

// A run and a plan say so if it could not be found out which of what is not in the
// source is sold.
func TestWhatIsLeftOverAndCannotBeReadIsToldOf(t *testing.T) {
	m := shop("a", 1)
	m.Set("GONE", 5)
	c := &channeltest.Intercept{Channel: m, OnLevels: func(ctx context.Context, next channel.Reader, skus []string) ([]channel.Level, error) {
		if slices.Contains(skus, "GONE") {
			return nil, channel.ErrUnavailable
		}
		return next.Levels(ctx, skus)
	}}
	s := retiring(t, newStock(100), c, syncer.Target{Retire: always})
	r, err := s.Reconcile(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 1, r.Channels[0].Extra)
	assert.Contains(t, r.Channels[0].Unlisted, "unavailable")
	s = retiring(t, newStock(100), c, syncer.Target{Retire: always})
	plan, err := s.Plan(t.Context())
	require.NoError(t, err)
	assert.Contains(t, plan.Channels[0].Error, "what is not in the source: ")
	assert.Contains(t, plan.Channels[0].Error, "unavailable")
}

// A plan lists what a channel has that cannot be read, and makes nothing of it; one
// that could not be compared is not even listed.
func TestAPlanListsWhatItHasCompared(t *testing.T) {
	m := shop("a", 1)
	m.Set("GONE", 5)
	asked := 0
	lists := listing(func(ctx context.Context) iter.Seq2[string, error] { asked++; return m.SKUs(ctx) })
	for _, read := range []bool{true, false} {
		var c channel.Channel = struct {
			channel.Channel
			channel.Lister
		}{m, lists}
		if read {
			c = struct {
				channel.Channel
				channel.Reader
				channel.Lister
			}{m, &channeltest.Intercept{Channel: m, OnLevels: func(context.Context, channel.Reader, []string) ([]channel.Level, error) {
				return nil, channel.ErrUnauthorized
			}}, lists}
		}
		s := configure(t, syncer.Config{Source: newStock(100)}, c)
		plan, err := s.Plan(t.Context())
		sv := plan.Channels[0]
		assert.Empty(t, sv.Retired)
		if read {
			require.ErrorIs(t, err, channel.ErrUnauthorized)
			assert.Zero(t, asked)
		} else {
			require.NoError(t, err)
			assert.Equal(t, []string{"GONE"}, sv.ExtraSKUs)
			assert.Empty(t, sv.Error)
		}
	}
}

// A target that does not say what it wants of the retired has none set to 0, and no
// trouble.
func TestAPlanOfATargetThatRetiresNothing(t *testing.T) {
	var log strings.Builder
	m := shop("a", 1)
	m.Set("GONE", 5)
	plan, err := configure(t, syncer.Config{Source: newStock(100), Logger: slog.New(slog.NewTextHandler(&log, nil))}, m).Plan(t.Context())
	require.NoError(t, err)
	assert.Empty(t, plan.Lines)
	assert.Equal(t, []string{"GONE"}, skusOf(plan.Channels[0].Retired))
	assert.NotContains(t, log.String(), "ERROR")
}

// An SKU that a product had, and has no more, is retired.
func TestAnSKUThatAProductHadIsRetired(t *testing.T) {
	source, m := newStock(100), shop("a", 2)
	s := retiring(t, source, m, syncer.Target{Retire: always, Guard: unguarded})
	_, err := s.SyncProducts(t.Context(), "p0")
	require.NoError(t, err)
	source.put("p0", "SKU-1", 100)
	_, err = s.Reconcile(t.Context())
	require.NoError(t, err)
	shows(t, m, 0, 100)
}

func TestWithinTheLimitsRetiredIsWritten(t *testing.T) {
	source, m := newStock(100, 100, 100, 100, 100, 100, 100, 100, 100, 100), shop("a", 10)
	m.Set("GONE-0", 5)
	m.Set("GONE-1", 6)
	s := retiring(t, source, m, syncer.Target{Retire: always})
	r, err := s.Reconcile(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 2, r.Channels[0].Updated)
	for _, sku := range []string{"GONE-0", "GONE-1"} {
		n, _ := m.Quantity(sku)
		assert.Zero(t, n)
	}
	for _, c := range r.Channels[0].Changes {
		assert.Empty(t, c.ProductID)
	}
	undo, err := r.Undo()
	require.NoError(t, err)
	_, err = s.Apply(t.Context(), undo)
	require.NoError(t, err)
	n, _ := m.Quantity("GONE-1")
	assert.Equal(t, 6, n)
}

// A list that breaks off has what it has.
func TestAListThatBreaksOff(t *testing.T) {
	m := shop("a", 1)
	m.Set("GONE", 5)
	broken := struct {
		channel.Channel
		channel.Reader
		channel.Lister
	}{m, m, listing(func(ctx context.Context) iter.Seq2[string, error] {
		return func(yield func(string, error) bool) {
			for range 2 {
				if !yield("GONE", nil) {
					return
				}
			}
			yield("", channel.ErrUnavailable)
		}
	})}
	r, err := retiring(t, newStock(100), broken, syncer.Target{Retire: never}).Reconcile(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []string{"GONE"}, r.Channels[0].ExtraSKUs)
	assert.Contains(t, r.Channels[0].Unlisted, channel.ErrUnavailable.Error())
	assert.Contains(t, r.String(), "was not found out as a whole")
}

type listing func(context.Context) iter.Seq2[string, error]

func (l listing) SKUs(ctx context.Context) iter.Seq2[string, error] { return l(ctx) }

func TestWhatSellsAtZero(t *testing.T) {
	source := newStock(0, 5, 0)
	m := channeltest.NewMemory("a")
	m.Add(channel.Level{SKU: "SKU-0", Quantity: 7, SellsAtZero: true}, channel.Level{SKU: "SKU-1", Quantity: 4, SellsAtZero: true},
		channel.Level{SKU: "SKU-2", Quantity: 4})
	s := retiring(t, source, m, syncer.Target{Guard: unguarded})
	plan, err := s.Plan(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 2, plan.Channels[0].SellsAtZero)
	assert.Equal(t, []string{"SKU-0"}, plan.Channels[0].AtZero)
	assert.Contains(t, plan.String(), "over, sells at zero")
	assert.Contains(t, plan.String(), `a: customers can go on buying 2 listings at zero; without stock are "SKU-0"`)
	r, err := s.Reconcile(t.Context())
	require.NoError(t, err)
	assert.Equal(t, []string{"SKU-0"}, r.Channels[0].AtZero)
	assert.Equal(t, 2, r.Channels[0].SellsAtZero)
	r, err = s.Reconcile(t.Context())
	require.NoError(t, err)
	assert.Contains(t, r.String(), `without stock are "SKU-0"`, "it is right, and still sells")
}

// A fraction on top of the right quantity is too much.
func TestAFractionIsOver(t *testing.T) {
	m := channeltest.NewMemory("a")
	m.Add(channel.Level{SKU: "SKU-0", Quantity: 3, Inexact: true})
	plan, err := retiring(t, newStock(3), m, syncer.Target{}).Plan(t.Context())
	require.NoError(t, err)
	require.Len(t, plan.Lines, 1)
	assert.Equal(t, syncer.ReasonOver, plan.Lines[0].Reason)
	assert.True(t, plan.Lines[0].Inexact)
	assert.Contains(t, plan.String(), "3+")
}
