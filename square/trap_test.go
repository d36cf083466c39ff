package square

import (
	"bytes"
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

// The tests named TestTrap, here and in the other files, are about what others
// get wrong with Square. Each fails if this package gets it wrong, too.

// adding is a fault: this at the beginning of Square's answer.
func adding(path, text string) channeltest.Fault {
	return channeltest.Fault{Match: on(path), Rewrite: func(status int, _ http.Header, raw []byte) (int, []byte) {
		return status, bytes.Replace(raw, []byte("{"), []byte("{"+text+","), 1)
	}}
}

// A 200 may have errors: what stands beside them is not the whole answer.
func TestTrapErrorsInAnAnswerWith200(t *testing.T) {
	const failed = `"errors":[{"category":"API_ERROR","code":"TEMPORARY_ERROR"}]`
	till := squaretest.New(squaretest.Config{})
	skus := stock(till, 3)
	ch := open(t, till)
	level(t, ch, skus[0])
	for _, path := range []string{searchPath, countsPath} {
		till.Inject(adding(path, failed))
		_, err := ch.Levels(t.Context(), skus)
		assert.ErrorContains(t, err, "TEMPORARY_ERROR", path)
	}
	till.Inject(adding(searchPath, failed))
	assert.ErrorContains(t, ch.Preload(channel.WithRun(t.Context(), "run")), "TEMPORARY_ERROR")
	till.Inject(adding(searchPath, failed))
	for _, err := range ch.SKUs(t.Context()) {
		assert.ErrorContains(t, err, "TEMPORARY_ERROR")
	}
}

// Square takes a part of a batch, and names some of what it did not take. A
// lower count may be what the till sold since, but not then.
func TestTrapErrorsInAnAnswerWith200ThatNameNoChange(t *testing.T) {
	refused := func(i int) string {
		return fmt.Sprintf(`{"category":"INVALID_REQUEST_ERROR","code":"INVALID_VALUE","field":"changes[%d].physical_count.catalog_object_id"}`, i)
	}
	many := make([]string, 150)
	for i := range many {
		many[i] = refused(0)
	}
	for name, errs := range map[string]string{
		"one named, one not": refused(0) + `,{"category":"API_ERROR","code":"INTERNAL_SERVER_ERROR"}`,
		"one beyond all":     refused(0) + "," + refused(7),
		"too many to keep":   strings.Join(many, ","),
	} {
		till := squaretest.New(squaretest.Config{})
		till.Add(squaretest.Variation{SKU: "A", Quantity: 1}, squaretest.Variation{SKU: "B", Quantity: 2}, squaretest.Variation{SKU: "C", Quantity: 9})
		ch := open(t, till)
		seen := levels(t, ch, "A", "B", "C")
		counts := []string{}
		for i, l := range seen {
			counts = append(counts, fmt.Sprintf(`{"catalog_object_id":%q,"state":"IN_STOCK","location_id":"LMAIN","quantity":"%d"}`, l.Ref, []int{1, 2, 9}[i]))
		}
		till.Inject(answering(changesPath, 200, `{"counts":[`+strings.Join(counts, ",")+`],"errors":[`+errs+`]}`))
		us := updates(seen, 7)
		us[2].Quantity = 9 // what it shows
		err := ch.Push(t.Context(), us)
		said, ok := err.(channel.Errors)
		require.True(t, ok, "%s: %v", name, err)
		assert.ErrorIs(t, said["A"], channel.ErrInvalid, name)
		assert.ErrorIs(t, said["B"], channel.ErrNotApplied, name)
		assert.NoError(t, said["C"], name)
	}
}

// Without a result the list is left out.
func TestTrapAnEmptyResultHasNoList(t *testing.T) {
	till := squaretest.New(squaretest.Config{})
	till.Add(squaretest.Variation{SKU: "NEW", Uncounted: true})
	ch := open(t, till)
	for _, path := range []string{searchPath, countsPath} {
		till.Heal()
		till.Inject(answering(path, 200, `{}`))
		l := level(t, ch, "NEW")
		if path == searchPath {
			assert.ErrorIs(t, l.Err, channel.ErrUnknownSKU)
		} else {
			assert.True(t, l.Unset)
		}
	}
	till.Heal()
	till.Inject(answering(searchPath, 200, `{}`))
	require.NoError(t, ch.Preload(channel.WithRun(t.Context(), "run")))
}

// The answer to a count has every state of the variation, and whatever other
// rows Square sees fit to tell.
func TestTrapTheAnswerToACountHasOtherRows(t *testing.T) {
	till := squaretest.New(squaretest.Config{})
	till.AddLocation("LOTHER", "ACTIVE")
	till.Add(squaretest.Variation{SKU: "A", Quantity: 5})
	till.SetAt("A", "LOTHER", 70)
	for _, state := range []string{"WASTE", "ORDERED_FROM_VENDOR", "UNTRACKED"} {
		till.Put("A", "LMAIN", state, 900)
	}
	ch := open(t, till)
	l := level(t, ch, "A")
	till.Inject(channeltest.Fault{Match: on(changesPath), Rewrite: func(status int, _ http.Header, raw []byte) (int, []byte) {
		assert.Contains(t, string(raw), "WASTE")
		return status, bytes.Replace(raw, []byte(`"counts":[`),
			fmt.Appendf(nil, `"counts":[{"catalog_object_id":%q,"state":"IN_STOCK","location_id":"LOTHER","quantity":"70"},`, l.Ref), 1)
	}})
	till.Forget()
	require.NoError(t, ch.Push(t.Context(), updates([]channel.Level{l}, 3)))
	assert.Equal(t, 1, till.Count(nil), "and needs no second look")
	assert.Equal(t, 8, shown(t, till, "A"))
	assert.Equal(t, "70", till.Stock(l.Ref, "LOTHER"))
}

// What changed is asked for by Square's clock, never by this machine's.
func TestTrapChangesAreAskedForInSquaresClock(t *testing.T) {
	for _, skew := range []time.Duration{-50 * time.Minute, 50 * time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			till := squaretest.New(squaretest.Config{ClockSkew: skew})
			skus := stock(till, 3)
			ch := open(t, till)
			require.NoError(t, ch.Preload(channel.WithRun(t.Context(), "first")))
			latest := till.Now()
			time.Sleep(10 * time.Minute)
			till.Rename(skus[1], "RENAMED")
			till.Forget()
			ctx := channel.WithRun(t.Context(), "second")
			require.NoError(t, ch.Preload(ctx))
			asked := searches(t, till)
			require.Len(t, asked, 1)
			begin, err := time.Parse(time.RFC3339, asked[0].BeginTime)
			require.NoError(t, err)
			assert.WithinDuration(t, latest.Add(-overlap), begin, time.Second)
			got, err := ch.Levels(ctx, []string{skus[1], "RENAMED"})
			require.NoError(t, err)
			require.Len(t, got, 1)
			assert.Equal(t, "RENAMED", got[0].SKU)
		})
	}
}

