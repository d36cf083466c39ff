package queuetest_test

import (
	"testing"

	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/syncer/queuetest"
)

func TestQueue(t *testing.T) {
	queuetest.TestQueue(t, func(*testing.T) syncer.Queue { return syncer.NewMemoryQueue() })
}
