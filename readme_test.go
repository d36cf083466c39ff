package stocksync_test

import (
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync"
	"github.com/ecosire/stocksync/syncer"
)

// The first snippet of README.md. It is compiled and not run, as it would call
// real services; Example runs the same on fakes.
var _ = fiveLines

func fiveLines(ctx context.Context, mux *http.ServeMux) error {
	services, err := stocksync.FromEnv(stocksync.Config{})
	check(err)
	plan, err := services.Plan(ctx) // reads everything, writes nothing
	check(err)
	fmt.Println(services, plan)

	s, err := services.Writer(syncer.Config{}) // from here on shops are written
	check(err)
	mux.Handle("POST /webhooks/ecosire", s.WebhookHandler())
	return s.Run(ctx) // in real time, and the whole catalogue every night
}

// testsOfRow returns why a row of the table "When things go wrong" proves nothing.
func testsOfRow(row string) (problems []string) {
	links := regexp.MustCompile(`\[(Test\w+)\]\(([^()#]+)\)`).FindAllStringSubmatch(row, -1)
	if len(links) == 0 {
		problems = append(problems, "no test is named")
	}
	for _, l := range links {
		data, err := os.ReadFile(filepath.FromSlash(l[2]))
		if err != nil || !strings.Contains(string(data), "\nfunc "+l[1]+"(t *testing.T)") {
			problems = append(problems, l[2]+" has no "+l[1])
		}
	}
	return problems
}

// Each row of README.md's table names the tests that show what it says.
func TestReadmeNamesItsTests(t *testing.T) {
	data, err := os.ReadFile("README.md")
	require.NoError(t, err)
	text := string(data)
	assert.LessOrEqual(t, strings.Count(text, "\n"), 150, "README.md is longer than people read")
	_, table, found := strings.Cut(text, "\n## When things go wrong\n")
	require.True(t, found)
	table, _, _ = strings.Cut(table, "\n## ")
	rows := 0
	for line := range strings.Lines(table) {
		if strings.HasPrefix(line, "| ") && !strings.HasPrefix(line, "| what ") {
			rows++
			assert.Empty(t, testsOfRow(line), line)
		}
	}
	assert.Greater(t, rows, 10)
	assert.Equal(t, []string{"no test is named"}, testsOfRow("| a | b |"))
	assert.Equal(t, []string{"readme_test.go has no TestNone"}, testsOfRow("[TestNone](readme_test.go)"))
}

// A new module is released, or said to be for tests only.
func TestReleasingKnowsEveryModule(t *testing.T) {
	data, err := os.ReadFile("docs/releasing.md")
	require.NoError(t, err)
	modules := 0
	err = filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Name() == "go.mod" {
			modules++
			assert.Contains(t, string(data), "`"+filepath.ToSlash(filepath.Dir(path))+"`")
		}
		return err
	})
	require.NoError(t, err)
	assert.Greater(t, modules, 3)
}
