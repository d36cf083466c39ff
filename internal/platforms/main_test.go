package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestWhatDoesNotBuildElsewhere(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	write("go.mod", "module example.com/m\n\ngo 1.25\n")
	write("a/a.go", "package a\n\nimport \"strings\"\n\nvar N = len(strings.Repeat(\"a\", 3)) + here\n")
	write("a/a_windows.go", "package a\n\nconst here = 1\n")
	write("a/a_other.go", "//go:build !windows\n\npackage a\n\nconst here = 2\n")
	write("a/a_test.go", "package a\n\nimport \"testing\"\n\nfunc TestA(t *testing.T) { t.Log(N) }\n")
	write("a/out_test.go", "package a_test\n\nimport (\n\t\"testing\"\n\n\t\"example.com/m/a\"\n\t\"example.com/m/b\"\n)\n\nfunc TestB(t *testing.T) { t.Log(a.N, b.N) }\n")
	write("b/b.go", "package b\n\nimport \"example.com/m/a\"\n\nvar N = a.N\n")
	for _, platform := range []string{"windows/amd64", "linux/386"} {
		n, err := check(t.Context(), dir, platform)
		require.NoError(t, err)
		assert.GreaterOrEqual(t, n, 4, "a, b and the tests of a, within and outside")
	}

	everywhere := []string{"missing.go:3:10: .*none", "broken.go:3:6: expected"}
	write("missing/missing.go", "package missing\n\nimport _ \"example.com/m/none\"\n")
	write("broken/broken.go", "package broken\n\nfunc {")
	on32 := []string{`b/large.go:3:13: .*overflows`, `b/large_test.go:5:9: .*overflows`}
	write("b/large.go", "package b\n\nvar M int = 1 << 40\n")
	write("b/large_test.go", "package b\n\nfunc f() int {\n\tconst n = 1 << 40\n\treturn n\n}\n")
	onWindows := []string{`a/a.go:5:\d+: undefined: here`, `b/unix.go:5:\d+: undefined: syscall.Kill`}
	write("a/a_windows.go", "package a\n")
	write("b/unix.go", "package b\n\nimport \"syscall\"\n\nfunc g() { _ = syscall.Kill(1, 0) }\n")
	for platform, fails := range map[string][2][]string{"windows/amd64": {onWindows, on32}, "linux/386": {on32, onWindows}} {
		_, err := check(t.Context(), dir, platform)
		require.Error(t, err)
		said := strings.ReplaceAll(err.Error(), `\`, "/")
		for _, want := range append(fails[0], everywhere...) {
			assert.Regexp(t, want, said, platform)
		}
		for _, other := range fails[1] {
			assert.NotRegexp(t, other, said, platform)
		}
	}

	_, err := check(t.Context(), dir, "nowhere")
	assert.Error(t, err)
}
