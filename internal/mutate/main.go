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
// go build's -overlay. Only tests that run the changed line are run; what a test
// runs in a process of its own is not seen. It exits with 1 if something survives unexplained. What does not fit into the time is
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
	"path"
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
	dirs, want, err := o.scope(ctx, root)
	if err != nil {
		return err
	}
	t := &tally{out: out, accepted: accepted, count: make(map[verdict]int)}
	for i, dir := range dirs {
		mutations, err := mutationsOf(ctx, root, dir, want)
		if err != nil {
			return err
		}
		if o.list {
			for _, m := range mutations {
				fmt.Fprintln(out, m)
			}
			continue
		}
		// What is left of the time is shared out among the packages.
		end := time.Now().Add(time.Until(start.Add(o.limit)) / time.Duration(len(dirs)-i))
		if err := t.try(ctx, rel(root, dir), dir, mutations, o.seed, end); err != nil {
			return err
		}
	}
	if o.list {
		return nil
	}
	return t.sum(time.Since(start))
}

// scope says which directories to look at, and which lines of them.
func (o *options) scope(ctx context.Context, root string) (dirs []string, want func(file string, line int) bool, err error) {
	ours := func(file string) bool { return o.file == "" || path.Base(file) == o.file }
	if o.pkg != "" {
		return []string{filepath.Join(root, o.pkg)}, func(file string, _ int) bool { return ours(file) }, nil
	}
	l, err := changed(ctx, root, o.base)
	if err != nil {
		return nil, nil, err
	}
	for _, dir := range l.dirs() {
		dirs = append(dirs, filepath.Join(root, dir))
	}
	return dirs, func(file string, line int) bool { return ours(file) && l.has(file, line) }, nil
}

// A tally counts what became of mutations, and prints those that live.
type tally struct {
	out       io.Writer
	accepted  survivors
	count     map[verdict]int
	explained int
	left      int // for lack of time
}

// try tries mutations of a package until a time, in random order.
func (t *tally) try(ctx context.Context, name, dir string, mutations []*mutation, seed uint64, end time.Time) error {
	if len(mutations) == 0 {
		return nil
	}
	fmt.Fprintf(t.out, "%s: %d mutations, -seed %d\n", name, len(mutations), seed)
	b, err := newBench(ctx, dir)
	if errors.Is(err, errNoTests) {
		fmt.Fprintf(t.out, "%s: no tests, nothing is mutated\n", name)
		return nil
	}
	if err != nil {
		return err
	}
	defer b.close()
	rand.New(rand.NewPCG(seed, 0)).Shuffle(len(mutations), func(i, j int) { mutations[i], mutations[j] = mutations[j], mutations[i] })
	for n, m := range mutations {
		if time.Now().After(end) {
			t.left += len(mutations) - n
			return nil
		}
		v, err := b.try(ctx, m)
		if err != nil {
			return err
		}
		t.count[v]++
		switch {
		case v != lived && v != unreached:
		case t.accepted.has(m):
			t.explained++
		default:
			fmt.Fprintf(t.out, "%-9s %s\n", v, m)
		}
	}
	return nil
}

// sum prints the sums, and returns an error if anything survived unexplained.
func (t *tally) sum(took time.Duration) error {
	survived := t.count[lived] + t.count[unreached]
	fmt.Fprintf(t.out, "%d killed, %d out of time or memory, %d survived (%d explained), %d do not compile, %d not tried, in %s\n",
		t.count[killed], t.count[hung], survived, t.explained, t.count[broken], t.left, took.Round(time.Second))
	if survived > t.explained {
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
