package syncer_test

import (
	"context"
	"fmt"
	"iter"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/syncer"
)

// kits are many kits of p0 and another part each.
func kits(n int) func() []syncer.Listing {
	return func() (all []syncer.Listing) {
		for i := range n {
			all = append(all, syncer.Listing{SKU: fmt.Sprintf("KIT-%d", i),
				Parts: []syncer.Part{{ProductID: "p0", Units: 1}, {ProductID: fmt.Sprintf("p%d", i+1), Units: 1}}})
		}
		return all
	}
}

// One part that is sold out takes forty kits off sale: that is one product.
func TestOnePartOfManyKitsIsOneLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := catalogue(100)
		for i := range 40 {
			m.Set(fmt.Sprintf("KIT-%d", i), 10)
		}
		s := configure(t, syncer.Config{Source: source, Schedule: syncer.Never(), Targets: []syncer.Target{{Channel: m, Kits: kits(40)}}})
		_, err := s.Reconcile(t.Context())
		require.NoError(t, err)
		source.put("p0", "SKU-0", 0)
		_, err = s.SyncProducts(t.Context(), "p0")
		require.NoError(t, err)
		for i := range 40 {
			n, _ := m.Quantity(fmt.Sprintf("KIT-%d", i))
			assert.Zero(t, n)
		}
	})
}

// A gain within the limits brings its kits' other parts along: what is held of
// these stays held.
func TestAKitIsNoWayAroundTheGuard(t *testing.T) {
	source, m := catalogue(100)
	for i := range 40 {
		m.Set(fmt.Sprintf("KIT-%d", i), 10)
	}
	s := configure(t, syncer.Config{Source: source, Schedule: syncer.Never(), Targets: []syncer.Target{{Channel: m, Kits: kits(40)}}})
	_, err := s.Reconcile(t.Context())
	require.NoError(t, err)
	source.put("p0", "SKU-0", 1000)
	for i := 1; i <= 40; i++ {
		source.put(fmt.Sprintf("p%d", i), fmt.Sprintf("SKU-%d", i), 0)
	}
	r, err := s.Reconcile(t.Context())
	require.ErrorIs(t, err, syncer.ErrHeld)
	t.Log(r.Channels[0].Held, r.Channels[0].Updated)
	assert.Zero(t, gone(m, 100))
	n, _ := m.Quantity("SKU-0")
	assert.Equal(t, 1000, n)
	for i := range 40 {
		n, _ := m.Quantity(fmt.Sprintf("KIT-%d", i))
		assert.Equal(t, 10, n)
	}
}

// A plan's line of a kit is written, and an undo puts it back.
func TestApplyAKit(t *testing.T) {
	source, m := catalogue(100)
	for i := range 3 {
		m.Set(fmt.Sprintf("KIT-%d", i), 9)
	}
	s := configure(t, syncer.Config{Source: source, Schedule: syncer.Never(), Targets: []syncer.Target{{Channel: m, Kits: kits(3)}}})
	p, err := s.Plan(t.Context())
	require.NoError(t, err)
	require.Equal(t, 3, p.Drift())
	r, err := s.Apply(t.Context(), p)
	require.NoError(t, err)
	assert.Equal(t, 3, r.Channels[0].Updated)
	n, _ := m.Quantity("KIT-0")
	assert.Equal(t, 10, n)
	undo, err := r.Undo()
	require.NoError(t, err)
	_, err = s.Apply(t.Context(), undo)
	require.NoError(t, err)
	n, _ = m.Quantity("KIT-0")
	assert.Equal(t, 9, n)
}

// A source that does not look at its context holds no end up.
func TestRunEndsWhateverTheSourceDoes(t *testing.T) {
	for name, deaf := range map[string]*deafSource{
		"Stock": {stock: newStock(5), deafStock: true}, "Changes": {stock: newStock(5), deafChanges: true}, "OrderProducts": {stock: newStock(5), deafOrders: true},
		"Pace": {stock: newStock(5), deafPace: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				deaf.release = make(chan struct{})
				s := configure(t, syncer.Config{Source: deaf, Schedule: syncer.Never()}, shop("a", 1))
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error, 1)
				go func() { done <- s.Run(ctx) }()
				require.NoError(t, s.Notify(t.Context(), "p0"))
				pass(time.Minute)
				start := time.Now()
				cancel()
				select {
				case err := <-done:
					assert.NoError(t, err)
				case <-time.After(time.Hour):
					assert.Fail(t, "Run does not end")
				}
				assert.LessOrEqual(t, time.Since(start), 10*time.Second)
				close(deaf.release)
			})
		})
	}
}

type deafSource struct {
	*stock
	release                                      chan struct{}
	deafStock, deafChanges, deafOrders, deafPace bool
}

func (s *deafSource) Stock(ctx context.Context, ids ...string) iter.Seq2[channel.Stock, error] {
	if s.deafStock {
		<-s.release
	}
	return s.stock.Stock(ctx, ids...)
}

func (s *deafSource) Changes(context.Context, string) ([]string, string, error) {
	if s.deafChanges {
		<-s.release
	}
	return nil, "", nil
}

func (s *deafSource) OrderProducts(context.Context, string) ([]string, error) {
	if s.deafOrders {
		<-s.release
	}
	return []string{"p0"}, nil
}

func (s *deafSource) Pace(context.Context) error {
	if s.deafPace {
		<-s.release
	}
	return nil
}

// What was changed twice in a run is put back to what it was at first.
func TestUndoOfTwoChangesOfOneSKU(t *testing.T) {
	at := func(n int) *int { return &n }
	r := &syncer.Report{Channels: []syncer.ChannelReport{{Channel: "a", Updated: 2, Changes: []syncer.Change{
		{ProductID: "p0", SKU: "SKU-0", Shown: at(10), Wanted: 5}, {ProductID: "p0", SKU: "SKU-0", Shown: at(5), Wanted: 3},
	}}}}
	undo, err := r.Undo()
	require.NoError(t, err)
	require.Len(t, undo.Lines, 1)
	assert.Equal(t, 10, undo.Lines[0].Wanted)
	assert.Equal(t, 3, *undo.Lines[0].Shown)
}

// A queue that panics ends nothing.
func TestAQueueThatPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &panicking{MemoryQueue: syncer.NewMemoryQueue(), times: 1}
		a := shop("a", 1)
		s := configure(t, syncer.Config{Source: newStock(5), Queue: q, Schedule: syncer.Never()}, a)
		defer running(t, s)()
		require.NoError(t, s.Notify(t.Context(), "p0"))
		pass(time.Minute)
		shows(t, a, 5)
	})
}

type panicking struct {
	*syncer.MemoryQueue
	times int
}

func (p *panicking) Ack(ctx context.Context, tasks ...syncer.Task) error {
	if p.times > 0 {
		p.times--
		panic("boom")
	}
	return p.MemoryQueue.Ack(ctx, tasks...)
}

var _ = channeltest.NewMemory
