package queuetest_test

import (
	"context"
	"fmt"
	"testing"
	"time"

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

// A queue that talks to a server is tested by the real clock:
//
//	func TestQueue(t *testing.T) { queuetest.TestQueue(t, open, queuetest.Live(300*time.Millisecond)) }
func ExampleLive() {
	open := func(t *testing.T) syncer.Queue { return syncer.NewMemoryQueue() }
	_ = func(t *testing.T) { queuetest.TestQueue(t, open, queuetest.Live(300*time.Millisecond)) }
}

// In the tests of a queue that several processes share:
//
//	func TestShared(t *testing.T) { queuetest.TestShared(t, open, queuetest.Live(300*time.Millisecond)) }
func ExampleTestShared() {
	open := func(t *testing.T) queuetest.Handles {
		server := queuetest.NewServer(3 * time.Second)
		a, b := server.Open(), server.Open()
		return queuetest.Handles{A: a, B: b, Lease: 3 * time.Second, Cut: a.Cut}
	}
	_ = func(t *testing.T) { queuetest.TestShared(t, open, queuetest.Live(300*time.Millisecond)) }
}

// Two replicas of a service, of which one leads.
func ExampleServer() {
	ctx := context.Background()
	server := queuetest.NewServer(time.Minute)
	one, two := server.Open(), server.Open()
	term, err := one.Lead(ctx, "one")
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = two.Mark(ctx, syncer.Mark{Key: syncer.Key{Lane: "shop", ID: "tea"}})
	tasks, _ := term.Lease(ctx, "shop", 10)
	leader, _ := two.Leader(ctx)
	fmt.Println(leader.Name, "works on", tasks[0].ID)

	_ = term.Resign(ctx)
	term, err = two.Lead(ctx, "two")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer term.Resign(ctx)
	fmt.Println("term", term.Number(), "looks again at", term.Interrupted())
	// Output:
	// one works on tea
	// term 2 looks again at [{shop tea}]
}
