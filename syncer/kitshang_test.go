package syncer_test

import (
	"context"
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

// hanging is a function of a host's that does not return while it hangs.
type hanging struct{ held chan chan struct{} }

func newHanging() *hanging {
	h := &hanging{make(chan chan struct{}, 1)}
	h.held <- nil
	return h
}

// hang makes calls hang until the function that it returns is called.
func (h *hanging) hang() (release func()) {
	<-h.held
	until := make(chan struct{})
	h.held <- until
	return func() { <-h.held; h.held <- nil; close(until) }
}

func (h *hanging) wait() {
	until := <-h.held
	h.held <- until
	if until != nil {
		<-until
	}
}

// kits lists a kit of p0 and p1, if it does not hang.
func (h *hanging) kits() []syncer.Listing {
	h.wait()
	return []syncer.Listing{kitOf("KIT", "p0", "p1")}
}

func quantity(m *channeltest.Memory, sku string) int { n, _ := m.Quantity(sku); return n }

// A target's Kits that hangs delays no other channel, not even by the first call; its
// own is down until it returns, and right then.
func TestKitsThatHangHoldUpTheirOwnChannelAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, a, b, h := newStock(10, 20), shop("a", 2), shop("b", 2), newHanging()
		b.Set("KIT", 50)
		s := unguardedly(t, syncer.Config{Source: source, Schedule: syncer.Never(), Targets: []syncer.Target{{Channel: a, Guard: unguarded}, {Channel: b, Kits: h.kits, Guard: unguarded}}})
		defer running(t, s)()
		require.NoError(t, s.Notify(t.Context(), "p0", "p1"))
		pass(time.Minute)
		shows(t, a, 10, 20)
		shows(t, b, 10, 20)
		assert.Equal(t, 10, quantity(b, "KIT"))

		release := h.hang()
		for i := range 10 {
			source.put("p0", "SKU-0", 9-i)
			require.NoError(t, s.Notify(t.Context(), "p0"))
			pass(2 * time.Second)
			shows(t, a, 9-i, 20)
			shows(t, b, 10, 20)
		}
		health, err := s.Health(t.Context())
		require.NoError(t, err)
		assert.Equal(t, "Kits", health.Channels[1].Stuck)
		assert.False(t, health.Channels[1].DownSince.IsZero())
		assert.True(t, health.Channels[0].DownSince.IsZero())

		began := time.Now()
		r, err := s.SyncProducts(t.Context(), "p1")
		require.Error(t, err)
		assert.Equal(t, 1, r.Channels[1].Failed, "%+v", r.Channels[1])
		assert.Less(t, time.Since(began), 10*time.Second, "it is known to hang")

		release()
		pass(30 * time.Second)
		shows(t, b, 0, 20)
		assert.Zero(t, quantity(b, "KIT"))
		assert.True(t, drained(t, s))
		health, err = s.Health(t.Context())
		require.NoError(t, err)
		assert.Empty(t, health.Channels[1].Stuck)
		assert.True(t, health.Channels[1].DownSince.IsZero())
	})
}

// A run does not wait for Kits that hang, and the other channels are whole.
func TestARunDoesNotWaitForKitsThatHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, a, b, h := newStock(10, 20), shop("a", 2), shop("b", 2), newHanging()
		b.Set("KIT", 50)
		s := unguardedly(t, syncer.Config{Source: source, Schedule: syncer.Never(), Targets: []syncer.Target{{Channel: a, Guard: unguarded}, {Channel: b, Kits: h.kits, Guard: unguarded}}})
		release := h.hang()
		began := time.Now()
		r, err := s.SyncProducts(t.Context(), "p0")
		require.ErrorContains(t, err, "Kits")
		assert.Equal(t, 1, r.Channels[0].Updated)
		assert.Less(t, time.Since(began), time.Minute)

		r, err = s.Reconcile(t.Context())
		require.ErrorContains(t, err, "Kits")
		assert.Equal(t, []int{2, 0}, []int{r.Channels[0].Checked, r.Channels[0].Failed}, "%+v", r.Channels[0])
		shows(t, a, 10, 20)
		p, err := s.PlanProducts(t.Context(), "p0")
		require.ErrorContains(t, err, "Kits")
		assert.Contains(t, p.Channels[1].Error, "Kits")

		release()
		pass(time.Minute)
		_, err = s.Reconcile(t.Context())
		require.NoError(t, err)
		shows(t, b, 10, 20)
		assert.Equal(t, 10, quantity(b, "KIT"))
	})
}

