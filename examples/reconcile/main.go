// Reconcile compares the whole catalogue with what the shops show, and mends
// what differs: the job for every night, and for the day after a bad day.
//
// By itself it talks to an ECOSIRE and two shops that live in this process:
//
//	go run ./examples/reconcile                          # find and mend
//	go run ./examples/reconcile -dry-run                 # only say what would be written
//	go run ./examples/reconcile -dry-run -plan plan.json # … and keep it
//	go run ./examples/reconcile -apply plan.json         # write what was planned, and nothing else
//
// It puts random drift into the shops, and checks that exactly this is found
// and mended. The same -seed makes the same world again, so that a plan of one
// run can be applied by the next. With -bad-import 500 the guards have something
// to hold; -approve lets that pass, and -products 10000 shows the quota at work.
//
// Where the environment names real services (the variables are those of package
// stocksync) it talks to these, and says so in its first line. It then plans;
// nothing is written without -write:
//
//	go run ./examples/reconcile                          # only say what would be written
//	go run ./examples/reconcile -plan plan.json          # … and keep it
//	go run ./examples/reconcile -write                   # find and mend
//	go run ./examples/reconcile -write -apply plan.json  # write what was planned, and nothing else
//
// Before all that, -coverage says which products the shops have, exactly, nearly or
// not at all, and -csv FILE has it as a table for whoever mends the shops. The exit
// code is then 0 if there are no gaps but products that a shop does not sell, and
// what only a shop has; 2 if there are others.
//
// With -state FILE what was written is remembered from run to run, so that drift
// has its likely cause: a sale, an edit in the shop, a write that did not stay.
// The demo's shops are new each time, so that its second run finds that nothing
// of the first has stayed. -html FILE writes what was found as a page to be
// mailed, too.
//
// -simulate simulates whatever the environment names. An environment that is
// set in part is an error.
//
// What was found goes to standard output, all else to standard error. The exit
// code is
//
//	0  every shop shows what it should of the products that it has
//	1  something failed, or cannot be shown, such as an SKU that two items have
//	2  a plan found drift, and nothing was written
//	3  a guard holds lines: look at them, and run again with -approve
//
// The SKUs that the demo made ambiguous itself do not count as failed.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ecosire/stocksync"
	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/examples/internal/show"
	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/syncer/boltqueue"
)

const (
	exitFine = iota
	exitFailed
	exitDrift
	exitHeld
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is main without the process.
func run(ctx context.Context, args []string, getenv func(string) string, out, errOut io.Writer) int {
	o, err := parse(args, errOut)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitFine
	case err != nil:
		return exitFailed
	}
	logger := slog.New(slog.NewTextHandler(errOut, &slog.HandlerOptions{Level: slog.LevelWarn}))
	services, err := o.services(getenv, logger)
	if err != nil {
		fmt.Fprintln(errOut, err)
		return exitFailed
	}
	var w *world // nil on real services
	if services == nil {
		if w, err = newWorld(o.demo); err != nil {
			fmt.Fprintln(errOut, err)
			return exitFailed
		}
	}
	return o.run(ctx, services, w, show.To(out, getenv), show.To(errOut, getenv))
}

// services returns the real services to work on, or nil to simulate them.
func (o *options) services(getenv func(string) string, logger *slog.Logger) (*stocksync.Services, error) {
	if o.simulate {
		return nil, nil
	}
	services, err := stocksync.FromEnv(stocksync.Config{Getenv: getenv, Logger: logger})
	switch {
	case errors.Is(err, stocksync.ErrNoEnv) && !o.write:
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("%w\nTo simulate all services instead: reconcile -simulate", err)
	case o.demoFlags != nil:
		return nil, fmt.Errorf("%s is of the demo, and the environment names real services (%v): add -simulate, or leave it out",
			strings.Join(o.demoFlags, ", "), services)
	case !o.write && (o.applyFile != "" || o.approve || o.stateFile != ""):
		return nil, fmt.Errorf("the environment names real services (%v), and -apply, -approve and -state are for writing to them: add -write if that is meant", services)
	case !o.write:
		o.dryRun = !o.coverage
	}
	return services, nil
}

