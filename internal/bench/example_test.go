package bench_test

import (
	"fmt"
	"time"

	"github.com/ecosire/stocksync/internal/bench"
)

// ECOSIRE's quota decides how long a large catalogue takes; if everything has
// to be written, so does WooCommerce.
func ExampleBound() {
	for _, n := range []int{5_000, 100_000} {
		agreed, off := bench.Bound(n, 0, bench.Both), bench.Bound(n, n, bench.Both)
		fmt.Println(n, agreed.Round(time.Second), off.Round(time.Second))
	}
	// Output:
	// 5000 6s 57s
	// 100000 16m5s 19m5s
}
