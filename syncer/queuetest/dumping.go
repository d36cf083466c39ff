package queuetest

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/ecosire/stocksync/syncer"
)

// TestDumper checks that a queue tells all that it keeps ([syncer.Dumper]), and that
// [syncer.CopyQueue] brings it into another one, and back into a new queue of the
// same kind. open returns a new, empty queue, and what to work on it with: the queue
// itself, or a [syncer.Term] of it.
func TestDumper(t *testing.T, open func(t *testing.T) (queue, worked syncer.Queue), options ...Option) {
	run(t, "Copied", options, func(k *kit) {
		ctx := k.t.Context()
		queue, worked := open(k.t)
		k.q = worked
		odd := string([]byte{0, 0xFF, '\'', '\n'})
		records := map[[2]string]string{
			{"state", "reconciled"}: "yes", {"", "name"}: "empty set", {"set", ""}: "empty key", {odd, odd}: odd, {"set\x00", "a"}: "1", {"sets", "b"}: "",
		}
		for i := range 600 { // more than a page
			records[[2]string{"many", fmt.Sprintf("%04d", i)}] = fmt.Sprint(i)
		}
		for at, value := range records {
			k.save(at[0], record(at[1], value))
		}
		k.save("gone", record("a", "1"))
		k.save("gone", syncer.Record{Key: "a"})

		// A key that waits, one for later, one that is leased, and one that was marked
		// since it was leased.
		first := make(map[syncer.Key]time.Time)
		for _, id := range []string{"due", "later", "leased", "again"} {
			first[key(id)] = time.Now()
			k.must(worked.Mark(ctx, syncer.Mark{Key: key(id), Why: syncer.CauseEvent, Trace: "trace-" + id}))
			k.pass()
		}
		tasks, err := worked.Lease(ctx, lane, 4)
		k.must(err)
		for _, task := range tasks {
			switch task.ID {
			case "due":
				k.must(worked.Retry(ctx, time.Now(), task))
			case "later":
				k.must(worked.Retry(ctx, time.Now().Add(time.Hour), task))
			}
		}
		k.must(worked.Mark(ctx, syncer.Mark{Key: key("again"), Why: syncer.CauseNotify}))
		elsewhere := syncer.Key{Lane: odd, ID: odd}
		first[elsewhere] = time.Now()
		k.must(worked.Mark(ctx, syncer.Mark{Key: elsewhere, Why: syncer.CauseOrder}))

		memory := syncer.NewMemoryQueue()
		copied, err := syncer.CopyQueue(ctx, memory, queue)
		k.must(err)
		if copied.Records != len(records) || copied.Marks != len(first) {
			k.t.Errorf("copied %d records and %d marks, want %d and %d", copied.Records, copied.Marks, len(records), len(first))
		}
		k.copied(memory, records, first)

		back, other := open(k.t)
		_, err = syncer.CopyQueue(ctx, back, memory)
		k.must(err)
		k.copied(back, records, first)
		if tasks, err = other.Lease(ctx, lane, 10); err != nil || len(tasks) != 4 {
			k.t.Errorf("%d tasks are due after a copy, and %v: all are", len(tasks), err)
		}
		if d, err := worked.Depth(ctx, lane); err != nil || d.Tasks != 4 {
			k.t.Errorf("the queue that was copied has %d tasks, and %v: it stays as it was", d.Tasks, err)
		}
	})
}

// copied checks what a copy has.
func (k *kit) copied(q syncer.Queue, records map[[2]string]string, first map[syncer.Key]time.Time) {
	k.t.Helper()
	found := make(map[[2]string]string)
	for set, err := range q.(syncer.Dumper).Sets(k.t.Context()) {
		k.must(err)
		for r, err := range q.Records(k.t.Context(), set, "") {
			k.must(err)
			found[[2]string{set, r.Key}] = string(r.Value)
		}
	}
	if !maps.Equal(found, records) {
		k.t.Errorf("%d records were copied, or not as they are: %d", len(records), len(found))
	}
	var keys []syncer.Key
	for m, err := range q.(syncer.Dumper).Marked(k.t.Context()) {
		k.must(err)
		keys = append(keys, m.Key)
		if at, ok := first[m.Key]; !ok || m.First.Sub(at).Abs() > k.unit/2 {
			k.t.Errorf("%q was marked at %v, and its copy says %v: a mark keeps its age", m.Key, at, m.First)
		}
		if m.Key == key("due") && (m.Why != syncer.CauseEvent || m.Trace != "trace-due") {
			k.t.Errorf("a mark keeps its cause and its trace: %v", m)
		}
	}
	if len(keys) != len(first) || len(slices.CompactFunc(keys, func(a, b syncer.Key) bool { return a == b })) != len(first) {
		k.t.Errorf("marked are %q", keys)
	}
}

// must ends the test on an error.
func (k *kit) must(err error) {
	if err != nil {
		k.t.Helper()
		k.t.Fatal(err)
	}
}
