package hashset

import (
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fill adds so many strings, each twice, and checks every answer.
func fill(t *testing.T, s *Set, n int) {
	t.Helper()
	for i := range n {
		text := strconv.Itoa(i)
		for _, want := range []bool{true, false} {
			has, err := s.Has(text)
			require.NoError(t, err)
			fresh, err := s.Add(text)
			require.NoError(t, err)
			if has == want || fresh != want {
				t.Fatalf("%d: has %v, new %v", i, has, fresh)
			}
		}
	}
	require.Equal(t, n, s.Len())
	for i := range n {
		if has, err := s.Has(strconv.Itoa(i)); !has || err != nil {
			t.Fatal(i, err)
		}
		if has, err := s.Has(strconv.Itoa(-1 - i)); has || err != nil {
			t.Fatal(-1-i, err)
		}
	}
	fresh, err := s.Add("")
	assert.True(t, fresh)
	assert.NoError(t, err)
}

func TestInMemory(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	s := New()
	defer s.Close()
	fill(t, s, 100_000)
	assert.Zero(t, s.filed)
}

func TestWhatDoesNotFitGoesToAFile(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	for _, n := range []int{1_000, 10_000, 200_000} {
		s := New()
		s.most = 1024
		fill(t, s, n)
		assert.Len(t, s.slots, 1024, "the memory does not grow")
		assert.Greater(t, s.filed, n-1024)
		if runtime.GOOS != "windows" {
			left, err := filepath.Glob(filepath.Join(dir, "*"))
			require.NoError(t, err)
			assert.Empty(t, left, "the file has no name, and cannot be left behind")
		}
		s.Close()
	}
}

func TestWithoutAFileTheMemoryGrows(t *testing.T) {
	t.Setenv("TMPDIR", filepath.Join(t.TempDir(), "missing"))
	s := New()
	defer s.Close()
	s.most = 1024
	fill(t, s, 10_000)
	assert.Zero(t, s.filed)
}

// A file that cannot be added to any more, such as on a full disk, is still
// good for what it has.
func TestAfterAFileTheMemoryGrows(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	s := New()
	defer s.Close()
	s.most = 1024
	for i := range 5_000 {
		s.Add(strconv.Itoa(i))
	}
	filed := s.filed
	require.NotZero(t, filed)
	require.NoError(t, os.RemoveAll(dir))
	for i := range 10_000 {
		fresh, err := s.Add(strconv.Itoa(i))
		require.NoError(t, err)
		require.Equal(t, i >= 5_000, fresh, i)
	}
	assert.Equal(t, filed, s.filed)
}

func TestAFileThatCannotBeReadIsAnError(t *testing.T) {
	s := New()
	s.most = 1024
	for i := range 5_000 {
		s.Add(strconv.Itoa(i))
	}
	require.NotZero(t, s.filed)
	s.Close()
	_, err := s.Add("another")
	assert.ErrorContains(t, err, "temporary file")
	_, err = s.Has("another")
	assert.Error(t, err)
}

func BenchmarkAdd(b *testing.B) {
	texts := make([]string, 1_000_000)
	for i := range texts {
		texts[i] = strconv.Itoa(i)
	}
	for b.Loop() {
		s := New()
		for _, text := range texts {
			if fresh, err := s.Add(text); !fresh || err != nil {
				b.Fatal(err)
			}
		}
		s.Close()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(texts)), "ns/string")
}
