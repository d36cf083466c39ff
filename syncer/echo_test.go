package syncer_test

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/syncer/queuetest"
)

// A delivery is an echo only of what is known for certain: of a kit as of a product.
func TestAnEchoIsOfWhatIsKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, a := newStock(7, 4, 9), shop("a", 3)
		a.Set("KIT", 50)
		unclear := &channeltest.Intercept{Channel: a, OnPush: func(ctx context.Context, next channel.Channel, updates []channel.Update) error {
			errs := make(channel.Errors)
			for _, u := range updates {
				if u.SKU == "SKU-2" {
					errs[u.SKU] = channel.ErrUnclear
				}
			}
			return cmp.Or(next.Push(ctx, updates), errs.Err())
		}}
		q := &markedQueue{MemoryQueue: syncer.NewMemoryQueue()}
		s := configure(t, syncer.Config{Source: source, Queue: q, Schedule: syncer.Never(), Targets: []syncer.Target{{
			Channel: unclear, Webhooks: tattler{}, Guard: unguarded, Kits: kitList(kitOf("KIT", "p0", "p1")),
		}}})
		h := handler(t, s, "a")
		news := func(sku string, shows int) bool {
			before := len(q.all())
			assert.Equal(t, 202, tells(t, h, channel.Event{SKUs: []string{sku}, Shows: map[string]int{sku: shows}}))
			return len(q.all()) > before
		}
		assert.True(t, news("SKU-0", 7), "nothing is known of it yet")
		_, err := s.Reconcile(t.Context())
		require.ErrorIs(t, err, channel.ErrUnclear)
		shows(t, a, 7, 4, 9)
		assert.False(t, news("SKU-0", 7))
		assert.False(t, news("KIT", 4), "what its parts allow")
		assert.True(t, news("KIT", 3))
		for _, n := range []int{9, 100, 0} {
			assert.True(t, news("SKU-2", n), "it may show what it did before: %d", n)
		}
		assert.NotContains(t, q.all(), 0, "to mark nothing is not asked of the queue")
	})
}

// saying returns a logger, and how many lines it has got that say this.
func saying(message string) (*slog.Logger, func() int) {
	var n atomic.Int64
	c := &lineChecker{seen: make(map[string]int), faults: make(map[string]bool), keep: func(said string, _ map[string]string) {
		if said == message {
			n.Add(1)
		}
	}}
	return c.logger(), func() int { return int(n.Load()) }
}

// markedQueue notes how many keys each Mark is about.
type markedQueue struct {
	*syncer.MemoryQueue
	mu    sync.Mutex
	marks []int
}

func (q *markedQueue) Mark(ctx context.Context, marks ...syncer.Mark) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.marks = append(q.marks, len(marks))
	return q.MemoryQueue.Mark(ctx, marks...)
}

func (q *markedQueue) all() []int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Clone(q.marks)
}

// A delivery marks each product once, however many of its SKUs that names, and all of
// them.
func TestADeliveryOfManySKUs(t *testing.T) {
	q := &markedQueue{MemoryQueue: syncer.NewMemoryQueue()}
	var marked [][]string
	var statuses []int
	logger, odd := saying("a part of a delivery makes no sense")
	s := unguardedly(t, syncer.Config{Source: newStock(1, 2), Queue: q, Logger: logger, Hooks: syncer.Hooks{
		Marked: func(_ context.Context, ids []string) { marked = append(marked, ids) },
		Delivery: func(ctx context.Context, _ *http.Request) (context.Context, func(int)) {
			return ctx, func(status int) { statuses = append(statuses, status) }
		},
	}}, gossip{Memory: shop("a", 2)})
	_, err := s.Reconcile(t.Context())
	require.NoError(t, err)
	h := handler(t, s, "a")
	assert.Equal(t, 202, tells(t, h, channel.Event{SKUs: []string{"SKU-0", "SKU-1", "SKU-0"}, ProductIDs: []string{"p1"}}))
	assert.Equal(t, [][]string{{"p0", "p1"}}, marked)
	assert.Equal(t, []int{2}, q.all())
	var many []string
	for i := range 5000 {
		many = append(many, fmt.Sprint("new ", i))
	}
	assert.Equal(t, 202, tells(t, h, channel.Event{SKUs: many}))
	assert.Equal(t, []int{2, 5000}, q.all())
	assert.Len(t, marked, 1, "which products they are is not known yet")
	assert.Zero(t, odd())
	assert.Equal(t, 200, tells(t, h, channel.Event{Odd: "half of it"}))
	assert.Equal(t, 1, odd())
	assert.Equal(t, []int{202, 202, 200}, statuses)
}

