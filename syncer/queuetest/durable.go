package queuetest

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ecosire/stocksync/syncer"
)

// TestDurable checks that what a queue acknowledged survives a crash. setup
// makes a new, empty store, and returns a function that opens a queue on it.
// Each call of open finds the store as if the process that opened it last had
// crashed: nothing was closed, and nothing written that was not written when
// its last call returned. For a queue in files, open can copy the files and
// open the copy. What is to be closed at the end is left to t.Cleanup.
func TestDurable(t *testing.T, setup func(t *testing.T) (open func() syncer.Queue)) {
	for _, tc := range surviving {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				open := setup(t)
				k := &kit{t, open()}
				tc.run(k, func() { k.q = open() })
			})
		})
	}
}

var surviving = []struct {
	name string
	run  func(k *kit, crash func())
}{
	{"MarksSurvive", func(k *kit, crash func()) {
		first := time.Now()
		for _, id := range []string{"c", "", "a\x00b", "\xff"} {
			k.mark(id)
			pass()
		}
		other := syncer.Key{ID: "order"}
		if err := k.q.Mark(k.t.Context(), syncer.Mark{Key: other}); err != nil {
			k.t.Fatalf("Mark: %v", err)
		}
		k.mark("c")
		crash()
		k.depth(4, first, "what Mark returned nil for survives, with the time of its oldest mark")
		k.wait(lane).returns("what survived is due")
		k.order("what survived is leased in the order of the oldest marks", "c", "", "a\x00b", "\xff")
		if tasks := k.leaseLane("", 10); len(tasks) != 1 || tasks[0].Key != other {
			k.t.Errorf("lane \"\" has %s, want order: every lane survives", names(tasks))
		}
	}},
	{"LeasedTasksAreDueAgain", func(k *kit, crash func()) {
		k.mark("a")
		k.one("a", "it was marked")
		crash()
		k.one("a", "what was leased and not acknowledged is due again after a crash")
		k.mark("a")
		crash()
		k.one("a", "a mark during work survives")
	}},
	{"DelayedTasksSurvive", func(k *kit, crash func()) {
		k.mark("a")
		k.retry(time.Now().Add(time.Hour), k.one("a", "it was marked"))
		crash()
		time.Sleep(time.Hour)
		k.one("a", "what waited for a retry survives, and is due at that time at the latest")
	}},
	{"AckedTasksAreGone", func(k *kit, crash func()) {
		k.mark("a", "b", "c")
		for _, t := range k.leaseLane(lane, 10) {
			if t.ID != "b" {
				k.ack(t)
			}
		}
		crash()
		k.one("b", "what was acknowledged does not come again; all else does")
		crash()
		k.one("b", "nothing changes from one crash to the next")
	}},
	{"AMarkDuringWorkSurvivesItsAck", func(k *kit, crash func()) {
		k.mark("a")
		t := k.one("a", "it was marked")
		pass()
		second := time.Now()
		k.mark("a")
		k.ack(t)
		crash()
		k.depth(1, second, "Ack removes only the marks that were made before the lease")
		k.ack(k.one("a", "an Ack must not undo a mark that was made since, on disk either"))
		k.mark("a")
		crash()
		k.one("a", "a key that is marked after Ack is written again")
	}},
	{"SavedValuesSurvive", func(k *kit, crash func()) {
		k.save("name", "one")
		k.save("name", "two")
		k.save("", "empty name")
		crash()
		k.load("name", "two", "the newest value survives")
		k.load("", "empty name", "a name may be empty")
		k.save("name", "three")
		crash()
		k.load("name", "three", "the newest value survives")
	}},
	{"ManyKeysSurvive", func(k *kit, crash func()) {
		const n = 5000
		ids := make([]string, n)
		for i := range ids {
			ids[i] = fmt.Sprint("product-", i)
		}
		k.mark(ids...)
		crash()
		k.depth(n, time.Now(), "every mark survives")
		k.ack(k.leaseLane(lane, n-1)...)
		crash()
		k.depth(1, time.Now(), "every acknowledgement survives")
	}},
	{"CrashesAtAnyTime", crashesAtAnyTime},
}

// crashesAtAnyTime compares the queue with a set of the keys that are pending.
func crashesAtAnyTime(k *kit, crash func()) {
	random := rand.New(rand.NewPCG(1, 2))
	pending := make(map[string]bool)
	marked := make(map[string]bool) // since the lease
	var leased []syncer.Task
	for range 600 {
		time.Sleep(time.Second)
		switch n := random.IntN(20); {
		case n < 8:
			id := fmt.Sprint(random.IntN(30))
			k.mark(id)
			pending[id], marked[id] = true, true
		case n < 12:
			for _, t := range k.leaseLane(lane, 1+random.IntN(4)) {
				leased = append(leased, t)
				marked[t.ID] = false
			}
		case n < 18:
			if len(leased) == 0 {
				continue
			}
			t := leased[0]
			leased = leased[1:]
			if random.IntN(4) == 0 {
				k.retry(time.Now().Add(time.Minute), t)
				continue
			}
			k.ack(t)
			if !marked[t.ID] {
				delete(pending, t.ID)
			}
		default:
			crash()
			leased = nil
		}
		d, err := k.q.Depth(k.t.Context(), lane)
		if err != nil || d.Tasks != len(pending) {
			k.t.Fatalf("Depth is %d, %v, want %d: after every call and every crash, exactly what was marked and not acknowledged is there",
				d.Tasks, err, len(pending))
		}
	}
	crash()
	time.Sleep(time.Hour)
	for _, t := range k.leaseLane(lane, 100) {
		if !pending[t.ID] {
			k.t.Errorf("key %q came again: it was acknowledged, and not marked since", t.ID)
		}
		delete(pending, t.ID)
	}
	for id := range pending {
		k.t.Errorf("key %q is lost: it was marked, and not acknowledged since", id)
	}
}
