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

func watching(c channel.Channel, every time.Duration, atOnce int) syncer.Target {
	return syncer.Target{Channel: c, Guard: unguarded, Watch: syncer.Watch{Every: every, AtOnce: atOnce}}
}

// sizes notes how many SKUs were read at a time.
type sizes struct {
	*channeltest.Memory
	mu    sync.Mutex
	sizes []int
	fail  error
}

func (s *sizes) Levels(ctx context.Context, skus []string) ([]channel.Level, error) {
	s.mu.Lock()
	s.sizes = append(s.sizes, len(skus))
	fail := s.fail
	s.mu.Unlock()
	if fail != nil {
		return nil, fail
	}
	return s.Memory.Levels(ctx, skus)
}

func (s *sizes) read() (calls, skus int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range s.sizes {
		skus += n
	}
	return len(s.sizes), skus
}

func TestTheWatchFindsASale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, a, b := newStock(50, 60), shop("a", 2), shop("b", 2)
		s := configure(t, syncer.Config{Source: source, Targets: []syncer.Target{watching(a, 15*time.Second, 0), {Channel: b, Guard: unguarded}}})
		defer running(t, s)()
		_, err := s.Reconcile(t.Context())
		require.NoError(t, err)
		asked := source.asked()
		pass(5 * time.Minute)
		assert.Equal(t, asked, source.asked(), "what was written itself is no news")
		source.put("p1", "SKU-1", 41) // nobody says so
		a.Sell("SKU-1", 1)
		pass(17 * time.Second)
		shows(t, a, 50, 41)
		shows(t, b, 50, 41)
		assert.Equal(t, asked+1, source.asked())
		pass(5 * time.Minute)
		assert.Equal(t, asked+1, source.asked(), "and it is told of once")
	})
}

func TestTheWatchStaysWithinItsShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 1000
		quantities := make([]int, n)
		for i := range quantities {
			quantities[i] = 500
		}
		quantities[7] = 4 // few
		source, a := newStock(quantities...), &sizes{Memory: shop("a", n)}
		s := configure(t, syncer.Config{Source: source, Targets: []syncer.Target{watching(a, 10*time.Second, 20)}})
		defer running(t, s)()
		_, err := s.Reconcile(t.Context())
		require.NoError(t, err)
		calls, skus := a.read()
		pass(1000 * time.Second)
		moreCalls, moreSKUs := a.read()
		assert.Equal(t, 100, moreCalls-calls)
		assert.Equal(t, 2000, moreSKUs-skus)
		asked := source.asked()
		a.Sell("SKU-7", 1)
		pass(80 * time.Second)
		assert.Equal(t, asked+1, source.asked(), "what is scarce comes eight times as often as the rest, which takes 500 s")
		a.Sell("SKU-900", 1)
		pass(600 * time.Second)
		assert.Equal(t, asked+2, source.asked(), "and the rest has its turn")
	})
}

func TestAWatchThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, a := newStock(50), &sizes{Memory: shop("a", 1)}
		s := configure(t, syncer.Config{Source: source, Targets: []syncer.Target{watching(a, 10*time.Second, 0)}})
		defer running(t, s)()
		_, err := s.Reconcile(t.Context())
		require.NoError(t, err)
		a.mu.Lock()
		a.fail = errors.New("no such luck")
		a.mu.Unlock()
		before, _ := a.read()
		pass(time.Hour)
		after, _ := a.read()
		assert.LessOrEqual(t, after-before, 10, "it asks less and less")
		a.mu.Lock()
		a.fail = nil
		a.mu.Unlock()
		require.NoError(t, s.Notify(t.Context(), "p0"))
		pass(time.Second)
		shows(t, a.Memory, 50)
	})
	for _, w := range []syncer.Watch{{Every: -1}, {AtOnce: -1}} {
		_, err := syncer.New(syncer.Config{Source: newStock(), Targets: []syncer.Target{{Channel: shop("a", 1), Watch: w}}})
		require.ErrorContains(t, err, "Watch")
	}
}

// lister is a channel that can list what has changed.
type lister struct {
	*channeltest.Memory
	mu      sync.Mutex
	cursors []string
	changed []channel.Level
	cannot  bool
}

func (l *lister) Changes(_ context.Context, cursor string) ([]channel.Level, string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cannot {
		return nil, "", errors.ErrUnsupported
	}
	l.cursors = append(l.cursors, cursor)
	changed := l.changed
	l.changed = nil
	return changed, fmt.Sprint(len(l.cursors)), nil
}

func (l *lister) change(levels ...channel.Level) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, level := range levels {
		l.Set(level.SKU, level.Quantity)
	}
	l.changed = append(l.changed, levels...)
}

func TestAChannelListsWhatHasChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, a := newStock(50, 60, 70), &lister{Memory: shop("a", 3)}
		s := configure(t, syncer.Config{Source: source, Targets: []syncer.Target{watching(a, 15*time.Second, 0)}})
		stop := running(t, s)
		_, err := s.Reconcile(t.Context())
		require.NoError(t, err)
		pass(time.Minute)
		asked := source.asked()
		a.change(channel.Level{SKU: "SKU-0", Quantity: 50}, channel.Level{SKU: "SKU-1", Quantity: 59},
			channel.Level{SKU: "SKU-2", Err: channel.ErrNotTracked}, channel.Level{SKU: "nobody's", Quantity: 1})
		pass(17 * time.Second)
		assert.Equal(t, asked+1, source.asked())
		shows(t, a.Memory, 50, 59)
		stop()
		s = configure(t, syncer.Config{Source: source, Targets: []syncer.Target{watching(a, 15*time.Second, 0)}})
		defer running(t, s)()
		a.mu.Lock()
		assert.Equal(t, []string{"", "1", "2"}, a.cursors[:3])
		a.cannot = true
		a.mu.Unlock()
		_, err = s.Reconcile(t.Context())
		require.NoError(t, err)
		asked = source.asked()
		a.Sell("SKU-0", 1)
		pass(time.Minute)
		assert.Equal(t, asked+1, source.asked(), "one that cannot is read by turns")
	})
}

// A watch is nobody's event: it leaves the shop's quota to these.
func TestAWatchIsInNoHurry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var reads []channel.Urgency
		c := &channeltest.Intercept{Channel: shop("a", 1), OnLevels: func(ctx context.Context, next channel.Reader, skus []string) ([]channel.Level, error) {
			mu.Lock()
			reads = append(reads, channel.UrgencyOf(ctx))
			mu.Unlock()
			return next.Levels(ctx, skus)
		}}
		s := configure(t, syncer.Config{Source: newStock(50), Schedule: syncer.Never(), Targets: []syncer.Target{watching(c, 15*time.Second, 0)}})
		stop := running(t, s)
		require.NoError(t, s.Notify(t.Context(), "p0"))
		pass(20 * time.Second)
		stop()
		assert.Equal(t, []channel.Urgency{channel.Urgent, channel.Soon}, reads)
	})
}

// stubborn is a queue that saves how far a watch has got, and does not mark what
// it has found.
type stubborn struct{ *syncer.MemoryQueue }

func (q stubborn) Mark(ctx context.Context, marks ...syncer.Mark) error {
	if marks[0].Why == syncer.CauseChannel {
		return errors.New("no room")
	}
	return q.MemoryQueue.Mark(ctx, marks...)
}

// A crash between the two must lose no mark.
func TestAChannelsCursorIsSavedAfterItsMarks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, a := stubborn{syncer.NewMemoryQueue()}, &lister{Memory: shop("a", 1)}
		s := configure(t, syncer.Config{Source: newStock(50), Queue: q, Schedule: syncer.Never(), Targets: []syncer.Target{watching(a, 15*time.Second, 0)}})
		stop := running(t, s)
		_, err := s.Reconcile(t.Context())
		require.NoError(t, err)
		pass(20 * time.Second)
		cursor, err := q.Load(t.Context(), "state", "watch/a")
		require.NoError(t, err)
		require.Equal(t, "1", string(cursor))
		a.change(channel.Level{SKU: "SKU-0", Quantity: 49})
		pass(15 * time.Second)
		stop()
		cursor, err = q.Load(t.Context(), "state", "watch/a")
		require.NoError(t, err)
		assert.Equal(t, "1", string(cursor))
		assert.Equal(t, []string{"", "1"}, a.cursors)
	})
}

func TestDeliveriesThatDoNotCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const line = "no delivery of a channel's webhooks comes, while its watch finds changes"
		var mu sync.Mutex
		warned := 0
		log := &lineChecker{seen: make(map[string]int), faults: make(map[string]bool), keep: func(message string, _ map[string]string) {
			mu.Lock()
			defer mu.Unlock()
			if message == line {
				warned++
			}
		}}
		warnings := func() int { mu.Lock(); defer mu.Unlock(); return warned }
		source, a := newStock(5000), gossip{Memory: shop("a", 1)}
		s := configure(t, syncer.Config{Source: source, Logger: log.logger(), Targets: []syncer.Target{watching(a, 15*time.Second, 0)}})
		h := handler(t, s, "a")
		defer running(t, s)()
		_, err := s.Reconcile(t.Context())
		require.NoError(t, err)
		sells := func(n int, tells bool) {
			for range n {
				if a.Sell("SKU-0", 1); tells {
					post(h, "good", `{"SKUs":["SKU-0"]}`)
				}
				pass(5 * time.Minute)
			}
		}
		sells(30, true)
		assert.Zero(t, warnings())
		sells(30, false)
		assert.Equal(t, 1, warnings(), "once")
		sells(2, true)
		sells(30, false)
		assert.Equal(t, 2, warnings())
	})
}
