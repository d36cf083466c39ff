package queuetest_test

import (
	"testing"

	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/syncer/queuetest"
)

// In the tests of a queue of your own:
//
//	func TestQueue(t *testing.T) { queuetest.TestQueue(t, open) }
func ExampleTestQueue() {
	open := func(t *testing.T) syncer.Queue { return syncer.NewMemoryQueue() }
	_ = func(t *testing.T) { queuetest.TestQueue(t, open) }
}
