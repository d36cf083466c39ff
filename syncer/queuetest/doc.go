// Package queuetest checks that a [syncer.Queue] keeps its promises. It needs
// nothing but the standard library.
//
// # Use
//
// Call [TestQueue] from a test of your package, with a function that opens a
// new, empty queue; and [TestDurable] too if the queue claims to survive a
// crash:
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
package queuetest
