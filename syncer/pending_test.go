package syncer

import (
	"context"
	"fmt"
	"iter"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/racetest"
)

// A market is a channel that accepts quantities at once, and shows them after a
// while. Its items have none at first.
type market struct {
	lag time.Duration

	mu     sync.Mutex
	items  map[string]offer
	writes int
}

type offer struct {
	quantity int
	shows    time.Time
	before   *int
}

func (m *market) Name() string       { return "market" }
func (m *market) Lag() time.Duration { return m.lag }

func (m *market) Push(_ context.Context, updates []channel.Update) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	errs := make(channel.Errors)
	for _, u := range updates {
		o := m.items[u.SKU]
		m.items[u.SKU] = offer{u.Quantity, time.Now().Add(m.lag - time.Second), o.now()}
		m.writes++
		errs[u.SKU] = channel.ErrPending
	}
	return errs
}

func (o offer) now() *int {
	if o.shows.IsZero() || o.shows.After(time.Now()) {
		return o.before
	}
	return &o.quantity
}

func (m *market) Levels(_ context.Context, skus []string) (levels []channel.Level, _ error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, sku := range skus {
		l := channel.Level{SKU: sku, Unset: true}
		if n := m.items[sku].now(); n != nil {
			l.Quantity, l.Unset = *n, false
		}
		levels = append(levels, l)
	}
	return levels, nil
}

func (m *market) written() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.writes
}

// sevens is a source of that many products, seven of each.
type sevens int

func (n sevens) Stock(_ context.Context, ids ...string) iter.Seq2[channel.Stock, error] {
	return func(yield func(channel.Stock, error) bool) {
		if len(ids) == 0 {
			for i := range int(n) {
				ids = append(ids, fmt.Sprint(i))
			}
		}
		for _, id := range ids {
			if !yield(channel.Stock{ProductID: id, SKU: id, OnHand: 7, Available: 7, AsOf: time.Now()}, nil) {
				return
			}
		}
	}
}

func TestAFirstSyncIsWrittenOnceHoweverLarge(t *testing.T) {
	n := 30_000
	if racetest.Short() {
		n = 3_000
	}
	synctest.Test(t, func(t *testing.T) {
		m := &market{lag: time.Hour, items: make(map[string]offer)}
		s, err := New(Config{Source: sevens(n), Targets: []Target{{Channel: m}}, Schedule: Never()})
		require.NoError(t, err)
		report, err := s.Reconcile(t.Context())
		require.NoError(t, err)
		assert.Equal(t, n, report.Channels[0].Pending)
		assert.Equal(t, n, m.written())

		time.Sleep(30 * time.Minute)
		report, err = s.Reconcile(t.Context())
		require.NoError(t, err)
		assert.Equal(t, n, report.Channels[0].Pending)
		assert.Equal(t, n, m.written(), "nothing is written twice for the lag's sake")

		time.Sleep(time.Hour)
		report, err = s.Reconcile(t.Context())
		require.NoError(t, err)
		assert.Equal(t, n, report.Channels[0].Unchanged)
		assert.Equal(t, n, m.written())
	})
}

func TestMemoryIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := memory{young: make(map[string]*shown), old: make(map[string]*shown)}
		for i := range maxPending + 100 {
			m.old[strconv.Itoa(i)] = &shown{quantity: 7, wrote: time.Now(), pending: true, lag: time.Hour}
		}
		m.age()
		assert.Len(t, m.young, maxPending, "what is pending is kept, within a bound")
		for i := range maxShown {
			m.set(strconv.Itoa(-1-i), shown{quantity: 7})
		}
		assert.Empty(t, m.old, "and does not make the others old any sooner")
		for i := range 2 * maxShown {
			m.set(strconv.Itoa(i), shown{quantity: 7, wrote: time.Now(), pending: true, lag: time.Hour})
		}
		time.Sleep(2 * time.Hour)
		for range 3 {
			m.age()
		}
		assert.Empty(t, m.young)
		assert.Empty(t, m.old)
	})
}

// What never had a quantity, and still has none when a write should show, has
// not been written.
func TestAFirstQuantityThatNeverShows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &market{lag: time.Hour, items: make(map[string]offer)}
		s, err := New(Config{Source: sevens(1), Targets: []Target{{Channel: m}}, Schedule: Never()})
		require.NoError(t, err)
		_, err = s.SyncProducts(t.Context(), "0")
		require.NoError(t, err)
		time.Sleep(2 * time.Hour)
		m.mu.Lock()
		clear(m.items)
		m.mu.Unlock()
		_, err = s.SyncProducts(t.Context(), "0")
		require.ErrorIs(t, err, channel.ErrNotApplied)
		assert.ErrorContains(t, err, "no quantity")
		require.Equal(t, 1, m.written())
		_, err = s.SyncProducts(t.Context(), "0")
		require.NoError(t, err, "the next attempt writes it again")
		assert.Equal(t, 2, m.written())
	})
}

// What an accepted write does not show yet has not been sold.
func TestWhatIsPendingIsNoSale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &market{lag: time.Hour, items: map[string]offer{"0": {quantity: 2, shows: time.Now()}}}
		s, err := New(Config{Source: sevens(1), Targets: []Target{{Channel: m}}, Schedule: Never()})
		require.NoError(t, err)
		for range 3 {
			_, err = s.SyncProducts(t.Context(), "0")
			require.NoError(t, err)
			time.Sleep(time.Minute)
		}
		assert.Zero(t, s.sales.units("0"))
	})
}
