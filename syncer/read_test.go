package syncer_test

import (
	"context"
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
	"github.com/ecosire/stocksync/syncer"
)

// twice is a source that has p0 twice in an answer.
type twice struct{ quantities, ages []int }

func (w twice) Stock(context.Context, ...string) iter.Seq2[channel.Stock, error] {
	return func(yield func(channel.Stock, error) bool) {
		for i, n := range w.quantities {
			asOf := time.Now().Add(-time.Duration(w.ages[i]) * time.Second)
			if !yield(channel.Stock{ProductID: "p0", SKU: "SKU-0", Available: n, AsOf: asOf}, nil) {
				return
			}
		}
	}
}

func TestTheNewerOfTwoAnswersCounts(t *testing.T) {
	for _, source := range []twice{
		{[]int{3, 9}, []int{0, 60}},
		{[]int{9, 3}, []int{60, 0}},
		{[]int{8, 3, 9}, []int{60, 0, 30}},
	} {
		m := shop("a", 1)
		_, err := build(t, source, m).SyncProducts(t.Context(), "p0")
		require.NoError(t, err)
		shows(t, m, 3)
	}
}

// held makes the first write of a channel take a time.
func held(m *channeltest.Memory, d time.Duration) channel.Channel {
	once := sync.OnceFunc(func() { time.Sleep(d) })
	return &channeltest.Intercept{Channel: m, OnPush: func(ctx context.Context, next channel.Channel, updates []channel.Update) error {
		once()
		return next.Push(ctx, updates)
	}}
}

// What was read a moment ago serves a channel that comes later, although what
// was read before that is forgotten by then.
func TestForgettingAReadKeepsANewerOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, a, b := newStock(5, 6), shop("a", 2), shop("b", 2)
		s := configure(t, syncer.Config{Source: source, Schedule: syncer.Never(), Patience: time.Hour}, a, held(b, 150*time.Second))
		defer running(t, s)()
		require.NoError(t, s.Notify(t.Context(), "p1"))
		pass(time.Second)
		require.NoError(t, s.Notify(t.Context(), "p0"))
		pass(59 * time.Second)
		source.put("p0", "SKU-0", 4)
		require.NoError(t, s.Notify(t.Context(), "p0"))
		pass(time.Second)
		shows(t, a, 4, 6)
		require.Equal(t, 3, source.asked())
		pass(time.Minute)
		shows(t, b, 100, 100) // the first two reads are two minutes old soon
		pass(32 * time.Second)
		shows(t, b, 4, 6)
		assert.Equal(t, 3, source.asked())
	})
}

// What one channel's conflict brought to light is not hidden from another
// channel by an older read.
func TestAReadAfterAConflictReplacesTheOneBefore(t *testing.T) {
	for _, by := range []int{4, 9} { // of fewer the ledger would know by itself
		synctest.Test(t, func(t *testing.T) {
			source, a, b := newStock(5, 6), shop("a", 2), shop("b", 2)
			change := sync.OnceFunc(func() {
				time.Sleep(10 * time.Millisecond)
				a.Set("SKU-0", 101) // no sale, of which all channels would hear
				source.put("p0", "SKU-0", by)
			})
			changed := &channeltest.Intercept{Channel: a, OnPush: func(ctx context.Context, next channel.Channel, updates []channel.Update) error {
				if slices.ContainsFunc(updates, func(u channel.Update) bool { return u.SKU == "SKU-0" }) {
					change()
				}
				return next.Push(ctx, updates)
			}}
			s := configure(t, syncer.Config{Source: source, Schedule: syncer.Never()}, changed, held(b, 5*time.Second))
			defer running(t, s)()
			require.NoError(t, s.Notify(t.Context(), "p1"))
			pass(time.Second)
			require.NoError(t, s.Notify(t.Context(), "p0"))
			pass(time.Second)
			shows(t, a, by, 6)
			pass(10 * time.Second)
			shows(t, b, by, 6)
		})
	}
}

// A source that fails is not asked for the rest of a long list, of which each
// product is reported all the same.
func TestASourceThatFailsIsNotAskedForTheRest(t *testing.T) {
	asked := func(n int) int {
		source := newStock()
		source.fail = channel.ErrUnavailable
		var ids []string
		for i := range n {
			ids = append(ids, fmt.Sprintf("p%d", i))
		}
		r, err := build(t, source, shop("a", 1)).SyncProducts(t.Context(), ids...)
		require.ErrorIs(t, err, channel.ErrUnavailable)
		assert.Equal(t, n, r.Unread)
		return source.asked()
	}
	assert.Equal(t, asked(1000), asked(3500))
}

// cached is a source whose first answer about p0 is from before the question.
type cached struct {
	*stock
	old int
}

func (c *cached) Stock(ctx context.Context, ids ...string) iter.Seq2[channel.Stock, error] {
	return func(yield func(channel.Stock, error) bool) {
		for p, err := range c.stock.Stock(ctx, ids...) {
			if p.ProductID == "p0" && c.old > 0 {
				p.Available, p.AsOf, c.old = c.old, p.AsOf.Add(-time.Minute), 0
			}
			if !yield(p, err) {
				return
			}
		}
	}
}

// A quantity from before the question is no answer for another channel either.
func TestAnOldAnswerServesNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, a, b := &cached{stock: newStock(4, 6), old: 5}, shop("a", 2), shop("b", 2)
		s := configure(t, syncer.Config{Source: source, Schedule: syncer.Never()}, a, held(b, 2*time.Second))
		defer running(t, s)()
		require.NoError(t, s.Notify(t.Context(), "p1"))
		pass(time.Second)
		require.NoError(t, s.Notify(t.Context(), "p0"))
		pass(time.Minute)
		shows(t, b, 4, 6)
		shows(t, a, 4, 6)
	})
}
