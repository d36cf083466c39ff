package boltqueue

import (
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	bolt "go.etcd.io/bbolt"

	"github.com/ecosire/stocksync/syncer"
)

// Each mark is of a new key, the worst case: a pending one costs no write.
func BenchmarkMark(b *testing.B) {
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprintf("memory/callers=%d", callers), func(b *testing.B) {
			benchmark(b, callers, marker(b, syncer.NewMemoryQueue()))
		})
		// What a queue that writes every mark by itself would do.
		var alone float64
		b.Run(fmt.Sprintf("alone/callers=%d", callers), func(b *testing.B) {
			q := openAt(b, filepath.Join(b.TempDir(), "queue.db"))
			benchmark(b, callers, func(id string) {
				require.NoError(b, q.db.Update(func(tx *bolt.Tx) error {
					return putRecord(tx.Bucket(marksBucket), recordKey("", id), encodeMark(syncer.Mark{}))
				}))
			})
			alone = rate(b)
		})
		b.Run(fmt.Sprintf("bolt/callers=%d", callers), func(b *testing.B) {
			q := openAt(b, filepath.Join(b.TempDir(), "queue.db"))
			before := writes(b, q)
			benchmark(b, callers, marker(b, q))
			b.ReportMetric(float64(b.N)/float64(writes(b, q)-before), "marks/sync")
			if alone > 0 {
				b.ReportMetric(rate(b)/alone, "times-alone")
			}
		})
	}
}

func marker(b *testing.B, q syncer.Queue) func(id string) {
	return func(id string) { require.NoError(b, q.Mark(b.Context(), syncer.Mark{Key: syncer.Key{ID: id}})) }
}

func benchmark(b *testing.B, callers int, mark func(id string)) {
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ResetTimer()
	for range callers {
		wg.Go(func() {
			for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
				mark(fmt.Sprint(n))
			}
		})
	}
	wg.Wait()
	b.ReportMetric(rate(b), "marks/s")
}

func rate(b *testing.B) float64 { return float64(b.N) / b.Elapsed().Seconds() }
