package syncer_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/ecosire"
	"github.com/ecosire/stocksync/ecosire/ecosiretest"
	"github.com/ecosire/stocksync/internal/racetest"
	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/syncer/queuetest"
)

// A deploy in the middle of the night's run: the next process goes on where it
// was, and asks for at most one page twice.
func TestANightGoesOn(t *testing.T) {
	racetest.Long(t)
	synctest.Test(t, func(t *testing.T) {
		erp := ecosiretest.New(ecosiretest.Config{Latency: 100 * time.Millisecond})
		m := channeltest.NewMemory("a")
		for i := range 15000 {
			erp.Add(ecosiretest.Product{SKU: fmt.Sprintf("SKU-%d", i), OnHand: 5})
			m.Set(fmt.Sprintf("SKU-%d", i), 4+i%2)
		}
		q := syncer.NewMemoryQueue()
		var reports []*syncer.Report
		process := func() (stop func()) {
			client, err := ecosire.New(ecosire.Config{APIKey: "eco_live_test", HTTPClient: erp.Client()})
			require.NoError(t, err)
			s := unguardedly(t, syncer.Config{Source: client, Queue: q, WatchEvery: -1, Schedule: syncer.Daily(2, 0, time.UTC), Hooks: syncer.Hooks{
				Reconciled: func(_ context.Context, r *syncer.Report, err error) {
					assert.NoError(t, err)
					reports = append(reports, r)
				},
			}}, m)
			return running(t, s)
		}
		stop := process()
		pass(2*time.Hour + 95*time.Second)
		stop()
		before := len(erp.Requests())
		pass(20 * time.Second)
		stop = process()
		pass(5 * time.Minute)
		stop()

		pages := make(map[string]int)
		for _, r := range erp.Requests() {
			pages[r.URL.Query().Get("page")]++
		}
		twice := 0
		for _, n := range pages {
			twice += n - 1
		}
		assert.Len(t, pages, 150)
		assert.LessOrEqual(t, twice, 1, "pages that were read twice")
		assert.Greater(t, before, 60, "it was cut off in its middle")
		assert.Less(t, before, 140)
		assert.Equal(t, 15000, len(erp.Products()))
		for i := range 15000 {
			n, _ := m.Quantity(fmt.Sprintf("SKU-%d", i))
			require.Equal(t, 5, n)
		}
		require.Len(t, reports, 1)
		r := reports[0]
		assert.Equal(t, time.Date(2000, 1, 1, 2, 0, 0, 0, time.UTC), r.Resumed.UTC())
		assert.Equal(t, []int{15000, 15000, 7500, 15000}, []int{r.Read, r.Channels[0].Checked, r.Channels[0].Updated, r.Channels[0].OnSale}, "the counts are of both")

		// And the next night is a whole one.
		stop = process()
		pass(25 * time.Hour)
		stop()
		require.Len(t, reports, 2)
		assert.Zero(t, reports[1].Resumed)
		assert.Equal(t, 15000, reports[1].Channels[0].Unchanged)
	})
}

// paged is a source whose catalogue takes a second for ten products.
type paged struct {
	*stock
	mu     sync.Mutex
	now    int // readings of the catalogue under way
	most   int
	yields map[string]int
	from   []string // where readings of the catalogue began
	lost   bool     // it does not find its place again
}

func pagedSource(n int) (*paged, *channeltest.Memory) {
	source, m := newStock(), channeltest.NewMemory("a")
	for i := range n {
		sku := fmt.Sprintf("SKU-%d", i)
		source.put(fmt.Sprintf("p%05d", i), sku, 10)
		m.Set(sku, 10)
	}
	return &paged{stock: source, yields: make(map[string]int)}, m
}

func (p *paged) Stock(ctx context.Context, ids ...string) iter.Seq2[channel.Stock, error] {
	if len(ids) > 0 {
		return p.stock.Stock(ctx, ids...)
	}
	return p.read(ctx, "")
}

func (p *paged) StockAfter(ctx context.Context, id string, before int) iter.Seq2[channel.Stock, error] {
	return p.read(ctx, id)
}

