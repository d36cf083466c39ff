package shopify

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/shopify/shopifytest"
)

// sent returns the writes that arrived.
func sent(t *testing.T, shop *shopifytest.Server) (writes []setQuantitiesVars) {
	for _, r := range shop.Requests() {
		if doing(setQuantities)(r) {
			var vars setQuantitiesVars
			variables(t, r, &vars)
			writes = append(writes, vars)
		}
	}
	return writes
}

func Test250ChangesTakeOneReadAndOneWrite(t *testing.T) {
	shop := shopifytest.New(shopifytest.Config{})
	ch := open(t, shop)
	skus := stock(shop, 250)
	levels(t, ch, skus...)
	shop.Forget()

	ctx := channel.WithRun(t.Context(), "run 7/ä")
	require.NoError(t, ch.Push(ctx, updates(levels(t, ch, skus...), 100)))
	assert.Len(t, shop.Requests(), 2)
	require.Len(t, shop.History(), 250)
	for _, change := range shop.History() {
		assert.Equal(t, change.From+100, change.To)
		assert.Equal(t, "gid://stocksync/SyncRun/run-7--", change.ReferenceDocumentURI)
	}
	assert.Regexp(t, `^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`, sent(t, shop)[0].Key)
}

func Test251RowsAreTwoWrites(t *testing.T) {
	shop := shopifytest.New(shopifytest.Config{})
	ch := open(t, shop)
	skus := stock(shop, 251)
	require.NoError(t, ch.Push(t.Context(), updates(levels(t, ch, skus...), 1)))
	writes := sent(t, shop)
	require.Len(t, writes, 2)
	assert.NotEqual(t, writes[0].Key, writes[1].Key)
	assert.Equal(t, writes[0].Input.ReferenceDocumentURI, writes[1].Input.ReferenceDocumentURI, "one run")
	assert.Equal(t, 251, len(shop.History()))
}

func TestStaleCompareIsAConflictOfThatRowAlone(t *testing.T) {
	shop := shopifytest.New(shopifytest.Config{})
	ch := open(t, shop)
	skus := stock(shop, 3)
	seen := levels(t, ch, skus...)
	shop.Set(skus[1], 40) // a sale, or an edit
	err := ch.Push(t.Context(), updates(seen, 10))
	errs, ok := err.(channel.Errors)
	require.True(t, ok, err)
	assert.Len(t, errs, 1)
	assert.ErrorIs(t, errs[skus[1]], channel.ErrConflict)
	assert.Equal(t, 10, available(t, shop, skus[0]))
	assert.Equal(t, 40, available(t, shop, skus[1]))
	assert.Equal(t, 12, available(t, shop, skus[2]))
	writes := sent(t, shop)
	require.Len(t, writes, 2)
	assert.NotEqual(t, writes[0].Key, writes[1].Key, "another request needs another key")
}

func TestWithoutSeenItIsWrittenWhateverIsShown(t *testing.T) {
	shop := shopifytest.New(shopifytest.Config{})
	ch := open(t, shop)
	stock(shop, 2)
	require.NoError(t, ch.Push(t.Context(), []channel.Update{{SKU: "SKU-0001", Quantity: 0}}))
	assert.Equal(t, 0, available(t, shop, "SKU-0001"))
	requests := shop.Requests()
	assert.Contains(t, string(requests[len(requests)-1].Body), `"quantity":0,"changeFromQuantity":null`)

	// Seen, but without the item.
	err := ch.Push(t.Context(), []channel.Update{{SKU: "SKU-0001", Quantity: 4, Seen: &channel.Level{Quantity: 3}}})
	assert.ErrorIs(t, err, channel.ErrConflict)
	require.NoError(t, ch.Push(t.Context(), []channel.Update{{SKU: "SKU-0001", Quantity: 4, Seen: &channel.Level{Quantity: 0}}}))
	assert.Equal(t, 4, available(t, shop, "SKU-0001"))
}

