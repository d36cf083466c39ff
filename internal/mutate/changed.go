package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Lines are the changed lines of files, by their paths from the root.
type lines map[string][]span

// A span is lines from first to last.
type span struct{ first, last int }

func (l lines) has(file string, line int) bool {
	return slices.ContainsFunc(l[file], func(s span) bool { return s.first <= line && line <= s.last })
}

// dirs are the directories of the files.
func (l lines) dirs() []string {
	dirs := make(map[string]bool)
	for file := range l {
		dirs[filepath.FromSlash(path.Dir(file))] = true
	}
	return slices.Sorted(maps.Keys(dirs))
}

// changed returns the lines of Go files, tests apart, that the working tree has
// and the base has not, files that git does not know yet included. An empty
// base is where HEAD left origin/main or main.
func changed(ctx context.Context, root, base string) (lines, error) {
	if base == "" {
		for _, main := range []string{"origin/main", "main"} {
			if out, err := git(ctx, root, "merge-base", "HEAD", main); err == nil {
				base = strings.TrimSpace(out)
				break
			}
		}
		if base == "" {
			return nil, errors.New("neither origin/main nor main is there to compare with: say what with BASE=, or a package with PKG=")
		}
	}
	diff, err := git(ctx, root, "diff", "-U0", "--no-color", "--no-ext-diff", "--no-prefix", "--relative", "--diff-filter=AMR", base, "--", "*.go")
	if err != nil {
		return nil, err
	}
	l, err := parseDiff(diff)
	if err != nil {
		return nil, err
	}
	others, err := git(ctx, root, "ls-files", "--others", "--exclude-standard", "--", "*.go")
	if err != nil {
		return nil, err
	}
	for _, file := range strings.Fields(others) {
		l[file] = []span{{1, 1 << 30}}
	}
	maps.DeleteFunc(l, func(file string, _ []span) bool {
		return strings.HasSuffix(file, "_test.go") || strings.Contains("/"+file, "/testdata/")
	})
	return l, nil
}

var hunk = regexp.MustCompile(`^@@ -\S+ \+(\d+)(?:,(\d+))? @@`)

// parseDiff reads what git diff -U0 --no-prefix says.
func parseDiff(diff string) (lines, error) {
	l := make(lines)
	file := ""
	for line := range strings.Lines(diff) {
		if name, ok := strings.CutPrefix(line, "+++ "); ok {
			file = strings.TrimSpace(name)
			continue
		}
		m := hunk.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		first, err := strconv.Atoi(m[1])
		if err != nil || file == "" {
			return nil, fmt.Errorf("git diff: %q", line)
		}
		n := 1
		if m[2] != "" {
			if n, err = strconv.Atoi(m[2]); err != nil {
				return nil, fmt.Errorf("git diff: %q", line)
			}
		}
		if n > 0 {
			l[file] = append(l[file], span{first, first + n - 1})
		}
	}
	return l, nil
}

func git(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = dir
	var trouble strings.Builder
	cmd.Stderr = &trouble
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w: %s", args[0], err, strings.TrimSpace(trouble.String()))
	}
	return string(out), nil
}