// A source that cannot be searched at the moment is asked ever more rarely.
func TestASearchThatFailsIsMadeEverMoreRarely(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &finder{stock: newStock(5), fail: channel.ErrUnavailable}
		logger, warned := saying("the product of an SKU that a channel told of could not be found yet")
		s := unguardedly(t, syncer.Config{Source: source, Logger: logger}, gossip{Memory: shop("a", 1)})
		defer running(t, s)()
		assert.Equal(t, 202, tells(t, handler(t, s, "a"), sold("SKU-0")))
		pass(2 * time.Hour)
		assert.Positive(t, warned())
		assert.Less(t, len(source.searched()), 50)
		assert.Greater(t, len(source.searched()), 20)
	})
}

// A source that cannot be searched is not asked for an SKU.
func TestWhoCannotSearchIsNotAsked(t *testing.T) {
	logger, panics := saying("recovered from a panic")
	s := unguardedly(t, syncer.Config{Source: newStock(1), Logger: logger}, shop("a", 1))
	_, err := s.Explain(t.Context(), syncer.Question{SKU: "nobody's"})
	require.ErrorIs(t, err, syncer.ErrNoProduct)
	assert.Zero(t, panics())
}

// The host is asked for its kits once a turn, and not for each SKU that a channel told of.
func TestSKUsThatWaitAreOneQuestionForKits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int64
		q := &markedQueue{MemoryQueue: syncer.NewMemoryQueue()}
		s := configure(t, syncer.Config{Source: newStock(1), Queue: q, Schedule: syncer.Never(), Targets: []syncer.Target{{
			Channel: gossip{Memory: shop("a", 1)}, Guard: unguarded,
			Kits: func() []syncer.Listing { asked.Add(1); return nil },
		}}})
		var many []string
		for i := range 100 {
			many = append(many, fmt.Sprint("new ", i))
		}
		assert.Equal(t, 202, tells(t, handler(t, s, "a"), channel.Event{SKUs: many}))
		before := asked.Load()
		defer running(t, s)()
		pass(10 * time.Second)
		assert.EqualValues(t, 1, asked.Load()-before)
		assert.Equal(t, []int{100}, q.all(), "nothing is found, and nothing is marked")
	})
}

// What comes of a channel's deliveries to another replica is no silence for who leads.
func TestDeliveriesToAStandbyAreHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logger, deaf := saying("no delivery of a channel's webhooks comes, while its watch finds changes")
		server, c := queuetest.NewServer(leaseTime), gossip{Memory: shop("shop", 1)}
		cfg := syncer.Config{Source: newStock(5000), Targets: []syncer.Target{watching(c, time.Minute, 0)}, Schedule: syncer.Never(), Logger: logger}
		a := join(t, server, "a", cfg, nil)
		pass(2 * time.Second)
		b := join(t, server, "b", cfg, nil)
		_, err := a.Reconcile(t.Context())
		require.NoError(t, err)
		handler(t, a.Syncer, "shop")
		h := handler(t, b.Syncer, "shop")
		for range 30 {
			c.Sell("SKU-0", 1)
			pass(2 * time.Minute) // the watch is sooner
			assert.Equal(t, 202, tells(t, h, sold("SKU-0")))
			pass(3 * time.Minute)
		}
		assert.Zero(t, deaf())
		for range 30 {
			c.Sell("SKU-0", 1)
			pass(5 * time.Minute)
		}
		assert.NotZero(t, deaf())
	})
}
