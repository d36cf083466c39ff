package syncer_test

import (
	"context"
	"fmt"
	"time"

	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/syncer/queuetest"
)

// Two replicas of a service share a queue. One leads; when it ends, the other does.
// Any of them takes webhooks and calls. In a service of yours the queue is a
// *pgqueue.Queue, which PostgreSQL keeps.
func ExampleSharedQueue() {
	shop := channeltest.NewMemory("shop")
	shop.Set("SKU-0", 12)
	server := queuetest.NewServer(5 * time.Second) // a shared queue in memory, and its lease
	leads := make(chan string)
	replica := func(name string) (s *syncer.Syncer, stop func()) {
		s, err := syncer.New(syncer.Config{
			Source: newStock(9), Targets: []syncer.Target{{Channel: shop}}, Queue: server.Open(), Name: name,
			Hooks: syncer.Hooks{Leading: func(_ context.Context, l syncer.LeaderInfo) { leads <- l.Name }},
		})
		check(err)
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error)
		go func() { done <- s.Run(ctx) }()
		return s, func() { cancel(); check(<-done) }
	}

	_, stopOne := replica("one")
	fmt.Println(<-leads, "leads")
	two, stopTwo := replica("two")
	report, err := two.SyncProducts(context.Background(), "p0") // the leader does it
	check(err)
	fmt.Println(report.Channels[0].Updated, "written")
	stopOne()
	fmt.Println(<-leads, "leads")
	stopTwo()
	// Output:
	// one leads
	// 1 written
	// two leads
}
