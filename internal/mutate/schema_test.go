package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// kinds has a mutation in each kind of function that there is.
const kinds = `package p

import "fmt"

type set[T comparable] struct{ of map[T]int }

func (s *set[T]) Add(values ...T) { // first line
	for _, v := range values {
		s.of[v]++
	}
}

func (set[T]) zero() bool { return true }

func count[T comparable, _ any](values []T, _ ...int) (n int) {
	s := set[T]{map[T]int{}}
	s.Add(values...)
	return len(s.of) + 0
}

func twice(int, string) int { return 2 * 1 }

func swallow() {
	if x := recover(); x != nil {
		last = fmt.Sprint(x)
	}
}

func fails() (err error) { defer swallow(); panic("x") }

func longest(a, b int) int {
	top := a
	if b > a {
		return b
	}
	return top
}

var last = ""

const one = 2 - 1

func init() { last = "nothing" }
`

const kindsTest = `package p

import "testing"

func TestKinds(t *testing.T) {
	_ = fails()
	for name, ok := range map[string]bool{
		"count":   count[int, any]([]int{1, 1, 2}) == 2,
		"zero":    set[int]{}.zero(),
		"twice":   twice(0, "") == 2,
		"longest": longest(1, 2) == 2 && longest(2, 1) == 2 && last == "x",
		"one":     one == 1,
	} {
		if !ok {
			t.Error(name)
		}
	}
}

func TestInit(t *testing.T) {
	if last == "" {
		t.Fatal()
	}
}
`

func TestManyMutationsInOneProgram(t *testing.T) {
	if testing.Short() {
		t.Skip("builds programs")
	}
	t.Setenv("GOFLAGS", "")
	t.Setenv("GOWORK", "off")
	dir := t.TempDir()
	write(t, dir, map[string]string{"go.mod": sample["go.mod"], "p.go": kinds, "p_test.go": kindsTest})
	b, err := newBench(t.Context(), dir, "", time.Minute)
	require.NoError(t, err)
	defer b.close()
	path := filepath.Join(dir, "p.go")
	all, err := mutationsIn(path, "p.go", []byte(kinds))
	require.NoError(t, err)
	// A mutation that leaves out the only use of a variable does not compile.
	at := strings.Index(kinds, "return top")
	all = append(all, &mutation{path: path, file: "p.go", fn: "longest", from: "top", to: "nothing", line: 35, seen: 35,
		start: at, end: at + len("return top"), text: "return a"})

	p, err := b.build(t.Context(), all)
	require.NoError(t, err)
	text, err := os.ReadFile(filepath.Join(b.tmp, "p.go"))
	require.NoError(t, err)
	lines := strings.Split(string(text), "\n")
	for i, line := range strings.Split(kinds, "\n") {
		if !strings.HasPrefix(line, "func ") {
			assert.Equal(t, line, lines[i], "lines stay where they are")
		}
	}
	became := make(map[string]verdict)
	for _, m := range all {
		v, left, err := b.try(t.Context(), m, p)
		require.NoError(t, err)
		assert.Zero(t, left)
		became[m.id()] = v
	}
	assert.Equal(t, map[string]verdict{
		"p.go set.Add: s.of[v]++ => dropped":            killed,
		"p.go set.Add: s.of[v]++ => --":                 lived,
		"p.go set.zero: return true => false":           killed,
		"p.go count: s.Add(values...) => dropped":       killed,
		"p.go count: len(s.of) + 0 => -":                lived,
		"p.go twice: 2 * 1 => /":                        lived,
		"p.go swallow: x != nil => ==":                  killed,
		"p.go swallow: last = fmt.Sprint(x) => dropped": killed,
		"p.go fails: defer swallow() => dropped":        killed,
		`p.go fails: panic("x") => dropped`:             broken, // the function would end without a return
		"p.go longest: b > a => >=":                     lived,
		"p.go longest: b > a => <=":                     killed,
		"p.go longest: return b => dropped":             killed,
		"p.go longest: top => nothing":                  broken,
		"p.go -: 2 - 1 => +":                            killed,
		`p.go init: last = "nothing" => dropped`:        lived,
	}, became)
}

