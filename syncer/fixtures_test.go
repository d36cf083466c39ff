package syncer_test

import (
	"context"
	"fmt"
	"iter"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/syncer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, goleak.Cleanup(checkLines)) }

// stock is a source in memory.
type stock struct {
	mu       sync.Mutex
	products map[string]channel.Stock
	order    []string
	fail     error         // ends every read
	delay    time.Duration // of every read
	asks     int
}

func newStock(available ...int) *stock {
	s := &stock{products: map[string]channel.Stock{}}
	for i, n := range available {
		s.put(fmt.Sprintf("p%d", i), fmt.Sprintf("SKU-%d", i), n)
	}
	return s
}

func (s *stock) put(id, sku string, available int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, old := s.products[id]; !old {
		s.order = append(s.order, id)
	}
	s.products[id] = channel.Stock{ProductID: id, SKU: sku, OnHand: available, Available: available}
}

func (s *stock) asked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asks
}

func (s *stock) Stock(ctx context.Context, ids ...string) iter.Seq2[channel.Stock, error] {
	return func(yield func(channel.Stock, error) bool) {
		s.mu.Lock()
		s.asks++
		asOf := time.Now()
		if len(ids) == 0 {
			ids = s.order
		}
		var found []channel.Stock
		for _, id := range ids {
			if p, ok := s.products[id]; ok {
				p.AsOf = asOf
				found = append(found, p)
			}
		}
		fail, delay := s.fail, s.delay
		s.mu.Unlock()
		time.Sleep(delay)
		for _, p := range found {
			if !yield(p, nil) {
				return
			}
		}
		if fail != nil {
			yield(channel.Stock{}, fail)
		}
	}
}

// shop is a channel that has the first n SKUs, all showing 100.
func shop(name string, n int) *channeltest.Memory {
	m := channeltest.NewMemory(name)
	for i := range n {
		m.Set(fmt.Sprintf("SKU-%d", i), 100)
	}
	return m
}

func shows(t *testing.T, m *channeltest.Memory, want ...int) {
	t.Helper()
	for i, n := range want {
		got, ok := m.Quantity(fmt.Sprintf("SKU-%d", i))
		assert.True(t, ok && got == n, "%s shows %d for SKU-%d, want %d", m.Name(), got, i, n)
	}
}

func build(t *testing.T, source channel.Source, channels ...channel.Channel) *syncer.Syncer {
	t.Helper()
	cfg := syncer.Config{Source: source, Logger: checked.logger()}
	for _, c := range channels {
		cfg.Targets = append(cfg.Targets, syncer.Target{Channel: c})
	}
	s, err := syncer.New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { assert.Zero(t, s.OpenRuns(), "what begins must end") })
	return s
}

// running runs s until the test ends, and checks that it ends well.
func running(t *testing.T, s *syncer.Syncer) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		assert.NoError(t, <-done)
	})
	t.Cleanup(stop)
	return stop
}

func configure(t *testing.T, cfg syncer.Config, channels ...channel.Channel) *syncer.Syncer {
	t.Helper()
	if cfg.Logger == nil {
		cfg.Logger = checked.logger()
	}
	for _, c := range channels {
		cfg.Targets = append(cfg.Targets, syncer.Target{Channel: c})
	}
	s, err := syncer.New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { assert.Zero(t, s.OpenRuns(), "what begins must end") })
	return s
}

// unguarded is for tests that are about something else.
var unguarded = syncer.Guard{Losses: -1, Gains: -1}

// unguardedly is configure without guards.
func unguardedly(t *testing.T, cfg syncer.Config, channels ...channel.Channel) *syncer.Syncer {
	t.Helper()
	for _, c := range channels {
		cfg.Targets = append(cfg.Targets, syncer.Target{Channel: c, Guard: unguarded})
	}
	return configure(t, cfg)
}

func drained(t *testing.T, s *syncer.Syncer) bool {
	t.Helper()
	h, err := s.Health(t.Context())
	require.NoError(t, err)
	n := h.Orders.Tasks + h.Inbox.Tasks
	for _, c := range h.Channels {
		n += c.Tasks
	}
	return n == 0
}

// pass lets time pass, and everything happen that is due by then.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// long leaves a test of many days or products to the run without -short: under
// the race detector it takes ten times as long, and shows nothing more.
func long(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("takes long under the race detector")
	}
}
