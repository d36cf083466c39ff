package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A verdict is what became of a mutation.
type verdict string

const (
	killed    verdict = "killed"
	hung      verdict = "hung"      // killed, by a limit of time or memory
	lived     verdict = "lived"     // tests ran it and passed
	unreached verdict = "unreached" // no test runs it
	broken    verdict = "broken"    // it does not compile
)

var errNoTests = errors.New("no tests")

// A bench runs the tests of one package against mutations.
type bench struct {
	dir   string
	tmp   string
	tests []*test
}

// A test is one of the package's, with the blocks of code that it runs.
type test struct {
	name string
	took time.Duration
	runs map[string][]block // by the file's name
}

// A block is from a line to another.
type block struct{ line, endLine int }

// leeway is what a mutation gets beyond three times what its tests take.
var leeway = 10 * time.Second

const (
	// fast tests are run first, together.
	fast = 300 * time.Millisecond
	// maxMemory bounds a test's memory, in kB: a loop without an end may append.
	maxMemory = 6_000_000
)

// newBench runs each of the package's tests once, to see what it runs. close
// must be called.
func newBench(ctx context.Context, dir string) (*bench, error) {
	tmp, err := os.MkdirTemp("", "mutate")
	if err != nil {
		return nil, err
	}
	b := &bench{dir: dir, tmp: tmp}
	if err := b.survey(ctx); err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

func (b *bench) close() { os.RemoveAll(b.tmp) }

func (b *bench) survey(ctx context.Context) error {
	bin := filepath.Join(b.tmp, "covered.test")
	out, err := b.command(ctx, "go", "test", "-c", "-cover", "-o", bin, ".")
	if err != nil {
		return fmt.Errorf("go test -c in %s: %w\n%s", b.dir, err, out)
	}
	if _, err := os.Stat(bin); err != nil {
		return errNoTests
	}
	list, err := b.command(ctx, bin, "-test.list", "^(Test|Fuzz|Example)")
	if err != nil {
		return fmt.Errorf("%w\n%s", err, list)
	}
	for _, name := range strings.Fields(list) {
		profile := filepath.Join(b.tmp, "profile")
		start := time.Now()
		out, err := b.command(ctx, bin, "-test.run", "^"+name+"$", "-test.coverprofile", profile, "-test.timeout", "5m")
		if err != nil {
			return fmt.Errorf("%s fails without any mutation: %w\n%s", name, err, out)
		}
		t := &test{name: name, took: time.Since(start)}
		text, err := os.ReadFile(profile)
		if err != nil {
			return err
		}
		if t.runs, err = parseProfile(string(text)); err != nil {
			return err
		}
		b.tests = append(b.tests, t)
	}
	if len(b.tests) == 0 {
		return errNoTests
	}
	return nil
}

var profileLine = regexp.MustCompile(`^(.+):(\d+)\.\d+,(\d+)\.\d+ \d+ (\d+)$`)

// parseProfile returns the blocks of a cover profile that were run.
func parseProfile(text string) (map[string][]block, error) {
	runs := make(map[string][]block)
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "mode:") {
			continue
		}
		m := profileLine.FindStringSubmatch(line)
		if m == nil {
			return nil, fmt.Errorf("cover profile: %q", line)
		}
		var n [3]int
		for i := range n {
			n[i], _ = strconv.Atoi(m[i+2]) // digits
		}
		if n[2] > 0 {
			name := path.Base(m[1])
			runs[name] = append(runs[name], block{n[0], n[1]})
		}
	}
	return runs, nil
}

// reaches reports whether the test runs the mutation's line. What is outside of
// functions is run by all.
func (t *test) reaches(m *mutation) bool {
	return m.fn == "-" || slices.ContainsFunc(t.runs[filepath.Base(m.path)], func(b block) bool {
		return b.line <= m.seen && m.seen <= b.endLine
	})
}

// try runs the tests that reach a mutation.
func (b *bench) try(ctx context.Context, m *mutation) (verdict, error) {
	var quick, slow []*test
	for _, t := range b.tests {
		switch {
		case !t.reaches(m):
		case t.took < fast:
			quick = append(quick, t)
		default:
			slow = append(slow, t)
		}
	}
	if len(quick)+len(slow) == 0 {
		return unreached, nil
	}
	slices.SortStableFunc(slow, func(a, b *test) int { return int(a.took - b.took) })
	src, err := m.apply()
	if err != nil {
		return "", err
	}
	copied, overlay, bin := filepath.Join(b.tmp, "mutant.go"), filepath.Join(b.tmp, "overlay.json"), filepath.Join(b.tmp, "mutant.test")
	replace, err := json.Marshal(map[string]any{"Replace": map[string]string{m.path: copied}})
	if err != nil {
		return "", err
	}
	if err := errors.Join(os.WriteFile(copied, src, 0o600), os.WriteFile(overlay, replace, 0o600)); err != nil {
		return "", err
	}
	if _, err := b.command(ctx, "go", "test", "-c", "-vet=off", "-overlay", overlay, "-o", bin, "."); err != nil {
		return broken, ctx.Err()
	}
	if len(quick) > 0 {
		if v, err := b.run(ctx, bin, quick); v != lived || err != nil {
			return v, err
		}
	}
	for _, t := range slow {
		if v, err := b.run(ctx, bin, []*test{t}); v != lived || err != nil {
			return v, err
		}
	}
	return lived, nil
}

// run runs some tests.
func (b *bench) run(ctx context.Context, bin string, tests []*test) (verdict, error) {
	limit := leeway
	var names []string
	for _, t := range tests {
		names = append(names, t.name)
		limit += 3 * t.took
	}
	args := []string{bin, "-test.failfast", "-test.run", "^(" + strings.Join(names, "|") + ")$", "-test.timeout", limit.String()}
	if sh, err := exec.LookPath("sh"); err == nil {
		args = append([]string{sh, "-c", fmt.Sprintf(`ulimit -v %d; exec "$@"`, maxMemory), "sh"}, args...)
	}
	bounded, cancel := context.WithTimeout(ctx, limit+leeway)
	defer cancel()
	out, err := b.command(bounded, args[0], args[1:]...)
	switch {
	case ctx.Err() != nil:
		return "", ctx.Err()
	case err == nil:
		return lived, nil
	case bounded.Err() != nil, strings.Contains(out, "panic: test timed out"), strings.Contains(out, "out of memory"):
		return hung, nil
	}
	return killed, nil
}

// command runs a program in the package's directory. It returns what it wrote.
func (b *bench) command(ctx context.Context, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = b.dir
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	return string(out), err
}
