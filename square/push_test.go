package square

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/square/squaretest"
)

// written returns the bodies of the writes that arrived.
func written(t *testing.T, till *squaretest.Server) (bodies []changesBody) {
	for _, r := range till.Requests() {
		if on(changesPath)(r) {
			var body changesBody
			require.NoError(t, json.Unmarshal(r.Body, &body))
			bodies = append(bodies, body)
		}
	}
	return bodies
}

func TestTrap100CountsARequest(t *testing.T) {
	till := squaretest.New(squaretest.Config{})
	skus := stock(till, 201)
	ch := open(t, till)
	seen := levels(t, ch, skus...)
	till.Forget()
	ctx := channel.WithRun(t.Context(), "run 7/ä"+strings.Repeat("x", 300))
	require.NoError(t, ch.Push(ctx, updates(seen, 5)))
	assert.Equal(t, 3, till.Count(nil), "nothing else is asked for")
	keys := map[string]bool{}
	for _, body := range written(t, till) {
		assert.LessOrEqual(t, len(body.Changes), 100)
		keys[body.Key] = true
		for _, c := range body.Changes {
			assert.Equal(t, "PHYSICAL_COUNT", c.Type)
			assert.Equal(t, "IN_STOCK", c.Count.State)
			assert.Len(t, c.Count.ReferenceID, 255)
			assert.True(t, strings.HasPrefix(c.Count.ReferenceID, "run-7/-"))
		}
	}
	assert.Len(t, keys, 3)
	assert.Len(t, till.History(), 201)
	for i, sku := range skus {
		assert.Equal(t, i+5, shown(t, till, sku))
	}
}

func TestAnEventTakesThreeRequests(t *testing.T) {
	till := squaretest.New(squaretest.Config{})
	skus := stock(till, 250)
	ch := open(t, till)
	levels(t, ch, skus[0]) // looks at the location, too
	till.Forget()
	require.NoError(t, ch.Push(t.Context(), updates(levels(t, ch, skus[:100]...), 1)))
	assert.Equal(t, 1, till.Count(on(searchPath)))
	assert.Equal(t, 1, till.Count(on(countsPath)))
	assert.Equal(t, 1, till.Count(on(changesPath)))
	assert.Equal(t, 3, till.Count(nil))
}

func TestTrapUnchangedCountsAreNotIgnored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		till := squaretest.New(squaretest.Config{})
		till.Add(squaretest.Variation{SKU: "A", Quantity: 1})
		ch := open(t, till)
		require.NoError(t, ch.Push(t.Context(), []channel.Update{update("A", 10)}))
		time.Sleep(time.Minute)
		till.Sell("A", 4)
		time.Sleep(time.Minute)
		require.NoError(t, ch.Push(t.Context(), []channel.Update{update("A", 10)}))
		assert.Equal(t, 10, shown(t, till, "A"), "by Square's default it would stay 6")
		for _, r := range till.Requests() {
			if on(changesPath)(r) {
				assert.Contains(t, string(r.Body), `"ignore_unchanged_counts":false`)
			}
		}
	})
}

func TestTrapASaleAfterTheSourceWasReadIsKept(t *testing.T) {
	doubtful(t, func(d *squaretest.Doubts) { d.CountsReplace = true }, func(t *testing.T, cfg squaretest.Config) {
		till := squaretest.New(cfg)
		till.Add(squaretest.Variation{SKU: "A", Quantity: 20})
		ch := open(t, till)
		u := update("A", 10)
		u.Seen = new(level(t, ch, "A"))
		time.Sleep(10 * time.Second)
		till.Sell("A", 3)
		time.Sleep(10 * time.Second)
		till.Forget()
		require.NoError(t, ch.Push(t.Context(), []channel.Update{u}), "lower is sold since")
		assert.Equal(t, 1, till.Count(nil), "and needs no second look")
		if cfg.Doubts.CountsReplace {
			assert.Equal(t, 10, shown(t, till, "A"), "what the account would do is all that can be done there")
		} else {
			assert.Equal(t, 7, shown(t, till, "A"))
		}
		// A sale that occurred before, at a till that was offline, is in the count.
		till.SellAt("A", 2, till.Now().Add(-time.Hour))
		till.Sell("A", 1)
		assert.Equal(t, map[bool]int{false: 6, true: 9}[cfg.Doubts.CountsReplace], shown(t, till, "A"))
	})
}

