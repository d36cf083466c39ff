package shopify

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/shopify/shopifytest"
)

func TestWarmLevelsOf250TakeOneRequest(t *testing.T) {
	shop := shopifytest.New(shopifytest.Config{})
	ch := open(t, shop)
	skus := stock(shop, 251)
	require.Len(t, levels(t, ch, skus...), 251)
	assert.Equal(t, 11, shop.Count(doing(findItems)), "25 terms a search")
	shop.Forget()

	got := levels(t, ch, skus[:250]...)
	assert.Len(t, shop.Requests(), 1)
	for i, l := range got {
		assert.Equal(t, channel.Level{SKU: skus[i], Quantity: i, Ref: l.Ref}, l)
		assert.Regexp(t, `^gid://shopify/InventoryItem/\d+$`, l.Ref)
	}
	shop.Forget()
	assert.Len(t, levels(t, ch, skus...), 251)
	assert.Len(t, shop.Requests(), 2)
}

func TestNothingToAskTakesNoRequest(t *testing.T) {
	shop := shopifytest.New(shopifytest.Config{})
	ch := open(t, shop)
	shop.Add(shopifytest.Item{SKU: ""}, shopifytest.Item{SKU: ""})
	assert.Empty(t, levels(t, ch))
	assert.Empty(t, levels(t, ch, ""), "items without SKU belong to nobody")
	assert.NoError(t, ch.Push(t.Context(), nil))
	assert.Empty(t, shop.Requests())
}

func TestSearchIsNotExact(t *testing.T) {
	shop := shopifytest.New(shopifytest.Config{})
	ch := open(t, shop)
	shop.Add(
		shopifytest.Item{SKU: "MUG-RED", Available: 1},
		shopifytest.Item{SKU: "mug", Available: 2},
		shopifytest.Item{SKU: "MUG", Available: 3},
		shopifytest.Item{SKU: "OTHER MUG", Available: 4},
	)
	got := known(levels(t, ch, "MUG", "mug", "MUG-", "OTHER"))
	require.Len(t, got, 2)
	assert.Equal(t, "MUG", got[0].SKU)
	assert.Equal(t, 3, got[0].Quantity)
	assert.Equal(t, "mug", got[1].SKU)
	assert.Equal(t, 2, got[1].Quantity)
}

func TestSearchOfPrefixesIsReadToItsEnd(t *testing.T) {
	shop := shopifytest.New(shopifytest.Config{})
	ch := open(t, shop)
	stock(shop, 600)
	shop.Add(shopifytest.Item{SKU: "SKU", Available: 7})
	got := levels(t, ch, "SKU")
	require.Len(t, got, 1)
	assert.Equal(t, 7, got[0].Quantity)
	assert.Equal(t, 3, shop.Count(doing(findItems)))
}

func TestNearMissIsReportedWithWhatItNearlyIs(t *testing.T) {
	shop := shopifytest.New(shopifytest.Config{})
	ch := open(t, shop)
	shop.Add(shopifytest.Item{SKU: "Mug Red"})
	got := levels(t, ch, "MUG RED")
	require.Len(t, got, 1)
	assert.ErrorIs(t, got[0].Err, channel.ErrUnknownSKU)
	assert.ErrorContains(t, got[0].Err, `"Mug Red"`)
	err := ch.Push(t.Context(), []channel.Update{{SKU: "MUG RED", Quantity: 1}})
	assert.ErrorIs(t, err, channel.ErrUnknownSKU)
	assert.ErrorContains(t, err, `"Mug Red"`)
}

func TestBlanksOfAnSKUAreInItsError(t *testing.T) {
	shop := shopifytest.New(shopifytest.Config{})
	ch := open(t, shop)
	shop.Add(shopifytest.Item{SKU: "MUG RED"})
	for _, sku := range []string{" MUG RED", "MUG  RED", "MUG\tRED", "MUGRED"} {
		got := levels(t, ch, sku)
		require.Len(t, got, 1)
		assert.EqualError(t, got[0].Err, fmt.Sprintf(`unknown SKU %q: did you mean "MUG RED"? SKUs must match exactly`, sku))
	}
	long := strings.Repeat("x\n", 100_000)
	assert.Less(t, len(levels(t, ch, long)[0].Err.Error()), 2000)
}

