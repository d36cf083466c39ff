package queuetest

import "time"

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
		at := time.Now().Add(3 * k.unit)
		k.retry(at, tasks[1])
		w.blocks("the earlier retry is later than now")
		k.before(at.Add(-k.unit / 2))
		w.blocks("the earlier retry is not due yet")
		k.reach(at)
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
		if err := w.end("its context is done: select on ctx.Done too"); err == nil {
			k.t.Error("Wait returned nil when its context was done: nil says that a task is due")
		}
	}},
}
