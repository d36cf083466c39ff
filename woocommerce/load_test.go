package woocommerce_test

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/woocommerce"
	"github.com/ecosire/stocksync/woocommerce/woocommercetest"
)

// A busyShop has customers, who ask for pages at random times, at a given rate
// on average, each of which takes 150 ms of a core.
type busyShop struct {
	cores, parallel int
	pages           float64
	changed         bool // all of the products are
	products        int  // 0 means 3,000
}

type outcome struct {
	took     time.Duration
	p50, p95 time.Duration // of the pages during that time
}

// run reads its products twice, in groups of 1,000, and writes them where they
// are changed.
func (b busyShop) run(t *testing.T) (out outcome) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		shop := woocommercetest.New(woocommercetest.Config{
			RequestTime: 45 * time.Millisecond, ItemReadTime: 2 * time.Millisecond, ItemWriteTime: 20 * time.Millisecond, Cores: b.cores})
		skus := simple(shop, cmp.Or(b.products, 3000))
		ch := openWith(t, woocommerce.Config{HTTPClient: shop.Client(), Parallel: b.parallel}, woocommerce.ChannelConfig{})
		ctx, stop := context.WithCancel(t.Context())
		var customers sync.WaitGroup
		var mu sync.Mutex
		var pages []time.Duration
		if b.pages > 0 {
			customers.Go(func() {
				random := rand.New(rand.NewPCG(1, 2))
				for {
					select {
					case <-ctx.Done():
						return
					case <-time.After(time.Duration(random.ExpFloat64() / b.pages * float64(time.Second))):
					}
					customers.Go(func() {
						start := time.Now()
						shop.Visit(t.Context(), 150*time.Millisecond)
						mu.Lock()
						defer mu.Unlock()
						pages = append(pages, time.Since(start))
					})
				}
			})
		}
		start := time.Now()
		for round := range 2 {
			for group := range slices.Chunk(skus, 1000) {
				updates := seen(t, ch, 10+round, group...)
				if b.changed {
					require.NoError(t, ch.Push(t.Context(), updates))
				}
			}
		}
		out.took = time.Since(start)
		stop()
		customers.Wait()
		slices.Sort(pages)
		if n := len(pages); n > 0 {
			out.p50, out.p95 = pages[n/2], pages[n*95/100]
		}
	})
	return out
}

// The client finds the number of requests that the shop bears: nearly as fast
// as if it knew the number of cores, and customers hardly wait.
func TestParallelIsLearned(t *testing.T) {
	products := map[int]int{1: 1000, 2: 1000, 8: 3000}
	if testing.Short() {
		products = map[int]int{2: 1000}
	}
	for cores, n := range products {
		t.Run(fmt.Sprint(cores, " cores"), func(t *testing.T) {
			all := busyShop{cores: cores, parallel: cores, changed: true, products: n}.run(t)
			found := busyShop{cores: cores, changed: true, products: n}.run(t)
			assert.LessOrEqual(t, found.took, all.took*4/3, "by night")

			one := busyShop{cores: cores, parallel: 1, pages: float64(cores), changed: true, products: n}.run(t)
			all = busyShop{cores: cores, parallel: cores, pages: float64(cores), changed: true, products: n}.run(t)
			found = busyShop{cores: cores, pages: float64(cores), changed: true, products: n}.run(t)
			assert.LessOrEqual(t, found.p50, max(one.p50, all.p50)*3/2, "by day")
			assert.LessOrEqual(t, found.took, (one.took+all.took)*2/3)
		})
	}
}

// TestLoadTable prints the table of docs/design.md.
func TestLoadTable(t *testing.T) {
	if os.Getenv("STOCKSYNC_BENCH") != "full" {
		t.Skip(`STOCKSYNC_BENCH is not "full"`)
	}
	for _, pages := range []float64{0, 0.5, 2} {
		for cores := 1; cores <= 8; cores *= 2 {
			line := fmt.Sprintf("| %d | %v |", cores, pages)
			for _, parallel := range []int{1, 2, 4, 8, 0} {
				o := busyShop{cores, parallel, pages * float64(cores), true, 0}.run(t)
				line += fmt.Sprintf(" %.0f s, %d ms |", o.took.Seconds(), o.p50.Milliseconds())
			}
			fmt.Println(line)
		}
	}
}

func TestWaitingForATurnEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := woocommercetest.New(woocommercetest.Config{RequestTime: 40 * time.Second})
		skus := simple(shop, 1)
		ch := openWith(t, woocommerce.Config{HTTPClient: shop.Client(), Parallel: 1}, woocommerce.ChannelConfig{})
		var all sync.WaitGroup
		for i := range 6 {
			all.Go(func() {
				ctx, cancel := contextFor(t, time.Duration(i*25)*time.Second)
				defer cancel()
				start := time.Now()
				_, err := ch.Levels(ctx, skus)
				if time.Since(start) < time.Duration(i*25)*time.Second {
					assert.NoError(t, err)
				} else {
					assert.ErrorIs(t, err, context.DeadlineExceeded)
				}
			})
		}
		all.Wait()
		start := time.Now()
		_, err := ch.Levels(t.Context(), skus)
		assert.NoError(t, err)
		assert.Equal(t, 40*time.Second, time.Since(start), "no place was lost")
	})
}
