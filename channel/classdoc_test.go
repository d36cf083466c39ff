package channel

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The comment of Class lists its words, so that a rule for alerts can name one.
func TestClassNamesItsWords(t *testing.T) {
	source, err := os.ReadFile("errors.go")
	require.NoError(t, err)
	_, comment, found := strings.Cut(string(source), "// Class is a short word")
	require.True(t, found)
	comment, _, _ = strings.Cut(comment, "\nfunc Class")
	words := strings.Fields(comment)
	for _, c := range classes {
		assert.Contains(t, words, c.class)
	}
}