func (p *paged) read(ctx context.Context, after string) iter.Seq2[channel.Stock, error] {
	return func(yield func(channel.Stock, error) bool) {
		p.mu.Lock()
		p.now++
		p.most = max(p.most, p.now)
		p.from = append(p.from, after)
		lost := p.lost
		p.mu.Unlock()
		defer func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.now--
		}()
		if lost && after != "" {
			yield(channel.Stock{}, fmt.Errorf("no such place: %w", errors.ErrUnsupported))
			return
		}
		p.stock.mu.Lock()
		ids := slices.Clone(p.order)
		p.stock.mu.Unlock()
		for some := range slices.Chunk(ids, 10) {
			if some[len(some)-1] <= after {
				continue
			}
			select {
			case <-ctx.Done():
				yield(channel.Stock{}, ctx.Err())
				return
			case <-time.After(time.Second):
			}
			for s, err := range p.stock.Stock(ctx, some...) {
				if s.ProductID <= after {
					continue
				}
				p.mu.Lock()
				p.yields[s.ProductID]++
				p.mu.Unlock()
				if !yield(s, err) {
					return
				}
			}
		}
	}
}

// A leader dies in the middle of the night's run: the next one goes on, the guard
// counts what was put aside before, and nothing is retired by half a run.
func TestANightGoesOnAfterATakeover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server := queuetest.NewServer(leaseTime)
		source, m := pagedSource(600)
		m.Set("GONE", 3)
		var mu sync.Mutex
		var reports []*syncer.Report
		cfg := syncer.Config{
			Source: source, Targets: []syncer.Target{{Channel: m, Retire: always}}, Schedule: syncer.Daily(2, 0, time.UTC),
			Hooks: syncer.Hooks{Reconciled: func(_ context.Context, r *syncer.Report, err error) {
				mu.Lock()
				defer mu.Unlock()
				reports = append(reports, r)
			}},
		}
		a := join(t, server, "a", cfg, nil)
		pass(time.Second)
		b := join(t, server, "b", cfg, nil)
		pass(time.Hour)
		for i := range 100 { // a bad import, all of it read before the leader dies
			source.put(fmt.Sprintf("p%05d", i), fmt.Sprintf("SKU-%d", i), 0)
		}
		pass(time.Hour + 40*time.Second)
		a.die()
		pass(5 * time.Minute)

		mu.Lock()
		defer mu.Unlock()
		require.Len(t, reports, 1)
		r := reports[0]
		assert.NotZero(t, r.Resumed)
		assert.Equal(t, []int{600, 500, 100, 600}, []int{r.Read, r.Channels[0].Unchanged, r.Channels[0].Held, r.Channels[0].OnSale})
		held, err := b.Held(t.Context())
		require.NoError(t, err)
		require.Len(t, held, 1)
		assert.Len(t, held[0].Lines, 100)
		n, _ := m.Quantity("GONE")
		assert.Equal(t, 3, n, "half a run retires nothing")
		assert.Contains(t, r.Channels[0].Unlisted, "interrupted")
		source.mu.Lock()
		defer source.mu.Unlock()
		assert.Equal(t, 1, source.most, "never twice at a time")
		require.Len(t, source.from, 2)
		assert.NotEmpty(t, source.from[1])
	})
}

