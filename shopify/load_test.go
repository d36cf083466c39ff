package shopify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
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

func TestSmallShopIsListed(t *testing.T) {
	for _, n := range []int{0, 1, 250, 251, 499, 500, 501, 750, 1000, 1001, 4800} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				shop := shopifytest.New(shopifytest.Config{Latency: 200 * time.Millisecond, BulkTime: time.Duration(n) * time.Millisecond})
				ch := open(t, shop)
				skus := stock(shop, n)
				ctx := channel.WithRun(t.Context(), "run-1")
				start := time.Now()
				require.NoError(t, ch.Preload(ctx))
				assert.LessOrEqual(t, time.Since(start), max(1, time.Duration(n/500+1))*200*time.Millisecond)
				assert.Zero(t, shop.Count(doing(startBulk)))
				shop.Forget()
				require.NoError(t, ch.Preload(ctx))
				assert.Empty(t, shop.Requests(), "once a run is enough")
				got, err := ch.Levels(ctx, skus)
				require.NoError(t, err)
				assert.Len(t, got, n)
				assert.Zero(t, shop.Count(doing(findItems)))
			})
		})
	}
}

func TestListedItemsMayBeFoundLater(t *testing.T) {
	shop := shopifytest.New(shopifytest.Config{})
	ch := open(t, shop)
	shop.Add(shopifytest.Item{SKU: "A"})
	ctx := channel.WithRun(t.Context(), "run-1")
	require.NoError(t, ch.Preload(ctx))
	shop.Add(shopifytest.Item{SKU: "NEW", Available: 3})
	got, err := ch.Levels(ctx, []string{"NEW"})
	require.NoError(t, err)
	assert.Equal(t, 3, got[0].Quantity, "it was not there when the list was read")
}

func TestBulkOperationOnlyWhereItIsWorthIt(t *testing.T) {
	ctx := func(t *testing.T, run string, expected int) context.Context {
		return channel.WithExpected(channel.WithRun(t.Context(), run), expected)
	}
	count := func(shop *shopifytest.Server) []int {
		defer shop.Forget()
		return []int{shop.Count(doing(listItems)), shop.Count(doing(startBulk))}
	}
	for _, test := range []struct {
		name            string
		items, expected int
		want            []int
	}{
		{"few products", 6000, 200, []int{0, 0}},
		{"a thousand products in a small shop", 1000, 1000, []int{4, 0}},
		{"a thousand products in a large shop", 6000, 1000, []int{4, 0}},
		{"a minute's products", 6000, 6000, []int{24, 0}},
		{"many products", 6001, 6001, []int{0, 1}},
		{"nobody knows", 6001, 0, []int{24, 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				shop := shopifytest.New(shopifytest.Config{Bucket: 1e6, RestoreRate: 1e6})
				ch := open(t, shop)
				stock(shop, test.items)
				require.NoError(t, ch.Preload(ctx(t, "1", test.expected)))
				assert.Equal(t, test.want, count(shop))
			})
		})
	}
	for _, test := range []struct {
		name string
		told int
		want []int
	}{{"a thousand products", 1000, []int{4, 0}}, {"many products", 6001, []int{2, 1}}} {
		t.Run(test.name+", which is told meanwhile", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				shop := shopifytest.New(shopifytest.Config{Bucket: 1e6, RestoreRate: 1e6, Latency: 200 * time.Millisecond})
				ch := open(t, shop)
				stock(shop, test.told)
				ctx := ctx(t, "1", 0)
				time.AfterFunc(100*time.Millisecond, func() { channel.Expect(ctx, test.told) })
				require.NoError(t, ch.Preload(ctx))
				assert.Equal(t, test.want, count(shop))
			})
		})
	}
	t.Run("what is known need not be read again", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			shop := shopifytest.New(shopifytest.Config{Bucket: 1e6, RestoreRate: 1e6})
			ch := open(t, shop)
			skus := stock(shop, 6000)
			require.NoError(t, ch.Preload(ctx(t, "1", 6000)))
			shop.Forget()
			var none []string
			for i := range 2000 {
				none = append(none, fmt.Sprint("NONE-", i))
			}
			for run, missed := range []int{500, 900, 2000, 5} {
				name := fmt.Sprint("run ", run)
				require.NoError(t, ch.Preload(ctx(t, name, 6000)))
				// The run after the one that missed many reads all items.
				assert.Equal(t, map[bool][]int{true: {0, 1}, false: {0, 0}}[run == 3], count(shop), run)
				_, err := ch.Levels(ctx(t, name, 6000), append(skus[:10:10], none[:missed]...))
				require.NoError(t, err)
				if run == 3 {
					assert.Zero(t, shop.Count(doing(findItems)), "it knows what there is")
				}
				shop.Forget()
			}
		})
	})
}

