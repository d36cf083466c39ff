package square

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/internal/racetest"
	"github.com/ecosire/stocksync/square/squaretest"
)

// doubtful runs a test with the account's usual behaviour, and with one that
// Square does not document turned the other way.
func doubtful(t *testing.T, turn func(*squaretest.Doubts), run func(t *testing.T, cfg squaretest.Config)) {
	for _, other := range []bool{false, true} {
		if racetest.Short() && !other {
			continue
		}
		t.Run(map[bool]string{false: "the likely way", true: "the other way"}[other], func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := squaretest.Config{}
				if other {
					turn(&cfg.Doubts)
				}
				run(t, cfg)
			})
		})
	}
}

func TestTrapOnlyWhatIsInStockHereCounts(t *testing.T) {
	till := squaretest.New(squaretest.Config{})
	till.AddLocation("LOTHER", "ACTIVE")
	till.Add(squaretest.Variation{SKU: "A", Quantity: 5}, squaretest.Variation{SKU: "NEW", Uncounted: true})
	till.SetAt("A", "LOTHER", 70)
	till.SetAt("NEW", "LOTHER", 70)
	for _, state := range []string{"WASTE", "ORDERED_FROM_VENDOR", "IN_TRANSIT"} {
		till.Put("A", "LMAIN", state, 900)
		till.Put("NEW", "LMAIN", state, 900)
	}
	ch := open(t, till)
	assert.Equal(t, 5, level(t, ch, "A").Quantity)
	assert.True(t, level(t, ch, "NEW").Unset)

	var body countsBody
	for _, r := range till.Requests() {
		if on(countsPath)(r) {
			require.NoError(t, json.Unmarshal(r.Body, &body))
			assert.Equal(t, []string{"LMAIN"}, body.Locations)
			assert.Equal(t, []string{"IN_STOCK"}, body.States)
			assert.Equal(t, 1000, body.Limit)
		}
	}

	// A filter that is not obeyed changes nothing.
	till.Inject(channeltest.Fault{Match: on(countsPath), Times: -1, Rewrite: func(status int, _ http.Header, raw []byte) (int, []byte) {
		return status, []byte(strings.Replace(string(raw), `{"counts":[`, `{"counts":[
			{"catalog_object_id":"`+idOf(till, "A")+`","state":"WASTE","location_id":"LMAIN","quantity":"900"},
			{"catalog_object_id":"`+idOf(till, "A")+`","state":"IN_STOCK","location_id":"LOTHER","quantity":"70"},`, 1))
	}})
	assert.Equal(t, 5, level(t, ch, "A").Quantity)
}

// idOf is the id of the variation with an SKU.
func idOf(till *squaretest.Server, sku string) string {
	_, body := till.Delivery("", "", sku)
	_, rest, _ := strings.Cut(string(body), `"catalog_object_id":"`)
	id, _, _ := strings.Cut(rest, `"`)
	return id
}

func TestTrapNeverCountedIsNotSoldOut(t *testing.T) {
	doubtful(t, func(d *squaretest.Doubts) { d.NeverCountedIsZero = true }, func(t *testing.T, cfg squaretest.Config) {
		till := squaretest.New(cfg)
		till.Add(squaretest.Variation{SKU: "NEW", Uncounted: true}, squaretest.Variation{SKU: "SOLD", Quantity: 0})
		ch := open(t, till)
		l := level(t, ch, "NEW")
		assert.Equal(t, !cfg.Doubts.NeverCountedIsZero, l.Unset, "Square may say 0 of it, like of one that is sold out")
		assert.NoError(t, l.Err)
		assert.False(t, level(t, ch, "SOLD").Unset)
		u := update("NEW", 4)
		u.Seen = &l
		require.NoError(t, ch.Push(t.Context(), []channel.Update{u}))
		assert.Equal(t, 4, shown(t, till, "NEW"))
	})
}

func TestTrapWhatIsMissingIsAskedForAgainBeforeItIsUnset(t *testing.T) {
	till := squaretest.New(squaretest.Config{})
	skus := stock(till, 10)
	ch := open(t, till)
	levels(t, ch, skus...)
	till.Forget()
	// The page moved: a row slipped through.
	till.Inject(channeltest.Fault{Match: on(countsPath), Rewrite: func(status int, _ http.Header, raw []byte) (int, []byte) {
		var body struct {
			Counts []any `json:"counts"`
		}
		json.Unmarshal(raw, &body)
		body.Counts = body.Counts[1:]
		raw, _ = json.Marshal(body)
		return status, raw
	}})
	for _, l := range levels(t, ch, skus...) {
		assert.False(t, l.Unset, l.SKU)
	}
	assert.Equal(t, 2, till.Count(on(countsPath)))
}