// A night goes on only soon, where the source finds its place again, and only for the
// very channels that it was for: any other has compared nothing yet.
func TestANightDoesNotGoOn(t *testing.T) {
	for name, tt := range map[string]struct {
		wait   time.Duration
		lost   bool
		from   int
		before func(cfg *syncer.Config)
		after  func(cfg *syncer.Config)
	}{
		"that is old":               {wait: 20 * time.Minute, from: 2},
		"whose place is lost":       {wait: time.Minute, lost: true, from: 3},
		"of a channel less":         {wait: time.Minute, from: 2, after: oneMore},
		"of a channel more":         {wait: time.Minute, from: 2, before: oneMore},
		"of another channel":        {wait: time.Minute, from: 2, before: func(cfg *syncer.Config) { cfg.Targets[0].Channel = shop("b", 1) }},
		"of which nothing is known": {wait: time.Minute, from: 2, after: func(cfg *syncer.Config) { forgetPlace(t, cfg.Queue) }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				source, m := pagedSource(600)
				source.lost = tt.lost
				q := syncer.NewMemoryQueue()
				var last *syncer.Report
				config := func(change func(*syncer.Config)) syncer.Config {
					cfg := syncer.Config{Source: source, Queue: q, Schedule: syncer.Daily(2, 0, time.UTC), ReconcileAtStart: true, Hooks: syncer.Hooks{
						Reconciled: func(_ context.Context, r *syncer.Report, err error) { last = r },
					}, Targets: []syncer.Target{{Channel: m, Guard: unguarded}}}
					if change != nil {
						change(&cfg)
					}
					return cfg
				}
				stop := running(t, configure(t, config(tt.before)))
				pass(40 * time.Second)
				stop()
				time.Sleep(tt.wait)
				stop = running(t, configure(t, config(tt.after)))
				pass(5 * time.Minute)
				stop()
				require.NotNil(t, last)
				assert.Zero(t, last.Resumed)
				assert.Equal(t, 600, last.Channels[0].Checked)
				assert.Len(t, source.from, tt.from)
				assert.Empty(t, source.from[tt.from-1])
			})
		})
	}
}

func oneMore(cfg *syncer.Config) {
	cfg.Targets = append(cfg.Targets, syncer.Target{Channel: shop("b", 1)})
}

// forgetPlace makes the place of a run one that makes no sense.
func forgetPlace(t *testing.T, q syncer.Queue) {
	require.NoError(t, q.Save(context.Background(), "state", syncer.Record{Key: "checkpoint", Value: []byte("{")}))
}

// What a channel has missed when a night is cut off is compared when it goes on.
func TestANightGoesOnWithWhatWasMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := pagedSource(600)
		for i := range 600 {
			m.Set(fmt.Sprintf("SKU-%d", i), 9)
		}
		q := syncer.NewMemoryQueue()
		works := time.Now().Add(20 * time.Second)
		var last *syncer.Report
		cfg := syncer.Config{Source: source, Queue: q, Schedule: syncer.Daily(2, 0, time.UTC), ReconcileAtStart: true, Hooks: syncer.Hooks{
			Reconciled: func(_ context.Context, r *syncer.Report, err error) { last = r },
		}}
		c := &channeltest.Intercept{Channel: m, OnLevels: func(ctx context.Context, next channel.Reader, skus []string) ([]channel.Level, error) {
			if time.Now().Before(works) {
				return nil, channel.ErrUnavailable
			}
			return next.Levels(ctx, skus)
		}}
		stop := running(t, configure(t, cfg, c))
		pass(40 * time.Second)
		stop()
		stop = running(t, configure(t, cfg, c))
		pass(5 * time.Minute)
		stop()
		require.NotNil(t, last)
		assert.NotZero(t, last.Resumed)
		assert.Equal(t, []int{600, 600}, []int{last.Channels[0].Checked, last.Channels[0].OnSale})
		for i := range 600 {
			n, _ := m.Quantity(fmt.Sprintf("SKU-%d", i))
			require.Equal(t, 10, n)
		}
	})
}

