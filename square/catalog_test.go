package square

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
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

// searches returns the bodies of the searches that arrived.
func searches(t *testing.T, till *squaretest.Server) (bodies []searchBody) {
	for _, r := range till.Requests() {
		if on(searchPath)(r) {
			var body searchBody
			require.NoError(t, json.Unmarshal(r.Body, &body))
			bodies = append(bodies, body)
		}
	}
	return bodies
}

func TestTrapPagesAreOfAnyLength(t *testing.T) {
	racetest.Long(t)
	for _, uneven := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			till := squaretest.New(squaretest.Config{UnevenPages: uneven})
			skus := stock(till, 2500)
			ch := open(t, till)
			ctx := channel.WithRun(t.Context(), "run")
			require.NoError(t, ch.Preload(ctx))
			for _, body := range searches(t, till) {
				assert.Equal(t, 1000, body.Limit)
				assert.Equal(t, []string{"ITEM_VARIATION"}, body.Types)
			}
			if !uneven {
				assert.Len(t, till.Requests(), 3)
			}
			till.Forget()
			got, err := ch.Levels(ctx, append([]string{"NO-SUCH", "sku-00001"}, skus...))
			require.NoError(t, err)
			require.Len(t, got, 2501)
			assert.ErrorContains(t, got[0].Err, "did you mean")
			assert.Zero(t, till.Count(on(searchPath)))
			assert.Equal(t, 3, till.Count(on(countsPath)))
			err = ch.Push(ctx, []channel.Update{update("NO-SUCH", 1)})
			assert.ErrorIs(t, err, channel.ErrUnknownSKU)
			assert.Zero(t, till.Count(on(searchPath)))

			// What was read is for that run.
			_, err = ch.Levels(channel.WithRun(t.Context(), "another"), skus[:1])
			require.NoError(t, err)
			_, err = ch.Levels(t.Context(), skus[:1])
			require.NoError(t, err)
			assert.Equal(t, 2, till.Count(on(searchPath)))
			// Once is enough.
			till.Forget()
			require.NoError(t, ch.Preload(ctx))
			assert.Empty(t, till.Requests())
		})
	}
}

func TestTrapChangesOfTheCatalogHaveWhatWasDeleted(t *testing.T) {
	doubtful(t, func(d *squaretest.Doubts) { d.LateSearch = 90 * time.Second }, func(t *testing.T, cfg squaretest.Config) {
		till := squaretest.New(cfg)
		stock(till, 1200)
		till.Add(squaretest.Variation{SKU: "SHIRT-S", Item: "Shirt", Quantity: 1}, squaretest.Variation{SKU: "SHIRT-M", Item: "Shirt", Quantity: 2})
		time.Sleep(10 * time.Minute)
		till.Track("SHIRT-M", true) // the last change before all is read
		ch := open(t, till)
		ctx := channel.WithRun(t.Context(), "first")
		require.NoError(t, ch.Preload(ctx))
		time.Sleep(20 * time.Minute)
		till.Rename("SKU-00001", "RENAMED")
		till.Remove("SKU-00002")
		till.Remove("SKU-00003")
		till.Add(squaretest.Variation{SKU: "SKU-00003", Quantity: 30}) // made anew, with another id
		till.Track("SKU-00004", false)
		till.Archive("SHIRT-S", true)
		till.Add(squaretest.Variation{SKU: "SKU-00005", Quantity: 50}) // a copy
		time.Sleep(cfg.Doubts.LateSearch)
		check := func(run string) {
			ctx := channel.WithRun(t.Context(), run)
			require.NoError(t, ch.Preload(ctx))
			got, err := ch.Levels(ctx, []string{"SKU-00001", "RENAMED", "SKU-00002", "SKU-00003", "SKU-00004", "SHIRT-S", "SHIRT-M", "SKU-00005", "SKU-00006"})
			require.NoError(t, err)
			var lines []string
			for _, l := range got {
				lines = append(lines, fmt.Sprintf("%s %d %s", l.SKU, l.Quantity, channel.Class(l.Err)))
			}
			assert.Equal(t, []string{
				"RENAMED 1 ", "SKU-00003 30 ", "SKU-00004 0 not_tracked", "SHIRT-S 0 not_stocked", "SHIRT-M 0 not_stocked",
				"SKU-00005 5 ", "SKU-00005 50 ", "SKU-00006 6 ",
			}, lines)
		}
		till.Forget()
		check("second")
		bodies := searches(t, till)
		require.Len(t, bodies, 1, "only what changed")
		assert.NotEmpty(t, bodies[0].BeginTime)
		assert.Equal(t, []string{"ITEM", "ITEM_VARIATION"}, bodies[0].Types)
		assert.True(t, bodies[0].Related)
		// After an hour everything is read again, with the same result.
		time.Sleep(time.Hour)
		till.Forget()
		check("third")
		assert.Len(t, searches(t, till), 2)
		// One variation of an item is deleted, and then all.
		till.Archive("SHIRT-S", false)
		for i, sku := range []string{"SHIRT-S", "SHIRT-M"} {
			till.Remove(sku)
			time.Sleep(5 * time.Minute)
			ctx = channel.WithRun(t.Context(), sku)
			require.NoError(t, ch.Preload(ctx))
			got, err := ch.Levels(ctx, []string{"SHIRT-S", "SHIRT-M", "RENAMED"})
			require.NoError(t, err)
			assert.Len(t, got, 2-i)
		}
	})
}

