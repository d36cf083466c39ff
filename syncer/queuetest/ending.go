package queuetest

import (
	"time"

	"github.com/ecosire/stocksync/syncer"
)

var ending = []test{
	{"AckEndsATask", func(k *kit) {
		k.mark("a", "b")
		k.ack() // nothing happens
		k.ack(k.leaseLane(lane, 2)...)
		k.none("what was acknowledged is gone")
		k.depth(0, time.Time{}, "what was acknowledged is gone")
		k.mark("a")
		k.one("a", "a key may come again after Ack")
	}},
	{"AMarkDuringWorkIsNotLost", func(k *kit) {
		k.mark("a")
		old := k.one("a", "it was marked")
		k.pass()
		first := time.Now()
		k.mark("a")
		k.pass()
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
		k.retry(time.Now(), old)
		k.depth(1, time.Now(), "a task acknowledged twice must not end the work that began since: compare Token")
		k.none("a task put back after its end must not end the lease that began since: compare Token")
	}},
	{"AnAckOfWhatIsNotLeasedEndsNothing", func(k *kit) {
		k.mark("a")
		k.ack(syncer.Task{Key: key("a")}, syncer.Task{Key: key("never")}, syncer.Task{Key: syncer.Key{Lane: "none"}})
		k.retry(time.Now().Add(time.Hour), syncer.Task{Key: key("a")}, syncer.Task{Key: key("never")})
		t := k.one("a", "Ack and Retry of what is not leased do nothing")
		k.retry(time.Now(), t)
		k.ack(t)
		k.one("a", "the lease that the task is of has ended with Retry")
	}},
	{"RetryPutsBack", func(k *kit) {
		marked := time.Now()
		k.mark("a")
		t := k.one("a", "it was marked")
		for attempt := range 3 {
			at := time.Now().Add(3 * k.unit)
			k.retry(at, t)
			k.none("a key that Retry put back is not due before its time")
			k.before(at)
			k.none("a key that Retry put back is not due before its time")
			k.reach(at)
			t = k.one("a", "a key that Retry put back is due at its time")
			k.task(t, marked, marked, attempt+1, "Retry keeps the attempt that it is given, and leaves the marks as they are")
		}
		k.retry(time.Time{}, t)
		k.one("a", "a time that has passed is due at once")
	}},
	{"RetryKeepsTheAttempt", func(k *kit) {
		k.mark("a", "b")
		tasks := k.leaseLane(lane, 2)
		want := map[string]int{tasks[0].ID: 6, tasks[1].ID: 0} // did not count this time
		tasks[0].Attempt = 6
		if err := k.q.Retry(k.t.Context(), time.Now(), tasks...); err != nil {
			k.t.Fatalf("Retry: %v", err)
		}
		k.settle()
		for _, t := range k.leaseLane(lane, 2) {
			if t.Attempt != want[t.ID] {
				k.t.Errorf("task %q has attempt %d, want %d: whoever calls Retry counts the attempts", t.ID, t.Attempt, want[t.ID])
			}
		}
	}},
	{"RetryOfAKeyMarkedSince", func(k *kit) {
		first := time.Now()
		k.mark("a")
		k.retry(time.Now(), k.one("a", "it was marked"))
		k.settle()
		t := k.one("a", "Retry made it due")
		k.pass()
		last := time.Now()
		k.mark("a")
		k.retry(time.Now().Add(time.Hour), t)
		t = k.one("a", "a key marked since it was leased is due at once after Retry")
		k.task(t, first, last, 0, "a mark starts the attempts from 0; the oldest mark still stands, since nothing was done")
	}},
}
