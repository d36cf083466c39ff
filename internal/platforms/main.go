// Command platforms says what of a module, its tests included, does not build for
// other systems:
//
//	go run ./internal/platforms [-C folder] darwin/arm64 windows/amd64 linux/386
//
// It checks types, as the compiler does before it makes code. go vet would, too, but
// compiles all that is imported first, which takes a minute for each system.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

func main() {
	dir := flag.String("C", ".", "the module's `folder`")
	flag.Parse()
	failed := false
	for _, platform := range flag.Args() {
		n, err := check(context.Background(), *dir, platform)
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", platform, err)
			failed = true
			continue
		}
		fmt.Printf("%s: %d packages build for %s\n", *dir, n, platform)
	}
	if failed {
		os.Exit(1)
	}
}

// A listed is a package as go list describes it, or a variant of one that is built
// for a test.
type listed struct {
	Dir, ImportPath, Name string
	GoFiles               []string
	ImportMap             map[string]string
	DepOnly               bool
	Error                 *struct{ Err string }
}

// check checks the packages of a module, and says how many these are. Of what they
// import it looks at what is exported alone.
func check(ctx context.Context, dir, platform string) (packages int, err error) {
	goos, goarch, _ := strings.Cut(platform, "/")
	sizes := types.SizesFor("gc", goarch)
	if sizes == nil {
		return 0, fmt.Errorf("%q is not a system and a processor", platform)
	}
	all, err := list(ctx, dir, "GOOS="+goos, "GOARCH="+goarch, "CGO_ENABLED=0")
	if err != nil {
		return 0, err
	}
	var errs []error
	said := make(map[string]bool) // a package is checked once for each of its variants
	fail := func(err error) {
		if !said[err.Error()] {
			said[err.Error()] = true
			errs = append(errs, err)
		}
	}
	known := map[string]*types.Package{"unsafe": types.Unsafe}
	files := token.NewFileSet()
	for _, p := range all { // after what it imports
		switch {
		case p.Error != nil:
			fail(fmt.Errorf("%s: %s", p.ImportPath, p.Error.Err))
			continue
		case p.ImportPath == "unsafe" || p.Name == "main" && strings.HasSuffix(p.ImportPath, ".test"): // made by go test
			continue
		}
		var parsed []*ast.File
		for _, name := range p.GoFiles {
			f, err := parser.ParseFile(files, filepath.Join(p.Dir, name), nil, parser.SkipObjectResolution)
			if err != nil {
				fail(err)
				continue
			}
			parsed = append(parsed, f)
		}
		cfg := types.Config{
			Sizes: sizes, IgnoreFuncBodies: p.DepOnly,
			Error: fail,
			Importer: importer(func(path string) (*types.Package, error) {
				if to, ok := p.ImportMap[path]; ok {
					path = to
				}
				if found := known[path]; found != nil {
					return found, nil
				}
				return nil, fmt.Errorf("%s is not there", path)
			}),
		}
		path, _, _ := strings.Cut(p.ImportPath, " ") // " [variant]"
		known[p.ImportPath], _ = cfg.Check(path, files, parsed, nil)
		if !p.DepOnly {
			packages++
		}
	}
	return packages, errors.Join(errs...)
}

type importer func(path string) (*types.Package, error)

func (f importer) Import(path string) (*types.Package, error) { return f(path) }

// list lists the packages of a module, and all that they and their tests import.
func list(ctx context.Context, dir string, env ...string) (all []listed, err error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-e", "-deps", "-test", "-json=Dir,ImportPath,Name,GoFiles,ImportMap,DepOnly,Error", "./...")
	cmd.Dir, cmd.Env, cmd.Stderr = dir, append(os.Environ(), env...), os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	for d := json.NewDecoder(out); err == nil; {
		var p listed
		if err = d.Decode(&p); err == nil {
			all = append(all, p)
		}
	}
	if !errors.Is(err, io.EOF) {
		return nil, err
	}
	return all, cmd.Wait()
}