func TestALongRunKeepsUpWithTheCatalog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		till := squaretest.New(squaretest.Config{})
		skus := stock(till, 3)
		ch := open(t, till)
		ctx := channel.WithRun(t.Context(), "run")
		require.NoError(t, ch.Preload(ctx))
		till.Rename(skus[0], "RENAMED")
		time.Sleep(2 * time.Minute)
		till.Forget()
		for range 3 {
			got, err := ch.Levels(ctx, []string{skus[0], "RENAMED"})
			require.NoError(t, err)
			require.Len(t, got, 1)
			assert.Equal(t, "RENAMED", got[0].SKU)
		}
		assert.Equal(t, 1, till.Count(on(searchPath)), "once a minute")
		// If that cannot be read, the run goes on with what it has.
		time.Sleep(2 * time.Minute)
		till.Inject(answering(searchPath, 400, `{"errors":[{"category":"INVALID_REQUEST_ERROR","code":"BAD_REQUEST"}]}`))
		got, err := ch.Levels(ctx, []string{skus[1]})
		require.NoError(t, err)
		assert.Len(t, got, 1)
	})
}

func TestWithoutALatestTimeEverythingIsReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		till := squaretest.New(squaretest.Config{})
		skus := stock(till, 3)
		ch := open(t, till)
		till.Inject(channeltest.Fault{Match: on(searchPath), Times: -1, Rewrite: func(status int, _ http.Header, raw []byte) (int, []byte) {
			return status, bytes.Replace(raw, []byte("latest_time"), []byte("later_time"), 1)
		}})
		for i := range 2 {
			require.NoError(t, ch.Preload(channel.WithRun(t.Context(), fmt.Sprint("run", i))))
			time.Sleep(5 * time.Minute)
			_, err := ch.Levels(channel.WithRun(t.Context(), fmt.Sprint("run", i)), skus)
			require.NoError(t, err)
		}
		for _, body := range searches(t, till) {
			assert.Empty(t, body.BeginTime)
		}
	})
}

func TestAListThatDoesNotEnd(t *testing.T) {
	till := squaretest.New(squaretest.Config{})
	skus := stock(till, 3)
	n := 0
	for name, rewrite := range map[string]func(raw []byte) []byte{
		"the same cursor": func(raw []byte) []byte { return bytes.Replace(raw, []byte("{"), []byte(`{"cursor":"again",`), 1) },
		"always another page": func(raw []byte) []byte {
			n++
			return bytes.Replace(raw, []byte("{"), fmt.Appendf(nil, `{"cursor":"c%d",`, n), 1)
		},
	} {
		client := till.Client()
		client.Transport = roundTrip(func(r *http.Request) (*http.Response, error) { return till.RoundTrip(withoutCursor(r)) })
		ch := open(t, till, func(c *Config, _ *ChannelConfig) { c.HTTPClient = client })
		till.Heal()
		till.Inject(channeltest.Fault{Match: on(searchPath), Times: -1, Rewrite: func(status int, _ http.Header, raw []byte) (int, []byte) {
			return status, rewrite(raw)
		}})
		_, err := ch.Levels(t.Context(), skus)
		assert.ErrorIs(t, err, channel.ErrUnavailable, name)
		assert.ErrorContains(t, err, "does not end", name)
	}
}

