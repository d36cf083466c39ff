package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestWhatIsLinked(t *testing.T) {
	if testing.Short() {
		t.Skip("asks the go command")
	}
	linked := make(map[string]*module)
	require.NoError(t, link("../..", linked))
	require.Contains(t, linked, "go.etcd.io/bbolt")
	assert.Contains(t, linked["go.etcd.io/bbolt"].by, "syncer/boltqueue")
	assert.NotContains(t, linked["go.etcd.io/bbolt"].by, "syncer")
	for _, tool := range []string{"github.com/stretchr/testify", "github.com/rivo/uniseg"} {
		assert.NotContains(t, linked, tool, "of tests and examples only")
	}
}

func TestLicence(t *testing.T) {
	dir := t.TempDir()
	_, err := licence(dir)
	assert.ErrorContains(t, err, "no file with a licence")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "COPYING"), []byte("You may.\n"), 0o600))
	text, err := licence(dir)
	require.NoError(t, err)
	assert.Equal(t, "You may.", text)
}

func TestModules(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{".", "a/b", "a/testdata/c", "internal/d", "a/internal/d", ".git"} {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, path), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, path, "go.mod"), nil, 0o600))
	}
	dirs, err := modules(dir)
	require.NoError(t, err)
	assert.ElementsMatch(t, []string{dir, filepath.Join(dir, "a/b")}, dirs)
}

func TestEmbeddedFiles(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dir, "models"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "models", "NOTICE"), []byte("Ours.\n"), 0o600))
	var b bytes.Buffer
	assert.ErrorContains(t, embedded(&b, dir), "licence")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "models", "LICENSE"), []byte("You may.\n"), 0o600))
	require.NoError(t, embedded(&b, dir))
	assert.Contains(t, b.String(), "/models\n\nOurs.\n\nYou may.\n")
}
