// Notices writes NOTICES.txt: the licences of the modules that a program may
// link by importing packages of this one. Who ships such a program has to pass
// most of them on.
//
//	go run ./internal/notices          # writes NOTICES.txt
//	go run ./internal/notices -check   # fails if NOTICES.txt is not what it would be
package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

const file = "NOTICES.txt"

func main() {
	check := flag.Bool("check", false, "write nothing, and fail if "+file+" is not what it would be")
	flag.Parse()
	if err := run(*check); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(check bool) error {
	dirs, err := modules(".")
	if err != nil {
		return err
	}
	want, err := notices(dirs)
	if err != nil {
		return err
	}
	if !check {
		return os.WriteFile(file, want, 0o644)
	}
	have, err := os.ReadFile(file)
	if err == nil && !bytes.Equal(have, want) {
		err = fmt.Errorf("%s is not of what is linked now: go run ./internal/notices", file)
	}
	return err
}

// modules are the directories of the modules that are released from here. One in
// a folder internal is for our own tests.
func modules(root string) (dirs []string, err error) {
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || d.Name() == ".git"):
			return filepath.SkipDir
		case d.Name() == "go.mod":
			if rel, err := filepath.Rel(root, path); err != nil || !strings.Contains("/"+filepath.ToSlash(rel), "/internal/") {
				dirs = append(dirs, filepath.Dir(path))
			}
		}
		return nil
	})
	return dirs, err
}

// A module is one that is linked.
type module struct {
	Path, Version, Dir string
	by                 []string // packages of ours that link it
}

// notices lists what the modules in dirs link, with the text of each licence.
func notices(dirs []string) ([]byte, error) {
	linked := make(map[string]*module)
	for _, dir := range dirs {
		if err := link(dir, linked); err != nil {
			return nil, err
		}
	}
	var b bytes.Buffer
	fmt.Fprintln(&b, "What a program links besides the standard library by importing packages of this\nmodule, and under which licence. Made by go run ./internal/notices.")
	for _, path := range slices.Sorted(func(yield func(string) bool) {
		for path := range linked {
			if !yield(path) {
				return
			}
		}
	}) {
		m := linked[path]
		text, err := licence(m.Dir)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		slices.Sort(m.by)
		fmt.Fprintf(&b, "\n%s\n%s %s\nlinked by %s\n\n%s\n", strings.Repeat("=", 80), m.Path, m.Version, strings.Join(slices.Compact(m.by), ", "), text)
	}
	if err := embedded(&b, "."); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// embedded adds the files of others that packages embed: those that lie beside
// a NOTICE.
func embedded(b *bytes.Buffer, root string) error {
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || d.Name() == ".git"):
			return filepath.SkipDir
		case d.IsDir() || d.Name() != "NOTICE":
			return nil
		}
		notice, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		text, err := licence(filepath.Dir(path))
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		fmt.Fprintf(b, "\n%s\nfiles in %s\n\n%s\n\n%s\n", strings.Repeat("=", 80), filepath.ToSlash(filepath.Dir(path)), strings.TrimSpace(string(notice)), text)
		return nil
	})
}

// link adds what the exported packages of a module link.
func link(dir string, linked map[string]*module) error {
	type pkg struct {
		ImportPath string
		Standard   bool
		Deps       []string
		Module     *struct {
			Path, Version, Dir string
			Main               bool
			Replace            *struct{ Path, Dir string }
		}
	}
	cmd := exec.CommandContext(context.Background(), "go", "list", "-deps", "-json=ImportPath,Standard,Deps,Module", "./...")
	cmd.Dir, cmd.Stderr = dir, os.Stderr
	// For one system, so that the file is the same wherever it is made.
	cmd.Env = append(os.Environ(), "GOWORK=off", "GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=0")
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("go list in %s: %w", dir, err)
	}
	packages := make(map[string]pkg)
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return err
		}
		packages[p.ImportPath] = p
	}
	for _, p := range packages {
		if p.Module == nil || !p.Module.Main || internal(p.ImportPath) {
			continue
		}
		for _, dep := range p.Deps {
			d := packages[dep]
			if d.Module == nil || d.Module.Main || d.Module.Replace != nil {
				continue // the standard library, or a module of ours
			}
			m := linked[d.Module.Path]
			if m == nil {
				m = &module{Path: d.Module.Path, Version: d.Module.Version, Dir: d.Module.Dir}
				linked[d.Module.Path] = m
			}
			m.by = append(m.by, cmp.Or(strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, "github.com/ecosire/stocksync"), "/"), "stocksync"))
		}
	}
	return nil
}

// internal reports whether a package is for this repository only.
func internal(path string) bool {
	return strings.Contains(path, "/internal/") || strings.Contains(path, "/examples/")
}

// licence returns the text of a module's licence.
func licence(dir string) (string, error) {
	for _, name := range []string{"LICENSE", "LICENSE.md", "LICENSE.txt", "License.txt", "LICENCE", "COPYING"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err == nil {
			return strings.TrimSpace(string(text)), nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	return "", errors.New("it has no file with a licence")
}
