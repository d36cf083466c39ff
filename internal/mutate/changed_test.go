package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParseDiff(t *testing.T) {
	l, err := parseDiff(`diff --git a/b.go a/b.go
--- a/b.go
+++ a/b.go
@@ -1 +1 @@ func x() {
-a
+b
@@ -10,3 +12,2 @@
+c
+d
@@ -20,2 +30,0 @@ only deleted
+++ c.go
@@ -0,0 +1,4 @@
`)
	require.NoError(t, err)
	assert.Equal(t, lines{"a/b.go": {{1, 1}, {12, 13}}, "c.go": {{1, 4}}}, l)
	assert.True(t, l.has("a/b.go", 13))
	assert.False(t, l.has("a/b.go", 14))
	assert.False(t, l.has("a/b.go", 30))
	assert.False(t, l.has("d.go", 1))
	assert.Equal(t, []string{".", "a"}, l.dirs())
	_, err = parseDiff("@@ -1 +1 @@\n")
	assert.Error(t, err, "of which file?")
}

// repository makes a git repository with files, committed on main.
func repository(t *testing.T, files map[string]string) (dir string, git func(args ...string)) {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not there")
	}
	dir = t.TempDir()
	git = func(args ...string) {
		t.Helper()
		cmd := exec.Command("git", append([]string{"-c", "user.name=x", "-c", "user.email=x@localhost", "-c", "commit.gpgsign=false"}, args...)...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, string(out))
	}
	git("init", "-q", "-b", "main")
	write(t, dir, files)
	git("add", "-A")
	git("commit", "-qm", "first")
	return dir, git
}

func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
}

func TestChanged(t *testing.T) {
	dir, git := repository(t, map[string]string{"a/a.go": "package a\n\n// x\n", "b.go": "package b\n", "old.go": "package b\n"})
	l, err := changed(t.Context(), dir, "")
	require.NoError(t, err)
	assert.Empty(t, l)

	git("checkout", "-qb", "topic")
	write(t, dir, map[string]string{"a/a.go": "package a\n\n// y\n// z\n"})
	git("commit", "-qam", "on the branch")
	write(t, dir, map[string]string{"b.go": "package b\n\n// not committed\n", "new.go": "package b\n",
		"a/a_test.go": "package a\n", "a/testdata/x.go": "package x\n"})
	require.NoError(t, os.Remove(filepath.Join(dir, "old.go")))
	l, err = changed(t.Context(), dir, "")
	require.NoError(t, err)
	assert.Equal(t, lines{"a/a.go": {{3, 4}}, "b.go": {{2, 3}}, "new.go": {{1, 1 << 30}}}, l)

	l, err = changed(t.Context(), dir, "HEAD")
	require.NoError(t, err)
	assert.NotContains(t, l, "a/a.go")
	_, err = changed(t.Context(), dir, "nothing")
	assert.Error(t, err)
}
