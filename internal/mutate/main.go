// Mutate finds promises that no test keeps. It changes the code in small ways,
// one at a time: turns a condition round, moves a boundary, leaves out a
// statement. A change that all tests of its package survive must be explained
// in accepted.txt, or be killed by a new test.
//
//	go run ./internal/mutate                      # lines changed since origin/main
//	go run ./internal/mutate -base v0.1.0         # lines changed since then
//	go run ./internal/mutate -pkg ./syncer        # all of a package
//	go run ./internal/mutate -pkg ./syncer -file lane.go -for 5m
//
// The working tree is not touched: each change reaches the compiler by
// go build's -overlay. Only tests that run the changed line are run. It exits
// with 1 if something survives unexplained. What does not fit into the time is
// counted and left out; the order is random, and printed as a seed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"time"
)

// An options is what the command line says.
type options struct {
	base     string        // a git ref
	pkg      string        // a directory; empty means what changed since base
	file     string        // only the file of that name
	limit    time.Duration // for everything
	seed     uint64
	accepted string // a file
	list     bool
}

func main() {
	var o options
	flag.StringVar(&o.base, "base", "", "mutate lines changed since this git `ref` (default: where HEAD left origin/main or main)")
	flag.StringVar(&o.pkg, "pkg", "", "mutate all of the package in this `directory` instead")
	flag.StringVar(&o.file, "file", "", "mutate the file of this `name` only")
	flag.DurationVar(&o.limit, "for", 10*time.Minute, "take at most about this long")
	flag.Uint64Var(&o.seed, "seed", uint64(time.Now().Unix()), "of the order")
	flag.StringVar(&o.accepted, "accepted", "internal/mutate/accepted.txt", "`file` of survivors with their reasons")
	flag.BoolVar(&o.list, "list", false, "list the mutations and run nothing")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// errSurvived: there are survivors that nobody explains.
var errSurvived = errors.New("tests let mutations live: write a test, delete the code, or say why in accepted.txt")

func run(ctx context.Context, o options, out io.Writer) error {
	start := time.Now()
	accepted, err := readAccepted(o.accepted)
	if err != nil {
		return err
	}
	root, err := os.Getwd()
	if err != nil {
		return err
	}
	scope := lines{}
	var dirs []string
	if o.pkg != "" {
		dirs = []string{filepath.Join(root, o.pkg)}
	} else {
		if scope, err = changed(ctx, root, o.base); err != nil {
			return err
		}
		for _, dir := range scope.dirs() {
			dirs = append(dirs, filepath.Join(root, dir))
		}
	}
	total := make(map[verdict]int)
	left, explained := 0, 0
	for i, dir := range dirs {
		mutations, err := mutationsOf(ctx, root, dir, func(file string, line int) bool {
			return (o.file == "" || filepath.Base(file) == o.file) && (o.pkg != "" || scope.has(file, line))
		})
		if err != nil {
			return err
		}
		if len(mutations) == 0 {
			continue
		}
		if o.list {
			for _, m := range mutations {
				fmt.Fprintln(out, m)
			}
			continue
		}
		// What is left of the time is shared out among the packages.
		end := start.Add(o.limit)
		end = time.Now().Add(time.Until(end) / time.Duration(len(dirs)-i))
		rand.New(rand.NewPCG(o.seed, 0)).Shuffle(len(mutations), func(i, j int) { mutations[i], mutations[j] = mutations[j], mutations[i] })
		fmt.Fprintf(out, "%s: %d mutations, -seed %d\n", rel(root, dir), len(mutations), o.seed)
		b, err := newBench(ctx, dir)
		if errors.Is(err, errNoTests) {
			fmt.Fprintf(out, "%s: no tests, nothing is mutated\n", rel(root, dir))
			continue
		}
		if err != nil {
			return err
		}
		for n, m := range mutations {
			if time.Now().After(end) {
				left += len(mutations) - n
				break
			}
			v, err := b.try(ctx, m)
			if err != nil {
				b.close()
				return err
			}
			total[v]++
			if v != lived && v != unreached {
				continue
			}
			if accepted.has(m) {
				explained++
				continue
			}
			fmt.Fprintf(out, "%-9s %s\n", v, m)
		}
		b.close()
	}
	if o.list {
		return nil
	}
	survived := total[lived] + total[unreached]
	fmt.Fprintf(out, "%d killed, %d out of time or memory, %d survived (%d explained), %d do not compile, %d not tried, in %s\n",
		total[killed], total[hung], survived, explained, total[broken], left, time.Since(start).Round(time.Second))
	if survived > explained {
		return errSurvived
	}
	return nil
}

// rel is a path for people.
func rel(root, path string) string {
	if short, err := filepath.Rel(root, path); err == nil && !strings.HasPrefix(short, "..") {
		return filepath.ToSlash(short)
	}
	return path
}
