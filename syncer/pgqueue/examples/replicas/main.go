// Replicas runs three replicas of a webhook service on one queue in PostgreSQL,
// each in a process of its own, and kills the one that leads in the middle. It
// shows who leads, how long nothing was written, and that the shop shows what
// ECOSIRE has in the end.
//
//	go run ./examples/replicas
//
// ECOSIRE and a WooCommerce shop are simulated. PostgreSQL is that of
// DATABASE_URL, or else one that is found on this machine and started in a
// temporary folder.
//
// The exit code is 0 if the shop is right in the end, 1 if not or if something
// failed, and 2 for a wrong command line.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"github.com/ecosire/stocksync/syncer/pgqueue/internal/pgtest"
)

// roleEnv has the name of a replica: the process is not the one that was
// started by hand.
const roleEnv = "REPLICAS_NAME"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if os.Getenv(roleEnv) != "" {
		if err := serve(ctx); err != nil {
			fmt.Fprintln(os.Stderr, os.Getenv(roleEnv)+":", err)
			os.Exit(1)
		}
		return
	}
	var o options
	flags := flag.NewFlagSet("replicas", flag.ContinueOnError)
	flags.DurationVar(&o.before, "before", 8*time.Second, "how long the first leader leads before it is killed")
	flags.DurationVar(&o.after, "after", 10*time.Second, "how long sales go on after that")
	flags.DurationVar(&o.lease, "lease", 3*time.Second, "how long a leader leads without a renewal")
	if err := flags.Parse(os.Args[1:]); err != nil || flags.NArg() > 0 {
		os.Exit(2)
	}
	if err := run(ctx, o, os.Getenv("DATABASE_URL"), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "replicas:", err)
		os.Exit(1)
	}
}

type options struct{ before, after, lease time.Duration }

// database returns where PostgreSQL is, and starts one if need be.
func database(url string, out io.Writer) (string, func(), error) {
	if url != "" {
		return url, func() {}, nil
	}
	server, err := pgtest.Start()
	if errors.Is(err, pgtest.ErrNotFound) {
		return "", nil, fmt.Errorf("%w. Set DATABASE_URL, or install PostgreSQL, such as by: apt-get install postgresql", err)
	}
	if err != nil {
		return "", nil, err
	}
	fmt.Fprintln(out, "Started a PostgreSQL in a temporary folder, on", server.Addr())
	return server.URL(""), func() { _ = server.Stop() }, nil
}
