package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A program is a package's tests with mutations built in. A function that has
// some gets a copy for each, and begins by asking an environment variable which
// of them to be. So many mutations cost one build.
type program struct {
	bin    string
	number map[*mutation]int // what turns it on
	unfit  map[*mutation]bool
	fails  map[string]bool // whether a test fails with none of them on
}

// chosen is the environment variable with the number of the mutation that is on.
const chosen = "MUTATE_NUMBER"

// errBuild: a package with its mutations is not built, for reasons of its own.
var errBuild = errors.New("does not build with mutations in it")

// A copied is a function's copy with a mutation: where it is in a file.
type copied struct {
	m           *mutation
	first, last int // lines
}

// build builds mutations into a program. Those that do not compile are unfit;
// those that are in no function, or that must not have a function around their
// own, are neither: they must be built alone.
func (b *bench) build(ctx context.Context, mutations []*mutation) (*program, error) {
	p := &program{bin: filepath.Join(b.tmp, "mutants.test"), number: make(map[*mutation]int),
		unfit: make(map[*mutation]bool), fails: make(map[string]bool)}
	for {
		files, copies, err := b.schemata(mutations, p)
		if err != nil || len(p.number) == 0 {
			return p, err
		}
		out, err := b.compile(ctx, p.bin, files)
		if err == nil {
			return p, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		before := len(p.unfit)
		for _, at := range complaint.FindAllStringSubmatch(out, -1) {
			line, _ := strconv.Atoi(at[2]) // digits
			for _, c := range copies[at[1]] {
				if c.first <= line && line <= c.last {
					p.unfit[c.m] = true
				}
			}
		}
		if len(p.unfit) == before {
			return nil, fmt.Errorf("%s %w:\n%s", b.dir, errBuild, out)
		}
	}
}

var complaint = regexp.MustCompile(`(?m)^\s*(?:[^\s:]*[/\\])?([^\s:/\\]+\.go):(\d+):`)

// compile builds the package's tests with some files replaced.
func (b *bench) compile(ctx context.Context, bin string, files map[string][]byte) (string, error) {
	replace := make(map[string]string)
	for path, text := range files {
		to := filepath.Join(b.tmp, filepath.Base(path))
		if err := os.WriteFile(to, text, 0o600); err != nil {
			return "", err
		}
		replace[path] = to
	}
	overlay := filepath.Join(b.tmp, "overlay.json")
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(overlay, text, 0o600); err != nil {
		return "", err
	}
	// -e: all errors, not the first ten.
	return b.command(ctx, "go", []string{"test", "-c", "-vet=off", "-gcflags=-e", "-overlay", overlay, "-o", bin, "."})
}

// schemata numbers the mutations that are not unfit, and returns the files with
// them, by path, and the copies in them, by the file's name.
func (b *bench) schemata(mutations []*mutation, p *program) (map[string][]byte, map[string][]copied, error) {
	clear(p.number)
	byFile := make(map[string][]*mutation)
	name := ""
	for i, m := range mutations {
		if !p.unfit[m] {
			p.number[m] = i + 1
			byFile[m.path] = append(byFile[m.path], m)
		}
	}
	files, copies := make(map[string][]byte), make(map[string][]copied)
	for path, some := range byFile {
		src, err := os.ReadFile(path)
		if err != nil {
			return nil, nil, err
		}
		f, err := newSchema(path, src)
		if err != nil {
			return nil, nil, err
		}
		f.build(some, p.number)
		files[path], copies[filepath.Base(path)] = f.text, f.copies
		name = f.tree.Name.Name
	}
	if len(files) > 0 {
		files[filepath.Join(b.dir, "mutate_chosen.go")] = fmt.Appendf(nil, `package %s

import (
	"os"
	"strconv"
)

var mutate_number, _ = strconv.Atoi(os.Getenv(%q))
`, name, chosen)
	}
	return files, copies, nil
}

// A schema is a file that gets mutations.
type schema struct {
	fset   *token.FileSet
	src    []byte
	tree   *ast.File
	edits  []edit
	text   []byte
	copies []copied
}

// An edit replaces what is between two offsets.
type edit struct {
	start, end int
	text       string
}

// edited returns the part of src from start to end with the edits that are in it.
func edited(src []byte, start, end int, edits []edit) []byte {
	slices.SortStableFunc(edits, func(a, b edit) int { return cmp.Compare(a.start, b.start) })
	var out bytes.Buffer
	for _, e := range edits {
		out.Write(src[start:e.start])
		out.WriteString(e.text)
		start = e.end
	}
	out.Write(src[start:end])
	return out.Bytes()
}

func newSchema(path string, src []byte) (*schema, error) {
	f := &schema{fset: token.NewFileSet(), src: src}
	var err error
	f.tree, err = parser.ParseFile(f.fset, path, src, parser.ParseComments|parser.SkipObjectResolution)
	return f, err
}

func (f *schema) offset(p token.Pos) int { return f.fset.Position(p).Offset }

// build puts mutations into the file. It takes from number those that it cannot.
func (f *schema) build(some []*mutation, number map[*mutation]int) {
	var tail [][]byte
	fit := make(map[*mutation]bool)
	for _, decl := range f.tree.Decls {
		d, ok := decl.(*ast.FuncDecl)
		if !ok || d.Body == nil || recovers(d.Body) {
			continue
		}
		call, names := f.call(d)
		ask := ""
		for _, m := range some {
			if m.start < f.offset(d.Body.Lbrace) || m.end > f.offset(d.End()) {
				continue
			}
			fit[m] = true
			n := number[m]
			answer := fmt.Sprintf(call, n)
			if d.Type.Results.NumFields() > 0 {
				answer = "return " + answer
			} else {
				answer += "; return"
			}
			ask += fmt.Sprintf("case %d: %s; ", n, answer)
			at := f.offset(d.Name.Pos())
			edits := append(slices.Clone(names), edit{at, at, prefix(n)}, edit{m.start, m.end, m.text})
			tail = append(tail, edited(f.src, f.offset(d.Pos()), f.offset(d.End()), edits))
			f.copies = append(f.copies, copied{m: m})
		}
		if ask != "" {
			f.edits = append(f.edits, names...)
			at := f.offset(d.Body.Lbrace) + 1
			f.edits = append(f.edits, edit{at, at, "switch mutate_number { " + ask + "}; "})
		}
	}
	for _, m := range some {
		if !fit[m] {
			delete(number, m)
		}
	}
	f.text = edited(f.src, 0, len(f.src), f.edits) // lines stay where they are
	for i, text := range tail {
		f.text = append(f.text, '\n')
		f.copies[i].first = bytes.Count(f.text, []byte("\n")) + 1
		f.text = append(append(f.text, text...), '\n')
		f.copies[i].last = bytes.Count(f.text, []byte("\n"))
	}
}

func prefix(n int) string { return fmt.Sprintf("mutate%d_", n) }

// call returns the call of a function's copy from the function itself, with %d
// for the copy's number, and the edits that give each parameter a name.
func (f *schema) call(d *ast.FuncDecl) (call string, names []edit) {
	n := 0
	named := func(list *ast.FieldList) (all []string) {
		if list == nil {
			return nil
		}
		for _, field := range list.List {
			if len(field.Names) == 0 {
				n++
				name := fmt.Sprintf("mutate_%d", n)
				at := f.offset(field.Type.Pos())
				names = append(names, edit{at, at, name + " "})
				all = append(all, name)
			}
			for _, id := range field.Names {
				name := id.Name
				if name == "_" {
					n++
					name = fmt.Sprintf("mutate_%d", n)
					names = append(names, edit{f.offset(id.Pos()), f.offset(id.End()), name})
				}
				all = append(all, name)
			}
		}
		return all
	}
	call = "mutate%d_" + d.Name.Name
	for _, receiver := range named(d.Recv) {
		call = receiver + "." + call
	}
	if types := d.Type.TypeParams; types != nil {
		call += "[" + strings.Join(named(types), ", ") + "]"
	}
	args := strings.Join(named(d.Type.Params), ", ")
	if fields := d.Type.Params.List; len(fields) > 0 {
		if _, variadic := fields[len(fields)-1].Type.(*ast.Ellipsis); variadic {
			args += "..."
		}
	}
	return call + "(" + args + ")", names
}

// recovers reports whether a function calls recover itself, which works only if
// nothing is between it and who deferred it.
func recovers(body *ast.BlockStmt) (yes bool) {
	ast.Inspect(body, func(n ast.Node) bool {
		if _, inner := n.(*ast.FuncLit); inner {
			return false
		}
		if call, ok := n.(*ast.CallExpr); ok {
			if name, ok := call.Fun.(*ast.Ident); ok && name.Name == "recover" {
				yes = true
			}
		}
		return true
	})
	return yes
}
