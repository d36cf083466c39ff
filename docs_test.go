package stocksync_test

import (
	"bytes"
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/internal/racetest"
)

// A document is a page of the documentation.
type document struct {
	path   string
	blocks []block
	prose  string // without the code
}

// A block is a fenced piece of code.
type block struct {
	line     int
	language string
	from     string // the file that it is taken from, or ""
	text     string
}

var marker = regexp.MustCompile(`^<!-- from (\S+) -->$`)

func readDocument(t *testing.T, path string) document {
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	d := document{path: path}
	var prose strings.Builder
	var open *block
	from := ""
	for i, line := range strings.Split(string(data), "\n") {
		trimmed := strings.TrimSpace(line)
		language, fence := strings.CutPrefix(trimmed, "```")
		switch {
		case open != nil && trimmed == "```":
			d.blocks = append(d.blocks, *open)
			open = nil
		case open != nil:
			open.text += line + "\n"
		case fence:
			open = &block{line: i + 1, language: language, from: from}
		default:
			fmt.Fprintln(&prose, line)
		}
		if m := marker.FindStringSubmatch(trimmed); m != nil {
			from = m[1]
		} else if trimmed != "" {
			from = ""
		}
	}
	require.Nil(t, open, "%s: a block of code does not end", path)
	d.prose = prose.String()
	return d
}

func documents(t *testing.T) []document {
	var all []document
	for _, pattern := range []string{"*.md", "docs/*.md"} {
		paths, err := filepath.Glob(pattern)
		require.NoError(t, err)
		for _, path := range paths {
			all = append(all, readDocument(t, path))
		}
	}
	require.NotEmpty(t, all)
	return all
}

// flush is a text without indentation.
func flush(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimSpace(line)
	}
	return "\n" + strings.Join(lines, "\n") + "\n"
}

// A block marked <!-- from path --> is in that file, word for word, so that
// the documentation shows only code that compiles.
func TestDocumentedCodeIsTheCode(t *testing.T) {
	for _, d := range documents(t) {
		for _, b := range d.blocks {
			if b.from == "" {
				continue
			}
			data, err := os.ReadFile(b.from)
			if assert.NoError(t, err, "%s:%d", d.path, b.line) {
				assert.True(t, strings.Contains(flush(string(data)), flush(b.text)),
					"%s:%d: this is not in %s any more:\n%s", d.path, b.line, b.from, b.text)
			}
		}
	}
}

func TestDocumentedGoParses(t *testing.T) {
	for _, d := range documents(t) {
		for _, b := range d.blocks {
			if b.language != "go" || b.from != "" {
				continue
			}
			var err error
			for _, whole := range []string{b.text, "package p\n" + b.text, "package p\nfunc _() {\n" + b.text + "\n}"} {
				if _, err = parser.ParseFile(token.NewFileSet(), "", whole, parser.SkipObjectResolution); err == nil {
					break
				}
			}
			assert.NoError(t, err, "%s:%d: neither a file, nor declarations, nor statements", d.path, b.line)
		}
	}
}

var (
	inlineCode = regexp.MustCompile("`[^`\n]*`")
	link       = regexp.MustCompile(`\]\(([^()\s]+)\)`)
	heading    = regexp.MustCompile(`(?m)^#+ (.+)$`)
)

// anchors are the names of a page's headings, as GitHub makes them.
func anchors(d document) map[string]bool {
	names := make(map[string]bool)
	for _, m := range heading.FindAllStringSubmatch(d.prose, -1) {
		name := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
				return unicode.ToLower(r)
			}
			return -1
		}, link.ReplaceAllString(m[1], "]"))
		first := name
		for n := 1; names[name]; n++ {
			name = fmt.Sprintf("%s-%d", first, n)
		}
		names[name] = true
	}
	return names
}

func TestDocumentedLinksLeadSomewhere(t *testing.T) {
	racetest.Long(t)
	for _, d := range documents(t) {
		for _, m := range link.FindAllStringSubmatch(inlineCode.ReplaceAllString(d.prose, ""), -1) {
			u, err := url.Parse(m[1])
			if !assert.NoError(t, err, d.path) || u.IsAbs() {
				continue
			}
			target := d.path
			if u.Path != "" {
				target = filepath.Join(filepath.Dir(d.path), filepath.FromSlash(u.Path))
			}
			if _, err := os.Stat(target); !assert.NoError(t, err, "%s: the link %s is dead", d.path, m[1]) {
				continue
			}
			if u.Fragment != "" && strings.HasSuffix(target, ".md") {
				assert.True(t, anchors(readDocument(t, target))[u.Fragment], "%s: the link %s leads to no heading", d.path, m[1])
			}
		}
	}
}

// The checks above can fail.
func TestDocumentChecks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "page.md")
	text := "# A `b`: c-d, é!\n# Two\n# Two\n<!-- from x.go -->\n```go\n\tx := 1\n\ty()\n```\n[l](other.md#two-1) `[no](no)`\n```\n# no\n```\n"
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	d := readDocument(t, path)
	require.Len(t, d.blocks, 2)
	assert.Equal(t, block{line: 5, language: "go", from: "x.go", text: "\tx := 1\n\ty()\n"}, d.blocks[0])
	assert.Empty(t, d.blocks[1].from)
	assert.Equal(t, map[string]bool{"a-b-c-d-é": true, "two": true, "two-1": true}, anchors(d))
	assert.True(t, strings.Contains(flush("func f() {\n\t\tx := 1\n\t\ty()\n}"), flush(d.blocks[0].text)))
	assert.False(t, strings.Contains(flush("func f() {\n\t\tx := 11\n\t\ty()\n}"), flush(d.blocks[0].text)))
	assert.False(t, strings.Contains(flush("xx := 1\ny()\n"), flush(d.blocks[0].text)))
}

// Stock is a quantity, what was measured is a number, and neither is a figure: one
// name for each thing, in documents, comments and messages.
func TestAQuantityIsNoFigure(t *testing.T) {
	racetest.Long(t)
	word := regexp.MustCompile(`(?i)\bfigures?\b`)
	files := 0
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if ext := filepath.Ext(path); err != nil || d.IsDir() || ext != ".go" && ext != ".md" || path == "docs_test.go" {
			return err
		}
		data, err := os.ReadFile(path)
		files++
		for _, at := range word.FindAllIndex(data, -1) {
			t.Errorf("%s:%d: %s", path, 1+bytes.Count(data[:at[0]], []byte("\n")), data[at[0]:at[1]])
		}
		return err
	})
	require.NoError(t, err)
	assert.Greater(t, files, 500)
}

var toldLine = regexp.MustCompile("[Ll]og(?: line|:| then says| says) [\"`]([^\"`]+)[\"`]")

// A page that tells to look for a log line names one that docs/reference.md has,
// which another test compares with the code.
func TestDocumentedLogLinesAreThere(t *testing.T) {
	reference, err := os.ReadFile("docs/reference.md")
	require.NoError(t, err)
	looked := 0
	for _, d := range documents(t) {
		for _, m := range toldLine.FindAllStringSubmatch(strings.Join(strings.Fields(d.prose), " "), -1) {
			looked++
			line, rest, _ := strings.Cut(m[1], " … ")
			assert.True(t, strings.Contains(string(reference), "\n| `"+line) && strings.Contains(string(reference), rest), "%s: %s", d.path, m[0])
		}
	}
	assert.Greater(t, looked, 15)
}