// The hours are too short for the catalogue: the run rests, and goes on when
// they begin again.
func TestANightRests(t *testing.T) {
	racetest.Long(t)
	synctest.Test(t, func(t *testing.T) {
		source, m := pagedSource(6000) // ten minutes
		q := syncer.NewMemoryQueue()
		var reports []*syncer.Report
		cfg := syncer.Config{
			Source: source, Queue: q, Schedule: syncer.Between(syncer.Daily(2, 0, time.UTC), 2*time.Hour, 2*time.Hour+6*time.Minute, time.UTC),
			Hooks: syncer.Hooks{Reconciled: func(_ context.Context, r *syncer.Report, err error) {
				assert.NoError(t, err)
				reports = append(reports, r)
			}},
		}
		stop := running(t, configure(t, cfg, m))
		pass(3 * time.Hour)
		require.Len(t, reports, 1)
		assert.True(t, reports[0].Rested)
		assert.InDelta(t, 3600, reports[0].Read, 20)
		stop()
		s := configure(t, cfg, m)
		stop = running(t, s) // a deploy does not wake it
		pass(time.Hour)
		assert.Len(t, reports, 1)
		h, err := s.Health(t.Context())
		require.NoError(t, err)
		assert.Zero(t, h.Reconciled)
		assert.Equal(t, time.Date(2000, 1, 2, 2, 0, 0, 0, time.UTC), h.Next.UTC())
		pass(24 * time.Hour)
		stop()
		require.Len(t, reports, 2)
		assert.Equal(t, []int{6000, 6000}, []int{reports[1].Read, reports[1].Channels[0].Checked})
		assert.NotZero(t, reports[1].Resumed)
		twice := 0
		for _, n := range source.yields {
			twice += n - 1
		}
		assert.LessOrEqual(t, twice, 10, "a page at most")
	})
}

func TestBetween(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	require.NoError(t, err)
	at := func(s string) time.Time {
		x, err := time.ParseInLocation("01-02 15:04", s, berlin)
		require.NoError(t, err)
		return x.AddDate(2026, 0, 0)
	}
	for _, tt := range []struct {
		s           syncer.Schedule
		after, next string
	}{
		{syncer.Between(syncer.Daily(3, 0, berlin), time.Hour, 5*time.Hour, berlin), "06-01 12:00", "06-02 03:00"},
		{syncer.Between(syncer.Daily(12, 0, berlin), time.Hour, 5*time.Hour, berlin), "06-01 11:00", "06-02 01:00"},
		{syncer.Between(syncer.Daily(23, 0, berlin), 22*time.Hour, 5*time.Hour, berlin), "06-01 11:00", "06-01 23:00"},
		{syncer.Between(syncer.Daily(4, 59, berlin), 22*time.Hour, 5*time.Hour, berlin), "06-01 11:00", "06-02 04:59"},
		{syncer.Between(syncer.Daily(5, 0, berlin), 22*time.Hour, 5*time.Hour, berlin), "06-01 04:00", "06-01 22:00"},
		{syncer.Between(syncer.Daily(12, 0, berlin), 4*time.Hour, 5*time.Hour, berlin), "03-28 11:00", "03-29 04:00"}, // clocks go forward
		{syncer.Between(syncer.Daily(12, 0, berlin), 4*time.Hour, 5*time.Hour, berlin), "10-24 11:00", "10-25 04:00"}, // and back
	} {
		assert.Equal(t, at(tt.next), tt.s.Next(at(tt.after)), "%s", tt.after)
	}
	assert.Zero(t, syncer.Between(syncer.Never(), 0, time.Hour, berlin).Next(time.Now()))
	m := channeltest.NewMemory("a")
	for _, s := range []syncer.Schedule{
		syncer.Between(nil, 0, time.Hour, berlin), syncer.Between(syncer.Never(), 0, time.Hour, nil), syncer.Between(syncer.Never(), 3, 3, berlin),
		syncer.Between(syncer.Never(), -1, 3, berlin), syncer.Between(syncer.Never(), 0, 25*time.Hour, berlin),
	} {
		_, err := syncer.New(syncer.Config{Source: newStock(1), Schedule: s, Targets: targets(m)})
		assert.ErrorContains(t, err, "Between")
	}
}

// A large catalogue is compared at night only.
func ExampleBetween() {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		panic(err)
	}
	nights := syncer.Between(syncer.Daily(22, 30, berlin), 22*time.Hour, 5*time.Hour, berlin)
	next := nights.Next(time.Date(2026, 6, 1, 12, 0, 0, 0, berlin))
	fmt.Println(next.Format("2006-01-02 15:04"))
	// Output: 2026-06-01 22:30
}