func TestKnownNearMissDoesNotHideANewItem(t *testing.T) {
	shop := shopifytest.New(shopifytest.Config{})
	ch := open(t, shop)
	shop.Add(shopifytest.Item{SKU: "Mug Red"})
	levels(t, ch, "Mug Red")
	shop.Add(shopifytest.Item{SKU: "MUG RED", Available: 2})
	got := levels(t, ch, "MUG RED")
	require.Len(t, got, 1)
	assert.NoError(t, got[0].Err)
	assert.Equal(t, 2, got[0].Quantity)
}

func TestAwkwardSKUs(t *testing.T) {
	skus := []string{
		`a b`, `it's`, `4" pipe`, `back\slash`, `end\`, `a:b`, `a,b`, `(x)`, `a OR b`, `sku:'x'`, `*`, `-1`, `ÄÖ`, `ß`, `İ`,
		`<tag>&`, `漢字`, ` lead`, `{"a":1}`, `%41`, `'`, `"`, `\'`,
	}
	shop := shopifytest.New(shopifytest.Config{})
	ch := open(t, shop)
	for i, sku := range skus {
		shop.Add(shopifytest.Item{SKU: sku, Available: i})
	}
	got := levels(t, ch, skus...)
	require.Len(t, got, len(skus))
	for i, l := range got {
		assert.Equal(t, skus[i], l.SKU)
		assert.Equal(t, i, l.Quantity)
		assert.NoError(t, l.Err)
	}
}

func TestDuplicateSKUComesBackOnceForEachItem(t *testing.T) {
	shop := shopifytest.New(shopifytest.Config{})
	ch := open(t, shop)
	ids := shop.Add(shopifytest.Item{SKU: "A", Available: 1}, shopifytest.Item{SKU: "A", Available: 2}, shopifytest.Item{SKU: "B"})
	got := levels(t, ch, "A", "B")
	require.Len(t, got, 3)
	assert.ElementsMatch(t, ids[:2], []string{got[0].Ref, got[1].Ref})

	for _, seen := range []*channel.Level{nil, &got[0]} {
		err := ch.Push(t.Context(), []channel.Update{{SKU: "A", Quantity: 9, Seen: seen}})
		require.ErrorIs(t, err, channel.ErrAmbiguousSKU)
		assert.ErrorContains(t, err, ids[0])
		assert.ErrorContains(t, err, ids[1])
	}
	assert.Empty(t, shop.History())
}

// Whether or not the shop's count of duplicates includes the item itself.
func TestDuplicateThatAppearsLaterIsNoticed(t *testing.T) {
	for _, fromZero := range []bool{false, true} {
		t.Run(fmt.Sprint("count from zero: ", fromZero), func(t *testing.T) {
			shop := shopifytest.New(shopifytest.Config{})
			count := 1
			if fromZero {
				count = 0
			}
			shop.Inject(channeltest.Fault{Match: doing(readLevels), Times: -1, Rewrite: func(status int, _ http.Header, body []byte) (int, []byte) {
				return status, regexp.MustCompile(`"duplicateSkuCount":\d`).ReplaceAll(body, fmt.Appendf(nil, `"duplicateSkuCount":%d`, count))
			}})
			ch := open(t, shop)
			shop.Add(shopifytest.Item{SKU: "A"})
			require.Len(t, levels(t, ch, "A"), 1)
			shop.Forget()
			require.Len(t, levels(t, ch, "A"), 1)
			require.Len(t, shop.Requests(), 1)
			shop.Add(shopifytest.Item{SKU: "A"})
			count++
			assert.Len(t, levels(t, ch, "A"), 2)
		})
	}
}