// What one channel's kits are made of costs the other channels no reads: what was read
// for one of them serves the others.
func TestAPartOfAnotherChannelsKitIsReadOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, a, b, c := newStock(10, 20), shop("a", 2), shop("b", 2), shop("c", 2)
		b.Set("KIT", 50)
		s := configure(t, syncer.Config{Source: source, Schedule: syncer.Never(), Targets: []syncer.Target{
			{Channel: a, Guard: unguarded}, {Channel: b, Guard: unguarded, Kits: kitList(kitOf("KIT", "p0", "p1"))}, {Channel: c, Guard: unguarded},
		}})
		defer running(t, s)()
		before := source.asked()
		require.NoError(t, s.Notify(t.Context(), "p0"))
		pass(time.Minute)
		shows(t, a, 10, 100)
		shows(t, c, 10, 100)
		assert.Equal(t, 10, quantity(b, "KIT"))
		assert.LessOrEqual(t, source.asked()-before, 2)
	})
}

// A policy that hangs for more than two products puts its channel down, which raises an
// alarm, and one for fewer is told among the troubles.
func TestAPolicyThatHangsRaisesAnAlarm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, a, b, h, rings := newStock(10, 20, 30), shop("a", 3), shop("b", 3), newHanging(), new(bell)
		policy := syncer.Custom("mine", func(s channel.Stock) (int, error) { h.wait(); return s.Available, nil })
		s := configure(t, syncer.Config{Source: source, Schedule: syncer.Never(), Hooks: rings.hooks(), Targets: []syncer.Target{
			{Channel: a, Guard: unguarded}, {Channel: b, Guard: unguarded, Policy: policy},
		}})
		defer running(t, s)()
		release := h.hang()
		require.NoError(t, s.Notify(t.Context(), "p0"))
		pass(10 * time.Minute)
		assert.Empty(t, rings.heard())
		var troubles []string
		for one, err := range s.Troubles(t.Context()) {
			require.NoError(t, err)
			troubles = append(troubles, one.Channel+" "+one.ProductID+" "+one.Err.Error())
		}
		require.Len(t, troubles, 1)
		assert.Regexp(t, "^b p0 .*did not return", troubles[0])

		require.NoError(t, s.Notify(t.Context(), "p1", "p2"))
		pass(30 * time.Minute)
		shows(t, a, 10, 20, 30)
		shows(t, b, 100, 100, 100)
		assert.Equal(t, []string{string(syncer.QueueOld)}, rings.heard())
		assert.Equal(t, "b", rings.last().Channel)
		release()
		pass(2 * time.Minute)
		shows(t, b, 10, 20, 30)
		assert.Equal(t, []string{string(syncer.QueueOld), "-" + string(syncer.QueueOld)}, rings.heard())
	})
}

// heldSchedule is a schedule that may hang.
type heldSchedule struct{ *hanging }

func (h heldSchedule) Next(t time.Time) time.Time { h.wait(); return t.Add(24 * time.Hour) }

// A schedule that hangs has no time for an hour; the alarms go on, and Run ends.
func TestAScheduleThatHangsHoldsUpNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, a, h, rings := newStock(90), shop("a", 1), newHanging(), new(bell)
		c := &channeltest.Intercept{Channel: a, OnLevels: func(context.Context, channel.Reader, []string) ([]channel.Level, error) {
			return nil, channel.ErrUnavailable
		}}
		hooks := rings.hooks()
		var runs atomic.Int32
		hooks.Reconciled = func(context.Context, *syncer.Report, error) { runs.Add(1) }
		s := unguardedly(t, syncer.Config{Source: source, Schedule: heldSchedule{h}, Hooks: hooks}, c)
		release := h.hang()
		stop := running(t, s)
		pass(10 * time.Second)
		require.NoError(t, s.Notify(t.Context(), "p0"))
		pass(50 * time.Minute)
		assert.Contains(t, rings.heard(), string(syncer.QueueOld))
		assert.Zero(t, runs.Load())
		pass(30 * time.Minute)
		assert.EqualValues(t, 1, runs.Load())
		stop()
		release()
	})
}
