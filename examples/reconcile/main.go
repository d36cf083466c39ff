// Reconcile compares the whole catalogue with what the shops show, and mends
// what differs: the job for every night, and for the day after a bad day.
//
//	go run ./examples/reconcile                          # find and mend
//	go run ./examples/reconcile -dry-run                 # only say what would be written
//	go run ./examples/reconcile -dry-run -plan plan.json # … and keep it
//	go run ./examples/reconcile -apply plan.json         # write what was planned, and nothing else
//
// By itself it talks to an ECOSIRE and two shops that live in this process. It
// puts random drift into the shops, and checks that exactly this is found and
// mended. The same -seed makes the same world again, so that a plan of one run
// can be applied by the next. With -bad-import 500 the guards have something to
// hold; -approve lets that pass, and -products 10000 shows the quota at work.
//
// With ECOSIRE_API_KEY set it talks to the real services instead; the other
// variables are listed in examples/internal/live.
//
// The report or the plan goes to standard output, all else to standard error.
// The exit code is
//
//	0  every shop shows what it should of the products that it has
//	1  something failed, or cannot be shown, such as an SKU that two items have
//	2  a dry run found drift
//	3  a guard holds lines: look at them, and run again with -approve
//
// The SKUs that the demo made ambiguous itself do not count as failed.
package main

import (
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
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/examples/internal/live"
	"github.com/ecosire/stocksync/syncer"
)

const (
	exitFine = iota
	exitFailed
	exitDrift
	exitHeld
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

type options struct {
	dryRun, approve, markdown bool
	planFile, applyFile       string
	demo                      demoOptions
}

func parse(args []string, errOut io.Writer) (o options, err error) {
	flags := flag.NewFlagSet("reconcile", flag.ContinueOnError)
	flags.SetOutput(errOut)
	flags.BoolVar(&o.dryRun, "dry-run", false, "make a plan, and write nothing to the shops")
	flags.StringVar(&o.planFile, "plan", "", "keep the plan of a dry run, or else what a guard held, in this `file`, as JSON")
	flags.StringVar(&o.applyFile, "apply", "", "write what the plan in this `file` says, where that still holds")
	flags.BoolVar(&o.approve, "approve", false, "write what a guard holds, too: somebody has looked at it")
	flags.BoolVar(&o.markdown, "markdown", false, "print the plan of a dry run, or what a guard held, as Markdown")
	flags.Uint64Var(&o.demo.seed, "seed", 1, "demo: the same seed makes the same world")
	flags.IntVar(&o.demo.products, "products", 3000, "demo: products in ECOSIRE; from 5000 on its quota takes minutes")
	flags.IntVar(&o.demo.drift, "drift", 8, "demo: products that have drifted, of each kind and in each shop")
	flags.IntVar(&o.demo.badImport, "bad-import", 0, "demo: products that a bad import has set to zero in ECOSIRE")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	switch {
	case flags.NArg() > 0:
		err = fmt.Errorf("reconcile takes no arguments, but flags: %q", flags.Args())
	case o.dryRun && (o.approve || o.applyFile != ""):
		err = errors.New("-dry-run writes nothing: it does not go with -apply or -approve")
	}
	if err != nil {
		fmt.Fprintln(errOut, err)
	}
	return o, err
}

// run is main without the process.
func run(ctx context.Context, args []string, out, errOut io.Writer) int {
	o, err := parse(args, errOut)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitFine
	case err != nil:
		return exitFailed
	}
	var w *world // nil on the real services
	if !live.Configured() {
		if w, err = newWorld(o.demo); err != nil {
			fmt.Fprintln(errOut, err)
			return exitFailed
		}
		w.describe(errOut)
	}
	return o.run(ctx, w, out, errOut)
}

func (o options) run(ctx context.Context, w *world, out, errOut io.Writer) int {
	drift, err := o.work(ctx, w, out, errOut)
	if err != nil {
		fmt.Fprintln(errOut, err)
	}
	switch {
	case worse(err):
		return exitFailed
	case err != nil:
		fmt.Fprintln(errOut, "Look at what is held (-plan FILE, -markdown). If it is right, let it pass with -approve.")
		return exitHeld
	case drift > 0:
		return exitDrift
	}
	if w != nil && !o.dryRun {
		fmt.Fprintln(errOut, "\nVerified: the run found what was injected, the shops show what it says, and nothing else in them has changed.")
	}
	return exitFine
}

// worse reports whether anything but a guard's holding lines is in err.
func worse(err error) bool {
	if joined, ok := errors.AsType[interface {
		error
		Unwrap() []error
	}](err); ok {
		return slices.ContainsFunc(joined.Unwrap(), worse)
	}
	return err != nil && !errors.Is(err, syncer.ErrHeld)
}

// work does what the flags say, and returns how many differences it left.
func (o options) work(ctx context.Context, w *world, out, errOut io.Writer) (drift int, err error) {
	source, channels, err := services(w, errOut)
	if err != nil {
		return 0, err
	}
	cfg := syncer.Config{Source: source}
	for _, c := range channels {
		cfg.Targets = append(cfg.Targets, syncer.Target{Channel: c})
	}
	done := func() {}
	if terminal(errOut) {
		cfg.Hooks.Progress, done = progressLine(errOut)
	}
	s, err := syncer.New(cfg)
	if err != nil {
		return 0, err
	}
	j := job{o, s, w, out, done}
	switch {
	case o.dryRun:
		return j.dryRun(ctx)
	case o.applyFile != "":
		plan, err := load(o.applyFile)
		if err != nil {
			return 0, err
		}
		return 0, j.apply(ctx, plan)
	}
	return 0, j.reconcile(ctx)
}