func TestUnknownSKUIsAbsentAndLookedUpOncePerCall(t *testing.T) {
	shop := shopifytest.New(shopifytest.Config{})
	ch := open(t, shop)
	assert.Empty(t, known(levels(t, ch, "NEW", "NEW")))
	assert.Len(t, shop.Requests(), 1)

	// The search finds it later.
	shop.Add(shopifytest.Item{SKU: "NEW", Available: 4})
	got := levels(t, ch, "NEW")
	require.Len(t, got, 1)
	assert.Equal(t, 4, got[0].Quantity)

	err := ch.Push(t.Context(), []channel.Update{{SKU: "NEW", Quantity: 5}, {SKU: "NONE", Quantity: 5}, {SKU: "", Quantity: 1}})
	errs, ok := err.(channel.Errors)
	require.True(t, ok)
	assert.Len(t, errs, 2)
	assert.ErrorIs(t, errs["NONE"], channel.ErrUnknownSKU)
	assert.ErrorIs(t, errs[""], channel.ErrUnknownSKU)
	assert.Equal(t, 5, available(t, shop, "NEW"))
}

func TestRenamedSKU(t *testing.T) {
	shop := shopifytest.New(shopifytest.Config{})
	ch := open(t, shop)
	shop.Add(shopifytest.Item{SKU: "OLD", Available: 1}, shopifytest.Item{SKU: "STAYS", Available: 2})
	levels(t, ch, "OLD", "STAYS")
	shop.Rename("OLD", "NEW")
	shop.Forget()

	got := known(levels(t, ch, "OLD", "STAYS"))
	require.Len(t, got, 1)
	assert.Equal(t, "STAYS", got[0].SKU)
	assert.Equal(t, 2, shop.Count(nil), "read, and looked up once")
	shop.Forget()
	got = levels(t, ch, "NEW")
	require.Len(t, got, 1)
	assert.Equal(t, 1, got[0].Quantity)
	assert.Equal(t, 1, shop.Count(nil), "learned by the way")

	// Another item takes the SKU over.
	shop.Add(shopifytest.Item{SKU: "OLD", Available: 9})
	got = levels(t, ch, "OLD", "NEW")
	require.Len(t, got, 2)
	assert.Equal(t, 9, got[0].Quantity)
	assert.Equal(t, 1, got[1].Quantity)
}

func TestSKUsThatSwapItems(t *testing.T) {
	shop := shopifytest.New(shopifytest.Config{})
	ch := open(t, shop)
	shop.Add(shopifytest.Item{SKU: "A", Available: 1}, shopifytest.Item{SKU: "B", Available: 2})
	levels(t, ch, "A", "B")
	shop.Rename("A", "X")
	shop.Rename("B", "A")
	shop.Rename("X", "B")
	got := levels(t, ch, "A", "B")
	require.Len(t, got, 2)
	assert.Equal(t, 2, got[0].Quantity)
	assert.Equal(t, 1, got[1].Quantity)
}

func TestDeletedItem(t *testing.T) {
	shop := shopifytest.New(shopifytest.Config{})
	ch := open(t, shop)
	shop.Add(shopifytest.Item{SKU: "A"}, shopifytest.Item{SKU: "B"})
	seen := levels(t, ch, "A", "B")
	shop.Remove("A")
	shop.Forget()
	got := known(levels(t, ch, "A", "B"))
	require.Len(t, got, 1)
	assert.Equal(t, 2, shop.Count(nil), "read, and looked up once")

	shop.Add(shopifytest.Item{SKU: "A", Available: 3}) // made anew
	got = levels(t, ch, "A")
	require.Len(t, got, 1)
	assert.Equal(t, 3, got[0].Quantity)
	assert.NotEqual(t, seen[0].Ref, got[0].Ref)
	shop.Forget()
	levels(t, ch, "A")
	require.Equal(t, 1, shop.Count(nil))
	var vars readLevelsVars
	variables(t, shop.Requests()[0], &vars)
	assert.Len(t, vars.IDs, 1, "the old one is forgotten")
}

