package syncer

import (
	"context"
	"iter"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
)

// one is a source with one product.
type one struct{}

func (one) Stock(context.Context, ...string) iter.Seq2[channel.Stock, error] {
	return func(yield func(channel.Stock, error) bool) {
		yield(channel.Stock{ProductID: "p", SKU: "A", Available: 1, AsOf: time.Now()}, nil)
	}
}

// While Run is idle its last read must not make the lanes remember all that
// other runs do, such as a reconciliation of a million products.
func TestAnIdleRunLetsTheLanesForget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := channeltest.NewMemory("a")
		m.Set("A", 5)
		s, err := New(Config{Source: one{}, Targets: []Target{{Channel: m}}})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- s.Run(ctx) }()
		require.NoError(t, s.Notify(ctx, "p"))
		time.Sleep(time.Second)
		synctest.Wait()
		sizes := func() (open, done int) {
			l := s.targets[0].locks
			l.mu.Lock()
			defer l.mu.Unlock()
			return len(l.open), len(l.places)
		}
		open, _ := sizes()
		assert.Equal(t, 1, open, "the read may serve others for a moment")
		time.Sleep(2 * freshFor)
		synctest.Wait()
		open, remembered := sizes()
		assert.Zero(t, open)
		assert.Zero(t, remembered)
		cancel()
		require.NoError(t, <-ended)
	})
}

// once is a source whose quantity cannot be read the first time.
type once struct {
	one
	asked int
}

func (o *once) Stock(ctx context.Context, ids ...string) iter.Seq2[channel.Stock, error] {
	if o.asked++; o.asked > 1 {
		return o.one.Stock(ctx, ids...)
	}
	return func(yield func(channel.Stock, error) bool) {
		yield(channel.Stock{ProductID: "p", SKU: "A", AsOf: time.Now(), Err: channel.ErrUnavailable}, nil)
	}
}

func TestAFigureThatCouldNotBeReadIsAskedForAgainSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := channeltest.NewMemory("a")
		m.Set("A", 9)
		s, err := New(Config{Source: new(once), Targets: []Target{{Channel: m}}, Schedule: Never()})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx) }()
		require.NoError(t, s.Notify(ctx, "p"))
		time.Sleep(3 * time.Second)
		shown, _ := m.Quantity("A")
		assert.Equal(t, 1, shown)
		cancel()
		assert.NoError(t, <-done)
	})
}

func TestAReconciliationLeavesWhatEventsWereAboutAlone(t *testing.T) {
	m := channeltest.NewMemory("a")
	m.Set("A", 9)
	s, err := New(Config{Source: one{}, Targets: []Target{{Channel: m, Guard: Guard{Losses: -1}}}})
	require.NoError(t, err)
	_, err = s.SyncProducts(t.Context(), "p")
	require.NoError(t, err)
	require.True(t, s.targets[0].memory.shows("A", 1))
	_, err = s.Reconcile(t.Context())
	require.NoError(t, err)
	assert.True(t, s.targets[0].memory.shows("A", 1))
	m.Set("A", 9)
	_, err = s.Reconcile(t.Context())
	require.NoError(t, err)
	assert.True(t, s.targets[0].memory.shows("A", 1), "what was written counts")
}
