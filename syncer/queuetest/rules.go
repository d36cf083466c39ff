package queuetest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing/synctest"
	"time"

	"github.com/ecosire/stocksync/syncer"
)

var marking = []test{
	{"MarksOfOneKeyAreOneTask", func(k *kit) {
		k.mark() // no keys: nothing happens
		first := time.Now()
		k.mark("a", "a")
		pass()
		last := time.Now()
		k.mark("a")
		t := k.one("a", "marks of one key coalesce into one task")
		k.task(t, first, last, 0, "First is the oldest mark and Last the newest")
	}},
	{"LanesAreApart", func(k *kit) {
		// Concatenating lane and id, or joining them with a separator, would mix these up.
		keys := []syncer.Key{
			{Lane: "", ID: "ab"}, {Lane: "a", ID: "b"}, {Lane: "ab", ID: "c"}, {Lane: "a", ID: "bc"},
			{Lane: "a\x00b", ID: "c"}, {Lane: "a", ID: "b\x00c"}, {Lane: "a/b", ID: "\xff"}, {Lane: "a", ID: "b/\xff"},
		}
		marks := make([]syncer.Mark, len(keys))
		for i, key := range keys {
			marks[i].Key = key
		}
		if err := k.q.Mark(k.t.Context(), marks...); err != nil {
			k.t.Fatalf("Mark: %v: any bytes may be in a lane and an id", err)
		}
		for _, lane := range []string{"", "a", "ab", "a\x00b", "a/b", "other"} {
			var got, want []syncer.Key
			for _, t := range k.leaseLane(lane, 10) {
				got = append(got, t.Key)
			}
			for _, key := range keys {
				if key.Lane == lane {
					want = append(want, key)
				}
			}
			byID := func(a, b syncer.Key) int { return slices.Compare([]byte(a.ID), []byte(b.ID)) }
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
		pass()
		last := time.Now()
		k.mark("b") // the later one: the order of the delayed keys changes
		t := k.one("b", "a mark makes a key that waits for a retry due at once, and no other")
		k.task(t, first, last, 0, "a mark starts the attempts from 0; the older mark still stands")
	}},
	{"DoneContext", func(k *kit) {
		k.mark("a")
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
	}},
}

var leasing = []test{
	{"FirstComeFirstServed", func(k *kit) {
		for _, id := range []string{"c", "a", "b"} {
			k.mark(id)
			pass()
		}
		k.mark("c") // does not send it to the end
		k.order("due keys are leased in the order of their oldest mark; a newer mark does not change their place", "c", "a", "b")
	}},
	{"RetriedKeysQueueByTheirTime", func(k *kit) {
		k.mark("late", "early")
		now := time.Now()
		for _, t := range k.leaseLane(lane, 2) {
			k.retry(now.Add(map[string]time.Duration{"early": time.Minute, "late": time.Hour}[t.ID]), t)
		}
		time.Sleep(2 * time.Minute)
		k.mark("marked")
		time.Sleep(time.Hour)
		k.order("a key that Retry put back queues by the time it was put back for, among the others' oldest marks",
			"early", "marked", "late")
	}},
	{"LeaseTakesUpToN", func(k *kit) {
		if got := k.leaseLane(lane, 3); len(got) > 0 {
			k.t.Fatalf("leased %s from an empty lane", names(got))
		}
		for _, id := range []string{"a", "b", "c"} {
			k.mark(id)
			pass()
		}
		if got := k.leaseLane(lane, 0); len(got) > 0 {
			k.t.Fatalf("Lease of 0 took %s", names(got))
		}
		if got := names(k.leaseLane(lane, 2)); got != "[a b]" {
			k.t.Fatalf("Lease of 2 took %s, want the two oldest of three", got)
		}
		k.order("what one Lease leaves the next one takes", "c")
	}},
	{"OneAtATime", func(k *kit) {
		k.mark("a")
		k.one("a", "it was marked")
		k.none("a leased key is not leased again before Ack or Retry")
		k.mark("a")
		k.none("a leased key is not leased again before Ack or Retry, also if it is marked meanwhile")
		time.Sleep(24 * time.Hour)
		k.none("a lease has no end of its own while the queue is open")
	}},
	{"ConcurrentUse", concurrentUse},
}

// concurrentUse counts the marks of each key before they are made, and has
// every worker note the count when it begins. If no mark is lost, the last
// work on each key began after its last mark.
func concurrentUse(k *kit) {
	const keys, markers, workers, marks = 8, 4, 4, 200
	var made, seen [keys]atomic.Int64
	var busy [keys]atomic.Bool
	ctx, cancel := context.WithCancel(k.t.Context())
	defer cancel()
	var marking, working sync.WaitGroup
	for m := range markers {
		marking.Go(func() {
			for i := range marks {
				n := (i*(m+1) + m) % keys
				made[n].Add(1)
				if err := k.q.Mark(ctx, syncer.Mark{Key: key(fmt.Sprint(n))}); err != nil {
					k.t.Errorf("Mark: %v", err)
				}
			}
		})
	}
	for range workers {
		working.Go(func() {
			for k.q.Wait(ctx, lane) == nil {
				tasks, err := k.q.Lease(ctx, lane, 3)
				if err != nil && ctx.Err() == nil {
					k.t.Errorf("Lease: %v", err)
					return
				}
				for i, t := range tasks {
					var n int
					fmt.Sscan(t.ID, &n)
					if busy[n].Swap(true) {
						k.t.Errorf("key %d was leased twice at a time: one at a time", n)
					}
					count := made[n].Load()
					time.Sleep(time.Millisecond)
					seen[n].Store(count)
					busy[n].Store(false)
					if i == 1 && t.Attempt == 0 {
						t.Attempt++
						err = k.q.Retry(ctx, time.Now().Add(time.Second), t)
					} else {
						err = k.q.Ack(ctx, t)
					}
					if err != nil && ctx.Err() == nil {
						k.t.Errorf("Ack or Retry: %v", err)
					}
				}
			}
		})
	}
	marking.Wait()
	for range 3600 {
		if d, err := k.q.Depth(ctx, lane); err != nil || d.Tasks == 0 {
			break
		}
		time.Sleep(time.Second)
	}
	k.depth(0, time.Time{}, "all work was acknowledged, an hour ago")
	cancel()
	working.Wait()
	for n := range keys {
		if made[n].Load() != seen[n].Load() {
			k.t.Errorf("key %d was marked %d times, and last worked on after mark %d: a mark made during work is not lost",
				n, made[n].Load(), seen[n].Load())
		}
	}
}

var ending = []test{
	{"AckEndsATask", func(k *kit) {
		k.mark("a", "b")
		k.ack(k.leaseLane(lane, 2)...)
		k.none("what was acknowledged is gone")
		k.depth(0, time.Time{}, "what was acknowledged is gone")
		k.mark("a")
		k.one("a", "a key may come again after Ack")
	}},
	{"AMarkDuringWorkIsNotLost", func(k *kit) {
		k.mark("a")
		old := k.one("a", "it was marked")
		pass()
		first := time.Now()
		k.mark("a")
		pass()
		last := time.Now()
		k.mark("a")
		k.ack(old)
		t := k.one("a", "Ack of a task whose key was marked since it was leased leaves the key in the queue, due at once")
		k.task(t, first, last, 0, "the new task stands for the marks made since")
		k.ack(t)
		k.none("it was acknowledged, and not marked again")
	}},
	{"AnAckOfAnEarlierLeaseEndsNothing", func(k *kit) {
		k.mark("a")
		old := k.one("a", "it was marked")
		k.mark("a")
		k.ack(old)
		k.one("a", "it was marked again")
		k.ack(old)
		k.depth(1, time.Now(), "a task acknowledged twice must not end the work that began since: compare Token")
	}},
	{"RetryPutsBack", func(k *kit) {
		marked := time.Now()
		k.mark("a")
		t := k.one("a", "it was marked")
		for attempt := range 3 {
			k.retry(time.Now().Add(time.Hour), t)
			k.none("a key that Retry put back is not due before its time")
			time.Sleep(time.Hour - time.Nanosecond)
			k.none("a key that Retry put back is not due before its time")
			time.Sleep(time.Nanosecond)
			t = k.one("a", "a key that Retry put back is due at its time")
			k.task(t, marked, marked, attempt+1, "Retry counts an attempt, and leaves the marks as they are")
		}
		k.retry(time.Time{}, t)
		k.one("a", "a time that has passed is due at once")
	}},
	{"RetryOfAKeyMarkedSince", func(k *kit) {
		first := time.Now()
		k.mark("a")
		k.retry(time.Now(), k.one("a", "it was marked"))
		t := k.one("a", "Retry made it due")
		last := pass().Add(time.Minute)
		k.mark("a")
		k.retry(time.Now().Add(time.Hour), t)
		t = k.one("a", "a key marked since it was leased is due at once after Retry")
		k.task(t, first, last, 0, "a mark starts the attempts from 0; the oldest mark still stands, since nothing was done")
	}},
}

var waiting = []test{
	{"WaitReturnsIfATaskIsDue", func(k *kit) {
		k.mark("a")
		k.wait(lane).returns("a task is due")
		k.wait(lane).returns("Wait takes nothing, so the task is still due")
	}},
	{"WaitReturnsOnMark", func(k *kit) {
		one, two, other := k.wait(lane), k.wait(lane), k.wait("other")
		one.blocks("the lane is empty")
		k.mark("a")
		one.returns("a task became due")
		two.returns("a task became due: all who wait are told")
		other.blocks("nothing happened in this lane")
		k.one("a", "it was marked")
		w := k.wait(lane)
		w.blocks("the only task is leased")
		k.mark("a")
		w.blocks("a leased key is not due, also if it is marked")
	}},
	{"WaitReturnsWhenARetryIsDue", func(k *kit) {
		k.mark("a", "b")
		tasks := k.leaseLane(lane, 2)
		k.retry(time.Now().Add(time.Hour), tasks[0])
		w := k.wait(lane)
		w.blocks("the retry is in an hour")
		k.retry(time.Now().Add(time.Minute), tasks[1])
		w.blocks("the earlier retry is in a minute")
		time.Sleep(time.Minute - time.Nanosecond)
		w.blocks("the earlier retry is not due yet")
		time.Sleep(time.Nanosecond)
		w.returns("the earlier retry is due")
	}},
	{"WaitReturnsWhenADelayedKeyIsMarked", func(k *kit) {
		k.mark("a")
		k.retry(time.Now().Add(time.Hour), k.one("a", "it was marked"))
		w := k.wait(lane)
		w.blocks("the retry is in an hour")
		k.mark("a")
		w.returns("a mark makes a delayed key due")
	}},
	{"WaitReturnsOnAckOfAKeyMarkedSince", func(k *kit) {
		k.mark("a")
		t := k.one("a", "it was marked")
		k.mark("a")
		w := k.wait(lane)
		w.blocks("the key is leased")
		k.ack(t)
		w.returns("a key marked during work is due after Ack")
	}},
	{"WaitReturnsWhenItsContextIsDone", func(k *kit) {
		w := k.wait(lane)
		w.blocks("the lane is empty")
		w.stop()
		synctest.Wait()
		select {
		case err := <-w.done:
			if err == nil {
				k.t.Error("Wait returned nil when its context was done: nil says that a task is due")
			}
		default:
			k.t.Error("Wait goes on waiting although its context is done: select on ctx.Done too")
		}
	}},
}

var keeping = []test{
	{"DepthCountsAllThatIsNotDone", func(k *kit) {
		k.depth(0, time.Time{}, "an empty lane has no oldest mark")
		a := time.Now()
		k.mark("a")
		pass()
		b := time.Now()
		k.mark("b")
		pass()
		k.mark("c", "a")
		k.depth(3, a, "waiting tasks count, and the oldest mark is kept when a newer one comes")
		tasks := k.leaseLane(lane, 2)
		k.depth(3, a, "leased tasks count")
		k.retry(time.Now().Add(time.Hour), tasks[1])
		k.depth(3, a, "delayed tasks count")
		k.ack(tasks[0])
		k.depth(2, b, "the oldest of what is left, also if it is delayed")
	}},
	{"OldestAfterAckOfAKeyMarkedSince", func(k *kit) {
		k.mark("a")
		t := k.one("a", "it was marked")
		pass()
		b := time.Now()
		k.mark("b")
		pass()
		k.mark("a")
		k.ack(t)
		k.depth(2, b, "the work for the oldest mark is done")
		k.order("the new task has the place of its own oldest mark", "b", "a")
	}},
	{"SaveAndLoad", func(k *kit) {
		if v, err := k.q.Load(k.t.Context(), "set", "name"); v != nil || err != nil {
			k.t.Errorf("Load of a name never saved: %q, %v, want nil and no error", v, err)
		}
		k.save("name", "one")
		k.save("", "empty name")
		k.save("name", "two")
		k.load("name", "two", "the newest value counts")
		k.load("", "empty name", "a name may be empty")
		k.save("name", "")
		k.load("name", "", "a value may be empty")
		value := []byte("mine")
		if err := k.q.Save(k.t.Context(), "set", syncer.Record{Key: "name", Value: value}); err != nil {
			k.t.Fatalf("Save: %v", err)
		}
		value[0] = 'X'
		k.load("name", "mine", "Save copies the value: the caller may change it afterwards")
		if v, _ := k.q.Load(k.t.Context(), "set", "name"); len(v) > 0 {
			v[0] = 'X'
		}
		k.load("name", "mine", "Load returns a copy: the caller may change it")
	}},
}
