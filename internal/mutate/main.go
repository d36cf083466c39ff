// Mutate finds promises that no test keeps. It changes the code in small ways,
// one at a time: turns a condition round, moves a boundary, leaves out a
// statement. A change that all tests of its package survive must be explained
// in accepted.txt, or be killed by a new test.
//
//	go run ./internal/mutate                      # lines changed since origin/main
//	go run ./internal/mutate -base v0.1.0         # lines changed since then
//	go run ./internal/mutate -pkg ./syncer        # all of a package
//	go run ./internal/mutate -pkg ./syncer -file skulocks.go,pin*.go -for 5m
//	go run ./internal/mutate -pkg ./syncer -file skulocks.go -run Locks # do these tests kill them?
//
// The working tree is not touched: each change reaches the compiler by
// go build's -overlay, up to 300 of them in one program, in which an
// environment variable turns one on. Only tests that run the changed line are run,
// with -short, the quickest first, until one fails or they have taken 30 s of the
// processor. What a test runs in a process of its own is not seen. Which test runs
// what is found out by running each once, and kept in the user's cache until the
// package or its tests change. It exits with 1 if something survives unexplained.
// What does not fit into the time is counted and left out; the order is random, and
// printed as a seed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/signal"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// An options is what the command line says.
type options struct {
	base     string        // a git ref
	pkg      string        // a directory; empty means what changed since base
	file     string        // only files whose name matches one of these patterns, with commas between
	only     string        // only mutations whose id matches this expression
	tests    string        // only tests whose name matches this expression
	limit    time.Duration // for everything
	each     time.Duration // for one mutation
	seed     uint64
	accepted string // a file
	list     bool
	all      bool // print what is killed, too
}

func main() {
	var o options
	flag.StringVar(&o.base, "base", "", "mutate lines changed since this git `ref` (default: where HEAD left origin/main or main)")
	flag.StringVar(&o.pkg, "pkg", "", "mutate all of the package in this `directory` instead")
	flag.StringVar(&o.file, "file", "", "mutate files of these `names` only, such as pin*.go,skulocks.go")
	flag.StringVar(&o.only, "only", "", "try mutations whose id matches this `expression` only")
	flag.StringVar(&o.tests, "run", "", "run tests whose name matches this `expression` only")
	flag.DurationVar(&o.limit, "for", 10*time.Minute, "take at most about this long")
	flag.DurationVar(&o.each, "each", 30*time.Second, "run tests on one mutation for about this long, by the processor")
	flag.Uint64Var(&o.seed, "seed", uint64(time.Now().Unix()), "of the order")
	flag.StringVar(&o.accepted, "accepted", "internal/mutate/accepted.txt", "`file` of survivors with their reasons")
	flag.BoolVar(&o.list, "list", false, "list the mutations and run nothing")
	flag.BoolVar(&o.all, "v", false, "print what is killed, too")
	flag.Parse()
	if cache, err := os.UserCacheDir(); err == nil {
		keptIn = filepath.Join(cache, "stocksync-mutate")
	}
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
	only, err := regexp.Compile(o.only)
	if err != nil {
		return err
	}
	t := &tally{out: out, accepted: accepted, all: o.all, count: make(map[verdict]int), files: make(map[string]map[verdict]int)}
	for i, dir := range dirs {
		mutations, err := mutationsOf(ctx, root, dir, want)
		if err != nil {
			return err
		}
		mutations = slices.DeleteFunc(mutations, func(m *mutation) bool { return !only.MatchString(m.id()) })
		if o.list {
			for _, m := range mutations {
				fmt.Fprintln(out, m)
			}
			continue
		}
		// What is left of the time is shared out among the packages.
		end := time.Now().Add(time.Until(start.Add(o.limit)) / time.Duration(len(dirs)-i))
		if err := t.try(ctx, rel(root, dir), dir, mutations, o, end); err != nil {
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
	ours := func(file string) bool {
		return o.file == "" || slices.ContainsFunc(strings.Split(o.file, ","), func(pattern string) bool {
			ok, err := path.Match(pattern, path.Base(file))
			return ok && err == nil
		})
	}
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
	all       bool // prints what is killed, too
	count     map[verdict]int
	files     map[string]map[verdict]int
	explained int
	left      int // for lack of time
}

// try tries mutations of a package until a time, in random order.
func (t *tally) try(ctx context.Context, name, dir string, mutations []*mutation, o options, end time.Time) error {
	if len(mutations) == 0 {
		return nil
	}
	fmt.Fprintf(t.out, "%s: %d mutations, -seed %d\n", name, len(mutations), o.seed)
	b, err := newBench(ctx, dir, o.tests, o.each)
	if errors.Is(err, errNoTests) {
		fmt.Fprintf(t.out, "%s: no tests, nothing is mutated\n", name)
		return nil
	}
	if err != nil {
		return err
	}
	defer b.close()
	rand.New(rand.NewPCG(o.seed, 0)).Shuffle(len(mutations), func(i, j int) { mutations[i], mutations[j] = mutations[j], mutations[i] })
	for some := range slices.Chunk(mutations, maxBuilt) {
		if time.Now().After(end) {
			t.left += len(some)
			continue
		}
		p, err := b.build(ctx, some)
		if err != nil {
			return err
		}
		for n, m := range some {
			if time.Now().After(end) {
				t.left += len(some) - n
				break
			}
			v, left, err := b.try(ctx, m, p)
			if err != nil {
				return err
			}
			t.tell(m, v, left)
		}
	}
	return nil
}

// maxBuilt is how many mutations are built into one program.
const maxBuilt = 300

// tell counts a mutation, and prints it if it lives. left is how many tests had
// no time for it.
func (t *tally) tell(m *mutation, v verdict, left int) {
	t.count[v]++
	if t.files[m.file] == nil {
		t.files[m.file] = make(map[verdict]int)
	}
	t.files[m.file][v]++
	switch {
	case v != lived && v != unreached && t.all:
		fmt.Fprintf(t.out, "%-9s %s\n", v, m)
	case v != lived && v != unreached:
	case t.accepted.has(m):
		t.explained++
	case left > 0:
		fmt.Fprintf(t.out, "%-9s %s, without %d slow tests\n", v, m, left)
	default:
		fmt.Fprintf(t.out, "%-9s %s\n", v, m)
	}
}

// sum prints the sums, and returns an error if anything survived unexplained.
func (t *tally) sum(took time.Duration) error {
	survived := t.count[lived] + t.count[unreached]
	for _, file := range slices.Sorted(maps.Keys(t.files)) {
		n := t.files[file]
		fmt.Fprintf(t.out, "%s: %d killed, %d survived\n", file, n[killed]+n[hung], n[lived]+n[unreached])
	}
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
