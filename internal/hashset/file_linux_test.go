package hashset

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// open counts the files of a folder that this process has open.
func open(t *testing.T, dir string) (n int) {
	links, err := filepath.Glob("/proc/self/fd/*")
	require.NoError(t, err)
	for _, link := range links {
		if target, err := os.Readlink(link); err == nil && strings.HasPrefix(target, dir) {
			n++
		}
	}
	return n
}

func TestOneFileIsOpenAtATime(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	s := New()
	s.max = 1024
	for i := range 20_000 {
		_, err := s.Add(strconv.Itoa(i))
		require.NoError(t, err)
	}
	assert.Equal(t, 1, open(t, dir))
	s.Close()
	assert.Zero(t, open(t, dir))
}

// On a full disk the set stays in memory, and forgets nothing.
func TestAFullDisk(t *testing.T) {
	const child = "HASHSET_CHILD"
	if os.Getenv(child) == "" { // the limit is the whole process's
		cmd := exec.Command(os.Args[0], "-test.run=^TestAFullDisk$", "-test.v")
		cmd.Env = append(os.Environ(), child+"=1")
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, string(out))
		require.Contains(t, string(out), "--- PASS")
		return
	}
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	var was syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_FSIZE, &was))
	for _, limit := range []uint64{100, 30_000} { // at the first file, and at a later one
		require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: limit, Max: was.Max}))
		s := New()
		s.max = 1024
		fill(t, s, 10_000)
		assert.LessOrEqual(t, uint64(s.filed)*size, limit)
		assert.LessOrEqual(t, open(t, dir), 1)
		s.Close()
	}
}