func TestTrapUnitsInFlightAreDeducted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		till := squaretest.New(squaretest.Config{})
		till.Add(squaretest.Variation{SKU: "A", Quantity: 10})
		ch := open(t, till, lag(15*time.Minute))
		assert.Equal(t, 15*time.Minute+clockMargin, ch.Deducts())
		till.Sell("A", 2) // the source books it in ten minutes
		time.Sleep(5 * time.Minute)
		require.NoError(t, ch.Push(t.Context(), []channel.Update{update("A", 10)}))
		assert.Equal(t, 8, shown(t, till, "A"))
		time.Sleep(6 * time.Minute) // the source says 8 now, and still too few are shown
		require.NoError(t, ch.Push(t.Context(), []channel.Update{update("A", 8)}))
		assert.Equal(t, 6, shown(t, till, "A"))
		time.Sleep(10 * time.Minute) // until the lag is over
		require.NoError(t, ch.Push(t.Context(), []channel.Update{update("A", 8)}))
		assert.Equal(t, 8, shown(t, till, "A"))
	})
}

func TestTrapACountThatIsOutdatedIsNotApplied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		till := squaretest.New(squaretest.Config{})
		till.Add(squaretest.Variation{SKU: "A", Quantity: 1}, squaretest.Variation{SKU: "B", Quantity: 1}, squaretest.Variation{SKU: "C", Quantity: 1})
		ch := open(t, till, lag(15*time.Minute))
		us := []channel.Update{update("A", 5), update("B", 5), update("C", 5)}
		till.Set("A", 9)     // somebody counted
		till.Receive("B", 9) // somebody booked a delivery
		time.Sleep(time.Minute)
		err := ch.Push(t.Context(), us)
		errs, ok := err.(channel.Errors)
		require.True(t, ok, err)
		require.Len(t, errs, 2)
		assert.ErrorIs(t, errs["A"], channel.ErrNotApplied)
		assert.ErrorContains(t, errs["A"], "was set to 5, and Square shows 9")
		assert.ErrorIs(t, errs["B"], channel.ErrNotApplied)
		assert.Equal(t, 1, till.Count(on(countsPath)), "they are read once more")
		assert.Equal(t, 9, shown(t, till, "A"))
		assert.Equal(t, 14, shown(t, till, "B"))

		// The next count is of now.
		time.Sleep(10 * time.Second)
		require.NoError(t, ch.Push(t.Context(), []channel.Update{update("A", 5), update("B", 5)}))
		assert.Equal(t, 5, shown(t, till, "A"))
		assert.Equal(t, 5, shown(t, till, "B"))
		// And the ones after it are of before again, as soon as that is later.
		time.Sleep(20 * time.Minute)
		till.Sell("A", 1)
		time.Sleep(time.Minute)
		require.NoError(t, ch.Push(t.Context(), []channel.Update{update("A", 5)}))
		assert.Equal(t, 4, shown(t, till, "A"))
	})
}

func TestAFalseAlarmIsSettledByOneRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		till := squaretest.New(squaretest.Config{})
		skus := stock(till, 3)
		ch := open(t, till)
		for name, answer := range map[string]string{
			"an empty answer": `{}`,
			"the old count":   `{"counts":[{"catalog_object_id":"ID","state":"IN_STOCK","location_id":"LMAIN","quantity":"1000"}]}`,
			"an odd count":    `{"counts":[{"catalog_object_id":"ID","state":"IN_STOCK","location_id":"LMAIN","quantity":5}]}`,
		} {
			id := level(t, ch, skus[1]).Ref
			till.Inject(channeltest.Fault{Match: on(changesPath), Rewrite: func(int, http.Header, []byte) (int, []byte) {
				return 200, []byte(strings.ReplaceAll(answer, "ID", id))
			}})
			till.Forget()
			require.NoError(t, ch.Push(t.Context(), []channel.Update{update(skus[1], 5)}), name)
			assert.Equal(t, 1, till.Count(on(countsPath)), name)
			time.Sleep(time.Second)
		}
		// Unless the reading back fails, too.
		till.Inject(answering(changesPath, 200, `{}`), answering(countsPath, 503, ``))
		err := ch.Push(t.Context(), []channel.Update{update(skus[1], 5)})
		assert.ErrorIs(t, err, channel.ErrUnclear)
		assert.ErrorIs(t, err, channel.ErrUnavailable)
	})
}

func TestTrapNoRowAfterACountIsNotApplied(t *testing.T) {
	till := squaretest.New(squaretest.Config{})
	skus := stock(till, 1)
	ch := open(t, till)
	till.Inject(answering(changesPath, 200, `{}`), answering(countsPath, 200, `{}`))
	err := ch.Push(t.Context(), []channel.Update{update(skus[0], 5)})
	assert.ErrorIs(t, err, channel.ErrNotApplied)
	assert.ErrorContains(t, err, "has no count at LMAIN")
}

func TestTrapEachAttemptHasItsOwnKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		till := squaretest.New(squaretest.Config{})
		till.Add(squaretest.Variation{SKU: "A", Quantity: 1})
		ch := open(t, till)
		// Done, but the answer is lost; then somebody buys one.
		till.Inject(channeltest.Fault{Match: on(changesPath), Cut: true, Apply: true},
			channeltest.Fault{Match: on(changesPath), Status: 502, Apply: true})
		u := update("A", 10)
		time.AfterFunc(200*time.Millisecond, func() { till.Sell("A", 1) })
		require.NoError(t, ch.Push(t.Context(), []channel.Update{u}))
		bodies := written(t, till)
		require.Len(t, bodies, 3)
		assert.NotEqual(t, bodies[0].Key, bodies[1].Key)
		assert.NotEqual(t, bodies[1].Key, bodies[2].Key)
		assert.Equal(t, bodies[0].Changes, bodies[2].Changes, "and the same time")
		assert.Equal(t, 9, shown(t, till, "A"))
	})
}

func TestTrapARefusalForTheRateIsNotTakenForNothingDone(t *testing.T) {
	doubtful(t, func(d *squaretest.Doubts) { d.ThrottledInPart = true }, func(t *testing.T, cfg squaretest.Config) {
		cfg.Rate, cfg.Burst = 2, 3
		till := squaretest.New(cfg)
		skus := stock(till, 10)
		ch := open(t, till)
		seen := levels(t, ch, skus...)
		till.Drain(3)
		require.NoError(t, ch.Push(t.Context(), updates(seen, 7)))
		for i, sku := range skus {
			assert.Equal(t, i+7, shown(t, till, sku))
		}
		keys := map[string]bool{}
		for _, body := range written(t, till) {
			keys[body.Key] = true
		}
		assert.Len(t, keys, len(written(t, till)))

		// If it never ends, nothing is known.
		till.Drain(1e6)
		err := ch.Push(t.Context(), updates(seen, 1))
		assert.ErrorIs(t, err, channel.ErrUnavailable)
		assert.ErrorIs(t, err, channel.ErrUnclear)
		assert.False(t, channel.Permanent(err))
	})
}

