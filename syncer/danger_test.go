package syncer_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/syncer"
)

// A delivery that is sent each second does not take the quota, and what it is
// about is shown all the same.
func TestAReplayedDeliveryCostsLittle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newERP(t, 10)
		m := channeltest.NewMemory("a")
		for i := range 10 {
			m.Set(fmt.Sprintf("S%05d", i), 50)
		}
		s := configure(t, syncer.Config{Source: e.client, Schedule: syncer.Never(), WatchEvery: -1}, m)
		defer running(t, s)()
		pass(time.Minute)
		quantity := func(i int) int {
			n, _ := m.Quantity(fmt.Sprintf("S%05d", i))
			return n
		}
		replay := func(seconds int) {
			for range seconds {
				require.NoError(t, s.Notify(t.Context(), e.ids[0]))
				pass(time.Second)
			}
		}
		before := e.Count(nil)
		replay(300)
		assert.LessOrEqual(t, e.Count(nil)-before, 5+300/4+1, "one in four seconds, after the first few")
		e.Sell(e.ids[0], 1)
		replay(5)
		assert.Equal(t, 49, quantity(0), "not later than that")
		// It rides with others, and does not hold them up.
		for i := 1; i < 10; i++ {
			e.Sell(e.ids[0], 1)
			e.Sell(e.ids[i], 1)
			require.NoError(t, s.Notify(t.Context(), e.ids[0], e.ids[i]))
			pass(1500 * time.Millisecond)
			assert.Equal(t, []int{49 - i, 49}, []int{quantity(0), quantity(i)})
		}
		// What was marked last is not forgotten.
		replay(10)
		e.Sell(e.ids[0], 1)
		require.NoError(t, s.Notify(t.Context(), e.ids[0]))
		pass(5 * time.Second)
		assert.Equal(t, 39, quantity(0))
		assert.True(t, drained(t, s))
	})
}

// ordered is a receiver of events about an order of one product.
type ordered struct{}

func (ordered) Receive(_ context.Context, _ http.Header, body []byte) (channel.Event, error) {
	return channel.Event{Type: "checkout.completed", ProductIDs: []string{string(body)}, Order: true}, nil
}

// When more is waiting than a channel takes, what was sold and what is scarce goes
// first, and what waits is told.
func TestDangerFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 3000
		source, m := newStock(), channeltest.NewMemory("slow")
		var ids []string
		for i := range n {
			id := fmt.Sprintf("p%d", i)
			ids = append(ids, id)
			source.put(id, id, 50)
			m.Set(id, 50)
		}
		source.put("p2500", "p2500", 3)
		m.Set("p2500", 3)
		slow := &channeltest.Intercept{Channel: m, OnPush: func(ctx context.Context, next channel.Channel, u []channel.Update) error {
			time.Sleep(10 * time.Second)
			return next.Push(ctx, u)
		}}
		s := unguardedly(t, syncer.Config{Source: source, Schedule: syncer.Never(), Webhooks: ordered{}}, slow)
		defer running(t, s)()
		_, err := s.Reconcile(t.Context()) // it is known then what is scarce
		require.NoError(t, err)
		for _, id := range ids[:2000] {
			source.put(id, id, 40)
		}
		require.NoError(t, s.Notify(t.Context(), ids[:2000]...))
		pass(15 * time.Second)
		for _, id := range []string{"p2500", "p2600", "p2700"} {
			source.put(id, id, 1)
		}
		require.NoError(t, s.Notify(t.Context(), "p2500", "p2700"))
		require.Equal(t, 202, deliver(s.WebhookHandler(), "", "p2600"))
		pass(25 * time.Second)
		shown := func(id string) int { got, _ := m.Quantity(id); return got }
		assert.Equal(t, 1, shown("p2500"), "few were left of it")
		assert.Equal(t, 1, shown("p2600"), "it was sold")
		assert.Equal(t, 50, shown("p2700"), "it can wait")
		assert.Equal(t, 50, shown("p1999"), "what came before the others waits")
		h, err := s.Health(t.Context())
		require.NoError(t, err)
		assert.Greater(t, h.Channels[0].Tasks, 1000)
		pass(3 * time.Minute)
		assert.Equal(t, []int{1, 40}, []int{shown("p2700"), shown("p1999")})
		assert.True(t, drained(t, s))
	})
}
