package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"math"
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
	tests []*test       // the quickest first
	each  time.Duration // about how long tests are tried on one mutation
}

// A test is one of the package's, with the blocks of code that it runs.
type test struct {
	Name string
	Took time.Duration      // by the processor
	Runs map[string][]block // by the file's name
}

// A block is from a line to another.
type block struct{ Line, EndLine int }

// leeway is the processor's time that a mutation gets beyond three times what its
// tests take.
var leeway = 4 * time.Second

const (
	// together is how long tests take that are run in one process. The first to
	// fail ends it.
	together = 500 * time.Millisecond
	// patience is how many times as long that may take by the clock: the machine
	// may be busy.
	patience = 6
	// maxMemory bounds a test's memory, in kB: a loop without an end may append.
	maxMemory = 6_000_000
)

// keptIn is the directory in which surveys are kept; empty means nowhere.
var keptIn string

// newBench runs each of the package's tests that match once, to see what it
// runs. close must be called.
func newBench(ctx context.Context, dir, match string, each time.Duration) (*bench, error) {
	tmp, err := os.MkdirTemp("", "mutate")
	if err != nil {
		return nil, err
	}
	b := &bench{dir: dir, tmp: tmp, each: each}
	if err := b.survey(ctx, match); err != nil {
		b.close()
		return nil, err
	}
	return b, nil
}

func (b *bench) close() { os.RemoveAll(b.tmp) }

// survey finds out which test runs what. The answer is kept for as long as the
// code is the same.
func (b *bench) survey(ctx context.Context, match string) error {
	bin := filepath.Join(b.tmp, "covered.test")
	out, err := b.command(ctx, "go", []string{"test", "-c", "-cover", "-o", bin, "."})
	if err != nil {
		return fmt.Errorf("go test -c in %s: %w\n%s", b.dir, err, out)
	}
	program, err := os.ReadFile(bin)
	if err != nil {
		return errNoTests
	}
	kept := ""
	if keptIn != "" {
		kept = filepath.Join(keptIn, fmt.Sprintf("%x.json", sha256.Sum256(append(program, match...))))
		if text, err := os.ReadFile(kept); err == nil && json.Unmarshal(text, &b.tests) == nil && len(b.tests) > 0 {
			return nil
		}
	}
	list, idle, err := b.timed(ctx, bin, []string{"-test.list", "^(Test|Fuzz|Example)"})
	if err != nil {
		return fmt.Errorf("%w\n%s", err, list)
	}
	only, err := regexp.Compile(match)
	if err != nil {
		return err
	}
	for name := range strings.Lines(list) {
		if name = strings.TrimSpace(name); !testName.MatchString(name) || !only.MatchString(name) {
			continue
		}
		profile := filepath.Join(b.tmp, "profile")
		out, took, err := b.timed(ctx, bin, []string{"-test.run", "^" + name + "$", "-test.short", "-test.coverprofile", profile, "-test.timeout", "5m"})
		if err != nil {
			return fmt.Errorf("%s fails without any mutation: %w\n%s", name, err, out)
		}
		t := &test{Name: name, Took: max(took-idle, 0)}
		text, err := os.ReadFile(profile)
		if err != nil {
			return err
		}
		if t.Runs, err = parseProfile(string(text)); err != nil {
			return err
		}
		b.tests = append(b.tests, t)
	}
	if len(b.tests) == 0 {
		return errNoTests
	}
	slices.SortStableFunc(b.tests, func(a, b *test) int { return cmp.Compare(a.Took, b.Took) })
	if text, err := json.Marshal(b.tests); err == nil && kept != "" && os.MkdirAll(filepath.Dir(kept), 0o700) == nil {
		_ = os.WriteFile(kept, text, 0o600) // it would be found out again
	}
	return nil
}

// testName is what is listed, other than warnings.
var testName = regexp.MustCompile(`^(Test|Fuzz|Example)\w*$`)

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
	return m.fn == "-" || slices.ContainsFunc(t.Runs[filepath.Base(m.path)], func(b block) bool {
		return b.Line <= m.seen && m.seen <= b.EndLine
	})
}

// reached reports whether any test runs the mutation's line.
func (b *bench) reached(m *mutation) bool {
	return slices.ContainsFunc(b.tests, func(t *test) bool { return t.reaches(m) })
}