func TestTrapPagesOfCountsMove(t *testing.T) {
	till := squaretest.New(squaretest.Config{})
	skus := stock(till, 6) // the latest first: 5, 4, 3, 2, 1, 0
	// Pages are shorter than was asked for, and a sale between two of them moves
	// a row over their border.
	pages := 0
	till.Inject(channeltest.Fault{Match: on(countsPath), Times: -1, Rewrite: func(status int, _ http.Header, raw []byte) (int, []byte) {
		var body struct {
			Counts []json.RawMessage `json:"counts"`
			Cursor string            `json:"cursor,omitempty"`
		}
		json.Unmarshal(raw, &body)
		switch pages++; pages {
		case 1:
			body.Counts, body.Cursor = body.Counts[:3], "second"
			till.Sell(skus[0], 1) // the last one becomes the first
		case 2:
			body.Counts = body.Counts[3:] // and what was the third comes again
		}
		raw, _ = json.Marshal(body)
		return status, raw
	}})
	client := till.Client()
	client.Transport = roundTrip(func(r *http.Request) (*http.Response, error) { return till.RoundTrip(withoutCursor(r)) })
	ch := open(t, till, func(c *Config, _ *ChannelConfig) { c.HTTPClient = client })
	got := levels(t, ch, skus...)
	require.Len(t, got, 6)
	for i, l := range got {
		assert.False(t, l.Unset, l.SKU)
		assert.Equal(t, shown(t, till, skus[i]), l.Quantity, l.SKU)
	}
	assert.Equal(t, 3, pages)
}

func TestTrapQuantitiesAreDecimalAndNegative(t *testing.T) {
	till := squaretest.New(squaretest.Config{})
	till.Add(
		squaretest.Variation{SKU: "OVERSOLD", Count: "-3"},
		squaretest.Variation{SKU: "KILO", Count: "3.75", MeasurementUnitID: "UKG"},
		squaretest.Variation{SKU: "LESS", Count: "-0.5", MeasurementUnitID: "UKG"},
		squaretest.Variation{SKU: "WHOLE", Count: "4.00000", MeasurementUnitID: "UKG"},
	)
	ch := open(t, till)
	for sku, want := range map[string]channel.Level{
		"OVERSOLD": {Quantity: -3}, "KILO": {Quantity: 3, Inexact: true}, "LESS": {Quantity: -1, Inexact: true}, "WHOLE": {Quantity: 4},
	} {
		l := level(t, ch, sku)
		assert.NoError(t, l.Err)
		assert.Equal(t, want.Quantity, l.Quantity, sku)
		assert.Equal(t, want.Inexact, l.Inexact, sku)
	}
	require.NoError(t, ch.Push(t.Context(), []channel.Update{update("KILO", 3)}))
	assert.False(t, level(t, ch, "KILO").Inexact)
}

func TestParseQuantity(t *testing.T) {
	for text, want := range map[string]quantity{
		"0": {}, "79": {n: 79}, "-3": {n: -3}, "3.7": {n: 3, inexact: true}, "-3.7": {n: -4, inexact: true}, "12.00000": {n: 12},
		"00012": {n: 12}, "-0": {}, "0.00001": {inexact: true},
	} {
		got, ok := parseQuantity(text)
		assert.True(t, ok, text)
		assert.Equal(t, want, got, text)
	}
	largest, ok := parseQuantity("9007199254740992")
	assert.Equal(t, strconv.IntSize == 64, ok, "a machine of 32 bits has no such quantity")
	if ok {
		assert.Equal(t, int64(maxCount), int64(largest.n))
	}
	for _, text := range []string{
		"", "-", ".", "1.", ".5", "+1", "1e3", "0x1", " 1", "1 ", "1,000", "NaN", "Infinity", "--1", "1-", "½", "١", "9007199254740993",
		"99999999999999999999999999", "1.2.3", "null",
	} {
		_, ok := parseQuantity(text)
		assert.False(t, ok, text)
	}
}

