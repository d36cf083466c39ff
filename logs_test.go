package stocksync_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/internal/racetest"
)

// logging are the packages that write log lines.
var logging = []string{
	"syncer", "syncer/boltqueue", "syncer/pgqueue", "ecosire", "shopify", "woocommerce", "amazon", "square", "internal/httpx",
	"internal/rotate",
}

// A logLine is a line that the code can log.
type logLine struct{ at, message, level string }

// logLines finds the calls of loggers, and of our own functions that lead to
// them. bare are the calls that leave the context out.
func logLines(t *testing.T, dir string) (lines []logLine, bare []string) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	require.NoError(t, err)
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, path, nil, 0)
		require.NoError(t, err)
		for _, decl := range file.Decls {
			body, ok := decl.(*ast.FuncDecl)
			if !ok {
				continue
			}
			ast.Inspect(body, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok {
					return true
				}
				message, level, ctx := logCall(call)
				if message == nil {
					return true
				}
				at := fmt.Sprintf("%s:%d", path, files.Position(call.Pos()).Line)
				if ctx == nil || strings.HasPrefix(source(ctx), "context.") {
					bare = append(bare, at)
				}
				texts := texts(body, message)
				require.NotNil(t, texts, "%s: the message is neither a literal nor one of some literals", at)
				for _, text := range texts {
					lines = append(lines, logLine{at, text, strings.ToLower(strings.TrimPrefix(level, "slog.Level"))})
				}
				return true
			})
		}
	}
	return lines, bare
}

// logCall takes a call apart if it logs.
func logCall(call *ast.CallExpr) (message ast.Expr, level string, ctx ast.Expr) {
	f, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return nil, "", nil
	}
	on := strings.ToLower(source(f.X))
	logger := strings.HasSuffix(on, "log") || strings.HasSuffix(on, "logger")
	name, args := f.Sel.Name, call.Args
	level, withContext := strings.CutSuffix(name, "Context")
	switch {
	case logger && slices.Contains([]string{"Debug", "Info", "Warn", "Error"}, level):
		if withContext {
			return args[1], level, args[0]
		}
		return args[0], level, nil
	case logger && (name == "LogAttrs" || name == "Log"), name == "log" && len(args) >= 3, name == "once" && len(args) >= 4:
		return args[2], source(args[1]), args[0]
	case name == "warn" && strings.HasSuffix(on, "once"):
		return args[2], "warn", args[0]
	}
	return nil, "", nil
}

func source(n ast.Node) string {
	var b strings.Builder
	_ = printer.Fprint(&b, token.NewFileSet(), n)
	return b.String()
}

// texts are the literals that an expression may be. It is empty, and not nil,
// for a parameter, which has its literals where the function is called.
func texts(body *ast.FuncDecl, e ast.Expr) []string {
	switch e := e.(type) {
	case *ast.BasicLit:
		s, _ := strconv.Unquote(e.Value)
		return []string{s}
	case *ast.BinaryExpr:
		a, b := texts(body, e.X), texts(body, e.Y)
		if len(a) == 1 && len(b) == 1 {
			return []string{a[0] + b[0]}
		}
	case *ast.Ident:
		for _, field := range body.Type.Params.List {
			for _, name := range field.Names {
				if name.Name == e.Name {
					return []string{}
				}
			}
		}
		var all []string
		ast.Inspect(body, func(n ast.Node) bool {
			if a, ok := n.(*ast.AssignStmt); ok && len(a.Lhs) == len(a.Rhs) {
				for i := range a.Lhs {
					if id, ok := a.Lhs[i].(*ast.Ident); ok && id.Name == e.Name {
						all = append(all, texts(body, a.Rhs[i])...)
					}
				}
			}
			return true
		})
		return all
	}
	return nil
}

var documentedLine = regexp.MustCompile("(?m)^\\| `([^`]+)` \\| (debug|info|warn|error|warn or error|info or warn) \\| [^|]+ \\| [^|]+ \\|$")

