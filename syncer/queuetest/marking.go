package queuetest

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/ecosire/stocksync/syncer"
)

// traces of whoever made the marks.
const (
	traceA = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	traceB = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"
)

var marking = []test{
	{"MarksOfOneKeyAreOneTask", func(k *kit) {
		k.marks() // nothing happens
		first := time.Now()
		k.mark("a", "a")
		k.pass()
		last := time.Now()
		k.mark("a")
		t := k.one("a", "marks of one key coalesce into one task")
		k.task(t, first, last, 0, "First is the oldest mark and Last the newest")
		k.about(t, 3, "", "", "every mark counts, also two of one call")
	}},
	{"LanesAreApart", func(k *kit) {
		// Concatenating lane and id, or joining them with a separator, would mix these up.
		keys := []syncer.Key{
			{Lane: "", ID: "ab"}, {Lane: "a", ID: "b"}, {Lane: "ab", ID: "c"}, {Lane: "a", ID: "bc"},
			{Lane: "a\x00b", ID: "c"}, {Lane: "a", ID: "b\x00c"}, {Lane: "a/b", ID: "\xff"}, {Lane: "a", ID: "b/\xff"},
			{Lane: "a", ID: ""}, {Lane: "", ID: ""}, {Lane: "A", ID: "b"}, {Lane: "a", ID: "B"}, {Lane: "a", ID: "b "},
		}
		marks := make([]syncer.Mark, len(keys))
		for i, key := range keys {
			marks[i].Key = key
		}
		if err := k.q.Mark(k.t.Context(), marks...); err != nil {
			k.t.Fatalf("Mark: %v: any bytes may be in a lane and an id", err)
		}
		for _, lane := range []string{"", "a", "A", "ab", "a\x00b", "a/b", "other"} {
			var got, want []syncer.Key
			for _, t := range k.leaseLane(lane, 20) {
				got = append(got, t.Key)
			}
			for _, key := range keys {
				if key.Lane == lane {
					want = append(want, key)
				}
			}
			byID := func(a, b syncer.Key) int { return strings.Compare(a.ID, b.ID) }
			slices.SortFunc(got, byID)
			slices.SortFunc(want, byID)
			if !slices.Equal(got, want) {
				k.t.Errorf("lane %q has %q, want %q: a key is its lane and its id, byte for byte", lane, got, want)
			}
		}
	}},
	{"MarkMakesADelayedKeyDue", func(k *kit) {
		first := time.Now()
		k.mark("a", "b")
		for _, t := range k.leaseLane(lane, 2) {
			k.retry(time.Now().Add(map[string]time.Duration{"a": time.Hour, "b": 2 * time.Hour}[t.ID]), t)
		}
		k.pass()
		last := time.Now()
		k.mark("b") // the later one: the order of the delayed keys changes
		t := k.one("b", "a mark makes a key that waits for a retry due at once, and no other")
		k.task(t, first, last, 0, "a mark starts the attempts from 0; the older mark still stands")
		k.about(t, 2, "", "", "a retry does not end marks")
	}},
	{"TheNewestMarkTellsWhy", func(k *kit) {
		k.marks(syncer.Mark{Key: key("a"), Why: syncer.CauseEvent, Trace: traceA})
		k.pass()
		k.marks(syncer.Mark{Key: key("a"), Why: syncer.CauseWatch})
		t := k.one("a", "it was marked")
		k.about(t, 2, syncer.CauseWatch, traceA, "Why is of the newest mark, Trace of the newest that has one")
		k.ack(t)
		k.marks(syncer.Mark{Key: key("a"), Trace: traceA}, syncer.Mark{Key: key("a"), Why: syncer.CauseCall, Trace: traceB})
		k.about(k.one("a", "it was marked"), 2, syncer.CauseCall, traceB, "of the marks of one call the last one is the newest")
	}},
	{"ATraceIsShort", func(k *kit) {
		long := strings.Repeat("x", syncer.MaxTrace)
		k.marks(
			syncer.Mark{Key: key("a"), Trace: long + "x"},
			syncer.Mark{Key: key("b"), Trace: long},
			syncer.Mark{Key: key("c"), Trace: "\xff'\"\x00\n"},
		)
		for _, t := range k.leaseLane(lane, 3) {
			want := map[string]string{"a": "", "b": long, "c": "\xff'\"\x00\n"}[t.ID]
			k.about(t, 1, "", want, "a trace of up to MaxTrace bytes is kept as it is, a longer one is dropped")
		}
	}},
	{"MarksAreCountedSinceTheLastAck", func(k *kit) {
		k.marks(syncer.Mark{Key: key("a"), Count: 5}, syncer.Mark{Key: key("a")}, syncer.Mark{Key: key("a"), Count: -3})
		t := k.one("a", "it was marked")
		k.about(t, 7, "", "", "a mark counts as its Count, or as 1")
		k.marks(syncer.Mark{Key: key("a"), Why: syncer.CauseEvent, Trace: traceA})
		k.marks(syncer.Mark{Key: key("a"), Why: syncer.CauseNotify})
		k.ack(t)
		t = k.one("a", "it was marked during work")
		k.about(t, 2, syncer.CauseNotify, traceA, "Ack ends the marks that were leased; those made since count anew")
		k.marks(syncer.Mark{Key: key("a"), Why: syncer.CauseWatch})
		k.retry(time.Now(), t)
		t = k.one("a", "it was marked during work")
		k.about(t, 3, syncer.CauseWatch, traceA, "Retry ends no marks: those made since come on top")
		k.retry(time.Now(), t)
		k.about(k.one("a", "it is due"), 3, syncer.CauseWatch, traceA, "Retry ends no marks")
	}},
	{"DoneContext", func(k *kit) {
		k.mark("a")
		k.save("set", record("a", "value"))
		task := k.one("a", "it was marked")
		ctx, cancel := context.WithCancel(k.t.Context())
		cancel()
		// These may do their work or not. They must return, or the bubble reports a deadlock.
		_ = k.q.Mark(ctx, syncer.Mark{Key: key("b")})
		_, _ = k.q.Lease(ctx, lane, 1)
		_ = k.q.Retry(ctx, time.Now(), task)
		_ = k.q.Ack(ctx, task)
		_, _ = k.q.Depth(ctx, lane)
		_ = k.q.Save(ctx, "set", syncer.Record{Key: "name"})
		_, _ = k.q.Load(ctx, "set", "name")
		if err := k.q.Wait(ctx, "other"); err == nil {
			k.t.Error("Wait returned nil with a done context and nothing due: nil says that a task is due")
		}
		failed := false
		for _, err := range k.q.Records(ctx, "set", "") {
			failed = failed || err != nil
		}
		if !failed {
			k.t.Error("Records ended without an error although its context was done: who ranges over it takes that for the end of the set")
		}
	}},
	{"ManyMarks", func(k *kit) {
		const n = 3000
		marks := make([]syncer.Mark, n)
		for i := range marks {
			marks[i].Key = key(strings.Repeat("x", i%7) + string(rune('a'+i%26)) + time.Duration(i).String())
		}
		first := time.Now()
		k.marks(marks...)
		k.depth(n, first, "one call may make thousands of marks")
		tasks := k.leaseLane(lane, n+1)
		if len(tasks) != n {
			k.t.Fatalf("leased %d tasks, want %d: one call may lease thousands of tasks", len(tasks), n)
		}
		k.ack(tasks...)
		k.depth(0, time.Time{}, "one call may acknowledge thousands of tasks")
	}},
}
