package square

import (
	"encoding/json"
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
	"github.com/ecosire/stocksync/square/squaretest"
)

func TestOneOddObjectIsOneProductsTrouble(t *testing.T) {
	for name, edit := range map[string]func(o, data map[string]any){
		"a number for the SKU":   func(_, data map[string]any) { data["sku"] = int64(4006381333931) },
		"tracked by word":        func(_, data map[string]any) { data["track_inventory"] = "yes" },
		"stockable by word":      func(_, data map[string]any) { data["stockable"] = "no" },
		"overrides of an object": func(_, data map[string]any) { data["location_overrides"] = map[string]any{} },
		"an override of a word":  func(_, data map[string]any) { data["location_overrides"] = []any{"LMAIN"} },
		"an override of nowhere": func(_, data map[string]any) {
			data["location_overrides"] = []any{map[string]any{"track_inventory": true}}
		},
		"a sold out of a number": func(_, data map[string]any) {
			data["location_overrides"] = []any{map[string]any{"location_id": "LMAIN", "sold_out": 1}}
		},
		"another case":       func(_, data map[string]any) { data["Track_Inventory"] = false },
		"deleted by word":    func(o, _ map[string]any) { o["is_deleted"] = "no" },
		"present by number":  func(o, _ map[string]any) { o["present_at_all_locations"] = 1 },
		"presence of a word": func(o, _ map[string]any) { o["absent_at_location_ids"] = "LMAIN" },
		"an item of a list":  func(_, data map[string]any) { data["item_id"] = []any{} },
		"no id":              func(o, _ map[string]any) { delete(o, "id") },
		"an id of blanks":    func(o, _ map[string]any) { o["id"] = "a b" },
		"a long id":          func(o, _ map[string]any) { o["id"] = strings.Repeat("V", 101) },
		"no type":            func(o, _ map[string]any) { o["type"] = nil },
		"no data":            func(o, _ map[string]any) { delete(o, "item_variation_data") },
		"data of a word":     func(o, _ map[string]any) { o["item_variation_data"] = "x" },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				till := squaretest.New(squaretest.Config{})
				skus := stock(till, 10)
				skus[3] = "4006381333931"
				till.Rename("SKU-00003", skus[3])
				ch := open(t, till)
				before := levels(t, ch, skus...)
				till.Inject(channeltest.Fault{Match: on(searchPath), Times: -1, Rewrite: func(status int, _ http.Header, raw []byte) (int, []byte) {
					var body map[string]any
					json.Unmarshal(raw, &body)
					for _, o := range body["objects"].([]any) {
						o := o.(map[string]any)
						if data := o["item_variation_data"].(map[string]any); data["sku"] == skus[3] {
							edit(o, data)
						}
					}
					raw, _ = json.Marshal(body)
					return status, raw
				}})
				for _, run := range []string{"", "run"} {
					ctx := channel.WithRun(t.Context(), run)
					if run != "" {
						require.NoError(t, ch.Preload(ctx))
					}
					got, err := ch.Levels(ctx, skus)
					require.NoError(t, err)
					for _, l := range got {
						if l.SKU == skus[3] {
							assert.Error(t, l.Err)
							assert.True(t, channel.Permanent(l.Err))
							continue
						}
						assert.Equal(t, before[slices.Index(skus, l.SKU)], l)
					}
					assert.Len(t, got, 10, "also if nobody can tell whose it is")
					err = ch.Push(ctx, []channel.Update{update(skus[3], 9), update(skus[4], 9)})
					errs, ok := err.(channel.Errors)
					require.True(t, ok, err)
					assert.Len(t, errs, 1)
					assert.True(t, channel.Permanent(errs[skus[3]]))
					assert.Equal(t, 3, shown(t, till, skus[3]))
					assert.Equal(t, 9, shown(t, till, skus[4]))
					till.Set(skus[4], 4)
					time.Sleep(time.Minute)
				}
			})
		})
	}
}

func TestAnOddItemIsItsVariationsTrouble(t *testing.T) {
	c := newCatalog()
	p := pageOf(t, &c, `{"objects":[
		{"type":"ITEM_VARIATION","id":"V1","item_variation_data":{"sku":"A","item_id":"I1","track_inventory":true}},
		{"type":"ITEM_VARIATION","id":"V2","item_variation_data":{"sku":"B","item_id":"I2","track_inventory":true}},
		{"type":"ITEM_VARIATION","id":"V3","item_variation_data":{"sku":"C","item_id":"I3","track_inventory":true}},
		{"type":"TAX","id":"T1"}, 7
	],"related_objects":[
		{"type":"ITEM","id":"I1","item_data":{"is_archived":"no"}},
		{"type":"ITEM","id":"I2","item_data":{"is_archived":null}},
		"x"
	]}`, time.Now())
	require.Len(t, p.variations, 3)
	assert.ErrorIs(t, p.variations[0].err, channel.ErrInvalid)
	assert.NoError(t, p.variations[1].obstacle("L"))
	assert.NoError(t, p.variations[2].obstacle("L"), "without its item it is taken for one that is not archived")
	assert.Equal(t, 2, p.odd)
}

func TestPlausible(t *testing.T) {
	for id, want := range map[string]bool{
		"W62UWFY35CWMYGVWK6TWJDNI": true, "#temp": true, strings.Repeat("A", 100): true,
		"": false, " ": false, "A B": false, "A\n": false, "A\x00": false, "\u202eA": false, strings.Repeat("A", 101): false, "\xff": false,
	} {
		assert.Equal(t, want, plausible(id), "%q", id)
	}
}
