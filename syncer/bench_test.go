package syncer_test

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/ecosire"
	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/syncer/boltqueue"
)

// BenchmarkWebhookHandler measures what receiving an event costs, from the
// request to the answer: signature, parsing, marking on two channels. It uses
// no socket. Every event is about a product of its own, the most costly case;
// "burst" is about a hundred products.
func BenchmarkWebhookHandler(b *testing.B) {
	for _, senders := range []int{1, 64} {
		for _, bm := range []struct {
			name     string
			open     func(*testing.B) syncer.Queue
			products int
		}{
			{"memory", memory, 0},
			{"memory/burst", memory, 100},
			{"durable", durable, 0},
			{"durable/burst", durable, 100},
		} {
			b.Run(fmt.Sprintf("%s/senders=%d", bm.name, senders), func(b *testing.B) {
				queue := bm.open(b)
				b.ReportAllocs()
				rate, p99 := receive(b, queue, senders, cmp.Or(bm.products, b.N))
				b.ReportMetric(rate, "events/s")
				b.ReportMetric(float64(p99)/float64(time.Millisecond), "p99-ms")
			})
		}
	}
}

// BenchmarkDurableAgainstFsync reports how many times as many events the
// durable queue takes as one synced write for each event would allow.
func BenchmarkDurableAgainstFsync(b *testing.B) {
	for _, senders := range []int{1, 64} {
		b.Run(fmt.Sprintf("senders=%d", senders), func(b *testing.B) {
			shared, _ := receive(b, durable(b), senders, b.N)
			each, _ := receive(b, eachSynced(b), senders, b.N)
			b.ReportMetric(0, "ns/op") // of both together, it says nothing
			b.ReportMetric(each, "fsync-events/s")
			b.ReportMetric(shared, "events/s")
			b.ReportMetric(shared/each, "ratio")
		})
	}
}

func memory(*testing.B) syncer.Queue { return syncer.NewMemoryQueue() }

func durable(b *testing.B) syncer.Queue {
	q, err := boltqueue.Open(filepath.Join(b.TempDir(), "queue.db"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = q.Close() })
	return q
}

func eachSynced(b *testing.B) syncer.Queue {
	f, err := os.Create(filepath.Join(b.TempDir(), "log"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = f.Close() })
	return &syncedLog{MemoryQueue: syncer.NewMemoryQueue(), file: f}
}

// receive delivers b.N events about some products, and returns how many were
// answered in a second, and how long all but a hundredth of them took at most.
func receive(b *testing.B, queue syncer.Queue, senders, products int) (rate float64, p99 time.Duration) {
	const secret = "s3cret"
	hooks, err := ecosire.NewWebhooks(secret)
	if err != nil {
		b.Fatal(err)
	}
	s, err := syncer.New(syncer.Config{
		Source: newStock(), Webhooks: hooks, Queue: queue,
		Targets: []syncer.Target{{Channel: channeltest.NewMemory("a")}, {Channel: channeltest.NewMemory("b")}},
	})
	if err != nil {
		b.Fatal(err)
	}
	handler := s.WebhookHandler()
	requests := make([]*http.Request, b.N)
	for i := range requests {
		body := fmt.Sprintf(`{"id":"evt_%d","event":"checkout.completed","data":{"orderId":"o","lineItems":[{"productId":"018e5678-abcd-7000-8000-%012x","quantity":1}]}}`, i, i%products)
		requests[i] = httptest.NewRequest("POST", "/webhooks/ecosire", strings.NewReader(body))
		requests[i].Header.Set("Content-Type", "application/json")
		requests[i].Header.Set("X-Ecosire-Signature", ecosire.Sign(secret, []byte(body)))
	}
	took := make([]time.Duration, b.N)
	var next, refused atomic.Int64
	b.ResetTimer()
	start := time.Now()
	var wg sync.WaitGroup
	for range senders {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= b.N {
					return
				}
				var w status
				began := time.Now()
				handler.ServeHTTP(&w, requests[i])
				took[i] = time.Since(began)
				if w != http.StatusAccepted {
					refused.Add(1)
				}
			}
		})
	}
	wg.Wait()
	elapsed := time.Since(start)
	b.StopTimer()
	if n := refused.Load(); n > 0 {
		b.Fatalf("%d of %d events were refused", n, b.N)
	}
	slices.Sort(took)
	return float64(b.N) / elapsed.Seconds(), took[(b.N-1)*99/100]
}

// status is an http.ResponseWriter that keeps nothing else.
type status int

func (s *status) Header() http.Header         { return http.Header{} }
func (s *status) Write(p []byte) (int, error) { return len(p), nil }
func (s *status) WriteHeader(code int)        { *s = status(code) }

// syncedLog writes and syncs each mark by itself.
type syncedLog struct {
	*syncer.MemoryQueue
	mu   sync.Mutex
	file *os.File
}

func (l *syncedLog) Mark(ctx context.Context, marks ...syncer.Mark) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, k := range marks {
		if _, err := fmt.Fprintln(l.file, k.Lane, k.ID); err != nil {
			return err
		}
	}
	if err := l.file.Sync(); err != nil {
		return err
	}
	return l.MemoryQueue.Mark(ctx, marks...)
}