// run works on real services, or on a world.
func (o options) run(ctx context.Context, services *stocksync.Services, w *world, out, errOut *show.Output) int {
	head := out
	if o.markdown {
		head = errOut // standard output is a document
	}
	switch {
	case w != nil:
		fmt.Fprintln(head, head.Paint(show.Bold, "Simulated services:"), "ECOSIRE and two shops in this process. Nothing leaves it.")
	case o.dryRun, o.coverage:
		fmt.Fprintln(head, head.Paint(show.Bold, "Real services, to be read only:"), services)
	default:
		fmt.Fprintln(head, head.Paint(show.Red, "Real services, to be written:"), services)
	}
	if w != nil {
		w.describe(errOut)
		var err error
		if services, err = w.services(); err != nil {
			fmt.Fprintln(errOut, err)
			return exitFailed
		}
	}
	j := &job{options: o, services: services, demo: w, out: out, errOut: errOut}
	if o.coverage {
		return j.cover(ctx)
	}
	drift, err := j.work(ctx)
	if err != nil {
		fmt.Fprintln(errOut, err)
	}
	switch {
	case worse(err, syncer.ErrHeld):
		return exitFailed
	case err != nil:
		fmt.Fprintln(errOut, "Look at what is held (-plan FILE keeps it). If it is right, let it pass with -approve.")
		return exitHeld
	case drift > 0:
		if w == nil {
			fmt.Fprintln(errOut, "Nothing was written. To write this, with the guard on, add -write.")
		}
		return exitDrift
	}
	if w != nil && !o.dryRun {
		fmt.Fprintln(errOut, "\nVerified: the run found what was injected, the shops show what it says, and nothing else in them has changed.")
	}
	return exitFine
}

// worse reports whether there is anything in err but what is expected.
func worse(err error, expected ...error) bool {
	if joined, ok := errors.AsType[interface {
		error
		Unwrap() []error
	}](err); ok {
		return slices.ContainsFunc(joined.Unwrap(), func(err error) bool { return worse(err, expected...) })
	}
	return err != nil && !slices.ContainsFunc(expected, func(e error) bool { return errors.Is(err, e) })
}

// A job is a run on some services.
type job struct {
	options
	services    *stocksync.Services
	demo        *world // nil on real services
	out, errOut *show.Output
	progress    atomic.Pointer[syncer.Progress]
}

// work does what the flags say, and returns how many differences it left.
func (j *job) work(ctx context.Context) (drift int, err error) {
	if j.dryRun {
		return j.plan(ctx)
	}
	// From here on something may be written.
	cfg := syncer.Config{Hooks: syncer.Hooks{Progress: func(_ context.Context, p syncer.Progress) { j.progress.Store(&p) }}, Journal: -1}
	if j.stateFile != "" {
		queue, err := boltqueue.Open(j.stateFile)
		if err != nil {
			return 0, err
		}
		defer queue.Close()
		cfg.Queue, cfg.Journal = queue, 30*24*time.Hour
	}
	s, err := j.services.Writer(cfg)
	if err != nil {
		return 0, err
	}
	if j.applyFile == "" {
		return 0, j.reconcile(ctx, s)
	}
	plan, err := load(j.applyFile)
	if err != nil {
		return 0, err
	}
	return 0, j.apply(ctx, s, plan)
}

func (j *job) plan(ctx context.Context) (drift int, err error) {
	done := j.wait("reading")
	plan, err := j.services.Plan(ctx)
	done()
	if plan == nil {
		return 0, err
	}
	err = errors.Join(err, j.show(show.OfPlan(plan), !j.markdown))
	if j.markdown {
		fmt.Fprint(j.out, plan.Markdown())
	}
	if err := errors.Join(err, j.save(plan)); err != nil {
		return 0, err
	}
	if j.demo != nil {
		err = j.demo.checkPlan(plan)
	} else {
		err = unshown(plan)
	}
	if slices.ContainsFunc(plan.Lines, func(l syncer.Line) bool { return l.Reason == syncer.ReasonHeld }) {
		err = errors.Join(err, syncer.ErrHeld)
	}
	return plan.Drift(), err
}

// unshown returns what a plan says no run can mend: what is an error in a
// report. That a shop does not have a product is none.
func unshown(plan *syncer.Plan) error {
	n := 0
	for _, l := range plan.Lines {
		if !l.Reason.Writable() && l.Reason != syncer.ReasonUnknown && l.Reason != syncer.ReasonPending {
			n++
		}
	}
	if n > 0 {
		return fmt.Errorf("%s cannot be shown", show.Count(n, "quantity", "quantities"))
	}
	return nil
}