// documentedLines are the levels of the log lines that docs/reference.md
// explains.
func documentedLines(t *testing.T) map[string]string {
	t.Helper()
	data, err := os.ReadFile("docs/reference.md")
	require.NoError(t, err)
	all := make(map[string]string)
	for _, m := range documentedLine.FindAllStringSubmatch(string(data), -1) {
		assert.NotContains(t, all, m[1], "it is there twice")
		all[m[1]] = m[2]
	}
	return all
}

func TestEveryLogLineIsDocumented(t *testing.T) {
	racetest.Long(t)
	documented := documentedLines(t)
	unused := maps.Clone(documented)
	for _, dir := range logging {
		lines, _ := logLines(t, dir)
		for _, l := range lines {
			delete(unused, l.message)
			level, ok := documented[l.message]
			assert.True(t, ok, "%s: docs/reference.md does not explain %q (%s)", l.at, l.message, l.level)
			if slices.Contains([]string{"debug", "info", "warn", "error"}, l.level) && ok {
				assert.Contains(t, level, l.level, "%s: %q", l.at, l.message)
			}
		}
	}
	assert.Empty(t, unused, "docs/reference.md explains lines that nobody logs")
}

// The run and the channel are in the context, and so is much else: a line that
// is logged without it lacks them.
func TestNoLogLineLeavesItsContextOut(t *testing.T) {
	racetest.Long(t)
	for _, dir := range logging {
		if dir == "syncer/pgqueue" { // a term is no part of a run
			continue
		}
		_, bare := logLines(t, dir)
		assert.Empty(t, bare)
	}
}

// A run's lines, the clients' included, are found by what Shopify's inventory
// history says of a change.
func TestLinesOfARunAreFoundFromShopifysHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 20, false, nil)
		for i, id := range w.ids {
			w.ecosire.Set(id, i, 0)
		}
		w.ecosire.Inject(channeltest.Fault{Times: 1, Status: 503})
		w.shopify.Inject(channeltest.Fault{Times: 1, Status: 503})
		w.woo.Inject(channeltest.Fault{Times: 1, Status: 503})
		first, err := w.SyncProducts(t.Context(), w.ids...)
		require.NoError(t, err)
		w.ecosire.Set(w.ids[3], 99, 0)
		second, err := w.Reconcile(t.Context())
		require.NoError(t, err)

		changes := make(map[string]int)
		for _, change := range w.shopify.History() {
			run, ok := strings.CutPrefix(change.ReferenceDocumentURI, "gid://stocksync/SyncRun/")
			require.True(t, ok, change.ReferenceDocumentURI)
			changes[run]++
		}
		assert.Equal(t, map[string]int{first.Run: 19, second.Run: 1}, changes, "SKU-000010 showed 10 already")
		lines := make(map[string][]string)
		for line := range strings.Lines(w.logs.String()) {
			run := regexp.MustCompile(` run=(\S+)`).FindStringSubmatch(line)
			require.NotNil(t, run, "this happens within a run: %s", line)
			lines[run[1]] = append(lines[run[1]], line)
		}
		require.Len(t, lines, 2)
		all := strings.Join(lines[first.Run], "")
		for _, part := range []string{
			"msg=\"request will be repeated\" service=ecosire ", "msg=\"channel synced\" channel=shopify:test-shop ",
			"msg=\"request will be repeated\" service=shopify ", "msg=\"request will be repeated\" service=woocommerce ",
		} {
			assert.Contains(t, strings.ReplaceAll(all, "run="+first.Run+" ", ""), part)
		}
		for _, line := range lines[first.Run] {
			switch {
			case strings.Contains(line, "service=shopify"):
				assert.Contains(t, line, " channel=shopify:test-shop")
			case strings.Contains(line, "service=woocommerce"):
				assert.Contains(t, line, " channel=woocommerce:shop.example")
			}
		}
	})
}
