// Customchannel keeps a store's till right: a channel that nobody else has an
// adapter for, that takes files, and that is offline for hours. docs/adapters.md
// is its tutorial.
//
//	go run ./examples/customchannel
//
// It runs against an ECOSIRE and a till that live in this process, through an
// hour offline (which passes in seconds), a torn file, and a slip of a
// cashier's. It exits with 0 only if the till shows what it should after each,
// and with 2 for a wrong command line. It reads no environment, and reaches no
// service outside of the process.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/ecosire"
	"github.com/ecosire/stocksync/ecosire/ecosiretest"
	"github.com/ecosire/stocksync/syncer"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	// Here an hour is three seconds, and all else is in proportion.
	code := run(ctx, os.Args[1:], 3*time.Second, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is main without the process.
func run(ctx context.Context, args []string, hour time.Duration, out, errOut io.Writer) int {
	flags := flag.NewFlagSet("customchannel", flag.ContinueOnError)
	flags.SetOutput(errOut)
	flags.Usage = func() {
		fmt.Fprintln(errOut, "Customchannel shows an adapter at work: a till that takes files. All services are simulated.\n\n"+
			"usage: customchannel")
	}
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	case flags.NArg() > 0:
		fmt.Fprintf(errOut, "unknown argument %q\n", flags.Arg(0))
		flags.Usage()
		return 2
	}
	dir, err := os.MkdirTemp("", "till-")
	if err == nil {
		defer os.RemoveAll(dir)
		fmt.Fprintln(out, "Simulated services: an ECOSIRE and a till in this process, which exchange files in a temporary directory.")
		err = demo(ctx, out, dir, hour)
	}
	if err != nil {
		fmt.Fprintln(errOut, err)
		return 1
	}
	return 0
}

func demo(ctx context.Context, out io.Writer, dir string, hour time.Duration) error {
	w := newWorld(dir)
	source, err := ecosire.New(ecosire.Config{APIKey: "eco_live_test", HTTPClient: w.ecosire.Client()})
	if err != nil {
		return err
	}
	till, err := New(Config{Name: "till:main street", Dir: dir, Wait: hour / 8, MaxAge: hour / 2})
	if err != nil {
		return err
	}
	s, err := syncer.New(syncer.Config{
		Source:  source,
		Targets: []syncer.Target{{Channel: till}},
		Hooks: syncer.Hooks{
			Down: func(_ context.Context, _ string, err error) {
				w.down.Store(true)
				fmt.Fprintln(out, "  down:", err)
			},
			Up: func(context.Context, string, time.Duration) {
				fmt.Fprintln(out, "  up again")
				w.down.Store(false)
			},
			Retry: func(_ context.Context, r syncer.Retry) {
				fmt.Fprintf(out, "  %d products will be tried again: %v\n", r.Products, r.Err)
			},
		},
		Schedule: syncer.Never(),
	})
	if err != nil {
		return err
	}

	// The till and the syncer run until the story is told.
	running, stop := context.WithCancel(ctx)
	var group errgroup.Group
	defer group.Wait()
	defer stop()
	if err := w.till.look(); err != nil {
		return err
	}
	group.Go(func() error { return w.till.run(running) })

	fmt.Fprintln(out, "The till shows old quantities:")
	report, err := s.Reconcile(ctx)
	if err != nil {
		return err
	}
	fmt.Fprint(out, report)
	if err := w.verify(); err != nil {
		return err
	}

	group.Go(func() error { return s.Run(running) })
	fmt.Fprintln(out, "\nThe till is offline for an hour, and the web shop sells meanwhile:")
	w.till.setOffline(true)
	for i := range 10 {
		w.ecosire.Sell(w.products[i], 2)
		if err := s.Notify(ctx, w.products[i]); err != nil {
			return err
		}
		if err := sleep(ctx, hour/10); err != nil {
			return err
		}
	}
	if w.verify() == nil {
		return errors.New("the till is offline, and shows what happened since: this example proves nothing")
	}
	w.till.setOffline(false)
	if err := w.becomesRight(ctx); err != nil {
		return err
	}

	fmt.Fprintln(out, "\nA file arrives torn:")
	w.till.tearNext()
	w.ecosire.Sell(w.products[20], 3)
	if err := s.Notify(ctx, w.products[20]); err != nil {
		return err
	}
	if err := w.becomesRight(ctx); err != nil {
		return err
	}
	if why := strings.Join(w.till.refusals(), "; "); !strings.Contains(why, "torn") {
		return fmt.Errorf("the till refused %q, and not a torn file: %w", why, channel.ErrNotApplied)
	}

	fmt.Fprintln(out, "\nSomebody mistypes a quantity at the till, which no event tells of; reconciling finds it:")
	w.till.set("BOOK-007", 700)
	report, err = s.Reconcile(ctx)
	if err != nil {
		return err
	}
	for _, c := range report.Channels[0].Changes {
		fmt.Fprintf(out, "  %s: %s %d → %d\n", till.Name(), c.SKU, *c.Shown, c.Wanted)
	}
	if err := w.verify(); err != nil {
		return err
	}
	fmt.Fprintf(out, "\nThe till shows ECOSIRE's quantity for all %d products that it has.\n", len(w.products)-1)
	stop()
	return group.Wait()
}

// A world is a bookshop: ECOSIRE, and the till in the store.
type world struct {
	ecosire  *ecosiretest.Server
	till     *simulator
	products []string // ids
	down     atomic.Bool
}

func newWorld(dir string) *world {
	w := &world{ecosire: ecosiretest.New(ecosiretest.Config{})}
	shows := make(map[string]int)
	for i := range 50 {
		sku := fmt.Sprintf("BOOK-%03d", i)
		w.products = append(w.products, w.ecosire.Add(ecosiretest.Product{SKU: sku, OnHand: 10 + i, Reserved: i % 4})...)
		shows[sku] = 5
	}
	w.products = append(w.products, w.ecosire.Add(ecosiretest.Product{SKU: "EBOOK-1", OnHand: 100})...) // not at the till
	w.till = newSimulator(dir, shows)
	return w
}

// verify compares the till itself with ECOSIRE itself.
func (w *world) verify() error {
	for _, p := range w.ecosire.Products() {
		n, ok := w.till.quantity(p.SKU)
		if want := max(0, p.OnHand-p.Reserved); ok && n != want {
			return fmt.Errorf("the till shows %d of %s, and ECOSIRE has %d: %w", n, p.SKU, want, channel.ErrNotApplied)
		}
	}
	return nil
}

// becomesRight waits until the till shows what it should. It is probed at most
// 15 seconds apart.
func (w *world) becomesRight(ctx context.Context) error {
	const most = time.Minute
	began := time.Now()
	for {
		err := w.verify()
		if err == nil && !w.down.Load() {
			return nil
		}
		if time.Since(began) > most {
			return errors.Join(err, fmt.Errorf("the till is not right after %v", most))
		}
		if err := sleep(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