func TestTrapOneOddRowIsOneProductsTrouble(t *testing.T) {
	odd := map[string]string{
		"a number":        `{"catalog_object_id":"ID","state":"IN_STOCK","location_id":"LMAIN","quantity":7}`,
		"a word":          `{"catalog_object_id":"ID","state":"IN_STOCK","location_id":"LMAIN","quantity":"plenty"}`,
		"an exponent":     `{"catalog_object_id":"ID","state":"IN_STOCK","location_id":"LMAIN","quantity":"1e3"}`,
		"empty":           `{"catalog_object_id":"ID","state":"IN_STOCK","location_id":"LMAIN","quantity":""}`,
		"null":            `{"catalog_object_id":"ID","state":"IN_STOCK","location_id":"LMAIN","quantity":null}`,
		"no quantity":     `{"catalog_object_id":"ID","state":"IN_STOCK","location_id":"LMAIN"}`,
		"another case":    `{"catalog_object_id":"ID","state":"IN_STOCK","location_id":"LMAIN","Quantity":"7"}`,
		"twice":           `{"catalog_object_id":"ID","state":"IN_STOCK","location_id":"LMAIN","quantity":"7","quantity":"9"}`,
		"too large":       `{"catalog_object_id":"ID","state":"IN_STOCK","location_id":"LMAIN","quantity":"99999999999999999999"}`,
		"no state":        `{"catalog_object_id":"ID","location_id":"LMAIN","quantity":"7"}`,
		"null state":      `{"catalog_object_id":"ID","state":null,"location_id":"LMAIN","quantity":"7"}`,
		"no location":     `{"catalog_object_id":"ID","state":"IN_STOCK","quantity":"7"}`,
		"no id":           `{"state":"IN_STOCK","location_id":"LMAIN","quantity":"7"}`,
		"an id of a list": `{"catalog_object_id":["ID"],"state":"IN_STOCK","location_id":"LMAIN","quantity":"7"}`,
		"text":            `"ID"`,
		"null row":        `null`,
		"a list":          `[]`,
		"two quantities":  `{"catalog_object_id":"ID","state":"IN_STOCK","location_id":"LMAIN","quantity":"7"},{"catalog_object_id":"ID","state":"IN_STOCK","location_id":"LMAIN","quantity":"8"}`,
	}
	for _, text := range []string{"-", ".", "1.", ".5", "+1", "0x1", " 1", "1 ", "1,000", "NaN", "Infinity", "--1", "1-", "½", "١", "9007199254740993", "1.2.3", "true", "[]", "null", "7 pcs", "1e-3"} {
		odd["the quantity "+text] = `{"catalog_object_id":"ID","state":"IN_STOCK","location_id":"LMAIN","quantity":"` + text + `"}`
	}
	require.GreaterOrEqual(t, len(odd), 40)
	for name, odd := range odd {
		t.Run(name, func(t *testing.T) {
			till := squaretest.New(squaretest.Config{})
			skus := stock(till, 20)
			ch := open(t, till)
			before := levels(t, ch, skus...)
			id := before[7].Ref
			till.Inject(channeltest.Fault{Match: on(countsPath), Times: -1, Rewrite: func(status int, _ http.Header, raw []byte) (int, []byte) {
				var body struct {
					Counts []json.RawMessage `json:"counts"`
				}
				json.Unmarshal(raw, &body)
				rows := []string{}
				for _, r := range body.Counts {
					if strings.Contains(string(r), id) {
						r = json.RawMessage(strings.ReplaceAll(odd, "ID", id))
					}
					rows = append(rows, string(r))
				}
				return status, []byte(`{"counts":[` + strings.Join(rows, ",") + `]}`)
			}})
			got, err := ch.Levels(t.Context(), skus)
			require.NoError(t, err)
			require.Len(t, got, 20)
			for i, l := range got {
				if i == 7 {
					assert.ErrorIs(t, l.Err, channel.ErrInvalid)
					assert.False(t, l.Unset)
					continue
				}
				assert.Equal(t, before[i], l)
			}
		})
	}
}