func TestACursorThatComesAgain(t *testing.T) {
	till := squaretest.New(squaretest.Config{})
	skus := stock(till, 3)
	client := till.Client()
	client.Transport = roundTrip(func(r *http.Request) (*http.Response, error) { return till.RoundTrip(withoutCursor(r)) })
	ch := open(t, till, func(c *Config, _ *ChannelConfig) { c.HTTPClient = client })
	levels(t, ch, skus...)
	again := func(path string) {
		till.Forget()
		till.Heal()
		till.Inject(channeltest.Fault{Match: on(path), Times: 20, Rewrite: func(status int, _ http.Header, raw []byte) (int, []byte) {
			return status, bytes.Replace(raw, []byte("{"), []byte(`{"cursor":"again",`), 1)
		}})
	}
	again(searchPath)
	assert.ErrorContains(t, ch.Preload(channel.WithRun(t.Context(), "run")), "a cursor comes again")
	assert.Equal(t, 2, till.Count(on(searchPath)))
	var last error
	for _, err := range ch.SKUs(t.Context()) {
		last = err
	}
	assert.ErrorContains(t, last, "a cursor comes again")
	again(countsPath)
	_, err := ch.Levels(t.Context(), skus)
	assert.ErrorContains(t, err, "a cursor comes again")
	assert.ErrorIs(t, err, channel.ErrUnavailable)
	assert.Equal(t, 2, till.Count(on(countsPath)))
}

func TestTrapLocationsAreApart(t *testing.T) { synctest.Test(t, locationsShareTheCatalog) }

func locationsShareTheCatalog(t *testing.T) {
	till := squaretest.New(squaretest.Config{})
	till.AddLocation("LOTHER", "ACTIVE")
	till.Add(squaretest.Variation{SKU: "A", Quantity: 5}, squaretest.Variation{SKU: "HERE", Quantity: 6, PresentAt: []string{"LMAIN"}},
		squaretest.Variation{SKU: "THERE", PresentAt: []string{"LOTHER"}}, squaretest.Variation{SKU: "GONE", Archived: true}, squaretest.Variation{SKU: ""})
	till.SetAt("A", "LOTHER", 70)
	time.Sleep(time.Minute)
	here := open(t, till)
	there, err := here.client.Channel(ChannelConfig{LocationID: "LOTHER", Name: "outlet"})
	require.NoError(t, err)
	assert.Equal(t, "square:LMAIN", here.Name())
	assert.Equal(t, "outlet", there.Name())
	ctx := channel.WithRun(t.Context(), "run")
	require.NoError(t, here.Preload(ctx))
	require.NoError(t, there.Preload(ctx))
	assert.Len(t, till.Requests(), 1)
	assert.Equal(t, here.Requests(), there.Requests())
	got, err := there.Levels(ctx, []string{"A", "HERE"})
	require.NoError(t, err)
	assert.Equal(t, 70, got[0].Quantity)
	assert.ErrorIs(t, got[1].Err, channel.ErrNotStocked)
	require.NoError(t, there.Push(ctx, []channel.Update{update("A", 8)}))
	assert.Equal(t, "8", till.Stock(got[0].Ref, "LOTHER"))
	assert.Equal(t, "5", till.Stock(got[0].Ref, "LMAIN"))

	// What a location sells is what it lists, with a request or without.
	for _, run := range []string{"run", "another"} {
		for ch, want := range map[*Channel][]string{here: {"A", "HERE"}, there: {"A", "THERE"}} {
			till.Forget()
			var skus []string
			for sku, err := range ch.SKUs(channel.WithRun(t.Context(), run)) {
				require.NoError(t, err)
				skus = append(skus, sku)
			}
			slices.Sort(skus)
			assert.Equal(t, want, skus)
			assert.Len(t, till.Requests(), map[string]int{"run": 0, "another": 1}[run])
		}
	}
}

