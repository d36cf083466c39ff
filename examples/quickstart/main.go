// Quickstart does the main job: it makes shops show what ECOSIRE says may be
// sold. It shows the drift, the plan, the write and the check.
//
//	go run ./examples/quickstart
//
// By itself it talks to an ECOSIRE, a Shopify shop, a WooCommerce shop and a
// seller at Amazon that live in this process. Where the environment names real services it talks to
// these, and says so in its first line. It then plans, and writes nothing:
//
//	go run ./examples/quickstart -write            # writes what differs, the guard is on
//	go run ./examples/quickstart -only ID,ID       # some products, by ECOSIRE's ids
//	go run ./examples/quickstart -simulate         # the simulated services all the same
//
// The variables are those of package stocksync. An environment that is set in
// part is an error.
//
// The exit code is 0 if the plan was made, or if, after writing, every channel
// shows what it should of the products that it has; 1 if something failed or
// cannot be shown; 2 for a wrong command line; 3 if the guard holds something.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"strings"

	"github.com/ecosire/stocksync"
	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/examples/internal/show"
	"github.com/ecosire/stocksync/syncer"
)

const (
	exitFine = iota
	exitFailed
	exitUsage
	exitHeld
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

type options struct {
	write, simulate bool
	only            []string
}

func parse(args []string, errOut io.Writer) (o options, err error) {
	flags := flag.NewFlagSet("quickstart", flag.ContinueOnError)
	flags.SetOutput(errOut)
	flags.Usage = func() {
		fmt.Fprintln(errOut, "Quickstart makes shops show what ECOSIRE says may be sold. It simulates ECOSIRE and the shops,\n"+
			"or, where the environment names real services, plans for these and writes nothing.\n\n"+
			"usage: quickstart [-simulate] [-only ID,ID] [-write]")
		flags.PrintDefaults()
	}
	flags.BoolVar(&o.write, "write", false, "write to the real services what the plan says; the guard is on")
	flags.BoolVar(&o.simulate, "simulate", false, "simulate the services, whatever the environment names")
	flags.Func("only", "deal with these products only: ECOSIRE's `ids`, with commas between them", func(ids string) error {
		for id := range strings.SplitSeq(ids, ",") {
			if id = strings.TrimSpace(id); id == "" {
				return errors.New("an id is empty")
			}
			o.only = append(o.only, id)
		}
		return nil
	})
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	switch {
	case flags.NArg() > 0:
		err = fmt.Errorf("unknown argument %q", flags.Arg(0))
	case o.simulate && (o.write || o.only != nil):
		err = errors.New("-simulate writes to simulated shops anyway: it does not go with -write or -only")
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
	out := show.To(stdout, getenv)
	err = o.run(ctx, getenv, out, slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn})))
	switch {
	case err == nil:
		return exitFine
	case errors.Is(err, syncer.ErrHeld):
		fmt.Fprintln(stderr, err)
		return exitHeld
	}
	fmt.Fprintln(stderr, err)
	return exitFailed
}

func (o options) run(ctx context.Context, getenv func(string) string, out *show.Output, logger *slog.Logger) error {
	if o.simulate {
		return simulated(ctx, out)
	}
	services, err := stocksync.FromEnv(stocksync.Config{Getenv: getenv, Logger: logger})
	switch {
	case errors.Is(err, stocksync.ErrNoEnv) && !o.write && o.only == nil:
		return simulated(ctx, out)
	case err != nil:
		return fmt.Errorf("%w\nTo simulate all services instead: quickstart -simulate", err)
	case o.write:
		fmt.Fprintf(out, "%s %v\n", out.Paint(show.Red, "Real services, to be written:"), services)
	default:
		fmt.Fprintf(out, "%s %v\n", out.Paint(show.Bold, "Real services, to be read only:"), services)
	}
	return job{services, out, o.only}.run(ctx, o.write)
}

// A job makes the channels of some services right.
type job struct {
	services *stocksync.Services
	out      *show.Output
	only     []string // products; none means the whole catalogue
}

func (j job) run(ctx context.Context, write bool) error {
	plan, err := j.plan(ctx, nil)
	if plan == nil {
		return err
	}
	const rows = 10
	summary := show.OfPlan(plan)
	j.out.Head("Drift")
	j.out.Channels(summary)
	j.out.Head("Plan")
	j.out.Summary(summary, rows)
	switch {
	case err != nil:
		return fmt.Errorf("not everything could be compared, so nothing was written: %w", err)
	case !write && plan.Drift() > 0:
		fmt.Fprintf(j.out, "\nNothing was written. To write this, with the guard on: %s\n", j.out.Paint(show.Bold, "quickstart -write"))
		return nil
	case !write:
		return nil
	}
	s, err := j.write(ctx, plan)
	if err != nil {
		return err
	}
	return j.check(ctx, s)
}

