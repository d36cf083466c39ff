package shopify

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/internal/racetest"
	"github.com/ecosire/stocksync/shopify/shopifytest"
)

// Of many calls that are answered together, in any order, each is counted once: the
// count is not above the shop's, and not far below.
func TestCallsAnsweredTogetherAreCountedOnce(t *testing.T) {
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 0))
			b := newBucket()
			const calls, price, actual = 150, 9, 8
			left := 2000.0
			answers := make([]*cost, calls)
			debits := make([]*debit, calls)
			for i := range calls {
				debits[i], _ = b.take(t.Context(), "a", price)
			}
			for i := range calls {
				left -= actual
				answers[i] = &cost{requested: price, actual: actual, maximum: 2000, available: left, rate: 100}
			}
			for i, j := range random.Perm(calls) {
				b.settle(debits[i], answers[j])
				assert.LessOrEqual(t, b.points-b.held, left, "those under way may have been counted")
			}
			assert.LessOrEqual(t, b.points, left)
			assert.Greater(t, b.points, left-20)
		})
	}
}

// What others draw meanwhile is seen when the calls have ended.
func TestWhatOthersDrawBesideManyCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBucket()
		var debits []*debit
		for range 50 {
			d, _ := b.take(t.Context(), "a", 9)
			debits = append(debits, d)
		}
		left := 1000.0 // another process has taken the rest
		for _, d := range debits {
			left -= 8
			b.settle(d, &cost{requested: 9, actual: 8, maximum: 2000, available: left, rate: 100})
		}
		assert.LessOrEqual(t, b.points, left)
	})
}

// unthrottled makes a refusal for lack of points fail the test.
func unthrottled(t *testing.T, shop *shopifytest.Server) {
	shop.Inject(channeltest.Fault{Times: -1, Rewrite: func(status int, _ http.Header, body []byte) (int, []byte) {
		assert.False(t, bytes.Contains(body, []byte("THROTTLED")), "there were not enough points")
		return status, body
	}})
}

// What is not known is listed as long as that is not slower than searching for the
// rest.
func TestItemsAreListedOrSearchedForByWhatIsSooner(t *testing.T) {
	for _, tt := range []struct {
		products, drained, lists, searches int
	}{
		{200, 0, 0, 8},
		{500, 0, 2, 0},
		{1000, 0, 4, 0},
		{1100, 0, 2, 24},
		{3000, 0, 2, 100},
		{6000, 0, 6, 180},
		{3000, 1500, 12, 0},
	} {
		t.Run(fmt.Sprintf("%d products, %d points gone", tt.products, tt.drained), func(t *testing.T) {
			if tt.products > 500 {
				racetest.Long(t)
			}
			synctest.Test(t, func(t *testing.T) {
				shop := shopifytest.New(shopifytest.Config{Latency: 200 * time.Millisecond})
				ch := open(t, shop)
				skus := stock(shop, tt.products)
				unthrottled(t, shop)
				shop.Drain(float64(tt.drained))
				if tt.drained > 0 {
					levels(t, ch, "NONE") // it is told
					shop.Forget()
				}
				ctx := channel.WithUrgency(channel.WithExpected(channel.WithRun(t.Context(), "1"), tt.products), channel.Background)
				require.NoError(t, ch.Preload(ctx))
				listed := shop.Count(doing(listItems))
				got, err := ch.Levels(ctx, skus)
				require.NoError(t, err)
				assert.Len(t, got, tt.products)
				assert.Equal(t, []int{tt.lists, tt.searches}, []int{listed, shop.Count(doing(findItems))})
			})
		})
	}
}

// What no item had in the run before is searched for, and not listed for again.
func TestWhatIsNotSoldIsNoReasonToList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := shopifytest.New(shopifytest.Config{Latency: 200 * time.Millisecond})
		ch := open(t, shop)
		skus := stock(shop, 3000)
		for i := range 400 {
			skus = append(skus, fmt.Sprint("NONE-", i))
		}
		for run := range 2 {
			shop.Forget()
			ctx := channel.WithExpected(channel.WithRun(t.Context(), fmt.Sprint(run)), len(skus))
			require.NoError(t, ch.Preload(ctx))
			assert.Equal(t, 2-2*run, shop.Count(doing(listItems)))
			_, err := ch.Levels(ctx, skus)
			require.NoError(t, err)
			time.Sleep(time.Hour)
		}
	})
}

// A search for several SKUs that finds more than its first page has is read on.
func TestSearchThatFindsMoreThanAPage(t *testing.T) {
	shop := shopifytest.New(shopifytest.Config{})
	ch := open(t, shop)
	var skus []string
	for i := range maxTerms {
		skus = append(skus, fmt.Sprintf("ITEM-%c", 'A'+i))
		for j := range 8 {
			shop.Add(shopifytest.Item{SKU: fmt.Sprintf("ITEM-%c%d", 'A'+i, j)})
		}
	}
	for _, sku := range skus { // behind all the others
		shop.Add(shopifytest.Item{SKU: sku, Available: 4})
	}
	got := levels(t, ch, skus...)
	require.Len(t, got, maxTerms)
	assert.Equal(t, 2, shop.Count(doing(findItems)))
	var first, second struct{ Variables findItemsVars }
	requests := shop.Requests()
	variables(t, requests[0], &first.Variables)
	variables(t, requests[1], &second.Variables)
	assert.Equal(t, []int{fewPlaces, maxInput}, []int{first.Variables.First, second.Variables.First})
	assert.Nil(t, first.Variables.After)
	assert.NotNil(t, second.Variables.After)
}
