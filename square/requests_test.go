package square_test

import (
	"context"
	"fmt"
	"iter"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/square"
	"github.com/ecosire/stocksync/square/squaretest"
	"github.com/ecosire/stocksync/syncer"
)

// whole is a source that has n units of each product.
type whole struct{ products, units int }

func (w whole) Stock(_ context.Context, ids ...string) iter.Seq2[channel.Stock, error] {
	return func(yield func(channel.Stock, error) bool) {
		for i := range w.products {
			id := fmt.Sprintf("SKU-%05d", i)
			if !yield(channel.Stock{ProductID: id, SKU: id, OnHand: w.units, Available: w.units, AsOf: time.Now()}, nil) {
				return
			}
		}
	}
}

// The least is 1,000 variations a search, 1,000 a read of counts, and 100 a
// write. Where nothing was ever counted, counts are read twice before that is
// believed.
func TestRequestsForACatalogue(t *testing.T) {
	const n = 10_000
	for _, test := range []struct {
		name                    string
		shown                   func(i int) squaretest.Variation
		searches, reads, writes int // as the least that the limits allow
	}{
		{"first sync", func(int) squaretest.Variation { return squaretest.Variation{Uncounted: true} }, 10, 20, 100},
		{"all differ", func(int) squaretest.Variation { return squaretest.Variation{Quantity: 3} }, 10, 10, 100},
		{"nightly run, 1 % differ", func(i int) squaretest.Variation {
			return squaretest.Variation{Quantity: 7 + map[bool]int{true: 1}[i%100 == 0]}
		}, 10, 10, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				till := squaretest.New(squaretest.Config{Latency: 200 * time.Millisecond, ObjectTime: 500 * time.Microsecond})
				skus := make([]string, n)
				variations := make([]squaretest.Variation, n)
				for i := range n {
					skus[i] = fmt.Sprintf("SKU-%05d", i)
					variations[i] = test.shown(i)
					variations[i].SKU = skus[i]
				}
				till.Add(variations...)
				client, err := square.New(square.Config{Token: square.StaticToken("EAAAtest"), HTTPClient: till.Client()})
				require.NoError(t, err)
				ch, err := client.Channel(square.ChannelConfig{LocationID: "LMAIN"})
				require.NoError(t, err)

				start := time.Now()
				ctx := channel.WithRun(t.Context(), "run")
				require.NoError(t, ch.Preload(ctx))
				levels, err := ch.Levels(ctx, skus)
				require.NoError(t, err)
				require.Len(t, levels, n)
				var updates []channel.Update
				for _, l := range levels {
					if l.Unset || l.Quantity != 7 {
						updates = append(updates, channel.Update{SKU: l.SKU, Quantity: 7, Seen: &l, AsOf: time.Now()})
					}
				}
				require.NoError(t, ch.Push(ctx, updates))
				counted := func() (searches, reads, writes int) {
					return till.Count(channeltest.On("", "/catalog/search")), till.Count(channeltest.On("", "/counts/")), till.Count(channeltest.On("", "/changes/"))
				}
				searches, reads, writes := counted()
				assert.Equal(t, test.searches, searches)
				assert.Equal(t, test.reads, reads)
				assert.Equal(t, test.writes, writes)
				assert.Equal(t, 1+searches+reads+writes, till.Count(nil), "and one for the location")
				took := time.Since(start)
				assert.Less(t, took, 40*time.Second)

				t.Logf("%d searches, %d reads, %d writes in %v", searches, reads, writes, took)
				for _, sku := range skus {
					shows, ok := till.Quantity(sku)
					require.True(t, ok && shows == 7, sku)
				}
			})
		})
	}
}

// A run asks for groups of products, and for what the channel lists.
func TestRequestsForANightlyRun(t *testing.T) {
	const n = 10_000
	synctest.Test(t, func(t *testing.T) {
		till := squaretest.New(squaretest.Config{Latency: 200 * time.Millisecond, ObjectTime: 500 * time.Microsecond})
		variations := make([]squaretest.Variation, n)
		for i := range n {
			variations[i] = squaretest.Variation{SKU: fmt.Sprintf("SKU-%05d", i), Quantity: 7 + map[bool]int{true: 1}[i%100 == 0]}
		}
		till.Add(variations...)
		client, err := square.New(square.Config{Token: square.StaticToken("EAAAtest"), HTTPClient: till.Client()})
		require.NoError(t, err)
		ch, err := client.Channel(square.ChannelConfig{LocationID: "LMAIN"})
		require.NoError(t, err)
		s, err := syncer.New(syncer.Config{Source: whole{n, 7}, Targets: []syncer.Target{{Channel: ch}}})
		require.NoError(t, err)
		start := time.Now()
		_, err = s.Reconcile(t.Context())
		require.NoError(t, err)
		searches, reads, writes := till.Count(channeltest.On("", "/catalog/search")), till.Count(channeltest.On("", "/counts/")), till.Count(channeltest.On("", "/changes/"))
		assert.Equal(t, 10, searches, "also for the list of SKUs")
		assert.LessOrEqual(t, reads, 100)
		assert.LessOrEqual(t, writes, 100)
		assert.Less(t, time.Since(start), 40*time.Second)
		t.Logf("%d searches, %d reads, %d writes in %v", searches, reads, writes, time.Since(start))
	})
}
