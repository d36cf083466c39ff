package syncer

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
)

// pages is a source of that many pages of 100 products. A page takes a second,
// and the next one is asked for meanwhile. Every tenth has to be asked for twice.
type pages int

func (n pages) Stock(context.Context, ...string) iter.Seq2[channel.Stock, error] {
	return func(yield func(channel.Stock, error) bool) {
		asked := time.Now()
		for page := range int(n) {
			next := time.Now()
			time.Sleep(time.Second)
			if page%10 == 9 {
				asked = time.Now()
			}
			for i := range 100 {
				id := fmt.Sprint(page*100 + i)
				if !yield(channel.Stock{ProductID: id, SKU: id, Available: 1, AsOf: asked}, nil) {
					return
				}
			}
			asked = next
		}
	}
}

// The lanes forget what is older than all groups, so no group may say that it
// began after one of its products was read.
func TestNoGroupIsYoungerThanItsProducts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := New(Config{Source: pages(50), Targets: []Target{{Channel: channeltest.NewMemory("a")}}})
		require.NoError(t, err)
		e := s.begin(t.Context(), "test")
		products, groups := 0, 0
		f := s.fanOut(e.ctx, 10, func(_ context.Context, _ int, g *group) {
			if groups++; groups > 1 {
				assert.WithinDuration(t, g.stocks[0].AsOf, g.began, time.Minute, "nor much older")
			}
			for i := range g.stocks {
				products++
				require.False(t, g.stocks[i].AsOf.Before(g.began), "%s was read before the group began", g.stocks[i].ProductID)
			}
		})
		known := s.newNames(t.Context())
		defer known.close()
		require.NoError(t, e.catalogue(e.ctx, f, known, s.newProgress(e.ctx, e.report)))
		f.wait()
		assert.Equal(t, 5000, products)
		assert.Zero(t, s.OpenRuns())
	})
}

// While a group waits for a channel that is behind, the others' lanes know of the
// next one, which was read as early: what is older than all groups they forget, and
// would have it read again.
func TestTheNextGroupIsKnownWhileOneIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := New(Config{Source: pages(25), Targets: []Target{{Channel: channeltest.NewMemory("a")}, {Channel: channeltest.NewMemory("b")}}})
		require.NoError(t, err)
		e := s.begin(t.Context(), "test")
		f := s.fanOut(e.ctx, 0, func(_ context.Context, target int, _ *group) {
			if target == 1 {
				time.Sleep(time.Minute)
			}
		})
		known := s.newNames(t.Context())
		defer known.close()
		time.AfterFunc(30*time.Second, func() { // the second group has waited for ten seconds
			l := s.targets[0].locks
			l.mu.Lock()
			defer l.mu.Unlock()
			assert.Len(t, l.open, 1)
		})
		require.NoError(t, e.catalogue(e.ctx, f, known, s.newProgress(e.ctx, e.report)))
		f.wait()
		assert.Zero(t, s.OpenRuns())
	})
}

// Channels that are behind are left behind together, after one moment for all.
func TestChannelsThatAreBehindAreLeftBehindTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var targets []Target
		for _, name := range []string{"a", "b", "c", "d"} {
			targets = append(targets, Target{Channel: channeltest.NewMemory(name)})
		}
		s, err := New(Config{Source: pages(1), Targets: targets})
		require.NoError(t, err)
		f := s.fanOut(t.Context(), 0, func(_ context.Context, target int, _ *group) {
			if target > 0 {
				time.Sleep(time.Hour)
			}
		})
		f.spill = true
		start := time.Now()
		for i := range 3 {
			g := s.group(time.Now())
			g.stocks = []channel.Stock{{ProductID: fmt.Sprint(i), AsOf: time.Now()}}
			synctest.Wait()
			f.send(g)
		}
		assert.Equal(t, 2*maxWaiting, time.Since(start))
		f.wait()
		for i, want := range []int{0, 2, 2, 2} {
			assert.Equal(t, want, f.behind[i].count, "channel %d", i)
		}
		assert.Zero(t, s.OpenRuns())
	})
}