// A source's clock that is ahead must not use up the BookingLag: what the till
// sold meanwhile would be shown again.
func TestTrapASourcesClockAheadUsesUpNoLag(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		till := squaretest.New(squaretest.Config{})
		till.Add(squaretest.Variation{SKU: "A", Quantity: 10})
		ch := open(t, till, lag(15*time.Minute))
		till.Sell("A", 4) // the source books it in a quarter of an hour
		time.Sleep(10 * time.Minute)
		u := update("A", 10)
		u.AsOf = u.AsOf.Add(10 * time.Minute)
		require.NoError(t, ch.Push(t.Context(), []channel.Update{u}))
		assert.Equal(t, 6, shown(t, till, "A"))
	})
}

// Whatever Square repeats of a request, the token is not in what people see.
func TestTrapTheTokenInAnswers(t *testing.T) {
	const token = "EAAAsesame-open"
	const split = "EAAA<b>ses</b>ame&#45;open"
	for name, test := range map[string]struct{ path, body string }{
		"a detail with tags": {changesPath, `{"errors":[{"category":"API_ERROR","code":"INTERNAL_SERVER_ERROR","detail":"` + split + `"}]}`},
		"a quantity":         {countsPath, `{"counts":[{"catalog_object_id":"ID","state":"IN_STOCK","location_id":"LMAIN","quantity":"` + token + `"}]}`},
		"an SKU":             {searchPath, `{"objects":[{"type":"ITEM_VARIATION","id":"V","item_variation_data":{"sku":["` + token + `"]}}]}`},
		"an id": {searchPath, `{"objects":[{"type":"ITEM_VARIATION","id":"` + token + `","item_variation_data":{"sku":"A","track_inventory":false}},
			{"type":"ITEM_VARIATION","id":"V","item_variation_data":{"sku":"A"}}]}`},
		"a list":     {countsPath, `{"counts":"` + token + `"}`},
		"a location": {locationsPath, `{"location":{"id":"` + token + `","status":"` + token + `"}}`},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var logs bytes.Buffer
				till := squaretest.New(squaretest.Config{Token: token})
				id := till.Add(squaretest.Variation{SKU: "A", Quantity: 5})[0]
				ch := open(t, till, func(c *Config, _ *ChannelConfig) { c.Token, c.Logger = StaticToken(token), logger(&logs) })
				till.Inject(channeltest.Fault{
					Match: func(r channeltest.Request) bool { return strings.HasPrefix(r.URL.Path, test.path) }, Times: -1,
					Rewrite: func(int, http.Header, []byte) (int, []byte) {
						return 200, []byte(strings.ReplaceAll(test.body, "ID", id))
					},
				})
				got, err := ch.Levels(t.Context(), []string{"A"})
				pushed := ch.Push(t.Context(), []channel.Update{update("A", 9)})
				raw, _ := json.Marshal(got)
				out := fmt.Sprintf("%v %+v %s %v %s", err, got, raw, pushed, logs.String())
				assert.NotContains(t, out, "sesame")
				assert.NotContains(t, out, token[4:])
			})
		})
	}
}

