package syncer_test

import (
	"context"
	"errors"
	"fmt"
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

func TestSyncProductsWritesOnlyDifferences(t *testing.T) {
	a, b := shop("a", 3), shop("b", 3)
	b.Set("SKU-0", 7)
	b.Set("SKU-1", 0)
	s := build(t, newStock(7, -2, 100), a, b)

	r, err := s.SyncProducts(t.Context(), "p0", "p1", "p2", "p1")
	require.NoError(t, err)
	require.NoError(t, r.Err())
	shows(t, a, 7, 0, 100)
	shows(t, b, 7, 0, 100)
	assert.Equal(t, 3, r.Read)
	assert.Equal(t, 2, r.Channels[0].Updated)
	assert.Equal(t, 1, r.Channels[0].Unchanged)
	assert.Equal(t, 3, r.Channels[1].Unchanged)
	for _, c := range r.Channels {
		assert.Equal(t, 3, c.Checked)
	}
	_, writes := b.Calls()
	assert.Zero(t, writes, "nothing differs, so nothing is written")
	assert.Equal(t, 100, *r.Channels[0].Changes[0].Shown)
}

func TestNothingToDo(t *testing.T) {
	source := newStock(1)
	r, err := build(t, source, shop("a", 1)).SyncProducts(t.Context())
	require.NoError(t, err)
	assert.Zero(t, r.Read)
	assert.Zero(t, source.asked(), "no ids must not mean all products")
}

func TestZerosAndDecreasesGoFirst(t *testing.T) {
	m := shop("a", 4)
	var order []string
	c := &channeltest.Intercept{Channel: m, OnPush: func(ctx context.Context, next channel.Channel, updates []channel.Update) error {
		for _, u := range updates {
			order = append(order, u.SKU)
		}
		return next.Push(ctx, updates)
	}}
	_, err := build(t, newStock(500, 99, 0, 200), c).SyncProducts(t.Context(), "p0", "p1", "p2", "p3")
	require.NoError(t, err)
	assert.Equal(t, []string{"SKU-2", "SKU-1", "SKU-0", "SKU-3"}, order)
}

func TestMissingIsNotZero(t *testing.T) {
	m := shop("a", 2)
	source := newStock(5)
	source.products["bad"] = channel.Stock{ProductID: "bad", SKU: "SKU-1", Err: errors.New("available is null")}
	r, err := build(t, source, m).SyncProducts(t.Context(), "p0", "gone", "bad")
	require.Error(t, err, "something was not done")
	shows(t, m, 5, 100)
	require.Len(t, r.Problems, 2)
	assert.ErrorContains(t, r.Problems[0].Err, "null")
	assert.ErrorIs(t, r.Problems[1].Err, syncer.ErrNoProduct)
	assert.ErrorIs(t, r.Err(), syncer.ErrNoProduct)
}

func TestSourceFailsHalfWay(t *testing.T) {
	m := shop("a", 1)
	source := newStock(5)
	source.fail = channel.ErrUnavailable
	r, err := build(t, source, m).SyncProducts(t.Context(), "p0", "p9")
	require.ErrorIs(t, err, channel.ErrUnavailable)
	shows(t, m, 5) // what was read is true
	require.Len(t, r.Problems, 1)
	assert.Equal(t, "p9", r.Problems[0].ProductID)
	assert.ErrorIs(t, r.Problems[0].Err, channel.ErrUnavailable)
}

func TestProblemsByNameAndTheOthersDone(t *testing.T) {
	m := shop("a", 1)
	m.Add(channel.Level{SKU: "twice"}, channel.Level{SKU: "twice"},
		channel.Level{SKU: "untracked", Err: channel.ErrNotTracked},
		channel.Level{SKU: "new", Unset: true})
	source := newStock(5)
	for _, sku := range []string{"twice", "untracked", "new", "nowhere"} {
		source.put(sku, sku, 0)
	}
	source.put("empty", " ", 3)
	r, err := build(t, source, m).SyncProducts(t.Context(), "p0", "twice", "untracked", "new", "nowhere", "empty")
	require.Error(t, err, "something was not done")
	shows(t, m, 5)
	n, ok := m.Quantity("new")
	assert.True(t, ok && n == 0, "an item without a quantity gets one, even if it is 0")

	c := r.Channels[0]
	assert.Equal(t, 6, c.Checked)
	assert.Equal(t, []int{2, 0, 1, 3}, []int{c.Updated, c.Unchanged, c.Unknown, c.Failed})
	errs := map[string]error{}
	for _, p := range c.Problems {
		errs[p.SKU] = p.Err
	}
	assert.ErrorIs(t, errs["twice"], channel.ErrAmbiguousSKU)
	assert.ErrorIs(t, errs["untracked"], channel.ErrNotTracked)
	assert.ErrorIs(t, errs["nowhere"], channel.ErrUnknownSKU)
	assert.ErrorIs(t, errs[" "], channel.ErrInvalid)
	assert.NotErrorIs(t, r.Err(), channel.ErrUnknownSKU, "not every channel sells everything")
}

func TestTwoProductsWithOneSKU(t *testing.T) {
	m := shop("a", 2)
	source := newStock(5, 6)
	source.put("p1", "SKU-0", 6)
	r, err := build(t, source, m).SyncProducts(t.Context(), "p0", "p1")
	require.Error(t, err, "something was not done")
	shows(t, m, 100)
	assert.Equal(t, 2, r.Channels[0].Failed)
	assert.ErrorIs(t, r.Err(), channel.ErrAmbiguousSKU)
}

func TestStaleCompareIsPlannedAgain(t *testing.T) {
	m := shop("a", 2)
	sales := 2
	c := &channeltest.Intercept{Channel: m, OnPush: func(ctx context.Context, next channel.Channel, updates []channel.Update) error {
		if sales > 0 {
			sales--
			m.Set("SKU-0", 40+sales) // somebody buys between our read and our write
		}
		return next.Push(ctx, updates)
	}}
	r, err := build(t, newStock(5, 6), c).SyncProducts(t.Context(), "p0", "p1")
	require.NoError(t, err)
	require.NoError(t, r.Err())
	shows(t, m, 4, 6) // one was sold, and is not booked
	assert.Equal(t, 2, r.Channels[0].Updated)

	m.Set("SKU-0", 100)
	sales = 1 << 30 // never stops
	r, err = build(t, newStock(5, 6), c).SyncProducts(t.Context(), "p0", "p1")
	require.Error(t, err, "something was not done")
	assert.ErrorIs(t, r.Err(), channel.ErrConflict, "a bounded number of times")
}

// sized takes two updates at once.
type sized struct{ *channeltest.Memory }

func (sized) BatchSize() int { return 2 }
func (s sized) Push(ctx context.Context, updates []channel.Update) error {
	if len(updates) > 2 {
		return errors.New("too many")
	}
	return s.Memory.Push(ctx, updates)
}
func (s sized) Levels(ctx context.Context, skus []string) ([]channel.Level, error) {
	if len(skus) > 2 {
		return nil, errors.New("too many")
	}
	return s.Memory.Levels(ctx, skus)
}

func TestBatchesOfTheChannelsSize(t *testing.T) {
	m := shop("a", 5)
	r, err := build(t, newStock(1, 2, 3, 4, 5), sized{m}).SyncProducts(t.Context(), "p0", "p1", "p2", "p3", "p4")
	require.NoError(t, err)
	require.NoError(t, r.Err())
	shows(t, m, 1, 2, 3, 4, 5)
	reads, writes := m.Calls()
	assert.Equal(t, []int{3, 3}, []int{reads, writes})
}

func TestOneBadUpdateDoesNotFailTheBatch(t *testing.T) {
	m := shop("a", 5)
	c := &channeltest.Intercept{Channel: m, OnPush: func(ctx context.Context, next channel.Channel, updates []channel.Update) error {
		for _, u := range updates {
			if u.SKU == "SKU-3" {
				return fmt.Errorf("400: %w", channel.ErrInvalid) // names no SKU
			}
		}
		return next.Push(ctx, updates)
	}}
	r, err := build(t, newStock(1, 2, 3, 4, 5), c).SyncProducts(t.Context(), "p0", "p1", "p2", "p3", "p4")
	require.Error(t, err, "something was not done")
	shows(t, m, 1, 2, 3, 100, 5)
	assert.Equal(t, 1, r.Channels[0].Failed)
	assert.Equal(t, "SKU-3", r.Channels[0].Problems[0].SKU)
	assert.NoError(t, r.Channels[0].Err)
}

func TestAChannelIsAnIsland(t *testing.T) {
	for _, tt := range []struct {
		name   string
		broken func(*channeltest.Memory) channel.Channel
	}{
		{"cannot be read", func(m *channeltest.Memory) channel.Channel {
			return &channeltest.Intercept{Channel: m, OnLevels: func(context.Context, channel.Reader, []string) ([]channel.Level, error) {
				return nil, channel.ErrUnavailable
			}}
		}},
		{"cannot be written", func(m *channeltest.Memory) channel.Channel {
			return &channeltest.Intercept{Channel: m, OnPush: func(context.Context, channel.Channel, []channel.Update) error {
				return channel.ErrUnauthorized
			}}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, b := shop("a", 2), shop("b", 2)
			r, err := build(t, newStock(5, 6), tt.broken(a), b).SyncProducts(t.Context(), "p0", "p1")
			require.Error(t, err, "something was not done")
			shows(t, a, 100, 100)
			shows(t, b, 5, 6)
			assert.Equal(t, 2, r.Channels[0].Failed)
			assert.Error(t, r.Channels[0].Err)
			assert.NoError(t, r.Channels[1].Err)
			assert.Contains(t, r.String(), `a: 2 products: `+r.Channels[0].Err.Error(), "one line says it for all")
		})
	}
}

func TestASlowChannelDelaysNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const products = 2000 // several groups
		source := newStock()
		slow, fast := channeltest.NewMemory("slow"), channeltest.NewMemory("fast")
		var ids []string
		for i := range products {
			id := fmt.Sprintf("p%d", i)
			source.put(id, id, i)
			slow.Set(id, -1)
			fast.Set(id, -1)
			ids = append(ids, id)
		}
		pace := func(m *channeltest.Memory, d time.Duration) channel.Channel {
			return &channeltest.Intercept{Channel: m, OnPush: func(ctx context.Context, next channel.Channel, updates []channel.Update) error {
				time.Sleep(d)
				return next.Push(ctx, updates)
			}}
		}
		s := unguardedly(t, syncer.Config{Source: source, Patience: 24 * time.Hour}, pace(slow, time.Hour), pace(fast, time.Second))
		start := time.Now()
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, err := s.SyncProducts(t.Context(), ids...)
			assert.NoError(t, err)
		}()
		time.Sleep(10 * time.Second)
		n, _ := fast.Quantity("p1999")
		assert.Equal(t, 1999, n, "the fast channel is done at its usual time")
		<-done
		assert.Equal(t, 2*time.Hour, time.Since(start))
	})
}