func TestLostAnswerIsSentAgainWithTheSameKey(t *testing.T) {
	for name, fault := range map[string]channeltest.Fault{
		"cut":     {Apply: true, Cut: true},
		"502":     {Apply: true, Status: 502},
		"timeout": {Apply: true, Cut: true, Times: 3},
		"inside": {Rewrite: func(int, http.Header, []byte) (int, []byte) {
			return 200, []byte(`{"errors":[{"message":"x","extensions":{"code":"INTERNAL_SERVER_ERROR"}}]}`)
		}},
		"concurrent": {Rewrite: func(int, http.Header, []byte) (int, []byte) {
			return 200, []byte(`{"errors":[{"message":"x","extensions":{"code":"IDEMPOTENCY_CONCURRENT_REQUEST"}}]}`)
		}},
		"concurrent as a user error": {Rewrite: func(int, http.Header, []byte) (int, []byte) {
			return 200, []byte(`{"data":{"inventorySetQuantities":{"userErrors":[{"code":"IDEMPOTENCY_CONCURRENT_REQUEST","field":null,"message":"x"}]}}}`)
		}},
		"throttled": {Rewrite: func(int, http.Header, []byte) (int, []byte) {
			return 200, []byte(`{"errors":[{"message":"x","extensions":{"code":"THROTTLED"}}]}`)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				shop := shopifytest.New(shopifytest.Config{})
				ch := open(t, shop)
				skus := stock(shop, 2)
				seen := levels(t, ch, skus...)
				fault.Match = doing(setQuantities)
				shop.Inject(fault)
				require.NoError(t, ch.Push(t.Context(), updates(seen, 5)))
				assert.Len(t, shop.History(), 2, "applied once")
				var bodies []string
				for _, r := range shop.Requests() {
					if doing(setQuantities)(r) {
						bodies = append(bodies, string(r.Body))
					}
				}
				require.Greater(t, len(bodies), 1)
				for _, body := range bodies {
					assert.Equal(t, bodies[0], body)
				}
			})
		})
	}
}

func TestSpentKeyIsReplaced(t *testing.T) {
	for _, body := range []string{
		`{"errors":[{"message":"x","extensions":{"code":"IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED"}}]}`,
		`{"data":{"inventorySetQuantities":{"userErrors":[{"code":"IDEMPOTENCY_KEY_PARAMETER_MISMATCH","field":null,"message":"x"}]}}}`,
	} {
		shop := shopifytest.New(shopifytest.Config{})
		ch := open(t, shop)
		seen := levels(t, ch, stock(shop, 1)...)
		shop.Inject(once(channeltest.Fault{Match: doing(setQuantities), Rewrite: func(int, http.Header, []byte) (int, []byte) { return 200, []byte(body) }}))
		require.NoError(t, ch.Push(t.Context(), updates(seen, 0)))
		writes := sent(t, shop)
		require.Len(t, writes, 2)
		assert.NotEqual(t, writes[0].Key, writes[1].Key)
	}
}

func TestUnchangedWriteAnswersAnEmptyGroup(t *testing.T) {
	shop := shopifytest.New(shopifytest.Config{})
	ch := open(t, shop)
	require.NoError(t, ch.Push(t.Context(), updates(levels(t, ch, stock(shop, 2)...), 0)))
	assert.Empty(t, shop.History())
	assert.Len(t, sent(t, shop), 1)
}

func TestRowsThatCannotBeWrittenDoNotStopTheOthers(t *testing.T) {
	shop := shopifytest.New(shopifytest.Config{})
	ch := open(t, shop)
	shop.Add(
		shopifytest.Item{SKU: "GOOD", Available: 1}, shopifytest.Item{SKU: "BUNDLE"}, shopifytest.Item{SKU: "GONE"},
		shopifytest.Item{SKU: "STALE"}, shopifytest.Item{SKU: "HIGH"}, shopifytest.Item{SKU: "LOW"}, shopifytest.Item{SKU: "TWIN"},
		shopifytest.Item{SKU: "KIT", Bundle: true}, shopifytest.Item{SKU: "NEGATIVE"},
	)
	seen := levels(t, ch, "GOOD", "GONE", "STALE", "HIGH", "LOW", "TWIN", "KIT", "NEGATIVE")
	todo := updates(seen, 5)
	todo[3].Quantity, todo[4].Quantity, todo[7].Quantity = 1_000_000_001, -1_000_000_001, -3
	shop.Remove("GONE")
	shop.Set("STALE", 9)
	shop.Add(shopifytest.Item{SKU: "TWIN"})
	todo[5].Seen = nil
	shop.Forget()

	err := ch.Push(t.Context(), todo)
	errs, ok := err.(channel.Errors)
	require.True(t, ok, err)
	for sku, want := range map[string]error{
		"GONE": channel.ErrUnknownSKU, "STALE": channel.ErrConflict, "HIGH": channel.ErrInvalid, "LOW": channel.ErrInvalid,
		"TWIN": channel.ErrAmbiguousSKU, "KIT": channel.ErrShared,
	} {
		assert.ErrorIs(t, errs[sku], want, sku)
	}
	assert.Len(t, errs, 6)
	assert.Equal(t, 6, available(t, shop, "GOOD"))
	assert.Equal(t, -3, available(t, shop, "NEGATIVE"))
	assert.Len(t, sent(t, shop), 2)

	// The item that is gone is forgotten.
	shop.Forget()
	shop.Add(shopifytest.Item{SKU: "GONE", Available: 2})
	require.Len(t, levels(t, ch, "GONE"), 1)
	assert.Equal(t, 2, shop.Count(nil), "search and read")
}