func TestTrapTrackedPresentArchivedStockableAndDuplicated(t *testing.T) {
	doubtful(t, func(d *squaretest.Doubts) { d.TakesUntracked = true }, func(t *testing.T, cfg squaretest.Config) {
		till := squaretest.New(cfg)
		till.AddLocation("LOTHER", "ACTIVE")
		bottle := till.Add(squaretest.Variation{SKU: "BOTTLE", Item: "Wine", Quantity: 6})[0]
		till.Add(
			squaretest.Variation{SKU: "PLAIN", Quantity: 1},
			squaretest.Variation{SKU: "UNTRACKED", Quantity: 1, Untracked: true}, // an old count remains
			squaretest.Variation{SKU: "OFF-HERE", Quantity: 1, TrackedAt: map[string]bool{"LMAIN": false}},
			squaretest.Variation{SKU: "ON-HERE", Quantity: 1, Untracked: true, TrackedAt: map[string]bool{"LMAIN": true}},
			squaretest.Variation{SKU: "OFF-THERE", Quantity: 1, TrackedAt: map[string]bool{"LOTHER": false}},
			squaretest.Variation{SKU: "ABSENT", Quantity: 1, AbsentAt: []string{"LMAIN"}},
			squaretest.Variation{SKU: "ELSEWHERE", Quantity: 1, PresentAt: []string{"LOTHER"}},
			squaretest.Variation{SKU: "ONLY-HERE", Quantity: 1, PresentAt: []string{"LMAIN"}},
			squaretest.Variation{SKU: "NOT-THERE", Quantity: 1, AbsentAt: []string{"LOTHER"}},
			squaretest.Variation{SKU: "ARCHIVED", Quantity: 1, Archived: true},
			squaretest.Variation{SKU: "GLASS", Item: "Wine", StockedAs: bottle, PerUnit: 5},
			squaretest.Variation{SKU: "TWICE", Quantity: 1}, squaretest.Variation{SKU: "TWICE", Quantity: 1},
			squaretest.Variation{SKU: "SOLD-OUT", Quantity: 4, SoldOutAt: []string{"LMAIN"}},
			squaretest.Variation{SKU: "SOLD-OUT-THERE", Quantity: 4, SoldOutAt: []string{"LOTHER"}},
		)
		ch := open(t, till)
		want := map[string]error{
			"PLAIN": nil, "ON-HERE": nil, "OFF-THERE": nil, "ONLY-HERE": nil, "NOT-THERE": nil, "BOTTLE": nil,
			"SOLD-OUT": nil, "SOLD-OUT-THERE": nil,
			"UNTRACKED": channel.ErrNotTracked, "OFF-HERE": channel.ErrNotTracked,
			"ABSENT": channel.ErrNotStocked, "ELSEWHERE": channel.ErrNotStocked, "ARCHIVED": channel.ErrNotStocked,
			"GLASS": channel.ErrShared, "TWICE": channel.ErrAmbiguousSKU,
		}
		for _, preloaded := range []bool{false, true} {
			ctx := t.Context()
			if preloaded {
				ctx = channel.WithRun(ctx, "run")
				require.NoError(t, ch.Preload(ctx))
			}
			till.Forget()
			var all []channel.Update
			for sku, want := range want {
				ls, err := ch.Levels(ctx, []string{sku})
				require.NoError(t, err)
				if sku == "TWICE" {
					assert.Len(t, ls, 2)
				} else if assert.Len(t, ls, 1, sku) && want != nil {
					assert.ErrorIs(t, ls[0].Err, want, sku)
				} else {
					assert.NoError(t, ls[0].Err, sku)
					assert.Equal(t, sku == "SOLD-OUT", ls[0].OffSale, sku)
				}
				all = append(all, update(sku, 9))
			}
			err := ch.Push(ctx, all)
			errs, ok := err.(channel.Errors)
			require.True(t, ok, err)
			for sku, want := range want {
				if want == nil {
					assert.NoError(t, errs[sku], sku)
					assert.Equal(t, 9, shown(t, till, sku))
				} else {
					assert.ErrorIs(t, errs[sku], want, sku)
				}
			}
			assert.Contains(t, errs["GLASS"].Error(), bottle, "whose stock it is")
			assert.Equal(t, "9", till.Stock(bottle, "LMAIN"))
			for _, c := range till.History() {
				assert.NoError(t, want[c.SKU], "%s was not to be counted", c.SKU)
			}
			time.Sleep(time.Minute)
		}
	})
}

func TestTrapSoldOutUntil(t *testing.T) {
	now := time.Date(2026, 11, 26, 9, 0, 0, 0, time.UTC)
	for until, want := range map[string]bool{
		``: true, `,"sold_out_valid_until":"2026-11-26T10:00:00Z"`: true, `,"sold_out_valid_until":"2026-11-26T08:00:00Z"`: false,
		`,"sold_out_valid_until":null`: true, `,"sold_out_valid_until":"tomorrow"`: true,
	} {
		c := newCatalog()
		v := variationOf(t, &c, `{"sku":"A","location_overrides":[{"location_id":"LMAIN","sold_out":true`+until+`}]}`, now)
		require.NoError(t, v.err)
		assert.Equal(t, want, v.at("LMAIN").soldOut, until)
		assert.False(t, v.at("LOTHER").soldOut)
	}
}