func TestNoStaleWriteWins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := shop("a", 1)
		source := newStock(10)
		s := build(t, source, m)
		// The first run reads 10 and is held up; meanwhile the product sells out
		// and a second run publishes that.
		source.delay = time.Minute
		old := make(chan *syncer.Report)
		go func() {
			r, _ := s.SyncProducts(t.Context(), "p0")
			old <- r
		}()
		time.Sleep(time.Second)
		source.mu.Lock()
		source.delay = 0
		source.mu.Unlock()
		source.put("p0", "SKU-0", 0)
		_, err := s.SyncProducts(t.Context(), "p0")
		require.NoError(t, err)
		shows(t, m, 0)
		r := <-old
		shows(t, m, 0)
		assert.Equal(t, 1, r.Channels[0].Unchanged, "it has read again, and found it done")
		assert.Equal(t, 1, r.Channels[0].Checked)
	})
}

func TestNeverTwoWritesInFlightForOneSKU(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := shop("a", 3)
		var mu sync.Mutex
		inflight := map[string]bool{}
		c := &channeltest.Intercept{Channel: m, OnPush: func(ctx context.Context, next channel.Channel, updates []channel.Update) error {
			for _, u := range updates {
				mu.Lock()
				assert.False(t, inflight[u.SKU], u.SKU)
				inflight[u.SKU] = true
				mu.Unlock()
			}
			time.Sleep(time.Second)
			defer func() {
				mu.Lock()
				clear(inflight)
				mu.Unlock()
			}()
			return next.Push(ctx, updates)
		}}
		source := newStock(1, 2, 3)
		s := build(t, source, c)
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * 100 * time.Millisecond)
				source.put("p1", "SKU-1", i)
				s.SyncProducts(t.Context(), "p0", "p1", "p2")
			})
		}
		wg.Wait()
		shows(t, m, 1, 19, 3)
	})
}

func TestCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := shop("a", 1)
		c := &channeltest.Intercept{Channel: m, OnPush: func(ctx context.Context, _ channel.Channel, _ []channel.Update) error {
			<-ctx.Done()
			return ctx.Err()
		}}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		r, err := build(t, newStock(5), c).SyncProducts(ctx, "p0")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, 1, r.Channels[0].Unclear, "it was sent")
		assert.Equal(t, syncer.ChangeUnclear, r.Channels[0].Changes[0].State)
	})
}

func TestReconcileCoversTheWholeCatalogue(t *testing.T) {
	source, m := newStock(), channeltest.NewMemory("a")
	for i := range 1234 {
		sku := fmt.Sprintf("SKU-%d", i)
		source.put(sku, sku, i)
		m.Set(sku, i-i%2)
	}
	s := build(t, source, m)
	r, err := s.Reconcile(t.Context())
	require.NoError(t, err)
	require.NoError(t, r.Err())
	assert.Equal(t, 1234, r.Read)
	assert.Equal(t, 617, r.Channels[0].Updated)
	r, err = s.Reconcile(t.Context())
	require.NoError(t, err)
	assert.Zero(t, r.Channels[0].Updated)
}

func TestConstructorSaysWhatToDo(t *testing.T) {
	source := newStock()
	for _, tt := range []struct {
		want string
		cfg  syncer.Config
	}{
		{"Source is nil", syncer.Config{Targets: []syncer.Target{{Channel: shop("a", 0)}}}},
		{"Targets is empty", syncer.Config{Source: source}},
		{"Targets[0].Channel is nil", syncer.Config{Source: source, Targets: []syncer.Target{{}}}},
		{"no name", syncer.Config{Source: source, Targets: []syncer.Target{{Channel: shop("", 0)}}}},
		{`two channels are named "a"`, syncer.Config{Source: source, Targets: []syncer.Target{{Channel: shop("a", 0)}, {Channel: shop("a", 0)}}}},
	} {
		_, err := syncer.New(tt.cfg)
		assert.ErrorContains(t, err, tt.want)
	}
}
