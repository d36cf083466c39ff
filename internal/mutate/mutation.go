package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// A mutation replaces a part of a file.
type mutation struct {
	path string // of the file
	file string // the same, from the root, with slashes
	line int
	seen int    // the line of code that is run if the mutation is
	fn   string // the function it is in, with its receiver's type, or "-"
	from string // the code that changes
	to   string // what becomes of it
	nth  int    // of those in fn that read the same, from 1

	start, end int // offsets that are replaced ...
	text       string
}

// id says which mutation it is, whatever moves about it.
func (m *mutation) id() string {
	id := fmt.Sprintf("%s %s: %s => %s", m.file, m.fn, m.from, m.to)
	if m.nth > 1 {
		id += fmt.Sprintf(" #%d", m.nth)
	}
	return id
}

func (m *mutation) String() string {
	return fmt.Sprintf("%s (line %d)", m.id(), m.line)
}

// mutationsOf returns the mutations of a package's files that are built here,
// tests apart, on the lines that want accepts.
func mutationsOf(ctx context.Context, root, dir string, want func(file string, line int) bool) ([]*mutation, error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-json=GoFiles,Name", ".")
	cmd.Dir = dir
	cmd.Stderr = os.Stderr
	answer, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list in %s: %w", dir, err)
	}
	var pkg struct{ GoFiles []string }
	if err := json.Unmarshal(answer, &pkg); err != nil {
		return nil, err
	}
	var all []*mutation
	for _, name := range pkg.GoFiles {
		path := filepath.Join(dir, name)
		src, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		found, err := mutationsIn(path, rel(root, path), src)
		if err != nil {
			return nil, err
		}
		for _, m := range found {
			if want(m.file, m.line) {
				all = append(all, m)
			}
		}
	}
	return all, nil
}

