package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// sample is a module with a package whose tests let some things live.
var sample = map[string]string{
	"go.mod": "module sample\n\ngo 1.24\n",
	"p/p.go": `package p

func Sign(n int) int {
	if n < 0 {
		return -1
	}
	switch {
	case n > 100:
		panic("large")
	}
	return 1
}

func Unused(a, b int) int {
	return a - b
}

func Twice(n int) (sum int) {
	for i := 0; i < 2; i++ {
		sum += n
	}
	return sum
}
`,
	"p/p_test.go": `package p

import "testing"

func TestSign(t *testing.T) {
	if Sign(-5) != -1 || Sign(5) != 1 {
		t.Fatal()
	}
}

func TestTwice(t *testing.T) {
	if Twice(3) != 6 {
		t.Fatal()
	}
}
`,
	"q/q.go":   "package q\n\nfunc Q() int { return 1 + 1 }\n",
	"accepted": "p/p.go Sign: n > 100 => >=\n  Nobody knows what is large.\n",
}

func mutate(t *testing.T, dir string, o options) (out string, err error) {
	t.Helper()
	t.Chdir(dir)
	t.Setenv("GOFLAGS", "")
	t.Setenv("GOWORK", "off")
	o.accepted, o.each = "accepted", time.Minute
	if o.limit == 0 {
		o.limit = 10 * time.Minute
	}
	var b bytes.Buffer
	err = run(t.Context(), o, &b)
	return b.String(), err
}

func TestWhatLivesIsReported(t *testing.T) {
	if testing.Short() {
		t.Skip("builds many programs")
	}
	defer func(was time.Duration) { leeway = was }(leeway)
	leeway = 5 * time.Second
	dir, _ := repository(t, sample)
	before, err := os.ReadFile(filepath.Join(dir, "p", "p.go"))
	require.NoError(t, err)

	out, err := mutate(t, dir, options{pkg: "p"})
	require.ErrorIs(t, err, errSurvived)
	var survived []string
	for line := range strings.Lines(out) {
		if verdict, id, ok := strings.Cut(line, " "); ok && (verdict == "lived" || verdict == "unreached") {
			survived = append(survived, verdict+" "+strings.TrimSpace(id))
		}
	}
	assert.ElementsMatch(t, []string{
		"lived p/p.go Sign: n < 0 => <= (line 4)",
		`unreached p/p.go Sign: panic("large") => dropped (line 9)`,
		"unreached p/p.go Unused: a - b => + (line 15)",
	}, survived, out)
	assert.Contains(t, out, "(1 explained)")
	assert.Contains(t, out, "1 out of time", "a loop without an end")
	after, err := os.ReadFile(filepath.Join(dir, "p", "p.go"))
	require.NoError(t, err)
	assert.Equal(t, string(before), string(after), "the tree is not touched")
}

func TestWhatChangedIsMutated(t *testing.T) {
	if testing.Short() {
		t.Skip("builds programs")
	}
	dir, git := repository(t, sample)
	out, err := mutate(t, dir, options{})
	require.NoError(t, err, "nothing has changed")
	assert.Contains(t, out, "0 killed")

	git("checkout", "-qb", "topic")
	changed := strings.NewReplacer("Twice(n int) (sum int) {", "Twice(n int) (sum int) {\n\tsum = 0", "sum += n", "sum += 1 * n").Replace(sample["p/p.go"])
	write(t, dir, map[string]string{"p/p.go": changed, "q/q.go": "package q\n\nfunc Q() int { return 2 + 1 }\n"})
	out, err = mutate(t, dir, options{list: true})
	require.NoError(t, err)
	assert.Equal(t, `p/p.go Twice: sum = 0 => dropped (line 19)
p/p.go Twice: sum += 1 * n => dropped (line 21)
p/p.go Twice: sum += 1 * n => -= (line 21)
p/p.go Twice: 1 * n => / (line 21)
q/q.go Q: 2 + 1 => - (line 3)
`, out)

	out, err = mutate(t, dir, options{})
	require.ErrorIs(t, err, errSurvived)
	assert.Contains(t, out, "lived     p/p.go Twice: sum = 0 => dropped")
	assert.Contains(t, out, "q: no tests")
	assert.Contains(t, out, "3 killed, 0 out of time or memory, 1 survived")

	out, err = mutate(t, dir, options{limit: time.Nanosecond})
	require.NoError(t, err)
	assert.Contains(t, out, "4 not tried")
}

func TestTestsThatFailAnyway(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a program")
	}
	dir, _ := repository(t, sample)
	write(t, dir, map[string]string{"p/p_test.go": strings.Replace(sample["p/p_test.go"], "!= 6", "!= 7", 1)})
	_, err := mutate(t, dir, options{pkg: "p"})
	assert.ErrorContains(t, err, "TestTwice fails without any mutation")
}
