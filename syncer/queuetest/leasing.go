package queuetest

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ecosire/stocksync/syncer"
)

var leasing = []test{
	{"FirstComeFirstServed", func(k *kit) {
		for _, id := range []string{"c", "a", "b"} {
			k.mark(id)
			k.pass()
		}
		k.mark("c") // does not send it to the end
		k.order("due keys are leased in the order of their oldest mark; a newer mark does not change their place", "c", "a", "b")
	}},
	{"RetriedKeysQueueByTheirTime", func(k *kit) {
		k.mark("late", "early")
		now := time.Now()
		for _, t := range k.leaseLane(lane, 2) {
			k.retry(now.Add(map[string]time.Duration{"early": k.unit, "late": 3 * k.unit}[t.ID]), t)
		}
		time.Sleep(2 * k.unit)
		k.mark("marked")
		time.Sleep(2 * k.unit)
		k.order("a key that Retry put back queues by the time it was put back for, among the others' oldest marks",
			"early", "marked", "late")
	}},
	{"LeaseTakesUpToN", func(k *kit) {
		if got := k.leaseLane(lane, 3); len(got) > 0 {
			k.t.Fatalf("leased %s from an empty lane", names(got))
		}
		for _, id := range []string{"a", "b", "c"} {
			k.mark(id)
			k.pass()
		}
		for _, n := range []int{0, -1} {
			if got := k.leaseLane(lane, n); len(got) > 0 {
				k.t.Fatalf("Lease of %d took %s", n, names(got))
			}
		}
		if got := names(k.leaseLane(lane, 2)); got != "[a b]" {
			k.t.Fatalf("Lease of 2 took %s, want the two oldest of three", got)
		}
		k.order("what one Lease leaves the next one takes", "c")
	}},
	{"PeekTellsWhatWaits", func(k *kit) { // of a queue that can
		p, ok := k.q.(syncer.Peeker)
		if !ok {
			k.t.Skip("the queue is no Peeker")
		}
		peek := func(id string) *syncer.Waiting {
			w, err := p.Peek(k.t.Context(), key(id))
			if err != nil {
				k.t.Fatalf("Peek: %v", err)
			}
			return w
		}
		if w := peek("a"); w != nil {
			k.t.Fatalf("Peek of what was never marked: %+v", w)
		}
		marked := time.Now()
		k.mark("a")
		k.mark("a")
		if w := peek("a"); w == nil || w.Leased || w.Attempt != 0 || w.Marks != 2 || w.ID != "a" || !k.near(w.First, marked) {
			k.t.Fatalf("Peek of what was marked twice: %+v", w)
		}
		task := k.leaseLane(lane, 1)[0]
		if w := peek("a"); w == nil || !w.Leased {
			k.t.Fatalf("Peek of what is leased: %+v", w)
		}
		due := time.Now().Add(5 * k.unit)
		k.retry(due, task)
		if w := peek("a"); w == nil || w.Leased || w.Attempt != 1 || !k.near(w.Due, due) {
			k.t.Fatalf("Peek of what is put back: %+v, want attempt 1, due %v", w, due)
		}
		k.reach(due)
		k.ack(k.leaseLane(lane, 1)...)
		if w := peek("a"); w != nil {
			k.t.Fatalf("Peek of what is done: %+v", w)
		}
	}},
	{"OneAtATime", func(k *kit) {
		k.mark("a")
		k.one("a", "it was marked")
		k.none("a leased key is not leased again before Ack or Retry")
		k.mark("a")
		k.none("a leased key is not leased again before Ack or Retry, also if it is marked meanwhile")
		if k.live {
			time.Sleep(10 * k.unit)
		} else {
			time.Sleep(24 * time.Hour)
		}
		k.none("a lease has no end of its own while the queue is open")
	}},
	{"TokensAreNotGivenTwice", func(k *kit) {
		seen := make(map[uint64]bool)
		for range 20 {
			k.mark("a", "b")
			for _, t := range k.leaseLane(lane, 2) {
				if seen[t.Token] {
					k.t.Fatalf("token %d was given twice: it tells one lease from another", t.Token)
				}
				seen[t.Token] = true
				k.ack(t)
			}
		}
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
						err = k.q.Retry(ctx, time.Now().Add(k.unit/60), t)
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
		time.Sleep(k.unit / 60)
	}
	k.depth(0, time.Time{}, "all work was acknowledged, long ago")
	cancel()
	working.Wait()
	for n := range keys {
		if made[n].Load() != seen[n].Load() {
			k.t.Errorf("key %d was marked %d times, and last worked on after mark %d: a mark made during work is not lost",
				n, made[n].Load(), seen[n].Load())
		}
	}
}