func TestBulkOperationThatDoesNotEnd(t *testing.T) {
	for name, cfg := range map[string]shopifytest.Config{
		"at all": {BulkTime: -1}, "within hours": {BulkTime: 1000 * time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				shop := shopifytest.New(cfg)
				var log bytes.Buffer
				ch := open(t, shop, func(c *Config, _ *ChannelConfig) { c.Logger = logger(&log) })
				unlisted(shop)
				skus := stock(shop, 3)
				ctx := channel.WithRun(t.Context(), "run-1")
				start := time.Now()
				require.ErrorIs(t, ch.Preload(ctx), channel.ErrUnavailable)
				assert.LessOrEqual(t, time.Since(start), 4*time.Minute)
				assert.Equal(t, 1, shop.Count(doing(cancelBulk)))
				assert.Contains(t, log.String(), "does not end")
				var state struct {
					CurrentBulkOperation struct{ Status string }
				}
				require.NoError(t, ch.client.Query(ctx, `{ currentBulkOperation { status } }`, nil, &state))
				assert.Equal(t, "CANCELED", state.CurrentBulkOperation.Status)

				got, err := ch.Levels(ctx, skus)
				require.NoError(t, err)
				assert.Len(t, got, 3, "they are searched for")
				shop.Forget()
				start = time.Now()
				require.Error(t, ch.Preload(channel.WithRun(t.Context(), "run-2")))
				for _, err := range ch.SKUs(t.Context()) {
					require.ErrorIs(t, err, channel.ErrUnavailable)
				}
				assert.Zero(t, shop.Count(doing(startBulk)), "none for a while")
				assert.Less(t, time.Since(start), time.Second)
				time.Sleep(bulkRest)
				require.Error(t, ch.Preload(channel.WithRun(t.Context(), "run-3")))
				assert.Equal(t, 1, shop.Count(doing(startBulk)))
			})
		})
	}
}

func TestLongBulkOperationThatGetsOnIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := shopifytest.New(shopifytest.Config{BulkTime: 20 * time.Minute})
		ch := open(t, shop)
		unlisted(shop)
		stock(shop, 100)
		assert.NoError(t, ch.Preload(t.Context()))
	})
}

func TestBulkOperationOfACallerThatLeavesIsCanceled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := shopifytest.New(shopifytest.Config{BulkTime: -1})
		ch := open(t, shop)
		unlisted(shop)
		stock(shop, 3)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		start := time.Now()
		assert.ErrorIs(t, ch.Preload(ctx), context.DeadlineExceeded)
		assert.LessOrEqual(t, time.Since(start), 10*time.Second+cancelGrace)
		assert.Equal(t, 1, shop.Count(doing(cancelBulk)))
		shop.Inject(channeltest.Fault{Match: doing(cancelBulk), Delay: time.Hour})
		ctx, cancel = context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		start = time.Now()
		assert.ErrorIs(t, ch.Preload(ctx), context.DeadlineExceeded)
		assert.LessOrEqual(t, time.Since(start), 10*time.Second+cancelGrace)
	})
}

// torn breaks the connection in the middle of the next downloads.
type torn struct {
	http.RoundTripper
	times int
}

func (c *torn) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := c.RoundTripper.RoundTrip(r)
	if err == nil && r.Method == http.MethodGet && c.times > 0 {
		c.times--
		text, _ := io.ReadAll(resp.Body)
		resp.Body = io.NopCloser(io.MultiReader(bytes.NewReader(text[:len(text)*2/3]), broken{}))
	}
	return resp, err
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestDownloadIsTriedAgain(t *testing.T) {
	download := channeltest.On(http.MethodGet, "")
	for name, test := range map[string]struct {
		faults []channeltest.Fault
		torn   int
	}{
		"one 503":            {faults: []channeltest.Fault{{Match: download, Status: 503}}},
		"one cut":            {faults: []channeltest.Fault{{Match: download, Cut: true}}},
		"one stalled":        {faults: []channeltest.Fault{{Match: download, Delay: time.Hour}}},
		"an old address":     {faults: []channeltest.Fault{{Match: download, Status: 403}}},
		"half a file":        {faults: []channeltest.Fault{shopifytest.HalfFile(2)}},
		"two different ones": {faults: []channeltest.Fault{{Match: download, Status: 500}, shopifytest.HalfFile(1)}},
		"torn in the middle": {torn: 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				shop := shopifytest.New(shopifytest.Config{})
				ch := open(t, shop, func(c *Config, _ *ChannelConfig) { c.HTTPClient.Transport = &torn{c.HTTPClient.Transport, test.torn} })
				unlisted(shop)
				skus := stock(shop, 500)
				shop.Inject(test.faults...)
				ctx := channel.WithRun(t.Context(), "run-1")
				require.NoError(t, ch.Preload(ctx))
				assert.LessOrEqual(t, shop.Count(download), maxDownloads)
				got, err := ch.Levels(ctx, append(skus[:10:10], "NONE"))
				require.NoError(t, err)
				assert.Len(t, got, 10)
				assert.Zero(t, shop.Count(doing(findItems)), "it is whole")

				shop.Heal()
				shop.Inject(test.faults...)
				var listed []string
				for sku, err := range ch.SKUs(ctx) {
					require.NoError(t, err)
					listed = append(listed, sku)
				}
				slices.Sort(listed)
				assert.Equal(t, skus, listed, "each once")
			})
		})
	}
}

