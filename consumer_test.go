package stocksync_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The consumers are modules of somebody else's: they can do with the exported
// packages alone.
const consumers = "internal/testdata/consumer"

// goTool runs the go command in a consumer, and returns what it prints.
func goTool(t *testing.T, consumer string, args ...string) string {
	t.Helper()
	if testing.Short() {
		t.Skip("builds and runs a program")
	}
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = filepath.Join(consumers, consumer)
	cmd.Env = append(os.Environ(), "GOFLAGS=-buildvcs=false", "GOWORK=off")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "if go.mod or go.sum are behind this module's: make tidy\n%s", out)
	// The first build on a machine says what it downloads.
	return regexp.MustCompile(`(?m)^go: downloading .*\n`).ReplaceAllString(string(out), "")
}

var required = regexp.MustCompile(`(?m)^\s+(\S+) v\S+`)

// requirements are the modules that a go.mod requires.
func requirements(t *testing.T, path string) (modules []string) {
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	for _, m := range required.FindAllStringSubmatch(string(data), -1) {
		modules = append(modules, m[1])
	}
	return modules
}

func TestAMinimalProgram(t *testing.T) {
	assert.Equal(t, "MUG-RED shows 10\n", goTool(t, "minimal", "run", "."))
	linked := goTool(t, "minimal", "list", "-deps", ".")
	assert.Contains(t, linked, "github.com/ecosire/stocksync/woocommerce\n")
	for _, path := range []string{"github.com/ecosire/stocksync", "github.com/ecosire/stocksync/shopify", "github.com/ecosire/stocksync/syncer/boltqueue"} {
		assert.NotContains(t, strings.Split(linked, "\n"), path, "nobody links what nobody imports")
	}
	for _, module := range []string{"go.etcd.io/bbolt", "github.com/vektah/gqlparser", "github.com/stretchr/testify"} {
		assert.NotContains(t, linked, module)
	}
	assert.Subset(t, requirements(t, "go.mod"), requirements(t, filepath.Join(consumers, "minimal", "go.mod")))
}

func TestAServiceWithEverythingMounted(t *testing.T) {
	assert.Equal(t, `the plan has 2 lines
a product was synced
an order for 3 is on every channel
a count of 5 more is on every channel
a forged event was refused
OK
`, goTool(t, "service", "run", "."))
	assert.NotContains(t, requirements(t, "go.mod"), "github.com/go-chi/chi/v5")
}

func TestAnAdapterAuthor(t *testing.T) {
	out := goTool(t, "adapter", "test", "-count=1", "-v", ".")
	assert.Contains(t, out, "--- PASS: TestConformance/")
	assert.Contains(t, out, "--- PASS: TestSync")
	assert.NotContains(t, out, "--- FAIL")
	assert.Subset(t, requirements(t, "go.mod"), requirements(t, filepath.Join(consumers, "adapter", "go.mod")))
}