// mutationsIn returns all mutations of a file; none if it is generated.
func mutationsIn(path, file string, src []byte) ([]*mutation, error) {
	fset := token.NewFileSet()
	tree, err := parser.ParseFile(fset, path, src, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	if ast.IsGenerated(tree) {
		return nil, nil
	}
	f := &finder{fset: fset, src: src, path: path, file: file, seen: make(map[string]int)}
	for _, decl := range tree.Decls {
		f.fn, f.fails, f.last = "-", false, nil
		if d, ok := decl.(*ast.FuncDecl); ok {
			f.fn = nameOf(d)
			f.fails = returnsError(d.Type)
			f.last = lastReturn(d.Body)
		}
		ast.Inspect(decl, f.visit)
	}
	return f.found, nil
}

func nameOf(d *ast.FuncDecl) string {
	if d.Recv == nil {
		return d.Name.Name
	}
	t := d.Recv.List[0].Type
	for {
		switch x := t.(type) {
		case *ast.StarExpr:
			t = x.X
		case *ast.IndexExpr:
			t = x.X
		case *ast.IndexListExpr:
			t = x.X
		case *ast.Ident:
			return x.Name + "." + d.Name.Name
		default:
			return d.Name.Name
		}
	}
}

func returnsError(t *ast.FuncType) bool {
	if t.Results == nil || len(t.Results.List) == 0 {
		return false
	}
	last, ok := t.Results.List[len(t.Results.List)-1].Type.(*ast.Ident)
	return ok && last.Name == "error"
}

// lastReturn is the return at the end of a function, or nil.
func lastReturn(body *ast.BlockStmt) ast.Stmt {
	if body == nil || len(body.List) == 0 {
		return nil
	}
	s, _ := body.List[len(body.List)-1].(*ast.ReturnStmt)
	return s
}

// A finder collects the mutations of a file.
type finder struct {
	fset       *token.FileSet
	src        []byte
	path, file string
	fn         string
	fails      bool     // fn's last result is an error
	under      int      // the line that stands for others, or 0
	last       ast.Stmt // the return at fn's end, which cannot be left out
	seen       map[string]int
	found      []*mutation
}

func (f *finder) offset(p token.Pos) int { return f.fset.Position(p).Offset }

// add makes a mutation that replaces start to end; about is what it is about.
func (f *finder) add(start, end token.Pos, text string, about ast.Node, to string) {
	m := &mutation{path: f.path, file: f.file, fn: f.fn, line: f.fset.Position(start).Line,
		start: f.offset(start), end: f.offset(end), text: text, from: f.code(about), to: to}
	if m.seen = f.under; m.seen == 0 {
		m.seen = m.line
	}
	key := m.id()
	f.seen[key]++
	m.nth = f.seen[key]
	f.found = append(f.found, m)
}

// code is the code of a node in a line, cut short.
func (f *finder) code(n ast.Node) string {
	s := strings.Join(strings.Fields(string(f.src[f.offset(n.Pos()):f.offset(n.End())])), " ")
	if r := []rune(s); len(r) > 60 {
		s = string(r[:57]) + "..."
	}
	return s
}

// operators are what binary operators become, each in turn.
var operators = map[token.Token][]token.Token{
	token.LSS: {token.LEQ, token.GEQ}, token.LEQ: {token.LSS, token.GTR},
	token.GTR: {token.GEQ, token.LEQ}, token.GEQ: {token.GTR, token.LSS},
	token.EQL: {token.NEQ}, token.NEQ: {token.EQL},
	token.LAND: {token.LOR}, token.LOR: {token.LAND},
	token.ADD: {token.SUB}, token.SUB: {token.ADD}, token.MUL: {token.QUO}, token.QUO: {token.MUL},
	token.SHL: {token.SHR}, token.SHR: {token.SHL}, token.AND: {token.OR}, token.OR: {token.AND}, token.XOR: {token.AND},
	token.ADD_ASSIGN: {token.SUB_ASSIGN}, token.SUB_ASSIGN: {token.ADD_ASSIGN},
	token.INC: {token.DEC}, token.DEC: {token.INC},
}

func (f *finder) operator(at token.Pos, op token.Token, about ast.Node) {
	for _, to := range operators[op] {
		f.add(at, at+token.Pos(len(op.String())), to.String(), about, to.String())
	}
}

func (f *finder) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.GenDecl:
		return n.Tok == token.CONST || n.Tok == token.VAR
	case *ast.BinaryExpr:
		f.operator(n.OpPos, n.Op, n)
	case *ast.AssignStmt:
		f.operator(n.TokPos, n.Tok, n)
	case *ast.IncDecStmt:
		f.operator(n.TokPos, n.Tok, n)
	case *ast.UnaryExpr:
		if n.Op == token.NOT {
			f.add(n.Pos(), n.X.Pos(), "", n, "without !")
		}
	case *ast.CallExpr:
		if name, ok := n.Fun.(*ast.Ident); ok && (name.Name == "min" || name.Name == "max") {
			other := map[string]string{"min": "max", "max": "min"}[name.Name]
			f.add(name.Pos(), name.End(), other, n, other)
		}
	case *ast.IfStmt:
		f.branch(n)
		return false
	case *ast.ForStmt:
		if n.Cond != nil {
			f.condition(n.Cond)
		}
	case *ast.FuncLit:
		fails, last := f.fails, f.last
		f.fails, f.last = returnsError(n.Type), lastReturn(n.Body)
		ast.Inspect(n.Body, f.visit)
		f.fails, f.last = fails, last
		return false
	case *ast.BlockStmt:
		f.statements(n.List)
	case *ast.SwitchStmt:
		f.cases(n)
		return false
	case *ast.CaseClause: // of types
		f.statements(n.Body)
	case *ast.CommClause:
		f.statements(n.Body)
	case *ast.ReturnStmt:
		f.result(n)
	}
	return true
}

// branch visits an if. Its condition counts as a part of its first line: below a
// function in what comes before the condition, only the body is known to be run.
func (f *finder) branch(n *ast.IfStmt) {
	outer := f.under
	first := outer
	if first == 0 {
		first = f.fset.Position(n.Pos()).Line
	}
	f.under = first
	f.condition(n.Cond)
	f.under = outer
	if block, ok := n.Else.(*ast.BlockStmt); ok && len(block.List) > 1 { // a single one is dropped by itself
		f.drop(block.List[0].Pos(), block.List[len(block.List)-1].End(), block, "no else")
	}
	if n.Init != nil {
		ast.Inspect(n.Init, f.visit)
	}
	f.under = first
	ast.Inspect(n.Cond, f.visit)
	f.under = outer
	ast.Inspect(n.Body, f.visit)
	if n.Else != nil {
		ast.Inspect(n.Else, f.visit)
	}
}