func TestTrapABadChangeIsOneProductsTrouble(t *testing.T) {
	for _, named := range []bool{true, false} {
		t.Run(map[bool]string{true: "named by its field", false: "found by halves"}[named], func(t *testing.T) {
			doubtful(t, func(d *squaretest.Doubts) { d.TakesPart = true }, func(t *testing.T, cfg squaretest.Config) {
				cfg.Doubts.NamesNoField = !named
				till := squaretest.New(cfg)
				skus := stock(till, 100)
				ch := open(t, till)
				seen := levels(t, ch, skus...)
				till.Remove(skus[20]) // deleted since
				till.Track(skus[77], false)
				till.Forget()
				err := ch.Push(t.Context(), updates(seen, 3))
				errs, ok := err.(channel.Errors)
				require.True(t, ok, err)
				require.Len(t, errs, 2, "%v", err)
				if cfg.Doubts.TakesPart && !named {
					assert.ErrorIs(t, errs[skus[20]], channel.ErrNotApplied)
				} else {
					assert.ErrorIs(t, errs[skus[20]], channel.ErrUnknownSKU)
					assert.ErrorIs(t, errs[skus[77]], channel.ErrInvalid)
					assert.ErrorContains(t, errs[skus[77]], "Inventory is not tracked")
				}
				for i, sku := range skus {
					if errs[sku] == nil {
						assert.Equal(t, i+3, shown(t, till, sku))
					}
				}
				switch {
				case cfg.Doubts.TakesPart:
					assert.Equal(t, 1, till.Count(on(changesPath)))
				case named:
					assert.Equal(t, 2, till.Count(on(changesPath)))
				default:
					assert.LessOrEqual(t, till.Count(on(changesPath)), 27)
				}
			})
		})
	}
}

func TestARefusalOfEverythingBlamesNoProduct(t *testing.T) {
	refused := func(code, field string) string {
		return fmt.Sprintf(`{"errors":[{"category":"INVALID_REQUEST_ERROR","code":%q,"detail":"No.","field":%q}]}`, code, field)
	}
	for name, body := range map[string]string{
		"the version":        refused("INVALID_SQUARE_VERSION_FORMAT", ""),
		"the location":       refused("NOT_FOUND", "changes[0].physical_count.location_id"),
		"an unknown field":   refused("UNKNOWN_BODY_PARAMETER", "ignore_unchanged_counts"),
		"nobody knows what":  refused("BAD_REQUEST", ""),
		"a key that is used": refused("IDEMPOTENCY_KEY_REUSED", "idempotency_key"),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				till := squaretest.New(squaretest.Config{})
				skus := stock(till, 100)
				ch := open(t, till)
				seen := levels(t, ch, skus...)
				till.Forget()
				till.Inject(answering(changesPath, 400, body))
				err := ch.Push(t.Context(), updates(seen, 3))
				_, blames := err.(channel.Errors)
				assert.False(t, blames, "%v", err)
				assert.ErrorIs(t, err, channel.ErrUnavailable)
				assert.False(t, channel.Permanent(err))
				assert.LessOrEqual(t, till.Count(on(changesPath)), maxRefusals)
			})
		})
	}
}

func TestTrapAClosedOrForeignLocation(t *testing.T) {
	doubtful(t, func(d *squaretest.Doubts) { d.TakesClosed = true }, func(t *testing.T, cfg squaretest.Config) {
		till := squaretest.New(cfg)
		till.AddLocation("LCLOSED", "INACTIVE")
		skus := stock(till, 5)
		for location, text := range map[string]string{"LCLOSED": "LCLOSED is closed", "LNONE": "has no location LNONE"} {
			ch := open(t, till, func(_ *Config, c *ChannelConfig) { c.LocationID = location })
			_, err := ch.Levels(t.Context(), skus)
			assert.ErrorIs(t, err, channel.ErrUnavailable)
			assert.ErrorContains(t, err, text)
			err = ch.Push(t.Context(), []channel.Update{update(skus[1], 3)})
			assert.ErrorContains(t, err, text)
			assert.False(t, channel.Permanent(err))
		}
		assert.Empty(t, till.History())

		// It closes while the program runs.
		ch := open(t, till)
		seen := levels(t, ch, skus...)
		till.AddLocation("LMAIN", "INACTIVE")
		err := ch.Push(t.Context(), updates(seen, 1))
		if cfg.Doubts.TakesClosed {
			assert.NoError(t, err)
			return
		}
		assert.ErrorIs(t, err, channel.ErrUnavailable)
		_, blames := err.(channel.Errors)
		assert.False(t, blames)
		_, err = ch.Levels(t.Context(), skus)
		assert.ErrorContains(t, err, "is closed")
		till.AddLocation("LMAIN", "ACTIVE")
		assert.NoError(t, ch.Push(t.Context(), updates(seen, 1)), "and opens again")
	})
}

