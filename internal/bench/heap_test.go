package bench

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/ecosire/stocksync/ecosire"
	"github.com/ecosire/stocksync/syncer"
)

// An erp is an ECOSIRE without a memory: its pages are made as they are asked
// for, and its quota is never spent. It is the number of its products.
type erp int

func (n erp) RoundTrip(r *http.Request) (*http.Response, error) {
	page, err := strconv.Atoi(r.URL.Query().Get("page"))
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.WriteString(`{"data":[`)
	for i := (page - 1) * 100; i < min(page*100, int(n)); i++ {
		if i%100 > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"productId":"018e5678-abcd-7000-8000-%012d","sku":"SKU-%d","onHand":%d,"reserved":0,"available":%d}`, i, i, i%50, i%50)
	}
	fmt.Fprintf(&b, `],"meta":{"total":%d,"page":%d,"limit":100,"totalPages":%d}}`, n, page, (int(n)+99)/100)
	h := http.Header{
		"X-Ratelimit-Limit": {"1000000"}, "X-Ratelimit-Remaining": {"900000"},
		"X-Ratelimit-Reset": {strconv.FormatInt(time.Now().Unix()+50, 10)},
	}
	return &http.Response{StatusCode: http.StatusOK, Header: h, Body: io.NopCloser(&b), Request: r}, nil
}

// BenchmarkHeapWithECOSIRE is the heap of a reconciliation through the real
// ECOSIRE client, which remembers the ids that it has read.
func BenchmarkHeapWithECOSIRE(b *testing.B) {
	for _, n := range []int{10_000, 1_000_000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			for b.Loop() {
				c, err := ecosire.New(ecosire.Config{APIKey: "eco_live_test", HTTPClient: &http.Client{Transport: erp(n)}})
				if err != nil {
					b.Fatal(err)
				}
				s, err := syncer.New(syncer.Config{Source: c, Targets: []syncer.Target{{
					Channel: generated(n), Guard: syncer.Guard{Zeroed: -1, Units: -1},
				}}})
				if err != nil {
					b.Fatal(err)
				}
				grown := peak(func() {
					if r, err := s.Reconcile(b.Context()); err != nil || r.Channels[0].Checked != n {
						b.Error(err)
					}
				})
				b.ReportMetric(float64(grown)/(1<<20), "peak-MiB")
			}
		})
	}
}
