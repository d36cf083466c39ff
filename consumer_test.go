package stocksync_test

import (
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A program in a module of its own can do with the exported packages alone, and
// with no requirement that this module does not have already.
func TestAnotherModuleCanUseThisOne(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and runs a program")
	}
	run := exec.CommandContext(t.Context(), "go", "run", ".")
	run.Dir = "internal/testdata/consumer"
	run.Env = append(os.Environ(), "GOFLAGS=-buildvcs=false", "GOWORK=off")
	out, err := run.CombinedOutput()
	require.NoError(t, err, "if go.mod or go.sum are behind this module's: run go mod tidy in %s\n%s", run.Dir, out)
	assert.Equal(t, `reconciled: 2 products on 3 channels
an order for 3 is on every channel
an adjustment by 5 is on every channel
a forged event was refused
OK
`, string(out))
}
