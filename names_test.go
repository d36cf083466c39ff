package stocksync_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/internal/racetest"
)

// exportedNames are "package.Name" and "Type.Member" for everything that is exported
// in this tree, and the types and packages that they belong to.
func exportedNames(t *testing.T) (names, owners map[string]bool) {
	t.Helper()
	names, owners = make(map[string]bool), make(map[string]bool)
	add := func(owner, name string) { owners[owner], names[owner+"."+name] = true, true }
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || strings.Contains(path, "testdata") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil || file.Name.Name == "main" {
			return err
		}
		for _, decl := range file.Decls {
			switch decl := decl.(type) {
			case *ast.FuncDecl:
				if decl.Recv == nil {
					add(file.Name.Name, decl.Name.Name)
				} else if owner := receiver(decl.Recv.List[0].Type); owner != "" {
					add(owner, decl.Name.Name)
				}
			case *ast.GenDecl:
				for _, spec := range decl.Specs {
					switch spec := spec.(type) {
					case *ast.ValueSpec:
						for _, name := range spec.Names {
							add(file.Name.Name, name.Name)
						}
					case *ast.TypeSpec:
						add(file.Name.Name, spec.Name.Name)
						for _, member := range members(spec.Type) {
							add(spec.Name.Name, member)
						}
					}
				}
			}
		}
		return nil
	})
	require.NoError(t, err)
	return names, owners
}

func receiver(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.StarExpr:
		return receiver(e.X)
	case *ast.IndexExpr:
		return receiver(e.X)
	case *ast.Ident:
		return e.Name
	}
	return ""
}

// members are the fields of a struct, embedded ones too, or the methods of an interface.
func members(e ast.Expr) (all []string) {
	var list *ast.FieldList
	switch e := e.(type) {
	case *ast.StructType:
		list = e.Fields
	case *ast.InterfaceType:
		list = e.Methods
	default:
		return nil
	}
	for _, f := range list.List {
		for _, name := range f.Names {
			all = append(all, name.Name)
		}
		if f.Names == nil {
			all = append(all, receiver(f.Type))
		}
	}
	return all
}

var qualified = regexp.MustCompile(`\b([A-Za-z]+)\.([A-Z]\w*)`)

// A page that says Config.Schedule, or syncer.ErrHeld, says it of something that
// is there.
func TestDocumentedNamesAreThere(t *testing.T) {
	racetest.Long(t)
	names, owners := exportedNames(t)
	require.True(t, names["syncer.ErrHeld"] && names["Config.Targets"] && names["Syncer.Notify"] && names["Source.Stock"])
	looked := 0
	for _, d := range documents(t) {
		for _, code := range inlineCode.FindAllString(d.prose, -1) {
			for _, m := range qualified.FindAllStringSubmatch(code, -1) {
				if owners[m[1]] {
					looked++
					assert.True(t, names[m[0]], "%s: %s is nowhere", d.path, m[0])
				}
			}
		}
	}
	assert.Greater(t, looked, 200)
}

func TestDocumentedAlarmsAreAll(t *testing.T) {
	page, err := os.ReadFile("docs/operations.md")
	require.NoError(t, err)
	source, err := os.ReadFile("syncer/alarm.go")
	require.NoError(t, err)
	classes := regexp.MustCompile(`AlarmClass = "(.+)"`).FindAllStringSubmatch(string(source), -1)
	require.NotEmpty(t, classes)
	for _, m := range classes {
		assert.Contains(t, string(page), "\n| `"+m[1]+"` | ")
	}
}
