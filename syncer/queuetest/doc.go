// Package queuetest checks that a [syncer.Queue] keeps its promises. It needs
// nothing but the standard library.
//
// # Use
//
// Call [TestQueue] from a test of your package, with a function that opens a
// new, empty queue; [TestDurable] too if the queue claims to survive a crash;
// and [TestShared] if it is a [syncer.SharedQueue]:
//
//	func TestQueue(t *testing.T) {
//		queuetest.TestQueue(t, func(t *testing.T) syncer.Queue { return myqueue.New() })
//	}
//
// Each promise is a subtest of its own, whose failure says what the rule is
// and where to look.
//
// # Time
//
// The tests run in bubbles of testing/synctest: hours pass at once. So a queue
// must keep time by package time, and must not leave a goroutine blocked in
// something outside the bubble, such as a read from a network connection that
// idles in a pool: that stops the bubble's clock. Files are fine. A call that
// never returns is reported as a deadlock.
//
// For a queue that talks to a server there is the option [Live]:
//
//	queuetest.TestQueue(t, open, queuetest.Live(300*time.Millisecond))
//
// The tests are the same, by the real clock and with short waits. They compare
// times less exactly then, as the server has another clock.
//
// # What it cannot check
//
// That a write is on the disk when a call returns; what a power cut, a full disk
// or a lost connection leave behind; that nothing sent under an old term lands,
// however late: test these with the faults of your own engine.
package queuetest
