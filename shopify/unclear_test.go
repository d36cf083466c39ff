package shopify

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/shopify/shopifytest"
)

func TestCanceledWriteSaysWhatWasSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := shopifytest.New(shopifytest.Config{})
		ch := open(t, shop)
		seen := levels(t, ch, stock(shop, 60)...)
		shop.Inject(channeltest.Fault{Match: doing(setQuantities), Delay: time.Hour, Times: -1})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		err := ch.Push(ctx, updates(seen, 7))
		assert.LessOrEqual(t, time.Since(start), time.Second+writeGrace)
		errs, ok := err.(channel.Errors)
		require.True(t, ok, "%T %v", err, err)
		require.Len(t, errs, 60)
		for _, err := range errs {
			require.ErrorIs(t, err, channel.ErrUnclear)
			require.ErrorIs(t, err, context.DeadlineExceeded)
		}
	})
}

func TestAnswerThatComesAfterTheCallerLeftCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := shopifytest.New(shopifytest.Config{})
		ch := open(t, shop)
		seen := levels(t, ch, stock(shop, 2)...)
		shop.Inject(channeltest.Fault{Match: doing(setQuantities), Delay: 2 * time.Second})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		assert.NoError(t, ch.Push(ctx, updates(seen, 7)), "it is shown")
		assert.Len(t, shop.History(), 2)
	})
}

func TestWhatWasNotSentIsNotUnclear(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := shopifytest.New(shopifytest.Config{})
		ch := open(t, shop)
		seen := levels(t, ch, stock(shop, 250*(parallel+2))...)
		shop.Inject(channeltest.Fault{Match: doing(setQuantities), Delay: time.Hour, Times: -1})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		errs, ok := ch.Push(ctx, updates(seen, 7)).(channel.Errors)
		require.True(t, ok)
		unclear := 0
		for _, u := range seen {
			err := errs[u.SKU]
			require.ErrorIs(t, err, context.DeadlineExceeded)
			if channel.Class(err) == "unclear" {
				unclear++
			}
		}
		assert.Equal(t, 250*parallel, unclear)

		shop.Heal()
		done, cancel := context.WithCancel(t.Context())
		cancel()
		shop.Forget()
		err := ch.Push(done, updates(seen[250*(parallel+1):], 7))
		assert.Equal(t, context.Canceled, err)
		assert.Empty(t, shop.Requests())
	})
}

// The same request with the same key, until its outcome is known, whether the
// caller waits for it or comes again.
func TestKeyIsUsedAgainUntilTheOutcomeIsKnown(t *testing.T) {
	for name, test := range map[string]struct {
		fault  channeltest.Fault
		cancel bool
	}{
		"answers are lost":     {channeltest.Fault{Apply: true, Cut: true}, false},
		"502 after the work":   {channeltest.Fault{Apply: true, Status: 502}, false},
		"requests are lost":    {channeltest.Fault{Cut: true}, false},
		"the caller has left":  {channeltest.Fault{Delay: time.Hour}, true},
		"the caller and it":    {channeltest.Fault{Apply: true, Status: 504, Delay: 10 * time.Second}, true},
		"busy with it for now": {channeltest.Fault{Status: 200, Body: `{"errors":[{"message":"x","extensions":{"code":"IDEMPOTENCY_CONCURRENT_REQUEST"}}]}`}, false},
		"busy, as user errors": {channeltest.Fault{Status: 200, Body: `{"data":{"inventorySetQuantities":{"userErrors":[{"code":"IDEMPOTENCY_CONCURRENT_REQUEST","field":null,"message":"x"}]}}}`}, false},
		"nothing is said":      {channeltest.Fault{Status: 200, Body: `{"data":{"inventorySetQuantities":null}}`}, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				shop := shopifytest.New(shopifytest.Config{})
				ch := open(t, shop)
				skus := stock(shop, 3)
				seen := levels(t, ch, skus...)
				test.fault.Match, test.fault.Times = doing(setQuantities), -1
				down := channeltest.Fault{Match: doing(readLevels), Status: 500, Times: -1} // nor can anybody look
				shop.Inject(test.fault, down)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if test.cancel {
					ctx, cancel = context.WithTimeout(ctx, time.Second)
					defer cancel()
				}
				err := ch.Push(ctx, updates(seen, 5))
				require.Error(t, err)
				if errs, ok := err.(channel.Errors); ok {
					for _, sku := range skus {
						assert.ErrorIs(t, errs[sku], channel.ErrUnclear)
					}
				}
				first := sent(t, shop)
				require.NotEmpty(t, first)
				shop.Forget()

				shop.Heal()
				time.Sleep(time.Minute)
				require.NoError(t, ch.Push(t.Context(), updates(seen[:2], 5)), "what it asks for is shown")
				again := sent(t, shop)
				require.Len(t, again, 1)
				assert.Equal(t, first[0].Key, again[0].Key)
				assert.Equal(t, first[0].Input, again[0].Input, "of the third row, too")
				assert.Len(t, shop.History(), 3, "applied once")
				shop.Forget()

				assert.NoError(t, ch.Push(t.Context(), updates(levels(t, ch, skus...), 1)))
				assert.NotEqual(t, first[0].Key, sent(t, shop)[0].Key)
			})
		})
	}
}