// cases visits a switch. Its conditions are looked at whichever of its cases is
// run, so that they count as a part of its first line.
func (f *finder) cases(n *ast.SwitchStmt) {
	if n.Init != nil {
		ast.Inspect(n.Init, f.visit)
	}
	if n.Tag != nil {
		ast.Inspect(n.Tag, f.visit)
	}
	for _, s := range n.Body.List {
		clause := s.(*ast.CaseClause)
		outer := f.under
		if f.under == 0 {
			f.under = f.fset.Position(n.Pos()).Line
		}
		for _, x := range clause.List {
			if n.Tag == nil {
				f.condition(x)
			}
			ast.Inspect(x, f.visit)
		}
		f.under = outer
		f.statements(clause.Body)
		for _, s := range clause.Body {
			ast.Inspect(s, f.visit)
		}
	}
}

// condition turns round a condition that no operator of it would.
func (f *finder) condition(cond ast.Expr) {
	switch x := cond.(type) {
	case *ast.Ident, *ast.SelectorExpr, *ast.CallExpr, *ast.IndexExpr:
		f.add(x.Pos(), x.End(), "!("+string(f.src[f.offset(x.Pos()):f.offset(x.End())])+")", x, "not")
	}
}

// result swallows an error, or turns a boolean round that comes without one.
func (f *finder) result(n *ast.ReturnStmt) {
	if len(n.Results) == 0 {
		return
	}
	x := n.Results[len(n.Results)-1]
	if !f.fails || isNil(x) {
		for _, x := range n.Results {
			if name, ok := x.(*ast.Ident); ok && (name.Name == "true" || name.Name == "false") {
				other := map[string]string{"true": "false", "false": "true"}[name.Name]
				f.add(x.Pos(), x.End(), other, n, other)
			}
		}
		return
	}
	if _, call := x.(*ast.CallExpr); call && len(n.Results) == 1 {
		// The call shall still be made, if only for what it does.
		f.add(x.Pos(), x.End(), "func() error { _ = "+string(f.src[f.offset(x.Pos()):f.offset(x.End())])+"; return nil }()", n, "nil")
		return
	}
	f.add(x.Pos(), x.End(), "nil", n, "nil")
}

func isNil(x ast.Expr) bool {
	name, ok := x.(*ast.Ident)
	return ok && name.Name == "nil"
}

// statements leaves statements out, one by one.
func (f *finder) statements(list []ast.Stmt) {
	for _, s := range list {
		switch s := s.(type) {
		case *ast.ExprStmt:
			if idle(s.X) {
				continue
			}
		case *ast.DeferStmt:
			if idle(s.Call) {
				continue
			}
		case *ast.AssignStmt:
			if s.Tok == token.DEFINE || isBlank(s) {
				continue
			}
		case *ast.ReturnStmt:
			if s == f.last {
				continue
			}
		case *ast.IncDecStmt, *ast.SendStmt, *ast.GoStmt, *ast.BranchStmt:
		default:
			continue
		}
		f.drop(s.Pos(), s.End(), s, "dropped")
	}
}

// drop keeps code from being run, and all that it names in use.
func (f *finder) drop(start, end token.Pos, about ast.Node, to string) {
	f.add(start, end, "if false { "+string(f.src[f.offset(start):f.offset(end)])+"\n }", about, to)
}

// idle reports whether a call is not worth leaving out: lines of logs promise
// nothing, and a lock that is kept is found by any test.
func idle(x ast.Expr) bool {
	call, ok := x.(*ast.CallExpr)
	if !ok {
		return false
	}
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	switch sel.Sel.Name {
	case "Debug", "Info", "Warn", "Error", "Log", "LogAttrs":
		var text bytes.Buffer
		ast.Inspect(sel.X, func(n ast.Node) bool {
			if id, ok := n.(*ast.Ident); ok {
				text.WriteString(id.Name)
			}
			return true
		})
		return strings.Contains(strings.ToLower(text.String()), "log")
	case "Lock", "Unlock", "RLock", "RUnlock":
		return true
	}
	return false
}

func isBlank(s *ast.AssignStmt) bool {
	for _, x := range s.Lhs {
		if id, ok := x.(*ast.Ident); !ok || id.Name != "_" {
			return false
		}
	}
	return true
}

// apply returns the file as the mutation has it.
func (m *mutation) apply() ([]byte, error) {
	src, err := os.ReadFile(m.path)
	if err != nil {
		return nil, err
	}
	return bytes.Join([][]byte{src[:m.start], []byte(m.text), src[m.end:]}, nil), nil
}