// drip sends a line every half minute, for ever.
type drip struct{ http.RoundTripper }

func (d drip) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := d.RoundTripper.RoundTrip(r)
	if err == nil && r.Method == http.MethodGet {
		resp.Body = io.NopCloser(&dripping{r.Context(), 0})
	}
	return resp, err
}

type dripping struct {
	ctx context.Context
	n   int
}

func (d *dripping) Read(p []byte) (int, error) {
	if err := pause(d.ctx, 30*time.Second); err != nil {
		return 0, err
	}
	d.n++
	return copy(p, fmt.Sprintf(`{"id":"gid://shopify/InventoryItem/%d","sku":"D-%d"}`+"\n", d.n, d.n)), nil
}

func TestDownloadWithoutAnEnd(t *testing.T) {
	for _, items := range []int{3, 100_000} { // more lines than there are items, or too few in a day
		synctest.Test(t, func(t *testing.T) {
			shop := shopifytest.New(shopifytest.Config{})
			ch := open(t, shop, func(c *Config, _ *ChannelConfig) { c.HTTPClient.Transport = drip{c.HTTPClient.Transport} })
			unlisted(shop)
			stock(shop, 3)
			shop.Inject(channeltest.Fault{Match: doing(pollBulk), Times: -1, Rewrite: func(status int, _ http.Header, body []byte) (int, []byte) {
				return status, []byte(strings.Replace(string(body), `"rootObjectCount":"3"`, fmt.Sprintf(`"rootObjectCount":"%d"`, items), 1))
			}})
			start := time.Now()
			require.ErrorIs(t, ch.Preload(t.Context()), channel.ErrUnavailable)
			assert.LessOrEqual(t, time.Since(start), maxDownloads*(bulkLimit+time.Minute))
		})
	}
}

func TestOddLinesOfABulkResult(t *testing.T) {
	for name, line := range map[string]string{
		"a number as SKU": `{"id":"gid://shopify/InventoryItem/9","sku":7}`, "no id": `{"sku":"B"}`, "no JSON": `{"id":`, "text": `"B"`, "null": `null`,
		"another thing": `{"id":"gid://shopify/Product/1","sku":"B"}`, "twice": `{"id":"gid://shopify/InventoryItem/9","sku":"B","SKU":"C"}`,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				shop := shopifytest.New(shopifytest.Config{})
				ch := open(t, shop)
				unlisted(shop)
				id := shop.Add(shopifytest.Item{SKU: "A", Available: 1}, shopifytest.Item{SKU: "B", Available: 2}, shopifytest.Item{SKU: "C", Available: 3})[1]
				f := shopifytest.OddRow(id, func([]byte) []byte { return []byte(line) })
				f.Match = channeltest.On(http.MethodGet, "")
				shop.Inject(f)
				ctx := channel.WithRun(t.Context(), "run-1")
				require.NoError(t, ch.Preload(ctx), "one line is one item")
				shop.Forget()
				got, err := ch.Levels(ctx, []string{"A", "B", "C"})
				require.NoError(t, err)
				require.Len(t, got, 3, "B is searched for")
				assert.Equal(t, []int{1, 2, 3}, []int{got[0].Quantity, got[1].Quantity, got[2].Quantity})

				var skus []string
				var last error
				for sku, err := range ch.SKUs(ctx) {
					if last = err; err == nil {
						skus = append(skus, sku)
					}
				}
				assert.Equal(t, []string{"A", "C"}, skus)
				assert.ErrorIs(t, last, channel.ErrIncomplete, "nobody may think that B is gone")
			})
		})
	}
}