func TestUnclearWriteIsSettledBeforeTheNextOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := shopifytest.New(shopifytest.Config{})
		ch := open(t, shop)
		sku := stock(shop, 2)[1]
		write := func(ctx context.Context, n int) error {
			return ch.Push(ctx, []channel.Update{{SKU: sku, Quantity: n}})
		}
		levels(t, ch, sku)
		// The write stays on the way; its caller leaves.
		shop.Inject(channeltest.Fault{Match: doing(setQuantities), Delay: time.Hour})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		require.ErrorIs(t, write(ctx, 40), channel.ErrUnclear)
		cancel()
		shop.Forget()
		require.NoError(t, write(t.Context(), 50))
		assert.Equal(t, 50, available(t, shop, sku))
		assert.Len(t, sent(t, shop), 2, "the one before first")
		assert.Equal(t, []int{40, 50}, []int{shop.History()[0].To, shop.History()[1].To})
	})
}

// While nobody knows what became of a write, no other one is made of its items.
func TestNoWriteOnTopOfAnUnclearOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := shopifytest.New(shopifytest.Config{})
		ch := open(t, shop)
		skus := stock(shop, 2)
		seen := levels(t, ch, skus...)
		shop.Inject(channeltest.Fault{Match: doing(setQuantities), Delay: time.Hour, Times: -1})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		require.Error(t, ch.Push(ctx, updates(seen[:1], 5)))
		cancel()
		key := sent(t, shop)[0].Key
		shop.Heal()
		shop.Inject(channeltest.Fault{Match: shopifytest.Mentioning(seen[0].Ref), Status: 503, Times: -1})
		shop.Forget()
		errs, ok := ch.Push(t.Context(), updates(seen, 9)).(channel.Errors)
		require.True(t, ok)
		assert.Len(t, errs, 1)
		assert.ErrorIs(t, errs[skus[0]], channel.ErrUnclear)
		assert.Equal(t, 10, available(t, shop, skus[1]), "another item is written")
		for _, w := range sent(t, shop) {
			if w.Input.Quantities[0].InventoryItemID == seen[0].Ref {
				assert.Equal(t, key, w.Key)
			}
		}
		// It does not stay so for ever.
		time.Sleep(openLife)
		shop.Heal()
		assert.NoError(t, ch.Push(t.Context(), updates(seen[:1], 11)))
		assert.Equal(t, 11, available(t, shop, skus[0]))
	})
}

// One item that the shop stumbles over does not keep the others of its write
// unclear.
func TestUnclearWriteThatFailsAgainAndAgainIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := shopifytest.New(shopifytest.Config{})
		ch := open(t, shop)
		skus := stock(shop, 2)
		seen := levels(t, ch, skus...)
		shop.Inject(channeltest.Fault{Match: doing(readLevels), Status: 500, Times: -1}, channeltest.Fault{Match: doing(setQuantities), Status: 500, Times: -1})
		require.Error(t, ch.Push(t.Context(), updates(seen, 5)))
		shop.Heal()
		shop.Inject(channeltest.Fault{Match: shopifytest.Mentioning(seen[0].Ref), Status: 500, Times: -1})
		var err error
		for range openTries {
			err = ch.Push(t.Context(), updates(seen[1:], 5))
		}
		require.NoError(t, err)
		assert.Equal(t, 6, available(t, shop, skus[1]))
	})
}

