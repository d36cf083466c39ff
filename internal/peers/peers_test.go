package peers_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/internal/bench"
	"github.com/ecosire/stocksync/internal/bench/table"
	"github.com/ecosire/stocksync/internal/peers"
)

var update = flag.Bool("update", false, "write the table into docs/performance.md")

// A way makes both shops of a world right.
type way struct {
	name  string
	files []string // what a team writes itself
	run   func(context.Context, *bench.World) error
}

var ways = []way{
	{"the guide's way", []string{"../bench/requests.go", "../bench/guide.go"}, func(ctx context.Context, w *bench.World) error { return bench.NewGuide(w).Reconcile(ctx) }},
	{"a script, in batches, unread", []string{"../bench/requests.go", "../bench/script.go"}, func(ctx context.Context, w *bench.World) error { return bench.NewScript(w).Reconcile(ctx) }},
	{"a team, looking first", []string{"team.go"}, func(ctx context.Context, w *bench.World) error { return peers.NewTeam(w).Reconcile(ctx) }},
	{"Syncer", []string{"syncer.go"}, peers.Syncer},
}

// A cost is what making the shops right took.
type cost struct {
	ecosire, shopify, woocommerce int // requests
	took                          time.Duration
}

// measure also looks whether the shops show what ECOSIRE has.
func (w way) measure(t *testing.T, n int, fill bench.Fill) (c cost) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		world, err := bench.NewWorld(n, bench.Both, fill, nil, nil)
		require.NoError(t, err)
		start := time.Now()
		require.NoError(t, w.run(t.Context(), world))
		c.took = time.Since(start)
		c.ecosire, c.shopify, c.woocommerce = world.Requests()
		wrong, example := world.Wrong()
		require.Zero(t, wrong, "%s: %s", w.name, example)
	})
	return c
}

// lines counts lines of code.
func (w way) lines(t *testing.T) (n int) {
	t.Helper()
	for _, name := range w.files {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		for line := range strings.Lines(string(text)) {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "//") {
				n++
			}
		}
	}
	return n
}

// Every way makes the shops right. The Syncer needs less time than any other, at
// most as many requests to ECOSIRE as any other, and at most as many to the shops
// as the guide's way. Who lists everything and trusts it needs a few requests
// less at Shopify than who asks for what it is about to write, which the table
// shows.
func TestPeers(t *testing.T) {
	mode := os.Getenv("STOCKSYNC_BENCH")
	sizes := []int{500}
	if mode != "" {
		sizes = []int{1_000}
	}
	if mode == "full" {
		sizes = append(sizes, 10_000)
	}
	out := table.New("peers", "way", "products", "drift", "requests to ECOSIRE", "Shopify", "WooCommerce", "time", "lines of code")
	for _, n := range sizes {
		for _, fill := range []bench.Fill{bench.Percent, bench.Off} {
			costs := make(map[string]cost)
			for _, w := range ways {
				c := w.measure(t, n, fill)
				costs[w.name] = c
				out.Row(w.name, table.Number(n), fill, table.Number(c.ecosire), table.Number(c.shopify), table.Number(c.woocommerce),
					table.Span(c.took), table.Number(w.lines(t)))
			}
			ours := costs["Syncer"]
			for _, w := range ways[:len(ways)-1] {
				c := costs[w.name]
				assert.Less(t, ours.took, c.took, "%s: %d products, %v", w.name, n, fill)
				assert.LessOrEqual(t, ours.ecosire, c.ecosire, "%s: %d products, %v", w.name, n, fill)
			}
			guide, script := costs[ways[0].name], costs[ways[1].name]
			assert.Less(t, ours.shopify+ours.woocommerce, guide.shopify+guide.woocommerce)
			if fill == bench.Percent {
				assert.Less(t, ours.took, script.took/2, "%d products, a usual night", n)
			}
		}
	}
	for _, w := range ways[:len(ways)-1] {
		assert.Less(t, ways[len(ways)-1].lines(t), w.lines(t), w.name)
	}
	if mode == "" {
		return
	}
	fmt.Printf("\n%s\n%s\n", out.Name, out)
	if *update {
		require.NoError(t, out.Write("../../docs/performance.md"))
	}
}
