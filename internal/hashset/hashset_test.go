package hashset

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/internal/racetest"
)

// fill adds n strings, each twice, and checks every answer.
func fill(t *testing.T, s *Set, n int) {
	t.Helper()
	for i := range n {
		text := strconv.Itoa(i)
		for _, want := range []bool{true, false} {
			has, err := s.Has(text)
			fresh, err2 := s.Add(text)
			if has == want || fresh != want || err != nil || err2 != nil {
				t.Fatalf("%d: has %v, new %v, %v, %v", i, has, fresh, err, err2)
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
	for i := range 20_000 {
		_, err := s.Add(strconv.Itoa(1_000_000 + i))
		require.NoError(t, err)
	}
	assert.NotZero(t, s.filed, "beyond, it is a file")
	assert.Len(t, s.slots, maxSlots)
}

// counted counts reads.
type counted struct {
	io.ReaderAt
	reads int
}

func (c *counted) ReadAt(p []byte, at int64) (int, error) {
	c.reads++
	return c.ReaderAt.ReadAt(p, at)
}

func TestAPlaceIsFoundInAReadOrTwo(t *testing.T) {
	const n = 50_000
	random := rand.New(rand.NewPCG(1, 2))
	hashes := make([]uint64, n)
	for i := range hashes {
		hashes[i] = random.Uint64()
	}
	slices.Sort(hashes)
	file := make([]byte, 0, n*size)
	for _, h := range hashes {
		file = binary.BigEndian.AppendUint64(file, h)
	}
	r, buf := &counted{ReaderAt: bytes.NewReader(file)}, make([]byte, block*size)
	most := 0
	for i := range 2 * n {
		h, want := random.Uint64(), false
		if i < n {
			h, want = hashes[i], true
		}
		before := r.reads
		if found, err := search(r, n, h, buf); found != want || err != nil {
			t.Fatalf("%d: found %t, %v", h, found, err)
		}
		most = max(most, r.reads-before)
	}
	assert.LessOrEqual(t, most, 4)
	assert.Less(t, float64(r.reads)/(2*n), 1.5)

	// Hashes that are not spread evenly are found too.
	for _, file := range [][]byte{file[:block*size*3], file[len(file)-block*size*3:]} {
		r := bytes.NewReader(file)
		for at := 0; at < len(file); at += size {
			if found, err := search(r, len(file)/size, binary.BigEndian.Uint64(file[at:]), buf); !found || err != nil {
				t.Fatalf("%d: found %t, %v", at, found, err)
			}
		}
	}
}

func TestWhatDoesNotFitGoesToAFile(t *testing.T) {
	racetest.Long(t)
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	for _, n := range []int{1_000, 10_000, 50_000} {
		s := New()
		s.max = 1024
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
	s.max = 1024
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
	s.max = 1024
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
	s.max = 1024
	for i := range 5_000 {
		s.Add(strconv.Itoa(i))
	}
	require.NotZero(t, s.filed)
	s.Close()
	_, err := s.Add("another")
	assert.ErrorContains(t, err, "temporary file")
	_, err = s.Has("another")
	assert.Error(t, err)
	file, err := s.merged([]uint64{1, 2, 3})
	assert.Error(t, err, "nor is it merged into another")
	assert.Error(t, file.Close(), "which is discarded")
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

func TestDistinct(t *testing.T) {
	all := []string{"b", "", "a"}
	assert.Same(t, &all[0], &Distinct(all)[0], "nothing is copied where all differ")
	assert.Equal(t, []string{"b", "a", ""}, Distinct([]string{"b", "a", "b", "", "", "a"}))
	assert.Empty(t, Distinct(nil))
}