// plan compares the channels with ECOSIRE. It writes nothing. A syncer that has
// written knows what was accepted and does not show yet.
func (j job) plan(ctx context.Context, s *syncer.Syncer) (*syncer.Plan, error) {
	defer j.wait("reading")()
	switch {
	case s != nil && j.only != nil:
		return s.PlanProducts(ctx, j.only...)
	case s != nil:
		return s.Plan(ctx)
	case j.only != nil:
		return j.services.PlanProducts(ctx, j.only...)
	}
	return j.services.Plan(ctx)
}

// write makes the channels show what the plan says. Whatever else the channels
// show by now is left alone, and what the guard holds is held.
func (j job) write(ctx context.Context, plan *syncer.Plan) (*syncer.Syncer, error) {
	j.out.Head("Write")
	s, err := j.services.Writer(syncer.Config{})
	if err != nil {
		return nil, err
	}
	done := j.wait("writing")
	var report *syncer.Report
	if j.only != nil {
		report, err = s.SyncProducts(ctx, j.only...)
	} else {
		report, err = s.Apply(ctx, plan)
	}
	done()
	if report != nil {
		for _, c := range report.Channels {
			fmt.Fprintf(j.out, "%s: %s written, %s held, %s failed\n", c.Channel, show.Number(c.Updated+c.Pending), show.Number(c.Held),
				show.Number(c.Failed+c.Unclear+c.Superseded+c.Replanned))
		}
	}
	return s, err
}

// check looks again: what was written is true only when the channels show it.
func (j job) check(ctx context.Context, s *syncer.Syncer) error {
	j.out.Head("Check")
	plan, err := j.plan(ctx, s)
	if err != nil {
		return err
	}
	var errs []error
	for _, c := range plan.Channels {
		held, left, unshown, coming := 0, 0, 0, 0
		for _, l := range plan.Lines {
			switch {
			case l.Channel != c.Channel || l.Reason == syncer.ReasonUnknown:
			case l.Reason == syncer.ReasonHeld:
				held++
			case l.Reason == syncer.ReasonPending:
				coming++
			case l.Reason.Writable():
				left++
			default:
				unshown++
			}
		}
		switch {
		case c.Error != "":
			errs = append(errs, fmt.Errorf("%s: %s", c.Channel, c.Error))
		case held > 0:
			errs = append(errs, fmt.Errorf("%s: %s: %w; examples/reconcile shows and approves them", c.Channel, show.Count(held, "product", "products"), syncer.ErrHeld))
		case left > 0:
			errs = append(errs, fmt.Errorf("%s: %s written and not kept, or changed meanwhile: %w", c.Channel, show.Count(left, "quantity was", "quantities were"), channel.ErrNotApplied))
		case unshown > 0:
			errs = append(errs, fmt.Errorf("%s: %s cannot be shown", c.Channel, show.Count(unshown, "product", "products")))
		case coming > 0: // see channel.Lagger
			fmt.Fprintf(j.out, "%s %s shows ECOSIRE's quantity for %s, and has accepted %s that it does not show yet\n",
				j.out.Paint(show.Green, "✓"), c.Channel, show.Count(c.Agreed, "product", "products"), show.Count(coming, "quantity", "quantities"))
		default:
			fmt.Fprintf(j.out, "%s %s shows ECOSIRE's quantity for all %s that it has\n",
				j.out.Paint(show.Green, "✓"), c.Channel, show.Count(c.Agreed, "product", "products"))
		}
	}
	if slices.ContainsFunc(plan.Lines, func(l syncer.Line) bool { return l.Reason == syncer.ReasonUnread }) {
		errs = append(errs, errors.New("ECOSIRE: some products could not be read"))
	}
	return errors.Join(errs...)
}

// wait shows that something lasts, on a terminal.
func (j job) wait(doing string) (done func()) {
	return j.out.Wait(func() string {
		to := []string{show.Count(int(j.services.ECOSIRE.Requests()), "request to ECOSIRE", "requests to ECOSIRE")}
		for _, t := range j.services.Targets {
			if m, ok := channel.As[channel.Meter](t.Channel); ok {
				to = append(to, fmt.Sprintf("%d to %s", m.Requests(), t.Channel.Name()))
			}
		}
		return doing + ": " + strings.Join(to, ", ")
	})
}
