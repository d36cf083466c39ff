// Webhookserver is a small complete service: it receives ECOSIRE's events and
// keeps the shops right within a moment, survives crashes and restarts, and
// tells how it is.
//
//	go run ./examples/webhookserver -demo
//
// simulates all services, sends some seconds of sales over HTTP, measures for
// each one how long it takes until both shops show it, shows what becomes of a
// sale in a shop that ECOSIRE does not know of yet, and ends. Without -demo
// it serves a simulated merchant until it is interrupted.
//
// Where the environment names real services (the variables are those of package
// stocksync) it works on these, and says so in its first line. It then prints
// what it would write first, and ends. It serves, and writes, with -write:
//
//	go run ./examples/webhookserver -write
//
// An environment that is set in part is an error. What else it reads:
//
//	ECOSIRE_WEBHOOK_SECRET  of the webhook endpoint; required with -write
//	WC_WEBHOOK_SECRET, …    of the shops' webhooks, at /webhooks/woocommerce and so on
//	ADDR                    where to listen; default 127.0.0.1:8080
//	STATUS_PASSWORD         of the status page, for any user name; without it there is none
//	QUEUE                   the file of the queue, with real services; default stocksync.db
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/ecosire/stocksync"
	"github.com/ecosire/stocksync/examples/internal/show"
)

const (
	exitFine = iota
	exitFailed
	exitUsage
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

type options struct{ demo, write bool }

func parse(args []string, errOut io.Writer) (o options, err error) {
	flags := flag.NewFlagSet("webhookserver", flag.ContinueOnError)
	flags.SetOutput(errOut)
	flags.Usage = func() {
		fmt.Fprintln(errOut, "Webhookserver receives ECOSIRE's events and keeps the shops right. It simulates ECOSIRE and the shops,\n"+
			"or, where the environment names real services, plans for these and writes nothing.\n\n"+
			"usage: webhookserver [-demo | -write]")
		flags.PrintDefaults()
	}
	flags.BoolVar(&o.demo, "demo", false, "measure some seconds of simulated sales, whatever the environment names, and end")
	flags.BoolVar(&o.write, "write", false, "serve, and write to the real services")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	switch {
	case flags.NArg() > 0:
		err = fmt.Errorf("unknown argument %q", flags.Arg(0))
	case o.demo && o.write:
		err = errors.New("-demo does not go with -write, which is for real services")
	}
	if err != nil {
		fmt.Fprintln(errOut, err)
		flags.Usage()
	}
	return o, err
}

// run is main without the process.
func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitFine
	case err != nil:
		return exitUsage
	}
	if err := o.run(ctx, getenv, show.To(stdout, getenv), slog.New(slog.NewTextHandler(stderr, nil))); err != nil {
		fmt.Fprintln(stderr, err)
		return exitFailed
	}
	return exitFine
}

func (o options) run(ctx context.Context, getenv func(string) string, out *show.Output, logger *slog.Logger) error {
	if o.demo {
		return demo(ctx, out, 150, 8*time.Second)
	}
	services, err := stocksync.FromEnv(stocksync.Config{Getenv: getenv, Logger: logger})
	switch {
	case errors.Is(err, stocksync.ErrNoEnv) && !o.write:
		return simulated(ctx, out, address(getenv), logger)
	case err != nil:
		return fmt.Errorf("%w\nTo simulate all services instead: webhookserver -demo", err)
	case o.write && services.Webhooks == nil:
		return errors.New("ECOSIRE_WEBHOOK_SECRET is missing: without it nobody's events can be believed")
	case !o.write:
		fmt.Fprintln(out, out.Paint(show.Bold, "Real services, to be read only:"), services)
		return plan(ctx, services, out)
	}
	fmt.Fprintln(out, out.Paint(show.Red, "Real services, to be written:"), services)
	listener, err := net.Listen("tcp", address(getenv))
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "Listening on http://%s for POST /webhooks/ecosire, and GET /healthz.\n", listener.Addr())
	for _, t := range services.Targets {
		kind, _, _ := strings.Cut(t.Channel.Name(), ":")
		if t.Webhooks != nil {
			fmt.Fprintf(out, "Webhooks of %s: POST /webhooks/%s.\n", t.Channel.Name(), kind)
		}
	}
	var who login
	if password := getenv("STATUS_PASSWORD"); password != "" {
		who = withPassword(password)
		fmt.Fprintf(out, "The status page is http://%s/status/.\n", listener.Addr())
	} else {
		fmt.Fprintln(out, "There is no status page: set STATUS_PASSWORD.")
	}
	return serve(ctx, listener, services, cmp.Or(getenv("QUEUE"), "stocksync.db"), who, logger)
}

func address(getenv func(string) string) string { return cmp.Or(getenv("ADDR"), "127.0.0.1:8080") }

// plan prints what the service would write first.
func plan(ctx context.Context, services *stocksync.Services, out *show.Output) error {
	plan, err := services.Plan(ctx)
	if err != nil {
		return err
	}
	const rows = 20
	summary := show.OfPlan(plan)
	out.Summary(summary, rows)
	fmt.Fprintf(out, "\nNothing was written. To serve, and to write what events and the nightly run find: %s\n", out.Paint(show.Bold, "webhookserver -write"))
	if len(summary.Down()) > 0 {
		return errors.New("not every channel could be read")
	}
	return nil
}
