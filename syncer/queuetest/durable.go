package queuetest

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/ecosire/stocksync/syncer"
)

var surviving = []struct {
	name string
	run  func(k *kit, crash func())
}{
	{"MarksSurvive", func(k *kit, crash func()) {
		first := time.Now()
		for _, id := range []string{"c", "", "a\x00b", "\xff"} {
			k.mark(id)
			k.pass()
		}
		other := syncer.Key{ID: "order"}
		k.marks(syncer.Mark{Key: other})
		k.mark("c")
		crash()
		k.depth(4, first, "what Mark returned nil for survives, with the time of its oldest mark")
		k.wait(lane).returns("what survived is due")
		k.order("what survived is leased in the order of the oldest marks", "c", "", "a\x00b", "\xff")
		if tasks := k.leaseLane("", 10); len(tasks) != 1 || tasks[0].Key != other {
			k.t.Errorf("lane \"\" has %s, want order: every lane survives", names(tasks))
		}
	}},
	{"MovedMarksSurvive", func(k *kit, crash func()) {
		k.marks(syncer.Mark{Key: syncer.Key{Lane: "other", ID: "a"}})
		old := k.oneOf("other", "a", "it was marked")
		k.pass()
		k.mark("a", "b") // are in the store when the older one comes
		k.marks(old.Mark(lane))
		k.ack(old)
		k.pass()
		crash()
		k.depth(2, old.First, "the age of a moved mark survives, also where a newer one of its key was there")
		t := k.order("a moved mark keeps its place", "a", "b")[0]
		if !t.First.Equal(old.First) {
			k.t.Errorf("First is %v, want exactly %v: it is the oldest mark's", t.First, old.First)
		}
		if t.Last.Before(t.First) || t.Marks < 1 {
			k.t.Errorf("Last is %v, First %v, and it stands for %d marks: Last is not before First, and marks are at least 1", t.Last, t.First, t.Marks)
		}
		k.none("what was moved and acknowledged is gone from its old lane")
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
	{"AnAckFromBeforeEndsNothing", func(k *kit, crash func()) {
		k.mark("a")
		old := k.one("a", "it was marked")
		crash()
		k.one("a", "what was leased is due again")
		k.ack(old)
		k.retry(time.Now(), old)
		k.depth(1, old.First, "an Ack of a lease from before the crash must not end one after it: tokens of both differ")
		k.none("a Retry of a lease from before the crash must not end one after it: tokens of both differ")
	}},
	{"DelayedTasksSurvive", func(k *kit, crash func()) {
		k.mark("a")
		at := time.Now().Add(2 * k.unit)
		k.retry(at, k.one("a", "it was marked"))
		crash()
		k.reach(at)
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
		k.pass()
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
	{"RecordsSurvive", func(k *kit, crash func()) {
		k.save("set", record("name", "one"), record("", "empty key"), record("removed", "x"), record("empty", ""))
		k.save("set", record("name", "two"), syncer.Record{Key: "removed"})
		k.save("other", record("name", "other"))
		crash()
		k.load("set", "name", "two", "the newest value survives")
		k.load("set", "", "empty key", "a key may be empty")
		k.load("set", "empty", "", "an empty value survives as one")
		k.gone("set", "removed", "a removed record does not come again")
		k.load("other", "name", "other", "every set survives")
		k.records("set", "", "what survives is in order", "", "empty", "name")
		k.save("set", record("name", "three"), syncer.Record{Key: "empty"})
		crash()
		k.load("set", "name", "three", "the newest value survives")
		k.records("set", "", "nothing changes from one crash to the next", "", "name")
	}},
	{"ManyKeysSurvive", func(k *kit, crash func()) {
		const n = 5000
		ids := make([]string, n)
		records := make([]syncer.Record, n)
		for i := range ids {
			ids[i] = fmt.Sprint("product-", i)
			records[i] = record(fmt.Sprintf("sku-%05d", i), "value")
		}
		first := time.Now()
		k.mark(ids...)
		k.save("set", records...)
		crash()
		k.depth(n, first, "every mark survives")
		k.ack(k.leaseLane(lane, n-1)...)
		crash()
		k.depth(1, first, "every acknowledgement survives")
		got := 0
		for _, err := range k.q.Records(k.t.Context(), "set", "") {
			if err != nil {
				k.t.Fatalf("Records: %v", err)
			}
			got++
		}
		if got != n {
			k.t.Errorf("%d records survived of %d", got, n)
		}
	}},
	{"CrashesAtAnyTime", crashesAtAnyTime},
}

// crashesAtAnyTime compares the queue with a set of the keys that are pending,
// and of the records that were saved.
func crashesAtAnyTime(k *kit, crash func()) {
	random := rand.New(rand.NewPCG(1, 2))
	pending := make(map[string]bool)
	marked := make(map[string]bool) // since the lease
	saved := make(map[string]string)
	var leased []syncer.Task
	second := k.unit / 60
	for step := range 600 {
		time.Sleep(second)
		switch n := random.IntN(22); {
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
				k.retry(time.Now().Add(k.unit), t)
				continue
			}
			k.ack(t)
			if !marked[t.ID] {
				delete(pending, t.ID)
			}
		case n < 20:
			key, value := fmt.Sprint(random.IntN(10)), fmt.Sprint(step)
			if random.IntN(3) == 0 {
				k.save("set", syncer.Record{Key: key})
				delete(saved, key)
			} else {
				k.save("set", record(key, value))
				saved[key] = value
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
	time.Sleep(2 * k.unit)
	for _, t := range k.leaseLane(lane, 100) {
		if !pending[t.ID] {
			k.t.Errorf("key %q came again: it was acknowledged, and not marked since", t.ID)
		}
		delete(pending, t.ID)
	}
	for id := range pending {
		k.t.Errorf("key %q is lost: it was marked, and not acknowledged since", id)
	}
	for r, err := range k.q.Records(k.t.Context(), "set", "") {
		if err != nil || saved[r.Key] != string(r.Value) {
			k.t.Errorf("record %q has %q, %v, want %q: the newest value survives, and a removed record is gone", r.Key, r.Value, err, saved[r.Key])
		}
		delete(saved, r.Key)
	}
	for key := range saved {
		k.t.Errorf("record %q is lost", key)
	}
}
