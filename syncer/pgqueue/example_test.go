package pgqueue_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/syncer/pgqueue"
)

// Each replica of a service does the same. One of them leads and does the work;
// ExampleSharedQueue of package syncer shows what that looks like.
func ExampleNew() {
	replica := func(ctx context.Context, cfg syncer.Config) error {
		pool, err := pgxpool.New(ctx, os.Getenv("DATABASE_URL"))
		if err != nil {
			return err
		}
		defer pool.Close() // after Run has ended
		queue, err := pgqueue.New(pool, pgqueue.Options{Queue: "shop", Logger: slog.Default()})
		if err != nil {
			return err
		}
		if err := queue.Migrate(ctx); err != nil { // all replicas may do so at the same time
			return err
		}
		cfg.Queue = queue
		s, err := syncer.New(cfg)
		if err != nil {
			return err
		}
		return s.Run(ctx) // waits until this replica leads
	}
	_ = replica
}

// An adjustment in the host's database and the mark of its product commit
// together.
func ExampleQueue_MarkTx() {
	adjust := func(ctx context.Context, pool *pgxpool.Pool, queue *pgqueue.Queue, product syncer.Mark, delta int) error {
		return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, `INSERT INTO adjustments (product, delta) VALUES ($1, $2)`, product.ID, delta); err != nil {
				return err
			}
			return queue.MarkTx(ctx, tx, product)
		})
	}
	_ = adjust
}

// Who leads, for a page or a probe.
func ExampleQueue_Leader() {
	leader := func(ctx context.Context, queue *pgqueue.Queue) {
		info, err := queue.Leader(ctx)
		if err != nil {
			fmt.Println(err) // ErrNoLeader, or the database's trouble
			return
		}
		fmt.Printf("%s leads in term %d for %v\n", info.Name, info.Number, time.Since(info.Since).Round(time.Second))
	}
	_ = leader
}

// A host that runs migrations of its own writes these into its files.
func ExampleMigrations() {
	for _, m := range pgqueue.Migrations("stocksync") {
		fmt.Printf("%04d_stocksync.sql: %t\n", m.Version, len(m.SQL) > 0)
	}
	// Output: 0001_stocksync.sql: true
}