func (j *job) reconcile(ctx context.Context, s *syncer.Syncer) error {
	done := j.wait("reading")
	report, err := s.Reconcile(ctx)
	done()
	err = j.verdict(report, nil, err)
	if report == nil || report.Held == nil || !j.approve || worse(err, syncer.ErrHeld) {
		return err
	}
	fmt.Fprintf(j.out, "\nApproved: %s that the guard held.\n", show.Count(len(report.Held.Lines), "line", "lines"))
	return j.apply(ctx, s, report.Held)
}

func (j *job) apply(ctx context.Context, s *syncer.Syncer, plan *syncer.Plan) error {
	if j.approve {
		plan.Approved = true
	}
	done := j.wait("writing")
	report, err := s.Apply(ctx, plan)
	done()
	return j.verdict(report, plan, err)
}

// verdict prints a report, keeps what the guard held, and is nil if all shops
// show what they should of what they have. plan is what was applied, or nil for
// the whole catalogue, and err what the run returned. The demo does not take
// the run's word for it.
func (j *job) verdict(report *syncer.Report, plan *syncer.Plan, err error) error {
	if report == nil { // it could not begin
		return err
	}
	if printing := errors.Join(j.print(report), j.keepHeld(report)); printing != nil {
		return errors.Join(err, printing)
	}
	if j.demo == nil || worse(err, syncer.ErrHeld, channel.ErrAmbiguousSKU) {
		return err
	}
	return j.demo.check(report, plan)
}

// print prints a report, and what the run cost.
func (j *job) print(report *syncer.Report) error {
	err := j.show(show.OfReport(report), true)
	cost := fmt.Sprintf("%d requests to ECOSIRE", report.Requests[""])
	for _, c := range report.Channels {
		cost += fmt.Sprintf(", %d to %s", report.Requests[c.Channel], c.Channel)
	}
	j.out.Line(show.Dim, fmt.Sprintf("%s, in %v.", cost, report.Duration.Round(time.Millisecond)))
	return err
}

// show prints a sentence, what is most dangerous, and the channels, and writes
// the page that was asked for.
func (j *job) show(s show.Summary, printed bool) error {
	if printed {
		j.out.Summary(s, j.rows)
		fmt.Fprintln(j.out)
		j.out.Channels(s)
	}
	if j.htmlFile == "" {
		return nil
	}
	var page bytes.Buffer
	if err := show.HTML(&page, "stocksync, "+time.Now().Format("2 January 2006, 15:04"), s, j.rows); err != nil {
		return err
	}
	return os.WriteFile(j.htmlFile, page.Bytes(), 0o644)
}

// keepHeld prints and saves what a guard held, as far as that is asked for.
func (j *job) keepHeld(report *syncer.Report) error {
	if report.Held == nil {
		return nil
	}
	if j.markdown {
		fmt.Fprintf(j.out, "\nHeld:\n\n%s", report.Held.Markdown())
	}
	return j.save(report.Held)
}

func (j *job) save(plan *syncer.Plan) error {
	if j.planFile == "" {
		return nil
	}
	text, err := json.MarshalIndent(plan, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(j.planFile, append(text, '\n'), 0o644)
}

func load(file string) (*syncer.Plan, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	plan := new(syncer.Plan)
	if err := json.Unmarshal(text, plan); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if plan.Run == "" {
		return nil, fmt.Errorf("%s: this is no plan: make one with -dry-run -plan", file)
	}
	return plan, nil
}

// wait draws a line on a terminal for as long as something lasts.
func (j *job) wait(doing string) (done func()) {
	return j.errOut.Wait(func() string {
		p := j.progress.Load()
		if p == nil {
			return fmt.Sprintf("%s: %s", doing, show.Count(int(j.services.ECOSIRE.Requests()), "request to ECOSIRE", "requests to ECOSIRE"))
		}
		written, held := 0, 0
		for _, c := range p.Channels {
			written += c.Written
			held += c.Held
		}
		says := fmt.Sprintf("read %s of %s, %s written, %s held", show.Number(p.Read), show.Number(p.Total), show.Number(written), show.Number(held))
		if p.Read < p.Total && time.Until(p.Ends) > time.Second {
			says += p.Ends.Format(", all read at 15:04:05")
		}
		return says
	})
}
