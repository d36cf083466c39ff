package syncer_test

import (
	"fmt"
	"maps"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/syncer"
)

// lasting is a queue whose records outlive a process, as far as the syncer knows.
type lasting struct{ *syncer.MemoryQueue }

// A life is one process after the other on one durable store.
type life struct {
	*testing.T
	source *stock
	a, b   *channeltest.Memory
	policy syncer.Policy
	settle time.Duration
	queue  lasting
	s      *syncer.Syncer
	stop   func()
}

func inLife(t *testing.T, do func(l *life)) {
	synctest.Test(t, func(t *testing.T) {
		do(&life{T: t, source: newStock(10), a: shop("a", 1), b: shop("b", 1), queue: lasting{syncer.NewMemoryQueue()}})
	})
}

func (l *life) start() {
	s, err := syncer.New(syncer.Config{
		Source: l.source, Queue: l.queue, Schedule: syncer.Never(), WatchEvery: -1, Settle: l.settle,
		Targets: []syncer.Target{{Channel: l.a, Policy: l.policy}, {Channel: l.b, Policy: l.policy}},
	})
	require.NoError(l, err)
	l.s, l.stop = s, running(l.T, s)
}

// records are what is kept of flights.
func (l *life) records() map[string][]byte {
	all := make(map[string][]byte)
	for rec, err := range l.queue.Records(l.Context(), "flights", "") {
		require.NoError(l, err)
		all[rec.Key] = rec.Value
	}
	return all
}

// crash ends the process, and what it would have kept at its end is lost.
func (l *life) crash() {
	kept := l.records()
	l.stop()
	l.restore(kept)
}

func (l *life) restore(kept map[string][]byte) {
	for key := range l.records() {
		require.NoError(l, l.queue.Save(l.Context(), "flights", syncer.Record{Key: key}))
	}
	for key, value := range kept {
		require.NoError(l, l.queue.Save(l.Context(), "flights", syncer.Record{Key: key, Value: value}))
	}
}

func (l *life) notify() {
	require.NoError(l, l.s.Notify(l.Context(), "p0"))
	pass(2 * time.Second)
}

// shown checks both channels.
func (l *life) shown(n int) {
	l.Helper()
	shows(l.T, l.a, n)
	shows(l.T, l.b, n)
}

// What was in flight, and what the channels showed, outlives a process.
func TestFlightsSurviveARestart(t *testing.T) {
	inLife(t, func(l *life) {
		l.start()
		l.notify()
		l.a.Set("SKU-0", 8) // sold
		l.notify()
		l.shown(8)
		h, err := l.s.Health(l.Context())
		require.NoError(t, err)
		assert.Equal(t, []int{2, 0}, []int{h.Channels[0].InFlight, h.Channels[1].InFlight})
		l.stop()
		l.b.Set("SKU-0", 7) // sold while nobody looks

		l.start()
		l.notify()
		l.shown(7)
		l.source.put("p0", "SKU-0", 7) // all three are booked
		l.notify()
		l.shown(7)
		pass(time.Hour)
		l.shown(7)
		l.stop()
		assert.NotContains(t, l.records(), "f/p0", "what is over is not kept")
	})
}

// After a crash what is known is older than the truth. That one channel was
// lowered for what the other has sold is no other sale.
func TestACrashCountsNoSaleTwice(t *testing.T) {
	inLife(t, func(l *life) {
		l.start()
		l.notify()
		pass(time.Minute) // it is kept
		l.a.Set("SKU-0", 8)
		l.notify()
		l.shown(8)
		l.crash()

		l.start()
		l.notify()
		l.shown(8)
		l.source.put("p0", "SKU-0", 8)
		l.notify()
		l.shown(8)
		l.stop()
	})
}

// What was written after it was kept last is no sale either: what the source had
// then is as old.
func TestACrashAfterAWriteIsNoSale(t *testing.T) {
	inLife(t, func(l *life) {
		l.start()
		l.notify()
		pass(time.Minute)
		l.source.put("p0", "SKU-0", 4)
		l.notify()
		l.shown(4)
		l.crash()

		l.start()
		l.notify()
		l.shown(4)
		pass(time.Hour)
		l.shown(4)
		l.source.put("p0", "SKU-0", 9)
		l.notify()
		l.shown(9)
		l.stop()
	})
}

// A channel whose policy has changed shows something else for that reason alone.
func TestANewPolicyIsNoSale(t *testing.T) {
	inLife(t, func(l *life) {
		l.start()
		l.notify()
		l.shown(10)
		l.stop()
		l.policy = syncer.Available().Buffer(3)
		l.a.Set("SKU-0", 7) // by another process with that policy
		l.start()
		l.notify()
		l.shown(7)
		l.stop()
	})
}

// What another version has kept, or what makes no sense, is not believed, and
// harms nothing.
func TestForeignFlightsAreNotBelieved(t *testing.T) {
	inLife(t, func(l *life) {
		l.start()
		l.notify()
		l.a.Set("SKU-0", 8)
		l.notify()
		l.stop()
		kept := l.records()
		for name, spoil := range map[string]func(map[string][]byte){
			"a newer version": func(m map[string][]byte) { m[""] = []byte(`{"version":2,"channels":["a"]}`) },
			"no head":         func(m map[string][]byte) { delete(m, "") },
			"nonsense": func(m map[string][]byte) {
				for key, v := range m {
					if key == "" {
						continue
					}
					for i := range v {
						v[i] ^= byte(0x5a + i)
					}
				}
			},
			"cut short": func(m map[string][]byte) {
				for key, v := range m {
					m[key] = v[:len(v)/2]
				}
			},
		} {
			spoilt := make(map[string][]byte)
			for key, value := range kept {
				spoilt[key] = append([]byte(nil), value...)
			}
			spoil(spoilt)
			l.restore(spoilt)
			l.a.Set("SKU-0", 8)
			l.b.Set("SKU-0", 8)
			l.start()
			l.notify()
			pass(time.Hour)
			l.shown(10)
			assert.NotEmpty(t, l.records(), name)
			l.stop()
		}
		l.restore(maps.Clone(kept))
	})
}

// Of a pass that writes very much it is kept only that it does: after a crash in it
// nothing is known, and so nothing looks sold. When all is kept, it is known again.
func TestACrashInAGreatWriteIsNoSale(t *testing.T) {
	const n = 300
	inLife(t, func(l *life) {
		l.a, l.b = shop("a", n), shop("b", n)
		var ids []string
		set := func(available int) {
			ids = ids[:0]
			for i := range n {
				id := fmt.Sprintf("p%d", i)
				l.source.put(id, fmt.Sprintf("SKU-%d", i), available)
				ids = append(ids, id)
			}
		}
		sync := func() {
			_, err := l.s.SyncProducts(l.Context(), ids...)
			require.NoError(l, err)
		}
		all := func(m *channeltest.Memory, want int) {
			for i := range n {
				got, _ := m.Quantity(fmt.Sprintf("SKU-%d", i))
				require.Equal(l, want, got, "%s shows SKU-%d", m.Name(), i)
			}
		}
		l.start()
		set(90)
		sync()
		pass(time.Minute)
		assert.NotContains(l, l.records(), "!")
		set(87)
		sync()
		assert.Contains(l, l.records(), "!")
		l.crash()

		l.start()
		sync()
		all(l.a, 87)
		all(l.b, 87)
		pass(time.Minute)
		assert.NotContains(l, l.records(), "!", "all is kept")
		l.a.Set("SKU-7", 86) // and a sale is noticed again
		sync()
		shows(l.T, l.b, 87, 87, 87, 87, 87, 87, 87, 86)
		l.stop()
	})
}
