package syncer_test

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/syncer"
)

// halting is a source that pauses after its first products.
type halting struct {
	*stock
	first int
	pause time.Duration
}

func (h halting) Stock(ctx context.Context, ids ...string) iter.Seq2[channel.Stock, error] {
	return func(yield func(channel.Stock, error) bool) {
		n := 0
		for p, err := range h.stock.Stock(ctx, ids...) {
			if n++; n == h.first+1 {
				time.Sleep(h.pause)
			}
			if !yield(p, err) {
				return
			}
		}
	}
}

// What was read does not wait for a group to be full.
func TestAFewProductsDoNotWaitForMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := catalogue(20)
		for i := range 20 {
			m.Set(fmt.Sprintf("SKU-%d", i), 9)
		}
		s := build(t, halting{source, 10, time.Minute}, m)
		done := make(chan error, 1)
		go func() {
			_, err := s.Reconcile(t.Context())
			done <- err
		}()
		pass(10 * time.Second)
		shows(t, m, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 9)
		require.NoError(t, <-done)
		shows(t, m, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10)
	})
}

// Nor does a channel that is behind get them in small groups, which it would take
// one after the other.
func TestABusyChannelGetsFullerGroups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := catalogue(1_000)
		var sizes []int
		slow := &channeltest.Intercept{Channel: m, OnLevels: func(ctx context.Context, next channel.Reader, skus []string) ([]channel.Level, error) {
			sizes = append(sizes, len(skus))
			time.Sleep(20 * time.Second)
			return next.Levels(ctx, skus)
		}}
		_, err := build(t, trickling{source, 30 * time.Millisecond}, slow).Reconcile(t.Context())
		require.NoError(t, err)
		assert.Len(t, sizes, 4)
		assert.InDelta(t, 433, slices.Max(sizes), 5, "thirteen seconds' products, while another group waits")
	})
}

// A trickling source takes its time for each product.
type trickling struct {
	channel.Source
	each time.Duration
}

func (s trickling) Stock(ctx context.Context, ids ...string) iter.Seq2[channel.Stock, error] {
	return func(yield func(channel.Stock, error) bool) {
		for stock, err := range s.Source.Stock(ctx, ids...) {
			if time.Sleep(s.each); !yield(stock, err) {
				return
			}
		}
	}
}

// A product waits for a slow channel for two minutes at most; then it is read
// again. So what is written is never much older.
func TestNothingOldIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := catalogue(15_000)
		for i := range 15_000 {
			m.Set(fmt.Sprintf("SKU-%d", i), 9)
		}
		var oldest time.Duration
		slow := &channeltest.Intercept{Channel: m, OnPush: func(ctx context.Context, next channel.Channel, updates []channel.Update) error {
			time.Sleep(50 * time.Second)
			for _, u := range updates {
				oldest = max(oldest, time.Since(u.AsOf))
			}
			return next.Push(ctx, updates)
		}}
		r, err := build(t, source, slow).Reconcile(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 15_000, r.Channels[0].Updated)
		assert.Greater(t, oldest, time.Minute)
		assert.LessOrEqual(t, oldest, 3*time.Minute)
	})
}

// A channel that works for a group and then not, again and again, is caught up
// with, and nothing stays begun.
func TestCatchingUpThatFailsAgain(t *testing.T) {
	for _, delay := range []time.Duration{0, 3 * time.Second} { // of reading the source, while the channel takes a second
		synctest.Test(t, func(t *testing.T) {
			source, m := catalogue(6000)
			source.delay = delay
			for i := range 6000 {
				m.Set(fmt.Sprintf("SKU-%d", i), 9)
			}
			calls := 0
			c := &channeltest.Intercept{Channel: m, OnLevels: func(ctx context.Context, next channel.Reader, skus []string) ([]channel.Level, error) {
				time.Sleep(time.Second)
				if calls++; calls < 60 && calls%5 != 0 {
					return nil, channel.ErrUnavailable
				}
				return next.Levels(ctx, skus)
			}}
			s := build(t, source, c)
			r, err := s.Reconcile(t.Context())
			require.NoError(t, err)
			assert.Equal(t, 6000, r.Channels[0].Updated)
		})
	}
}

// What is put aside and written at the end counts once.
func TestWhatIsSettledCountsOnce(t *testing.T) {
	source, m := catalogue(100)
	for i := range 5 {
		source.put(fmt.Sprintf("p%d", i), fmt.Sprintf("SKU-%d", i), 0)
	}
	s := build(t, source, m)
	r, err := s.Reconcile(t.Context())
	require.NoError(t, err)
	c := r.Channels[0]
	assert.Equal(t, []int{100, 5, 95, 100}, []int{c.Checked, c.Updated, c.Unchanged, c.OnSale})
	p, err := s.Plan(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 95, p.Channels[0].OnSale)
}

// Of a shop that has none of the SKUs one hears if these are enough to tell.
func TestAForeignShop(t *testing.T) {
	for products, foreign := range map[int]bool{19: false, 20: true} {
		source, _ := catalogue(products)
		_, err := build(t, source, channeltest.NewMemory("other")).Reconcile(t.Context())
		if foreign {
			assert.ErrorIs(t, err, syncer.ErrForeign)
		} else {
			assert.NotErrorIs(t, err, syncer.ErrForeign)
		}
	}
	source, _ := catalogue(20)
	one := channeltest.NewMemory("one of them")
	one.Set("SKU-7", 10)
	_, err := build(t, source, one).Reconcile(t.Context())
	assert.NotErrorIs(t, err, syncer.ErrForeign)
}
