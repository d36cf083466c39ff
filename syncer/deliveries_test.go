package syncer_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/syncer/queuetest"
)

// A delivery that is not stored is not acknowledged: the channel is to send it again.
func TestADeliveryThatIsNotStoredIsNotAcknowledged(t *testing.T) {
	q := &brokenQueue{MemoryQueue: syncer.NewMemoryQueue()}
	s := unguardedly(t, syncer.Config{Source: newStock(5), Queue: q}, gossip{Memory: shop("a", 1)})
	h := handler(t, s, "a")
	for _, why := range []error{errors.New("disk full"), nil} {
		q.fail(why)
		r := httptest.NewRequest("POST", "/", strings.NewReader(`{"Type":"sold","SKUs":["SKU-0"]}`))
		r.Header.Set("X-Signature", "good")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if why != nil {
			assert.Equal(t, 503, w.Code)
			assert.Equal(t, "5", w.Header().Get("Retry-After"))
		} else {
			assert.Equal(t, 202, w.Code)
			assert.Empty(t, w.Header().Get("Retry-After"))
		}
	}
}

func TestHooksOfDeliveries(t *testing.T) {
	var received []string
	var marked []string
	a := shop("a", 2)
	s := unguardedly(t, syncer.Config{Source: newStock(5), Hooks: syncer.Hooks{
		Received: func(_ context.Context, e channel.Event) { received = append(received, e.Type) },
		Marked:   func(_ context.Context, ids []string) { marked = append(marked, ids...) },
	}}, gossip{Memory: a})
	_, err := s.SyncProducts(t.Context(), "p0")
	require.NoError(t, err)
	h := handler(t, s, "a")
	assert.Equal(t, 202, tells(t, h, sold("SKU-0")))
	assert.Equal(t, 202, tells(t, h, sold("SKU-1")), "no product of which is known yet")
	assert.Equal(t, 200, tells(t, h, channel.Event{Type: "ping"}))
	assert.Equal(t, []string{"sold", "sold", "ping"}, received)
	assert.Equal(t, []string{"p0"}, marked)
}

// Who stands by does not know what kits are made of; who leads does.
func TestAKitThatAStandbyIsToldOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := shop("a", 0), shop("b", 2)
		a.Set("KIT", 2)
		cfg := syncer.Config{Source: newStock(10, 4), Schedule: syncer.Never(), Targets: []syncer.Target{{
			Channel: gossip{Memory: a}, Guard: unguarded, Listings: func(channel.Stock) []syncer.Listing { return nil },
			Kits: func() []syncer.Listing {
				return []syncer.Listing{{SKU: "KIT", Parts: []syncer.Part{{ProductID: "p0", Units: 2}, {ProductID: "p1", Units: 1}}}}
			},
		}, {Channel: b, Guard: unguarded}}}
		server := queuetest.NewServer(leaseTime)
		leader := join(t, server, "leader", cfg, nil)
		pass(2 * time.Second)
		standby := join(t, server, "standby", cfg, nil)
		pass(2 * time.Second)
		_, err := leader.Reconcile(t.Context()) // the index is whole, so nothing waits for it
		require.NoError(t, err)
		a.Set("KIT", 9)
		assert.Equal(t, 202, tells(t, handler(t, standby.Syncer, "a"), sold("KIT")))
		pass(5 * time.Second)
		n, _ := a.Quantity("KIT")
		assert.Equal(t, 4, n)
		standby.stop()
		leader.stop()
	})
}

// What an SKU is cannot be told for a while, for good, or any more: in each case
// it is let go.
func TestAnSKUThatCannotBeFoundIsLetGo(t *testing.T) {
	for name, tt := range map[string]struct {
		channel string
		fails   error
		search  int
	}{
		"the source refuses it":      {"a", channel.ErrInvalid, 1},
		"the source cannot be whole": {"a", channel.ErrIncomplete, 1},
		"its channel is gone":        {"gone", nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				source, q := &finder{stock: newStock(5)}, syncer.NewMemoryQueue()
				source.failing(tt.fails)
				s := unguardedly(t, syncer.Config{Source: source, Queue: q, Schedule: syncer.Never()}, shop("a", 1))
				defer running(t, s)()
				require.NoError(t, q.Mark(t.Context(), syncer.Mark{Key: syncer.Key{Lane: "inbox/skus", ID: tt.channel + "\x00nobody's"}}))
				pass(10 * time.Minute)
				assert.Len(t, source.searched(), tt.search)
				d, err := q.Depth(t.Context(), "inbox/skus")
				require.NoError(t, err)
				assert.Zero(t, d.Tasks)
			})
		})
	}
}