// A test that fails because a function has copies kills nothing.
func TestTestsThatSeeTheCopies(t *testing.T) {
	if testing.Short() {
		t.Skip("builds programs")
	}
	t.Setenv("GOFLAGS", "")
	t.Setenv("GOWORK", "off")
	dir := t.TempDir()
	write(t, dir, map[string]string{"go.mod": sample["go.mod"], "p.go": `package p

type T struct{}

func (T) m() int { return 1 + 0 }
`, "p_test.go": `package p

import (
	"testing"
)

func TestCallers(t *testing.T) {
	T{}.m()
	if _, has := any(T{}).(interface{ mutate1_m() int }); has {
		t.Fatal()
	}
}

func TestM(t *testing.T) {
	if (T{}).m() != 1 {
		t.Fatal()
	}
}
`})
	b, err := newBench(t.Context(), dir, "", time.Minute)
	require.NoError(t, err)
	defer b.close()
	path := filepath.Join(dir, "p.go")
	src, err := os.ReadFile(path)
	require.NoError(t, err)
	all, err := mutationsIn(path, "p.go", src)
	require.NoError(t, err)
	require.Len(t, all, 1)
	p, err := b.build(t.Context(), all)
	require.NoError(t, err)
	v, _, err := b.try(t.Context(), all[0], p)
	require.NoError(t, err)
	assert.Equal(t, lived, v)
	assert.Equal(t, map[string]bool{"TestCallers": true}, p.fails)
}

func TestTheQuickestTestsFirst(t *testing.T) {
	here, there := map[string][]block{"p.go": {{1, 9}}}, map[string][]block{"p.go": {{10, 19}}}
	const enough = 30 * time.Second
	b := &bench{each: enough}
	for _, x := range []struct {
		name string
		took time.Duration
		runs map[string][]block
	}{
		{"a", 0, here}, {"b", together / 2, here}, {"c", together / 2, here}, {"elsewhere", together, there},
		{"failing", together, here}, {"d", together, here}, {"e", enough - together, here}, {"f", enough, here},
	} {
		b.tests = append(b.tests, &test{Name: x.name, Took: x.took, Runs: x.runs})
	}
	m := &mutation{path: "/x/p.go", fn: "f", seen: 9}
	p := &program{fails: map[string]bool{"failing": true}}
	groups := func() (names []string, left int) {
		groups, left := b.groups(m, p)
		for _, g := range groups {
			var group []string
			for _, t := range g {
				group = append(group, t.Name)
			}
			names = append(names, strings.Join(group, " "))
		}
		return names, left
	}
	names, left := groups()
	assert.Equal(t, []string{"a b c", "d"}, names)
	assert.Equal(t, 2, left)
	b.tests = b.tests[len(b.tests)-1:]
	names, left = groups()
	assert.Equal(t, []string{"f"}, names, "one test at least")
	assert.Zero(t, left)
}

// What tests run is found out once.
func TestSurveysAreKept(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a program")
	}
	t.Setenv("GOFLAGS", "")
	t.Setenv("GOWORK", "off")
	defer func(was string) { keptIn = was }(keptIn)
	keptIn = t.TempDir()
	dir := t.TempDir()
	write(t, dir, sample)
	survey := func(match string) []*test {
		b, err := newBench(t.Context(), filepath.Join(dir, "p"), match, time.Minute)
		require.NoError(t, err)
		b.close()
		return b.tests
	}
	first := survey("")
	assert.Len(t, first, 2)
	assert.Equal(t, first, survey(""), "to the nanosecond")
	assert.Len(t, survey("Sign"), 1)
	write(t, dir, map[string]string{"p/more_test.go": "package p\n\nimport \"testing\"\n\nfunc TestMore(t *testing.T) {}\n"})
	assert.Len(t, survey(""), 3)
}
