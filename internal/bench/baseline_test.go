package bench

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// baseline is the commit of this repository with whose costs ours are compared:
// what a product cost before anybody worked on it.
const baseline = "c7f1480c244003a2b8e21345ad4dd3868a4f00dc"

// measuring are the files that measure. They take the place of the baseline's
// own, so that both are measured alike.
var measuring = []string{"cost_test.go", "cputime_unix_test.go", "cputime_other_test.go"}

// TestCostAgainstBaseline measures what is measured by BenchmarkCost, here and in
// the baseline, which is built from the repository's history: one after the
// other, again and again, each as a process of its own on one core. Of each the
// least counts, since others can only make it more.
func TestCostAgainstBaseline(t *testing.T) {
	measured(t)
	rounds := 1
	if mode == "full" {
		rounds = 5
	}
	was, is := make(sample), make(sample)
	old := buildBaseline(t)
	for range rounds {
		was.take(t, old)
		is.take(t, os.Args[0])
	}
	out := newTable("baseline", "work", "ns/product then", "now", "ratio", "allocations/product then", "now ", "ratio ")
	row := func(name string, parts ...string) (time float64) {
		var then, now [2]float64
		for i, unit := range []string{"ns/product", "allocs/product"} {
			for _, part := range parts {
				require.Positive(t, was[part+" ns/product"], part)
				then[i] += was[part+" "+unit]
				now[i] += is[part+" "+unit]
			}
		}
		out.row(name, number(int(then[0])), number(int(now[0])), fmt.Sprintf("%.2f", now[0]/then[0]),
			fmt.Sprintf("%.1f", then[1]), fmt.Sprintf("%.1f", now[1]), fmt.Sprintf("%.2f", now[1]/then[1]))
		return now[0] / then[0]
	}
	for _, name := range []string{"planning", "planning/again", "decoding/ecosire", "decoding/shopify", "decoding/woocommerce", "pushing/shopify", "pushing/woocommerce"} {
		row(name, name)
	}
	row("planning and pushing, Shopify", "planning", "pushing/shopify")
	row("planning and pushing, WooCommerce", "planning", "pushing/woocommerce")
	worst := 0.0
	for _, name := range []string{"reconciling/shopify", "reconciling/woocommerce", "reconciling/both", "again/both"} {
		worst = max(worst, row(name, name))
	}
	out.done(t)
	if mode == "full" { // one round says little
		require.Less(t, worst, 1.0, "a whole reconciliation costs less than it did")
	}
}

// A sample has the least of each thing that is measured.
type sample map[string]float64

func (s sample) take(t *testing.T, program string) {
	t.Helper()
	cmd := exec.Command(program, "-test.run", "^$", "-test.bench", "^BenchmarkCost$", "-test.benchtime", "5x")
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1", "STOCKSYNC_BENCH=")
	text, err := cmd.CombinedOutput()
	require.NoError(t, err, string(text))
	for line := range strings.Lines(string(text)) {
		name, rest, _ := strings.Cut(line, " ")
		name, found := strings.CutPrefix(name, "BenchmarkCost/")
		if !found {
			continue
		}
		for fields := strings.Fields(rest)[1:]; len(fields) >= 2; fields = fields[2:] {
			key := strings.TrimSpace(name) + " " + fields[1]
			v, err := strconv.ParseFloat(fields[0], 64)
			require.NoError(t, err, line)
			if least, known := s[key]; !known || v < least {
				s[key] = v
			}
		}
	}
}

// buildBaseline returns the program that measures the baseline.
func buildBaseline(t *testing.T) string {
	t.Helper()
	history := exec.Command("git", "archive", "--format=tar", baseline)
	history.Dir = filepath.Join("..", "..")
	archive, err := history.Output()
	if err != nil {
		t.Skipf("the history has no commit %.8s (a shallow clone?), or there is no git: %v", baseline, err)
	}
	dir := t.TempDir()
	for r := tar.NewReader(bytes.NewReader(archive)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		path := filepath.Join(dir, filepath.FromSlash(h.Name))
		if h.Typeflag != tar.TypeReg || !filepath.IsLocal(h.Name) {
			continue
		}
		text, err := io.ReadAll(r)
		require.NoError(t, err)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, text, 0o644))
	}
	folder := filepath.Join(dir, "internal", "bench")
	for _, name := range measuring {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), text, 0o644))
	}
	program := filepath.Join(dir, "baseline.test")
	build := exec.Command("go", "test", "-c", "-o", program, ".")
	build.Dir = folder
	text, err := build.CombinedOutput()
	require.NoError(t, err, string(text))
	return program
}
