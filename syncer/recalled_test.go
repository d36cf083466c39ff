package syncer

import (
	"context"
	"iter"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
)

// unreadableLate is a source that has one product in ten seconds, then one that
// cannot be read, and then one in a second.
type unreadableLate struct{}

func (unreadableLate) Stock(context.Context, ...string) iter.Seq2[channel.Stock, error] {
	return func(yield func(channel.Stock, error) bool) {
		for i := range 40 {
			s := channel.Stock{ProductID: strconv.Itoa(i), SKU: strconv.Itoa(i), AsOf: time.Now()}
			if i == 20 {
				s.Err, s.AsOf = channel.ErrInvalid, time.Time{}
			}
			if i <= 20 {
				time.Sleep(10 * time.Second)
			} else {
				time.Sleep(time.Second)
			}
			if !yield(s, nil) {
				return
			}
		}
	}
}

// A product that is pinned to 0 and cannot be read makes no group wait for being
// full, nor be read once more for its age.
func TestARecalledProductIsAsNewAsOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := New(Config{Source: unreadableLate{}, Targets: []Target{{Channel: channeltest.NewMemory("a")}}})
		require.NoError(t, err)
		require.NoError(t, s.Pin(t.Context(), Pin{ProductID: "20", Who: "Ana", Why: "recalled"}))
		e := s.begin(t.Context(), "test")
		start, found := time.Now(), false
		f := s.fanOut(e.ctx, 10, func(_ context.Context, _ int, g *group) {
			if len(g.stocks) > 0 && g.stocks[0].ProductID == "20" {
				found = true
				assert.LessOrEqual(t, time.Since(start), 216*time.Second)
				assert.LessOrEqual(t, time.Since(g.stocks[0].AsOf), flushAfter+time.Second)
			}
			for i := range g.stocks {
				assert.False(t, g.stocks[i].AsOf.Before(g.began), g.stocks[i].ProductID)
			}
		})
		known := s.newNames(t.Context())
		defer known.close()
		require.NoError(t, e.catalogue(e.ctx, f, known, s.newProgress(e.ctx, e.report)))
		f.wait()
		assert.True(t, found)
		_, _ = e.end(nil)
	})
}

// kitOfARecalledPart is a kit of two parts, all shown rightly at first. Then part
// "1" is pinned to 0, and one of the parts cannot be read.
func kitOfARecalledPart(t *testing.T, bad string) (s *Syncer, m *channeltest.Memory, unreadable *bool) {
	unreadable = new(bool)
	source := stocksFunc(func(id string) channel.Stock {
		if id == bad && *unreadable {
			return channel.Stock{ProductID: id, SKU: id, Err: channel.ErrInvalid}
		}
		return channel.Stock{ProductID: id, SKU: id, OnHand: 8, Available: 8, AsOf: time.Now()}
	})
	m = channeltest.NewMemory("a")
	for _, sku := range []string{"0", "1", "KIT"} {
		m.Set(sku, 8)
	}
	s, err := New(Config{Source: source, Targets: []Target{{Channel: m,
		Kits: func() []Listing { return []Listing{{SKU: "KIT", Parts: []Part{{"0", 1}, {"1", 1}}}} }}}})
	require.NoError(t, err)
	_, err = s.SyncProducts(t.Context(), "0", "1")
	require.NoError(t, err)
	*unreadable = true
	require.NoError(t, s.Pin(t.Context(), Pin{ProductID: "1", Who: "Ana", Why: "recalled"}))
	return s, m, unreadable
}

// A pinned part that cannot be read counts as unknown, not as sold out: none of
// its units in flight are taken to be booked.
func TestARecalledPartOfAKitHasNotBecomeLess(t *testing.T) {
	s, m, _ := kitOfARecalledPart(t, "1")
	_, err := s.SyncProducts(t.Context(), "0", "1")
	require.ErrorIs(t, err, channel.ErrInvalid)
	n, _ := m.Quantity("KIT")
	assert.Zero(t, n)
	pos, known := s.ledger.table.get("1")
	assert.True(t, known)
	assert.Equal(t, 8, pos.available)
}

// A pin that takes a kit to 0 is not a sale, even if the kit's other part could not
// be read at the time.
func TestAKitThatWentToZeroForAPinHasNotSold(t *testing.T) {
	s, m, unreadable := kitOfARecalledPart(t, "0")
	_, err := s.SyncProducts(t.Context(), "1")
	require.NoError(t, err)
	n, _ := m.Quantity("KIT")
	require.Zero(t, n)
	*unreadable = false
	require.NoError(t, s.Unpin(t.Context(), Pin{ProductID: "1", Who: "Ana", Why: "harmless"}))
	_, err = s.SyncProducts(t.Context(), "0", "1")
	require.NoError(t, err)
	n, _ = m.Quantity("KIT")
	assert.Equal(t, 8, n)
	assert.Empty(t, s.ledger.flights)
}

// stocksFunc is a source that answers for whatever it is asked.
type stocksFunc func(id string) channel.Stock

func (f stocksFunc) Stock(_ context.Context, ids ...string) iter.Seq2[channel.Stock, error] {
	return func(yield func(channel.Stock, error) bool) {
		for _, id := range ids {
			if !yield(f(id), nil) {
				return
			}
		}
	}
}

// That the pins could not be read for one product is no answer for the next.
func TestARecallIsFoundWhenThePinsCanBeRead(t *testing.T) {
	q := &torn{MemoryQueue: NewMemoryQueue()}
	s, err := New(Config{Source: sevens(2), Queue: q, Targets: []Target{{Channel: channeltest.NewMemory("a")}}})
	require.NoError(t, err)
	require.NoError(t, s.Pin(t.Context(), Pin{ProductID: "1", Who: "Ana", Why: "recalled"}))
	g := &group{s: s}
	q.tear(storePart{"Load", pinSet})
	assert.False(t, g.recalled(t.Context(), channel.Stock{ProductID: "1"}))
	assert.Empty(t, g.stocks)
	q.tear(storePart{})
	assert.True(t, g.recalled(t.Context(), channel.Stock{ProductID: "1"}))
	assert.False(t, g.recalled(t.Context(), channel.Stock{ProductID: "0"}))
	assert.Len(t, g.stocks, 1)
}
