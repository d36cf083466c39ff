package syncer_test

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/syncer"
)

// A kit that was put aside stays aside while another one that shares a part with it
// is caught up with: it is not compared again.
func TestAKitStaysAsideWhileAnotherIsCaughtUpWith(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := newStock(10, 1, 10), channeltest.NewMemory("a")
		m.Set("KIT-DRIFT", 2)
		m.Set("GONE", 8)
		s := configure(t, syncer.Config{Source: source, Schedule: syncer.Never(), Targets: []syncer.Target{{
			Channel: failing(m, "KIT", 20*time.Second),
			Kits:    kitList(kitOf("KIT-DRIFT", "p0", "p1"), kitOf("GONE", "p1", "p1", "p2")),
		}}})
		r, err := s.Reconcile(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 2, r.Channels[0].Updated)
		n, _ := m.Quantity("GONE")
		assert.Zero(t, n, "one loss is within the limits")
	})
}

// A kit is put aside once, however often others of its round are compared again,
// and if it has one part, too.
func TestAKitIsPutAsideOnce(t *testing.T) {
	for _, parts := range [][]string{{"p1"}, {"p1", "p0"}} {
		synctest.Test(t, func(t *testing.T) {
			source, m := newStock(10, 10), channeltest.NewMemory("a")
			m.Set("KIT-DRIFT", 8)
			m.Set("GONE", 8)
			time.AfterFunc(10*time.Second, func() { source.put("p1", "SKU-1", 0) })
			s := configure(t, syncer.Config{Source: source, Schedule: syncer.Never(), Targets: []syncer.Target{{
				Channel: failing(m, "KIT", 40*time.Second),
				Guard:   syncer.Guard{Few: -1},
				Kits:    kitList(kitOf("KIT-DRIFT", "p0"), kitOf("GONE", parts...)),
			}}})
			r, err := s.Reconcile(t.Context())
			require.ErrorIs(t, err, syncer.ErrHeld)
			assert.Equal(t, []int{1, 1, 0}, []int{r.Channels[0].Updated, r.Channels[0].Held, r.Channels[0].Failed}, "%v: %v", parts, r.Channels[0].Problems)
			require.NotNil(t, r.Held)
			assert.Len(t, r.Held.Lines, 1)
		})
	}
}

// Kits that are caught up with in several groups are each compared in one that has
// all of their parts.
func TestKitsAreCaughtUpWithInSeveralGroups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 1200
		source, m := newStock(), channeltest.NewMemory("a")
		for i := range n {
			source.put(fmt.Sprintf("p%04d", i), fmt.Sprintf("SKU-%d", i), 10)
			m.Set(fmt.Sprintf("KIT-%d", i), 8)
		}
		s := configure(t, syncer.Config{Source: source, Schedule: syncer.Never(), Targets: []syncer.Target{{
			Channel: failing(m, "KIT", 20*time.Second),
			Kits: func() (all []syncer.Listing) {
				for i := range n {
					all = append(all, kitOf(fmt.Sprintf("KIT-%d", i), fmt.Sprintf("p%04d", i), fmt.Sprintf("p%04d", (i+1)%n)))
				}
				return all
			},
		}}})
		r, err := s.Reconcile(t.Context())
		require.NoError(t, err)
		assert.Equal(t, []int{n, 0}, []int{r.Channels[0].Updated, r.Channels[0].Failed})
	})
}

// A host is asked for its kits a few times for a turn or a delivery, however many
// products it is about.
func TestKitsAreAskedForOnceATurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 60
		source, a, b := newStock(), channeltest.NewMemory("a"), channeltest.NewMemory("b")
		ids, told := make([]string, n), make([]string, n)
		for i := range n {
			ids[i], told[i] = fmt.Sprintf("p%d", i), fmt.Sprintf("SKU-%d", i)
			source.put(ids[i], told[i], 10)
			a.Set(told[i], 8)
			b.Set(told[i], 8)
		}
		var asked atomic.Int64
		kits := func() []syncer.Listing { asked.Add(1); return nil }
		s := configure(t, syncer.Config{Source: source, Schedule: syncer.Never(), WatchEvery: -1, Targets: []syncer.Target{
			{Channel: a, Kits: kits}, {Channel: slowlyRead(b, time.Second), Kits: kits, Webhooks: tattler{}},
		}})
		defer running(t, s)()
		pass(time.Second)
		asked.Store(0)
		require.NoError(t, s.Notify(t.Context(), ids...))
		pass(10 * time.Second)
		shows(t, b, 10, 10)
		assert.Less(t, asked.Load(), int64(n/2))

		asked.Store(0)
		require.Equal(t, http.StatusAccepted, tells(t, handler(t, s, "b"), channel.Event{SKUs: told}))
		assert.LessOrEqual(t, asked.Load(), int64(2))
	})
}
