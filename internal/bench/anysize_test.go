package bench

import (
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel/channeltest"
)

// group is how many products a run compares at a time.
const group = 1_000

// writes is how many requests a run may need to write what differs, when it
// compares group by group.
func (f Fill) writes(n, size int) (requests int) {
	for from := 0; from < n; from += group {
		requests += pages(f.Differing(min(group, n-from)), size)
	}
	return requests
}

// The requests of a reconciliation, at sizes that are drawn: as many as pages,
// whatever the size.
func TestRequestsOfAnySize(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long under the race detector")
	}
	random := drawn(t)
	fill := func() Fill { return []Fill{Agreed, Percent, Off, Fresh}[random.IntN(4)] }
	name := func(n int, f Fill) string { return fmt.Sprintf("%d products, %v", n, f) }
	for range 2 {
		n, fill := int(between(random, 100, 2_000)), fill() // for more the wire forgets some
		t.Run("both shops, "+name(n, fill), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, err := NewWorld(n, Both, fill, nil, nil)
				require.NoError(t, err)
				_, err = w.Syncer.Reconcile(t.Context())
				require.NoError(t, err)
				wrong, example := w.Wrong()
				require.Zero(t, wrong, example)
				assert.Equal(t, pages(n, ecosirePage), w.Ecosire.Count(nil))
				assert.Equal(t, pages(n, shopifyPage), w.Shopify.Count(mentions("ReadLevels")))
				assert.LessOrEqual(t, w.Shopify.Count(mentions("ListItems")), pages(n, shopifyPage)+2, "from both ends, which meet")
				assert.LessOrEqual(t, w.Shopify.Count(mentions("SetQuantities")), fill.writes(n, shopifyPage))
				assert.Equal(t, pages(n, wooPage), w.WooCommerce.Count(channeltest.On("GET", "")))
				assert.LessOrEqual(t, w.WooCommerce.Count(channeltest.On("POST", "")), fill.writes(n, wooPage))
				ecosire, shopify, woocommerce := w.Requests()
				assert.Equal(t, w.Ecosire.Count(nil), ecosire, "or the wire has forgotten some")
				// A shop whose items are not known is listed, or where that is sooner SKUs are
				// searched for, shopifyTerms in a request.
				searches := w.Shopify.Count(mentions("FindItems"))
				assert.LessOrEqual(t, searches, pages(n, shopifyTerms)+pages(n, group), "a search for each SKU at most")
				assert.LessOrEqual(t, shopify-searches, 2*pages(n, shopifyPage)+2+fill.writes(n, shopifyPage), "nothing else")
				assert.LessOrEqual(t, woocommerce, pages(n, wooPage)+fill.writes(n, wooPage), "nothing else")
			})
		})
	}
	n, f := int(between(random, 100, 3_000)), fill()
	t.Run("Amazon, "+name(n, f), func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			m := newMarket(t, n, f, 0, 0)
			_, err := m.syncer.Reconcile(t.Context())
			require.NoError(t, err)
			assert.Zero(t, m.wrong())
			assert.Equal(t, pages(n, amazonPage), m.calls("searchListingsItems"))
			assert.Equal(t, f.Differing(n), m.calls("patchListingsItem"))
		})
	})
	n, f = int(between(random, 100, 5_000)), fill()
	t.Run("Square, "+name(n, f), func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newTillWorld(t, n, f)
			_, err := w.syncer.Reconcile(t.Context())
			require.NoError(t, err)
			assert.Equal(t, pages(n, squareRead), w.till.Count(channeltest.On("", "/catalog/search")))
			reads := pages(n, squareRead)
			if f == Fresh {
				reads *= 2 // what has no count is asked for once more
			}
			assert.Equal(t, reads, w.till.Count(channeltest.On("", "/counts/")))
			assert.LessOrEqual(t, w.till.Count(channeltest.On("", "/changes/")), f.writes(n, squareWrite))
		})
	})
}