// A count that somebody made outranks those of before it only: what the till
// sold long after it is deducted as ever.
func TestTrapAnOutdatedCountIsNoReasonForOneOfNowLater(t *testing.T) {
	for _, bookingLag := range []time.Duration{0, 15 * time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			till := squaretest.New(squaretest.Config{})
			till.Add(squaretest.Variation{SKU: "A", Quantity: 1})
			ch := open(t, till, lag(bookingLag))
			u := update("A", 5)
			till.Set("A", 9)
			time.Sleep(time.Minute)
			assert.ErrorIs(t, ch.Push(t.Context(), []channel.Update{u}), channel.ErrNotApplied)

			// Square is down until long after.
			till.Inject(answering(changesPath, 503, ``))
			time.Sleep(time.Minute)
			assert.ErrorIs(t, ch.Push(t.Context(), []channel.Update{update("A", 5)}), channel.ErrUnclear)
			till.Heal()
			time.Sleep(time.Hour)
			u = update("A", 5)
			time.Sleep(time.Second)
			till.Sell("A", 3)
			time.Sleep(10 * time.Second)
			require.NoError(t, ch.Push(t.Context(), []channel.Update{u}))
			assert.Equal(t, 2, shown(t, till, "A"))
		})
	}
}

// Square refuses a count of more than 24 hours ago.
func TestTrapACountIsNotTooOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		till := squaretest.New(squaretest.Config{ClockSkew: 30 * time.Minute})
		till.Add(squaretest.Variation{SKU: "A", Quantity: 1}, squaretest.Variation{SKU: "B", Quantity: 1})
		ch := open(t, till, lag(maxBookingLag))
		a, b := update("A", 5), update("B", 6)
		a.AsOf = a.AsOf.Add(-90 * time.Minute)
		b.AsOf = b.AsOf.Add(-30 * time.Hour)
		till.Forget()
		require.NoError(t, ch.Push(t.Context(), []channel.Update{a, b}))
		assert.Equal(t, 1, till.Count(on(changesPath)))
		for _, c := range till.History() {
			assert.WithinDuration(t, till.Now().Add(-tooOld), c.OccurredAt, clockMargin)
		}
	})
}

// A variation that is made anew has another id: the SKU is not gone with it.
func TestTrapAVariationMadeAnewHasAnotherID(t *testing.T) {
	till := squaretest.New(squaretest.Config{})
	till.Add(squaretest.Variation{SKU: "A", Quantity: 5})
	ch := open(t, till)
	seen := levels(t, ch, "A")
	till.Remove("A")
	till.Add(squaretest.Variation{SKU: "A", Quantity: 9})
	err := ch.Push(t.Context(), updates(seen, 1))
	assert.ErrorIs(t, err, channel.ErrUnknownSKU)
	assert.False(t, channel.Permanent(err), "nobody has searched for it since")
	require.NoError(t, ch.Push(t.Context(), []channel.Update{update("A", 6)}))
	assert.Equal(t, 6, shown(t, till, "A"))
}