func TestTwoUpdatesOfOneItemAreAConflict(t *testing.T) {
	shop := shopifytest.New(shopifytest.Config{})
	ch := open(t, shop)
	shop.Add(shopifytest.Item{SKU: "A", Available: 1})
	a := levels(t, ch, "A")[0]
	shop.Rename("A", "B")
	b := levels(t, ch, "B")[0]
	err := ch.Push(t.Context(), []channel.Update{{SKU: "A", Quantity: 2, Seen: &a}, {SKU: "B", Quantity: 3, Seen: &b}})
	errs, ok := err.(channel.Errors)
	require.True(t, ok, err)
	assert.ErrorIs(t, errs["A"], channel.ErrConflict)
	assert.ErrorIs(t, errs["B"], channel.ErrConflict)
	assert.Empty(t, shop.History())
}

func TestSKUThatMovedToAnotherItemIsAConflict(t *testing.T) {
	shop := shopifytest.New(shopifytest.Config{})
	ch := open(t, shop)
	shop.Add(shopifytest.Item{SKU: "A"}, shopifytest.Item{SKU: "a"}) // so that the item is read again
	seen := levels(t, ch, "A")
	shop.Rename("A", "OLD")
	shop.Add(shopifytest.Item{SKU: "A"})
	assert.ErrorIs(t, ch.Push(t.Context(), updates(seen, 1)), channel.ErrConflict)
}

func TestRowThatTheShopStumblesOverIsFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := shopifytest.New(shopifytest.Config{})
		ch := open(t, shop)
		skus := stock(shop, 750)
		seen := levels(t, ch, skus...)
		shop.Inject(channeltest.Fault{Times: -1, Status: 503, Match: func(r channeltest.Request) bool {
			return doing(setQuantities)(r) && strings.Contains(string(r.Body), seen[300].Ref+`"`)
		}})
		err := ch.Push(t.Context(), updates(seen, 1))
		errs, ok := err.(channel.Errors)
		require.True(t, ok, err)
		require.Len(t, errs, 1)
		assert.ErrorIs(t, errs[skus[300]], channel.ErrUnavailable)
		assert.ErrorIs(t, errs[skus[300]], channel.ErrUnclear)
		assert.Len(t, shop.History(), 749)

		// It is written alone from then on.
		time.Sleep(openLife)
		shop.Forget()
		seen = levels(t, ch, skus...)
		start := time.Now()
		errs, ok = ch.Push(t.Context(), updates(seen, 1)).(channel.Errors)
		require.True(t, ok)
		assert.Len(t, errs, 1)
		assert.Len(t, sent(t, shop), 4)
		assert.Zero(t, time.Since(start), "the others do not wait for it")
		shop.Heal()
		time.Sleep(openLife)
		require.NoError(t, ch.Push(t.Context(), updates(levels(t, ch, skus...), 1)))
		shop.Forget()
		require.NoError(t, ch.Push(t.Context(), updates(levels(t, ch, skus...), 1)))
		assert.Len(t, sent(t, shop), 3, "and with the others when it is well")
	})
}

func TestEverythingFailedForOneReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := shopifytest.New(shopifytest.Config{})
		ch := open(t, shop)
		seen := levels(t, ch, stock(shop, 2000)...)
		shop.Inject(answering(setQuantities, 402, `{"errors":"Unavailable Shop"}`))
		err := ch.Push(t.Context(), updates(seen, 1))
		fault, ok := err.(*Error)
		require.True(t, ok, "%T", err)
		assert.Equal(t, 402, fault.Status)
		assert.LessOrEqual(t, len(sent(t, shop)), parallel, "a frozen shop is left alone")
	})
}