func TestTrapSKUsMatchByteForByte(t *testing.T) {
	till := squaretest.New(squaretest.Config{})
	till.Add(squaretest.Variation{SKU: "abc-1", Quantity: 1}, squaretest.Variation{SKU: "", Quantity: 50}, squaretest.Variation{SKU: " ", Quantity: 60})
	ch := open(t, till)
	l := level(t, ch, "ABC-1")
	assert.ErrorIs(t, l.Err, channel.ErrUnknownSKU)
	assert.ErrorContains(t, l.Err, `did you mean "abc-1"`)

	till.Forget()
	got, err := ch.Levels(t.Context(), []string{"", " ", "\t"})
	require.NoError(t, err)
	assert.Empty(t, got)
	assert.Zero(t, till.Count(on(searchPath)), "a blank SKU is never looked up")
	err = ch.Push(t.Context(), []channel.Update{update("", 3), update(" ", 3), update("\xff", 3)})
	errs := err.(channel.Errors)
	assert.ErrorIs(t, errs[""], channel.ErrUnknownSKU)
	assert.ErrorIs(t, errs[" "], channel.ErrUnknownSKU)
	assert.ErrorIs(t, errs["\xff"], channel.ErrInvalid)
	assert.Empty(t, till.History())
}

func TestTrapAServerThatTakesFewerIDs(t *testing.T) {
	doubtful(t, func(d *squaretest.Doubts) { d.FewIDs = true }, func(t *testing.T, cfg squaretest.Config) {
		till := squaretest.New(cfg)
		skus := stock(till, 1000)
		ch := open(t, till)
		assert.Len(t, levels(t, ch, skus...), 1000)
		till.Forget()
		got := levels(t, ch, skus...)
		require.Len(t, got, 1000)
		for i, l := range got {
			assert.NoError(t, l.Err)
			assert.Equal(t, i, l.Quantity)
		}
		want := 1
		if cfg.Doubts.FewIDs {
			want = 10 // which was learned the first time
		}
		assert.LessOrEqual(t, till.Count(on(countsPath)), want)
	})
}

func TestAnIDThatIsRefusedIsOneProductsTrouble(t *testing.T) {
	till := squaretest.New(squaretest.Config{})
	skus := stock(till, 40)
	ch := open(t, till)
	id := level(t, ch, skus[13]).Ref
	till.Inject(channeltest.Fault{Times: -1, Match: func(r channeltest.Request) bool {
		return on(countsPath)(r) && strings.Contains(string(r.Body), id)
	}, Status: 400, Header: jsonHeader, Body: `{"errors":[{"category":"INVALID_REQUEST_ERROR","code":"INVALID_VALUE","detail":"bad id"}]}`})
	for i, l := range levels(t, ch, skus...) {
		if i == 13 {
			assert.ErrorIs(t, l.Err, channel.ErrInvalid)
		} else {
			assert.NoError(t, l.Err)
			assert.Equal(t, i, l.Quantity)
		}
	}
}

var jsonHeader = http.Header{"Content-Type": {"application/json"}}

// variationOf decodes a variation with this data.
func variationOf(t *testing.T, c *catalog, data string, now time.Time) *variation {
	p := pageOf(t, c, fmt.Sprintf(`{"objects":[{"type":"ITEM_VARIATION","id":"V1","item_variation_data":%s}]}`, data), now)
	require.Len(t, p.variations, 1)
	return p.variations[0]
}

func TestTrapTheSearchIsLate(t *testing.T) {
	doubtful(t, func(d *squaretest.Doubts) { d.LateSearch = 90 * time.Second }, func(t *testing.T, cfg squaretest.Config) {
		till := squaretest.New(cfg)
		ch := open(t, till)
		till.Add(squaretest.Variation{SKU: "NEW", Quantity: 4})
		if cfg.Doubts.LateSearch > 0 {
			l := level(t, ch, "NEW")
			assert.ErrorIs(t, l.Err, channel.ErrUnknownSKU)
			assert.False(t, channel.Permanent(l.Err), "it may be there in a moment")
			err := ch.Push(t.Context(), []channel.Update{update("NEW", 5)})
			assert.ErrorIs(t, err, channel.ErrUnknownSKU)
			assert.False(t, channel.Permanent(err))
			time.Sleep(cfg.Doubts.LateSearch)
		}
		require.NoError(t, ch.Push(t.Context(), []channel.Update{update("NEW", 5)}))
		assert.Equal(t, 5, level(t, ch, "NEW").Quantity)

		assert.False(t, channel.Permanent(level(t, ch, "NEVER").Err))
		time.Sleep(searchLag)
		assert.Empty(t, levels(t, ch, "NEVER"), "after that it is unknown")
		assert.True(t, channel.Permanent(ch.Push(t.Context(), []channel.Update{update("NEVER", 5)})))
		// A run that has read everything knows.
		ctx := channel.WithRun(t.Context(), "run")
		require.NoError(t, ch.Preload(ctx))
		got, err := ch.Levels(ctx, []string{"NOT-THIS-EITHER"})
		require.NoError(t, err)
		assert.Empty(t, got)
	})
}
