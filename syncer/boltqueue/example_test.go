package boltqueue_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/syncer/boltqueue"
)

// What was marked is still there after a restart, until it is acknowledged.
func Example() {
	dir, err := os.MkdirTemp("", "stocksync")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "queue.db")
	ctx := context.Background()

	q, err := boltqueue.Open(path)
	if err != nil {
		log.Fatal(err)
	}
	if err := q.Mark(ctx,
		syncer.Mark{Key: syncer.Key{Lane: "shop", ID: "product-1"}},
		syncer.Mark{Key: syncer.Key{Lane: "shop", ID: "product-2"}},
	); err != nil {
		log.Fatal(err)
	}
	tasks, err := q.Lease(ctx, "shop", 1)
	if err != nil {
		log.Fatal(err)
	}
	if err := q.Ack(ctx, tasks...); err != nil {
		log.Fatal(err)
	}
	if err := q.Close(); err != nil {
		log.Fatal(err)
	}

	q, err = boltqueue.Open(path)
	if err != nil {
		log.Fatal(err)
	}
	defer q.Close()
	depth, err := q.Depth(ctx, "shop")
	fmt.Println(depth.Tasks, err)
	// Output: 1 <nil>
}