func services(w *world, errOut io.Writer) (channel.Source, []channel.Channel, error) {
	if w != nil {
		return w.clients()
	}
	s, err := live.Load(slog.New(slog.NewTextHandler(errOut, nil)))
	if err != nil {
		return nil, nil, err
	}
	return s.ECOSIRE, s.Channels, nil
}

type job struct {
	options
	syncer *syncer.Syncer
	demo   *world // nil on the real services
	out    io.Writer
	done   func() // ends the progress line
}

func (j job) dryRun(ctx context.Context) (drift int, err error) {
	plan, err := j.syncer.Plan(ctx)
	if j.markdown {
		fmt.Fprint(j.out, plan.Markdown())
	} else {
		fmt.Fprint(j.out, plan)
	}
	if err != nil {
		return 0, err
	}
	if err := j.save(plan); err != nil {
		return 0, err
	}
	if j.demo != nil {
		err = j.demo.checkPlan(plan)
	} else {
		err = unshown(plan)
	}
	if slices.ContainsFunc(plan.Lines, func(l syncer.Line) bool { return l.Reason == syncer.Held }) {
		err = errors.Join(err, syncer.ErrHeld)
	}
	return plan.Drift(), err
}

// unshown returns what a plan says no run can mend: what is an error in a
// report. That a shop does not have a product is none.
func unshown(plan *syncer.Plan) error {
	var errs []error
	for _, c := range plan.Channels {
		if c.Error != "" {
			errs = append(errs, fmt.Errorf("%s: %s", c.Channel, c.Error))
		}
	}
	n := 0
	for _, l := range plan.Lines {
		if !l.Reason.Writable() && l.Reason != syncer.Unknown {
			n++
		}
	}
	if n > 0 {
		errs = append(errs, fmt.Errorf("%d figures cannot be shown", n))
	}
	return errors.Join(errs...)
}

func (j job) reconcile(ctx context.Context) error {
	report, err := j.syncer.Reconcile(ctx)
	j.done()
	j.print(report)
	if worse(err) {
		return err
	}
	err = j.verdict(report, nil)
	if report.Held == nil || !j.approve {
		return errors.Join(err, j.keepHeld(report))
	}
	if !worse(err) {
		err = nil // held, and approved
	}
	fmt.Fprintf(j.out, "\nApproved: %d lines that the guard held.\n", len(report.Held.Lines))
	return errors.Join(err, j.apply(ctx, report.Held))
}

func (j job) apply(ctx context.Context, plan *syncer.Plan) error {
	if j.approve {
		plan = plan.Approve()
	}
	report, err := j.syncer.Apply(ctx, plan)
	j.print(report)
	if err != nil {
		return err
	}
	return errors.Join(j.verdict(report, plan), j.keepHeld(report))
}

// print prints a report, and what the run cost. A run that could not begin has
// none.
func (j job) print(report *syncer.Report) {
	if report == nil {
		return
	}
	fmt.Fprint(j.out, report)
	fmt.Fprintf(j.out, "%d requests to ECOSIRE", report.Requests[""])
	for _, c := range report.Channels {
		fmt.Fprintf(j.out, ", %d to %s", report.Requests[c.Channel], c.Channel)
	}
	fmt.Fprintf(j.out, ", in %v.\n", report.Duration.Round(time.Millisecond))
}

// verdict is nil if all shops show what they should of what they have. The
// demo does not take the report's word for it. plan is what was applied, or
// nil for the whole catalogue.
func (j job) verdict(report *syncer.Report, plan *syncer.Plan) error {
	if j.demo != nil {
		return j.demo.check(report, plan)
	}
	return report.Err()
}

// keepHeld prints and saves what a guard held, as far as that is asked for.
func (j job) keepHeld(report *syncer.Report) error {
	if report.Held == nil {
		return nil
	}
	if j.markdown {
		fmt.Fprintf(j.out, "\nHeld:\n\n%s", report.Held.Markdown())
	}
	return j.save(report.Held)
}

func (j job) save(plan *syncer.Plan) error {
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

// progressLine returns a hook that draws one line, and what ends it.
func progressLine(w io.Writer) (told func(syncer.Progress), done func()) {
	bar := progressbar.NewOptions(-1, progressbar.OptionSetWriter(w), progressbar.OptionSetWidth(20),
		progressbar.OptionSetElapsedTime(false), progressbar.OptionSetPredictTime(false),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionSetSpinnerChangeInterval(0)) // no goroutine of its own
	told = func(p syncer.Progress) {
		did, written, held := p.Read, 0, 0
		for _, c := range p.Channels {
			did += c.Compared
			written += c.Written
			held += c.Held
		}
		text := fmt.Sprintf("read %d of %d, %d written, %d held", p.Read, p.Total, written, held)
		if p.Read < p.Total && time.Until(p.Ends) > time.Second {
			text += p.Ends.Format(", all read at 15:04:05")
		}
		bar.Describe(text)
		if p.Total > 0 {
			// Reading is one part of the way, and each shop another.
			bar.ChangeMax(p.Total * (1 + len(p.Channels)))
			did = min(did, bar.GetMax())
		}
		_ = bar.Set(did)
	}
	return told, func() { _ = bar.Clear() }
}

func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
