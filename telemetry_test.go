package stocksync_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Who does not use syncer/otelsync has none of what it needs.
func TestTheCoreDoesNotNeedOpenTelemetry(t *testing.T) {
	for _, path := range []string{"go.mod", "go.sum"} {
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.NotContains(t, string(data), "opentelemetry")
		assert.NotContains(t, string(data), "prometheus")
	}
}