func TestSettledWriteThatIsNotShownAnyMoreIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := shopifytest.New(shopifytest.Config{})
		ch := open(t, shop)
		sku := stock(shop, 2)[1]
		seen := levels(t, ch, sku)
		shop.Inject(channeltest.Fault{Match: doing(setQuantities), Apply: true, Status: 504, Times: -1}, channeltest.Fault{Match: doing(readLevels), Status: 500, Times: -1})
		require.Error(t, ch.Push(t.Context(), updates(seen, 5)))
		shop.Heal()
		shop.Set(sku, seen[0].Quantity) // somebody puts it back
		require.NoError(t, ch.Push(t.Context(), updates(seen, 5)))
		assert.Equal(t, seen[0].Quantity+5, available(t, shop, sku), "done means shown")
	})
}

// A write whose answer is lost for good is looked up before it is halved, and
// what it did is not taken for somebody else's change.
func TestLostAnswersAreLookedUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := shopifytest.New(shopifytest.Config{})
		ch := open(t, shop)
		seen := levels(t, ch, stock(shop, 100)...)
		shop.Inject(channeltest.Fault{Match: doing(setQuantities), Apply: true, Status: 502, Times: -1})
		require.NoError(t, ch.Push(t.Context(), updates(seen, 5)))
		assert.Len(t, shop.History(), 100)
		keys := map[string]bool{}
		for _, w := range sent(t, shop) {
			keys[w.Key] = true
		}
		assert.Len(t, keys, 1)
	})
}

func TestHalvesThatWereDoneAreNoConflicts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := shopifytest.New(shopifytest.Config{})
		ch := open(t, shop)
		seen := levels(t, ch, stock(shop, 8)...)
		// The first request fails each time; its halves are done, and the
		// answer to one of them is lost.
		n := 0
		shop.Inject(channeltest.Fault{Match: func(r channeltest.Request) bool {
			if !doing(setQuantities)(r) {
				return false
			}
			n++
			return n <= 5
		}, Status: 500, Times: -1}, channeltest.Fault{Match: doing(setQuantities), Apply: true, Status: 500})
		require.NoError(t, ch.Push(t.Context(), updates(seen, 5)))
		assert.Len(t, shop.History(), 8)
	})
}

func TestActivationWithABurntKeyGetsAnother(t *testing.T) {
	for name, body := range map[string]string{
		"as an error":      `{"errors":[{"message":"x","extensions":{"code":"IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED"}}]}`,
		"as a user error":  `{"data":{"inventoryActivate":{"inventoryLevel":null,"userErrors":[{"field":null,"message":"The idempotency key was used with other parameters."}]}}}`,
		"fails and burnt":  "",
		"mismatch, code 2": `{"errors":[{"message":"x","extensions":{"code":"IDEMPOTENCY_KEY_PARAMETER_MISMATCH"}}]}`,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				shop := shopifytest.New(shopifytest.Config{})
				ch := open(t, shop, func(_ *Config, c *ChannelConfig) { c.Activate = true })
				id := shop.Add(shopifytest.Item{SKU: "A", NotStocked: true})[0]
				if body == "" {
					shop.Inject(channeltest.Fault{Match: doing(activateItem), Status: 200, Body: `{"errors":[{"message":"x","extensions":{"code":"INTERNAL_SERVER_ERROR"}}]}`},
						channeltest.Fault{Match: doing(activateItem), Status: 200, Body: `{"errors":[{"message":"x","extensions":{"code":"IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED"}}]}`})
				} else {
					shop.Inject(channeltest.Fault{Match: doing(activateItem), Status: 200, Body: body})
				}
				require.NoError(t, ch.Push(t.Context(), []channel.Update{{SKU: "A", Quantity: 4}}))
				item, _ := shop.Item(id)
				assert.Equal(t, 4, item.Available)
				keys := map[string]int{}
				for _, r := range shop.Requests() {
					if doing(activateItem)(r) {
						var vars activateItemVars
						variables(t, r, &vars)
						keys[vars.Key]++
					}
				}
				assert.Len(t, keys, 2)
			})
		})
	}
	t.Run("without an end", func(t *testing.T) {
		shop := shopifytest.New(shopifytest.Config{})
		ch := open(t, shop, func(_ *Config, c *ChannelConfig) { c.Activate = true })
		shop.Add(shopifytest.Item{SKU: "A", NotStocked: true})
		shop.Inject(answering(activateItem, http.StatusOK, `{"errors":[{"message":"x","extensions":{"code":"IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED"}}]}`))
		assert.ErrorIs(t, ch.Push(t.Context(), []channel.Update{{SKU: "A", Quantity: 4}}), channel.ErrUnavailable)
		assert.Equal(t, maxRounds, shop.Count(doing(activateItem)))
	})
}
