package stocksync_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	variable = regexp.MustCompile(`(?m)^//\t([A-Z]+(?:_[A-Z]+)+)\b`)
	asked    = regexp.MustCompile(`os\.Getenv\("(\w+)"\)`)
)

// documentedVariables are those that the package documentation lists.
func documentedVariables(t *testing.T) map[string]bool {
	t.Helper()
	data, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	all := make(map[string]bool)
	for _, m := range variable.FindAllStringSubmatch(string(data), -1) {
		all[m[1]] = true
	}
	require.Greater(t, len(all), 30)
	return all
}

// Whoever comes from the guide finds every variable that there is.
func TestMigratingListsEveryVariable(t *testing.T) {
	data, err := os.ReadFile("docs/migrating-from-the-guide.md")
	require.NoError(t, err)
	for name := range documentedVariables(t) {
		if suffix, ok := strings.CutPrefix(name, "PREFIX"); ok {
			name = suffix
		}
		assert.Regexp(t, "`(SHOPIFY)?"+name+"`", string(data), name)
	}
}

// A snippet in the documentation, go doc included, names no variable that
// nothing else here reads.
func TestSnippetsNameVariablesThatThereAre(t *testing.T) {
	known := documentedVariables(t)
	known["DATABASE_URL"] = true // the host's
	pages := 0
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".md" && d.Name() != "doc.go" {
			return err
		}
		data, err := os.ReadFile(path)
		pages++
		for _, m := range asked.FindAllStringSubmatch(string(data), -1) {
			assert.True(t, known[strings.TrimSuffix(m[1], "_NEXT")], "%s: %s", path, m[1])
		}
		return err
	})
	require.NoError(t, err)
	assert.Greater(t, pages, 20)
}