func TestALimitOfChangesIsLearned(t *testing.T) {
	till := squaretest.New(squaretest.Config{})
	skus := stock(till, 100)
	ch := open(t, till)
	seen := levels(t, ch, skus...)
	till.Inject(channeltest.Fault{Times: -1, Match: func(r channeltest.Request) bool {
		return on(changesPath)(r) && strings.Count(string(r.Body), "PHYSICAL_COUNT\"") > 50
	}, Status: 400, Header: jsonHeader, Body: `{"errors":[{"category":"INVALID_REQUEST_ERROR","code":"ARRAY_LENGTH_TOO_LONG","field":"changes"}]}`})
	require.NoError(t, ch.Push(t.Context(), updates(seen, 3)))
	assert.Len(t, till.History(), 100)
	till.Forget()
	require.NoError(t, ch.Push(t.Context(), updates(seen, 4)))
	assert.Equal(t, 2, till.Count(on(changesPath)), "the next one knows")
}

func TestTrapWrittenQuantitiesAreWholeAndNotNegative(t *testing.T) {
	till := squaretest.New(squaretest.Config{})
	skus := stock(till, 3)
	ch := open(t, till)
	err := ch.Push(t.Context(), []channel.Update{update(skus[0], -1), update(skus[1], maxQuantity+1), update(skus[2], maxQuantity)})
	errs := err.(channel.Errors)
	assert.ErrorIs(t, errs[skus[0]], channel.ErrInvalid)
	assert.ErrorIs(t, errs[skus[1]], channel.ErrInvalid)
	assert.Len(t, errs, 2)
	assert.Equal(t, maxQuantity, shown(t, till, skus[2]))
	require.Len(t, written(t, till), 1)
	assert.Len(t, written(t, till)[0].Changes, 1, "the others are not sent")
}

func TestAVariationIsCountedOnceARequest(t *testing.T) {
	till := squaretest.New(squaretest.Config{})
	skus := stock(till, 2)
	ch := open(t, till)
	a, b := update(skus[0], 5), update("OLD-NAME", 9)
	a.Seen = new(level(t, ch, skus[0]))
	b.Seen = a.Seen
	err := ch.Push(t.Context(), []channel.Update{a, b})
	assert.ErrorIs(t, err.(channel.Errors)["OLD-NAME"], channel.ErrConflict)
	assert.Equal(t, 5, shown(t, till, skus[0]))
}

func TestUnauthorizedEndsAPush(t *testing.T) {
	till := squaretest.New(squaretest.Config{Scopes: []string{"ITEMS_READ", "INVENTORY_READ", "MERCHANT_PROFILE_READ"}})
	skus := stock(till, 1000)
	ch := open(t, till)
	seen := levels(t, ch, skus...)
	till.Forget()
	err := ch.Push(t.Context(), updates(seen, 1))
	assert.ErrorIs(t, err, channel.ErrUnauthorized)
	assert.ErrorContains(t, err, "INSUFFICIENT_SCOPES")
	assert.ErrorContains(t, err, "INVENTORY_WRITE")
	assert.LessOrEqual(t, till.Count(on(changesPath)), 3, "those in flight")
}