func TestBulkResultWithoutACountIsNotWhole(t *testing.T) {
	for _, count := range []string{`null`, `""`, `"-1"`, `"x"`, `"99999999999999999999"`} {
		synctest.Test(t, func(t *testing.T) {
			shop := shopifytest.New(shopifytest.Config{})
			ch := open(t, shop)
			unlisted(shop)
			stock(shop, 3)
			shop.Inject(channeltest.Fault{Match: doing(pollBulk), Times: -1, Rewrite: func(status int, _ http.Header, body []byte) (int, []byte) {
				return status, []byte(strings.Replace(string(body), `"rootObjectCount":"3"`, `"rootObjectCount":`+count, 1))
			}})
			var last error
			n := 0
			for _, err := range ch.SKUs(t.Context()) {
				n, last = n+1, err
			}
			assert.Equal(t, 4, n)
			assert.ErrorIs(t, last, channel.ErrIncomplete, count)
		})
	}
}

// The beginning of very many SKUs spoils neither its batch nor the day.
func TestSKUWhoseSearchFindsTooMany(t *testing.T) {
	racetest.Long(t)
	synctest.Test(t, func(t *testing.T) {
		shop := shopifytest.New(shopifytest.Config{Bucket: 1e6, RestoreRate: 1e6})
		var log bytes.Buffer
		ch := open(t, shop, func(c *Config, _ *ChannelConfig) { c.Logger = logger(&log) })
		var items []shopifytest.Item
		for i := range 25_000 {
			items = append(items, shopifytest.Item{SKU: fmt.Sprintf("LONG-%05d", i)})
		}
		shop.Add(append(items, shopifytest.Item{SKU: "LONG", Available: 9})...)
		skus := append(stock(shop, 24), "LONG")
		shop.Forget()
		got := levels(t, ch, skus...)
		require.Len(t, got, 25)
		for _, l := range got[:24] {
			assert.NoError(t, l.Err)
		}
		err := got[24].Err
		require.ErrorIs(t, err, channel.ErrIncomplete)
		assert.NotErrorIs(t, err, channel.ErrUnknownSKU)
		assert.False(t, channel.Permanent(err))
		assert.ErrorContains(t, err, "2000 other items")
		assert.LessOrEqual(t, shop.Count(doing(findItems)), 45)
		assert.Equal(t, 1, strings.Count(log.String(), "too many other items"))

		shop.Forget()
		for range 100 {
			got = levels(t, ch, "LONG", skus[0])
			assert.ErrorIs(t, got[0].Err, channel.ErrIncomplete)
			assert.NoError(t, got[1].Err)
			errs, ok := ch.Push(t.Context(), []channel.Update{{SKU: "LONG", Quantity: 3}}).(channel.Errors)
			require.True(t, ok)
			assert.ErrorIs(t, errs["LONG"], channel.ErrIncomplete)
		}
		assert.Zero(t, shop.Count(doing(findItems)), "it is remembered")

		// A run over the whole catalogue finds it all the same.
		require.NoError(t, ch.Preload(channel.WithRun(t.Context(), "run-1")))
		assert.Equal(t, 9, levels(t, ch, "LONG")[0].Quantity)
	})
}

// An item that the search does not find yet is not given up.
func TestNewItemThatTheSearchDoesNotFindYet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := shopifytest.New(shopifytest.Config{IndexLag: 20 * time.Second})
		ch := open(t, shop)
		stock(shop, 2)
		time.Sleep(time.Hour)
		look := func() error {
			t.Helper()
			got := levels(t, ch, "NEW", "SKU-0000")
			require.NotEmpty(t, got)
			if len(got) == 1 {
				return errors.New("absent")
			}
			errs, _ := ch.Push(t.Context(), []channel.Update{{SKU: "NEW", Quantity: 5}}).(channel.Errors)
			if got[0].Err != nil {
				assert.ErrorIs(t, errs["NEW"], channel.ErrUnknownSKU)
				assert.False(t, channel.Permanent(errs["NEW"]))
			}
			return got[0].Err
		}
		// Asked for before it is there.
		start := time.Now()
		for time.Since(start) < indexLag {
			err := look()
			require.ErrorIs(t, err, channel.ErrUnknownSKU)
			assert.False(t, channel.Permanent(err))
			time.Sleep(30 * time.Second)
		}
		assert.EqualError(t, look(), "absent", "at some time it is just not there")
		time.Sleep(2 * time.Hour)
		shop.Add(shopifytest.Item{SKU: "NEW"})
		assert.ErrorIs(t, look(), channel.ErrUnknownSKU, "but things change within hours")
		time.Sleep(20 * time.Second)
		assert.NoError(t, look())
		assert.Equal(t, 5, available(t, shop, "NEW"))
	})
}