func TestUntrackedAndNotStocked(t *testing.T) {
	shop := shopifytest.New(shopifytest.Config{})
	ch := open(t, shop)
	shop.Add(
		shopifytest.Item{SKU: "UNTRACKED", Untracked: true},
		shopifytest.Item{SKU: "NOT STOCKED", NotStocked: true},
		shopifytest.Item{SKU: "INACTIVE", Inactive: true, Available: 5},
	)
	skus := []string{"UNTRACKED", "NOT STOCKED", "INACTIVE"}
	want := []error{channel.ErrNotTracked, channel.ErrNotStocked, channel.ErrNotStocked}
	got := levels(t, ch, skus...)
	require.Len(t, got, 3)
	for i, l := range got {
		assert.ErrorIs(t, l.Err, want[i])
		for _, seen := range []*channel.Level{nil, &l, {SKU: l.SKU, Unset: true, Ref: l.Ref}} {
			assert.ErrorIs(t, ch.Push(t.Context(), []channel.Update{{SKU: l.SKU, Quantity: 1, Seen: seen}}), want[i])
		}
	}
	assert.Empty(t, shop.History())
}

func TestAnswersThatDoNotAnswerAreNotUnknownSKUs(t *testing.T) {
	for name, body := range map[string]string{
		"no list":         `{"data":{"nodes":null}}`,
		"too short":       `{"data":{"nodes":[]}}`,
		"too long":        `{"data":{"nodes":[null,null]}}`,
		"other item":      `{"data":{"nodes":[{"id":"gid://shopify/InventoryItem/9","sku":"A","tracked":true}]}}`,
		"other type":      `{"data":{"nodes":[{}]}}`,
		"no quantity":     `{"data":{"nodes":[{"id":"ID","sku":"A","tracked":true,"inventoryLevel":{"isActive":true,"quantities":[]}}]}}`,
		"null quantities": `{"data":{"nodes":[{"id":"ID","sku":"A","tracked":true,"inventoryLevel":{"isActive":true,"quantities":null}}]}}`,
		"with errors":     `{"data":{"nodes":[null]},"errors":[{"message":"part failed"}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			shop := shopifytest.New(shopifytest.Config{})
			ch := open(t, shop)
			id := shop.Add(shopifytest.Item{SKU: "A"})[0]
			shop.Inject(answering(readLevels, 200, strings.ReplaceAll(body, "ID", id)))
			got, err := ch.Levels(t.Context(), []string{"A"})
			if err == nil {
				require.Len(t, got, 1)
				err = got[0].Err
			}
			require.Error(t, err)
			assert.False(t, channel.Permanent(err))
		})
	}
}

func TestPreloadAnswersForAllSKUs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := shopifytest.New(shopifytest.Config{BulkTime: 20 * time.Second})
		ch := open(t, shop)
		unlisted(shop)
		skus := stock(shop, 500)
		shop.Add(shopifytest.Item{SKU: "HIDDEN", Available: 6, Unindexed: true}, shopifytest.Item{}, shopifytest.Item{SKU: "Case"})
		ctx := channel.WithRun(t.Context(), "run-1")
		require.NoError(t, ch.Preload(ctx))
		assert.LessOrEqual(t, shop.Count(doing(pollBulk)), 30, "asks less and less often")
		for _, r := range shop.Requests() {
			if r.Method == http.MethodGet {
				assert.NotEqual(t, "test-shop.myshopify.com", r.Host)
				assert.NotContains(t, r.Header, "X-Shopify-Access-Token")
			}
		}
		shop.Forget()
		require.NoError(t, ch.Preload(ctx))
		assert.Empty(t, shop.Requests(), "once a run is enough")

		got, err := ch.Levels(ctx, append(skus[:248:248], "HIDDEN", "case", "NONE"))
		require.NoError(t, err)
		assert.Len(t, shop.Requests(), 1, "no search in this run")
		require.Len(t, got, 250)
		assert.Equal(t, 6, got[248].Quantity)
		assert.ErrorContains(t, got[249].Err, `"Case"`)
		shop.Forget()

		// An item that came later is found in another run, and one that was
		// renamed in this one.
		shop.Add(shopifytest.Item{SKU: "NONE"})
		assert.Len(t, levels(t, ch, "NONE"), 1)
		shop.Rename("SKU-0001", "X")
		shop.Add(shopifytest.Item{SKU: "SKU-0001"})
		got, err = ch.Levels(ctx, []string{"SKU-0001"})
		require.NoError(t, err)
		assert.Len(t, got, 1)
	})
}

func TestPreloadOfAnEmptyShop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := shopifytest.New(shopifytest.Config{})
		ch := open(t, shop)
		unlisted(shop)
		ctx := channel.WithRun(t.Context(), "run-1")
		require.NoError(t, ch.Preload(ctx), "url is null")
		shop.Forget()
		got, err := ch.Levels(ctx, []string{"A"})
		require.NoError(t, err)
		assert.Empty(t, got)
		assert.Empty(t, shop.Requests())
	})
}

func TestPreloadFails(t *testing.T) {
	poll := func(fields string) channeltest.Fault {
		return answering(pollBulk, 200, `{"data":{"bulkOperation":{`+fields+`}}}`)
	}
	download := channeltest.On(http.MethodGet, "")
	for name, fault := range map[string]channeltest.Fault{
		"not started":      answering(startBulk, 200, `{"data":{"bulkOperationRunQuery":{"bulkOperation":null,"userErrors":[{"code":"OPERATION_IN_PROGRESS","field":null,"message":"busy"}]}}}`),
		"no word":          answering(startBulk, 200, `{"data":{"bulkOperationRunQuery":{"bulkOperation":null,"userErrors":null}}}`),
		"no operation":     answering(startBulk, 200, `{"data":{"bulkOperationRunQuery":{"bulkOperation":null,"userErrors":[]}}}`),
		"failed":           poll(`"status":"FAILED","errorCode":"TIMEOUT","url":null,"rootObjectCount":"0"`),
		"canceled":         poll(`"status":"CANCELED","url":null,"rootObjectCount":"0"`),
		"gone":             answering(pollBulk, 200, `{"data":{"bulkOperation":null}}`),
		"http elsewhere":   poll(`"status":"COMPLETED","url":"http://storage.example/x","rootObjectCount":"1"`),
		"file":             poll(`"status":"COMPLETED","url":"file:///etc/passwd","rootObjectCount":"1"`),
		"with a user":      poll(`"status":"COMPLETED","url":"https://u:p@storage.example/x","rootObjectCount":"1"`),
		"no url":           poll(`"status":"COMPLETED","url":null,"rootObjectCount":"3"`),
		"download refused": {Match: download, Status: 403, Times: -1},
		"download cut":     {Match: download, Cut: true, Times: -1},
		"redirect":         {Match: download, Status: 302, Header: http.Header{"Location": {"https://elsewhere.example/"}}, Times: -1},
		"HTML":             {Match: download, Times: -1, Rewrite: func(int, http.Header, []byte) (int, []byte) { return 200, []byte("<html>") }},
		"other lines":      {Match: download, Times: -1, Rewrite: func(int, http.Header, []byte) (int, []byte) { return 200, []byte(`{"id":"gid://shopify/Product/1"}`) }},
		"cut short": {Match: download, Times: -1, Rewrite: func(_ int, _ http.Header, body []byte) (int, []byte) {
			line, _, _ := strings.Cut(string(body), "\n")
			return 200, []byte(line + "\n")
		}},
		"stalled": {Match: download, Delay: 24 * time.Hour, Times: -1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				shop := shopifytest.New(shopifytest.Config{})
				ch := open(t, shop)
				stock(shop, 3)
				unlisted(shop)
				shop.Inject(fault)
				ctx := channel.WithRun(t.Context(), "run-1")
				start := time.Now()
				err := ch.Preload(ctx)
				require.Error(t, err)
				assert.Less(t, time.Since(start), 4*time.Minute)
				assert.NotContains(t, err.Error(), "?", "no signed address")
				assert.LessOrEqual(t, shop.Count(download), maxDownloads)

				// It only makes the run slower.
				shop.Heal()
				got, err := ch.Levels(ctx, []string{"SKU-0000", "NONE"})
				require.NoError(t, err)
				assert.Len(t, known(got), 1)
				require.NoError(t, ch.Preload(ctx))
			})
		})
	}
}

func TestStartOfABulkOperationIsNotRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := shopifytest.New(shopifytest.Config{})
		ch := open(t, shop)
		unlisted(shop)
		shop.Inject(channeltest.Fault{Match: doing(startBulk), Apply: true, Cut: true})
		require.ErrorIs(t, ch.Preload(t.Context()), channel.ErrUnavailable)
		assert.Equal(t, 1, shop.Count(doing(startBulk)))
	})
}