// try runs the tests that reach a mutation, the quickest first, with a program
// that may have it built in. It returns how many tests there was no time for.
func (b *bench) try(ctx context.Context, m *mutation, p *program) (v verdict, left int, err error) {
	if p.unfit[m] {
		return broken, 0, nil
	}
	if !b.reached(m) {
		return unreached, 0, nil
	}
	if p.number[m] == 0 {
		src, err := m.apply()
		if err != nil {
			return "", 0, err
		}
		alone := filepath.Join(b.tmp, "mutant.test")
		if _, err := b.compile(ctx, alone, map[string][]byte{m.path: src}); err != nil {
			return broken, 0, ctx.Err()
		}
		p = &program{bin: alone}
	}
	groups, left := b.groups(m, p)
	for i := 0; i < len(groups); {
		v, failed, err := b.run(ctx, p.bin, p.number[m], groups[i])
		if err != nil {
			return "", 0, err
		}
		if v == lived {
			i++
			continue
		}
		if v == hung || len(failed) == 0 || p.number[m] == 0 {
			return v, 0, nil
		}
		guilty, err := b.guilty(ctx, p, failed)
		if err != nil || guilty {
			return v, 0, err
		}
		groups[i] = slices.DeleteFunc(groups[i], func(t *test) bool { return p.fails[t.Name] })
		if len(groups[i]) == 0 {
			i++
		}
	}
	return lived, left, nil
}

// groups are the tests that reach a mutation, in the order in which to run
// them, as far as there is time for them.
func (b *bench) groups(m *mutation, p *program) (groups [][]*test, left int) {
	var group []*test
	var took, sum time.Duration
	for _, t := range b.tests {
		switch {
		case !t.reaches(m) || p.fails[t.Name]:
			continue
		case sum > 0 && sum+t.Took > b.each:
			left++
			continue
		case len(group) > 0 && took+t.Took > together:
			groups = append(groups, group)
			group, took = nil, 0
		}
		group = append(group, t)
		took += t.Took
		sum += t.Took
	}
	if len(group) > 0 {
		groups = append(groups, group)
	}
	return groups, left
}

// guilty reports whether one of the tests that failed passes while no mutation
// is on. The others fail since functions have another one around them, and say
// nothing.
func (b *bench) guilty(ctx context.Context, p *program, failed []string) (bool, error) {
	guilty := false
	for _, name := range failed {
		fails, known := p.fails[name]
		if !known {
			v, _, err := b.run(ctx, p.bin, 0, []*test{{Name: name, Took: b.each}})
			if err != nil {
				return false, err
			}
			fails = v != lived
			p.fails[name] = fails
		}
		guilty = guilty || !fails
	}
	return guilty, nil
}

var failure = regexp.MustCompile(`(?m)^--- FAIL: (\w+)`)

// run runs some tests with a mutation on, and says which failed.
func (b *bench) run(ctx context.Context, bin string, number int, tests []*test) (v verdict, failed []string, err error) {
	limit := leeway
	var names []string
	for _, t := range tests {
		names = append(names, t.Name)
		limit += 3 * t.Took
	}
	args := []string{bin, "-test.failfast", "-test.short", "-test.run", "^(" + strings.Join(names, "|") + ")$", "-test.timeout", (patience * limit).String()}
	if sh, err := exec.LookPath("sh"); err == nil {
		args = append([]string{sh, "-c", fmt.Sprintf(`ulimit -v %d; ulimit -t %.0f; exec "$@"`, maxMemory, math.Ceil(limit.Seconds())), "sh"}, args...)
	}
	bounded, cancel := context.WithTimeout(ctx, patience*limit+leeway)
	defer cancel()
	out, err := b.command(bounded, args[0], args[1:], fmt.Sprintf("%s=%d", chosen, number))
	switch {
	case ctx.Err() != nil:
		return "", nil, ctx.Err()
	case err == nil:
		return lived, nil, nil
	case bounded.Err() != nil, strings.HasPrefix(err.Error(), "signal: killed"), strings.Contains(out, "panic: test timed out"), strings.Contains(out, "out of memory"):
		return hung, nil, nil
	}
	for _, m := range failure.FindAllStringSubmatch(out, -1) {
		failed = append(failed, m[1])
	}
	return killed, failed, nil
}

// command runs a program in the package's directory. It returns what it wrote.
func (b *bench) command(ctx context.Context, name string, args []string, env ...string) (string, error) {
	out, _, err := b.timed(ctx, name, args, env...)
	return out, err
}

// timed is command, and returns how long the processor was busy with it.
func (b *bench) timed(ctx context.Context, name string, args []string, env ...string) (string, time.Duration, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = b.dir
	cmd.Env = append(os.Environ(), env...)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	var took time.Duration
	if cmd.ProcessState != nil {
		took = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	}
	return string(out), took, err
}