func TestADeletedItemTakesItsVariationsAlong(t *testing.T) {
	c := newCatalog()
	p := pageOf(t, &c, `{"objects":[
		{"type":"ITEM_VARIATION","id":"V1","item_variation_data":{"sku":"A","item_id":"I1"}},
		{"type":"ITEM_VARIATION","id":"V2","item_variation_data":{"sku":"A","item_id":"I2"}}
	]}`, time.Now())
	c.replace(p.variations, 0, "", "first", time.Now())
	p = pageOf(t, &c, `{"objects":[{"type":"ITEM","id":"I1","is_deleted":true}]}`, time.Now())
	c.update(slices.Concat(p.nested, p.variations), p.gone, "", "second", time.Now())
	left := sift("A", c.byKey[c.key("A")], 0).exact
	require.Len(t, left, 1)
	assert.Equal(t, "V2", left[0].id)
	_, known := c.sku("V1")
	assert.False(t, known)

	// What is not in the catalog any more is forgotten.
	c.learn([]*variation{{id: "V9", sku: "OLD"}})
	_, known = c.sku("V9")
	assert.True(t, known)
	c.replace(nil, 0, "", "third", time.Now())
	_, known = c.sku("V9")
	assert.False(t, known)
}

func TestAnItemThatChangedAloneIsNoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		till := squaretest.New(squaretest.Config{})
		skus := stock(till, 2)
		ch := open(t, till)
		require.NoError(t, ch.Preload(channel.WithRun(t.Context(), "first")))
		time.Sleep(10 * time.Minute)
		till.Archive(skus[0], true)
		till.Inject(channeltest.Fault{Match: on(searchPath), Times: -1, Rewrite: func(status int, _ http.Header, raw []byte) (int, []byte) {
			var body map[string]any
			json.Unmarshal(raw, &body)
			body["objects"] = slices.DeleteFunc(body["objects"].([]any), func(o any) bool { return o.(map[string]any)["type"] != "ITEM" })
			delete(body, "related_objects")
			raw, _ = json.Marshal(body)
			return status, raw
		}})
		ctx := channel.WithRun(t.Context(), "second")
		require.NoError(t, ch.Preload(ctx))
		got, err := ch.Levels(ctx, skus)
		require.NoError(t, err)
		require.Len(t, got, 2)
		assert.ErrorIs(t, got[0].Err, channel.ErrNotStocked)
		assert.NoError(t, got[1].Err)
	})
}

func TestWhatIsRememberedIsBounded(t *testing.T) {
	c := newCatalog()
	for i := range maxVain + 10 {
		c.late(fmt.Sprint(i), false)
	}
	assert.LessOrEqual(t, len(c.vain), maxVain)
	for i := range maxNames + 10 {
		c.learn([]*variation{{id: fmt.Sprint(i), sku: "A"}})
	}
	assert.LessOrEqual(t, len(c.names), maxNames+1)
}

func TestAListWithOddObjectsIsNotWhole(t *testing.T) {
	till := squaretest.New(squaretest.Config{})
	stock(till, 3)
	ch := open(t, till)
	till.Inject(channeltest.Fault{Match: on(searchPath), Times: -1, Rewrite: func(status int, _ http.Header, raw []byte) (int, []byte) {
		return status, bytes.Replace(raw, []byte(`"objects":[`), []byte(`"objects":[7,`), 1)
	}})
	ctx := channel.WithRun(t.Context(), "run")
	require.NoError(t, ch.Preload(ctx))
	for _, ctx := range []context.Context{ctx, t.Context()} {
		var last error
		n := 0
		for sku, err := range ch.SKUs(ctx) {
			if last = err; sku != "" {
				n++
			}
		}
		assert.Equal(t, 3, n)
		assert.ErrorIs(t, last, channel.ErrIncomplete)
	}
}

func TestAnSKUIsReadOnce(t *testing.T) {
	till := squaretest.New(squaretest.Config{})
	skus := stock(till, 1)
	assert.Len(t, levels(t, open(t, till), skus[0], skus[0], skus[0]), 1)
}
