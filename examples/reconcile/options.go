package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
)

type options struct {
	write, simulate           bool
	dryRun, approve, markdown bool
	rows                      int
	planFile, applyFile       string
	htmlFile, stateFile       string
	coverage                  bool
	csvFile                   string
	demo                      demoOptions
	demoFlags                 []string // those given that concern the demo only
}

func parse(args []string, errOut io.Writer) (o options, err error) {
	flags := flag.NewFlagSet("reconcile", flag.ContinueOnError)
	flags.SetOutput(errOut)
	flags.Usage = func() {
		fmt.Fprintln(errOut, "Reconcile compares the whole catalogue with what the shops show, and mends what differs. It simulates\n"+
			"ECOSIRE and the shops, or, where the environment names real services, plans for these and writes nothing.\n\n"+
			"usage: reconcile [flags]")
		flags.PrintDefaults()
	}
	flags.BoolVar(&o.write, "write", false, "write to the real services; the guard is on")
	flags.BoolVar(&o.simulate, "simulate", false, "simulate the services, whatever the environment names")
	flags.BoolVar(&o.dryRun, "dry-run", false, "make a plan, and write nothing to the shops")
	flags.BoolVar(&o.coverage, "coverage", false, "say which products the shops have, exactly, nearly or not at all; nothing is written")
	flags.StringVar(&o.csvFile, "csv", "", "write what -coverage found to this `file`, too, as a table for whoever mends the shops")
	flags.StringVar(&o.planFile, "plan", "", "keep the plan of a dry run, or else what a guard held, in this `file`, as JSON")
	flags.StringVar(&o.applyFile, "apply", "", "write what the plan in this `file` says, where that still holds")
	flags.BoolVar(&o.approve, "approve", false, "write what a guard holds, too: somebody has looked at it")
	flags.BoolVar(&o.markdown, "markdown", false, "print the plan of a dry run, or what a guard held, as Markdown")
	flags.StringVar(&o.htmlFile, "html", "", "write what was found to this `file`, too, as one page to be mailed")
	flags.StringVar(&o.stateFile, "state", "", "remember in this `file` what was written and what a guard holds, so that the next run can tell why there is drift")
	flags.IntVar(&o.rows, "rows", 30, "print at most this many rows, the most dangerous first; 0 prints all")
	flags.Uint64Var(&o.demo.seed, "seed", 1, "demo: the same seed makes the same world")
	flags.IntVar(&o.demo.products, "products", 3000, "demo: products in ECOSIRE; from 5000 on its quota takes minutes")
	flags.IntVar(&o.demo.drift, "drift", 8, "demo: products that have drifted, of each kind and in each shop")
	flags.IntVar(&o.demo.badImport, "bad-import", 0, "demo: products that a bad import has set to zero in ECOSIRE")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	flags.Visit(func(f *flag.Flag) {
		switch f.Name {
		case "seed", "products", "drift", "bad-import":
			o.demoFlags = append(o.demoFlags, "-"+f.Name)
		}
	})
	switch {
	case flags.NArg() > 0:
		err = fmt.Errorf("reconcile takes no arguments, but flags: %q", flags.Args())
	case o.dryRun && (o.write || o.approve || o.applyFile != "" || o.stateFile != ""):
		err = errors.New("-dry-run writes nothing: it does not go with -write, -apply, -approve or -state")
	case o.coverage && (o.dryRun || o.write || o.approve || o.markdown || o.planFile != "" || o.applyFile != "" || o.stateFile != "" || o.htmlFile != ""):
		err = errors.New("-coverage is about names, and writes nothing: it goes with -csv and -simulate alone")
	case o.csvFile != "" && !o.coverage:
		err = errors.New("-csv is for -coverage")
	case o.simulate && o.write:
		err = errors.New("-simulate does not go with -write, which is for real services")
	case o.rows < 0 || o.demo.products < 0 || o.demo.drift < 0 || o.demo.badImport < 0:
		err = errors.New("a number is negative")
	}
	if err != nil {
		fmt.Fprintln(errOut, err)
		flags.Usage()
	}
	return o, err
}
