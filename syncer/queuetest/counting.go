package queuetest

import "time"

var counting = []test{
	{"DepthCountsAllThatIsNotDone", func(k *kit) {
		k.depth(0, time.Time{}, "an empty lane has no oldest mark")
		a := time.Now()
		k.mark("a")
		k.pass()
		b := time.Now()
		k.mark("b")
		k.pass()
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
		k.pass()
		b := time.Now()
		k.mark("b")
		k.pass()
		k.mark("a")
		k.ack(t)
		k.depth(2, b, "the work for the oldest mark is done")
		k.order("the new task has the place of its own oldest mark", "b", "a")
	}},
	{"RetryKeepsTheOldest", func(k *kit) {
		a := time.Now()
		k.mark("a")
		t := k.one("a", "it was marked")
		k.pass()
		k.mark("a", "b")
		k.retry(time.Now().Add(time.Hour), t)
		k.depth(2, a, "nothing was done about the oldest mark")
		k.order("nothing was done about the oldest mark, which keeps its place", "a", "b")
	}},
}
