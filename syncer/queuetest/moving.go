package queuetest

import (
	"time"

	"github.com/ecosire/stocksync/syncer"
)

// exactly wants a task to have the times that its mark was moved with.
func (k *kit) exactly(t syncer.Task, first, last time.Time, rule string) {
	k.t.Helper()
	if !t.First.Equal(first) || !t.Last.Equal(last) {
		k.t.Errorf("task %q has its marks from %v to %v, want exactly %v to %v: %s", t.ID, t.First, t.Last, first, last, rule)
	}
}

// moving is about marks that are made with the times of others.
var moving = []test{
	{"AMovedMarkKeepsWhatItIs", func(k *kit) {
		k.marks(syncer.Mark{Key: key("a"), Why: syncer.CauseEvent, Trace: traceA})
		k.pass()
		k.marks(syncer.Mark{Key: key("a"), Why: syncer.CauseWatch, Count: 2})
		old := k.one("a", "it was marked")
		k.pass()
		k.marks(old.Mark("x"), old.Mark("y"))
		k.ack(old)
		for _, lane := range []string{"x", "y"} {
			t := k.oneOf(lane, "a", "it was moved here")
			k.exactly(t, old.First, old.Last, "a moved mark keeps First and Last as they were: lanes are compared by them")
			k.about(t, 3, syncer.CauseWatch, traceA, "a moved mark keeps what it stands for")
		}
	}},
	{"AMovedMarkJoinsOthers", func(k *kit) {
		k.marks(syncer.Mark{Key: key("a"), Why: syncer.CauseEvent, Trace: traceA})
		old := k.one("a", "it was marked")
		k.pass()
		other := syncer.Key{Lane: "other", ID: "a"}
		last := time.Now()
		k.marks(syncer.Mark{Key: other, Why: syncer.CauseNotify})
		k.marks(old.Mark("other"))
		t := k.oneOf("other", "a", "it was marked")
		k.task(t, old.First, last, 0, "First is the oldest of all, Last the newest of all")
		k.about(t, 2, syncer.CauseNotify, traceA, "a mark that is moved here later may be older: Why is of the newest by Last")
		third := syncer.Key{Lane: "third", ID: "a"}
		k.marks(syncer.Mark{Key: third, Why: syncer.CauseCall, Trace: traceB})
		k.marks(old.Mark("third"))
		k.about(k.oneOf("third", "a", "it was marked"), 2, syncer.CauseCall, traceB, "Trace is of the newest by Last that has one")
	}},
	{"AMovedMarkKeepsItsPlace", func(k *kit) {
		k.marks(syncer.Mark{Key: syncer.Key{Lane: "other", ID: "old"}})
		old := k.oneOf("other", "old", "it was marked")
		k.pass()
		k.mark("a", "twice")
		k.pass()
		k.marks(old.Mark(lane))
		again := old.Mark(lane)
		again.ID = "twice"
		again.First = again.First.Add(k.unit / 2)
		again.Last = again.First
		k.marks(again)
		k.depth(3, old.First, "the oldest mark is one that was moved")
		k.order("due keys are leased in the order of their oldest mark, which a moved mark may be", "old", "twice", "a")
	}},
	{"AMovedMarkMayBeTheOldest", func(k *kit) {
		k.marks(syncer.Mark{Key: syncer.Key{Lane: "other", ID: "z"}})
		old := k.oneOf("other", "z", "it was marked")
		k.pass()
		first := time.Now()
		k.mark("a", "b")
		k.pass()
		k.mark("z")
		k.depth(3, first, "the oldest of three")
		k.marks(old.Mark(lane))
		k.depth(3, old.First, "a key that waited became the oldest by a mark that was moved")
		k.order("a key that waited became the oldest by a mark that was moved", "z", "a", "b")
	}},
	{"AMarkMovedDuringWork", func(k *kit) {
		k.marks(syncer.Mark{Key: syncer.Key{Lane: "other", ID: "a"}})
		old := k.oneOf("other", "a", "it was marked")
		k.pass()
		k.mark("b", "c")
		k.pass()
		k.mark("a")
		tasks := k.leaseLane(lane, 10)
		if len(tasks) != 3 || tasks[2].ID != "a" {
			k.t.Fatalf("leased %s, want a as the last of three", names(tasks))
		}
		k.pass()
		k.marks(old.Mark(lane))
		k.depth(3, old.First, "the oldest mark came during work, from another lane")
		k.ack(tasks...)
		k.depth(1, old.First, "the oldest mark came during work, from another lane")
		t := k.one("a", "it was marked during work")
		k.exactly(t, old.First, old.Last, "after Ack, a moved mark remains as it was")
		k.about(t, 1, "", "", "Ack ends the marks that were leased")
		k.marks(old.Mark(lane))
		k.retry(time.Now().Add(time.Hour), t)
		k.one("a", "it was marked during work, so that it is due at once after Retry")
	}},
	{"AMovedMarkMakesADelayedKeyDue", func(k *kit) {
		k.mark("a")
		old := k.one("a", "it was marked")
		k.retry(time.Now().Add(time.Hour), old)
		k.marks(old.Mark(lane))
		if t := k.one("a", "a mark makes a delayed key due, also one that is as old as its own"); t.Attempt != 0 {
			k.t.Errorf("attempt %d, want 0: a mark starts the attempts from 0", t.Attempt)
		}
	}},
	{"TimesOfASkewedClock", func(k *kit) {
		now := time.Now()
		hour := time.Hour
		k.marks(
			syncer.Mark{Key: key("ahead"), First: now.Add(hour), Last: now.Add(hour)},
			syncer.Mark{Key: key("odd"), First: now.Add(-hour), Last: now.Add(-2 * hour)},
			syncer.Mark{Key: key("first"), First: now.Add(-3 * hour)},
			syncer.Mark{Key: key("last"), Last: now.Add(-4 * hour)},
		)
		w := k.wait(lane)
		w.returns("a mark is due, whatever its times are")
		tasks := k.order("a mark is due, whatever its times are: a First after now is now, and after Last is Last", "last", "first", "odd", "ahead")
		for i, want := range []struct{ first, last time.Time }{
			{now.Add(-4 * hour), now.Add(-4 * hour)}, {now.Add(-3 * hour), now}, {now.Add(-2 * hour), now.Add(-2 * hour)}, {now, now.Add(hour)},
		} {
			k.task(tasks[i], want.first, want.last, 0, "Last stays as given; First is at most now and at most Last")
		}
		k.mark("ahead")
		k.ack(tasks...)
		if t := k.one("ahead", "it was marked"); !t.Last.After(tasks[3].Last) {
			k.t.Errorf("Last is %v, that of the task leased before is %v: a new mark is later, also than one by a clock that is ahead", t.Last, tasks[3].Last)
		}
	}},
	{"ANewMarkIsLaterThanWhatWasLeased", func(k *kit) {
		var leased []syncer.Task
		for _, id := range []string{"a", "b", "a", "c", "a"} { // as fast as they go
			k.mark(id)
			t := k.one(id, "it was marked")
			for _, before := range leased {
				if !t.Last.After(before.Last) {
					k.t.Errorf("Last of %q is %v, that of %q, leased before it was marked, is %v: the syncer takes it for done with that",
						t.ID, t.Last, before.ID, before.Last)
				}
			}
			leased = append(leased, t)
			k.ack(t)
		}
		k.marks(leased[0].Mark("third")) // an older one is leased last
		k.oneOf("third", "a", "it was moved")
		k.marks(syncer.Mark{Key: syncer.Key{Lane: "other", ID: "z"}})
		if t := k.oneOf("other", "z", "it was marked"); !t.Last.After(leased[len(leased)-1].Last) {
			k.t.Errorf("Last of a new mark in another lane is %v, want it after %v: lanes are compared", t.Last, leased[len(leased)-1].Last)
		}
	}},
}