func TestLookupThatFailsDoesNotStopWhatWasSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := shopifytest.New(shopifytest.Config{})
		ch := open(t, shop)
		skus := stock(shop, 2)
		seen := levels(t, ch, skus[0])
		shop.Inject(answering(findItems, 500, ``))
		err := ch.Push(t.Context(), append(updates(seen, 7), channel.Update{SKU: skus[1], Quantity: 3}))
		errs, ok := err.(channel.Errors)
		require.True(t, ok, err)
		assert.Len(t, errs, 1)
		assert.ErrorIs(t, errs[skus[1]], channel.ErrUnavailable)
		assert.Equal(t, 7, available(t, shop, skus[0]))
	})
}

func TestTrackAndActivate(t *testing.T) {
	shop := shopifytest.New(shopifytest.Config{})
	ch := open(t, shop, func(_ *Config, c *ChannelConfig) { c.Track, c.Activate = true, true })
	ids := shop.Add(
		shopifytest.Item{SKU: "UNTRACKED", Untracked: true, Available: 3},
		shopifytest.Item{SKU: "NOT STOCKED", NotStocked: true},
		shopifytest.Item{SKU: "INACTIVE", Inactive: true, Available: 5},
		shopifytest.Item{SKU: "BOTH", Untracked: true, NotStocked: true},
		shopifytest.Item{SKU: "KIT", Untracked: true, Bundle: true},
		shopifytest.Item{SKU: "GOOD", Available: 1},
	)
	seen := levels(t, ch, "UNTRACKED", "NOT STOCKED", "INACTIVE", "BOTH", "KIT", "GOOD")
	for _, l := range seen[:5] {
		assert.NoError(t, l.Err)
		assert.True(t, l.Unset, l.SKU)
		assert.Zero(t, l.Quantity)
	}
	assert.False(t, seen[5].Unset)
	err := ch.Push(t.Context(), updates(seen, 8))
	errs, ok := err.(channel.Errors)
	require.True(t, ok, err)
	assert.Len(t, errs, 1)
	assert.ErrorIs(t, errs["KIT"], channel.ErrNotTracked)
	for i, id := range ids {
		if seen[i].SKU == "KIT" {
			continue
		}
		item, _ := shop.Item(id)
		assert.False(t, item.Untracked || item.Inactive || item.NotStocked, item.SKU)
		assert.Equal(t, 8+seen[i].Quantity, item.Available, item.SKU)
	}
}

func TestActivationThatIsRefused(t *testing.T) {
	shop := shopifytest.New(shopifytest.Config{})
	ch := open(t, shop, func(_ *Config, c *ChannelConfig) { c.Activate = true })
	shop.Add(shopifytest.Item{SKU: "KIT", NotStocked: true, Bundle: true})
	err := ch.Push(t.Context(), []channel.Update{{SKU: "KIT", Quantity: 1}})
	require.ErrorIs(t, err, channel.ErrNotStocked)
	assert.ErrorContains(t, err, "inventoryActivate")
}

func TestPushAndLevelsConcurrently(t *testing.T) {
	shop := shopifytest.New(shopifytest.Config{})
	ch := open(t, shop)
	skus := stock(shop, 800)
	var group sync.WaitGroup
	for part := range 8 {
		group.Go(func() {
			mine := skus[part*100 : part*100+100]
			for range 5 {
				got, err := ch.Levels(t.Context(), mine)
				assert.NoError(t, err)
				assert.NoError(t, ch.Push(t.Context(), updates(got, 1)))
			}
		})
	}
	group.Wait()
	for i, sku := range skus {
		assert.Equal(t, i+5, available(t, shop, sku))
	}
}

func TestDocument(t *testing.T) {
	for run, want := range map[string]string{
		"run-1_A":                "run-1_A",
		"a b/c?d#e:f.g":          "a-b-c-d-e-f-g",
		strings.Repeat("x", 300): strings.Repeat("x", 100),
	} {
		assert.Equal(t, "gid://stocksync/SyncRun/"+want, document(run))
	}
	assert.NotEqual(t, document(""), document(""))
	assert.Regexp(t, fmt.Sprintf(`^gid://stocksync/SyncRun/[0-9a-f-]{%d}$`, 36), document(""))
}
