package woocommerce_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/internal/racetest"
	"github.com/ecosire/stocksync/woocommerce"
	"github.com/ecosire/stocksync/woocommerce/woocommercetest"
)

// broken are ways in which a row of a good page goes wrong. Each is a change of
// the row's JSON; "" takes the member away.
var broken = []struct{ field, value string }{
	{"id", ""}, {"id", "null"}, {"id", `"12"`}, {"id", "0"}, {"id", "-12"}, {"id", "1.5"}, {"id", "1e300"}, {"id", "[12]"},
	{"type", ""}, {"type", "null"}, {"type", "7"}, {"type", `""`},
	{"sku", ""}, {"sku", "null"}, {"sku", "4006381333931"}, {"sku", "true"}, {"sku", "[]"}, {"sku", `"ANOTHER"`}, {"sku", `""`}, {"sku", "\"\xff\""},
	{"manage_stock", ""}, {"manage_stock", "null"}, {"manage_stock", `"yes"`}, {"manage_stock", "1"}, {"manage_stock", `"true"`}, {"manage_stock", "{}"},
	{"stock_quantity", ""}, {"stock_quantity", `""`}, {"stock_quantity", `"5 pcs"`}, {"stock_quantity", "false"}, {"stock_quantity", "true"},
	{"stock_quantity", "[5]"}, {"stock_quantity", `{"n":5}`}, {"stock_quantity", "1e30"}, {"stock_quantity", "9007199254740993"}, {"stock_quantity", `"1,000"`},
	{"STOCK_QUANTITY", "7"}, {"Sku", `"S-1"`}, {"MANAGE_STOCK", "true"},
	// Not changes of a member, but of the row.
	{"twice", `,"stock_quantity":0}`}, {"row", "null"}, {"row", "[]"}, {"row", `"text"`}, {"row", "7"}, {"row", "{}"},
}

// breakRow is a fault that changes one row of each list.
func breakRow(sku, field, value string) channeltest.Fault {
	return channeltest.Fault{Match: lookups, Times: -1, Rewrite: func(status int, _ http.Header, body []byte) (int, []byte) {
		var rows []json.RawMessage
		if json.Unmarshal(body, &rows) != nil {
			return status, body
		}
		texts := make([]string, len(rows))
		for i, raw := range rows {
			texts[i] = string(raw)
			var row map[string]json.RawMessage
			if json.Unmarshal(raw, &row) != nil || string(row["sku"]) != `"`+sku+`"` {
				continue
			}
			switch field {
			case "row":
				texts[i] = value
			case "twice":
				texts[i] = strings.TrimSuffix(string(raw), "}") + value
			default:
				row[field] = json.RawMessage("0")
				if delete(row, field); value != "" {
					row[field] = json.RawMessage("0")
				}
				changed, _ := json.Marshal(row)
				if texts[i] = string(changed); value != "" {
					texts[i] = strings.Replace(texts[i], `"`+field+`":0`, `"`+field+`":`+value, 1)
				}
			}
		}
		return status, []byte("[" + strings.Join(texts, ",") + "]")
	}}
}

// A good page of which one row is broken: exactly that product fails.
func TestOneBrokenRowIsOneBrokenProduct(t *testing.T) {
	racetest.Long(t)
	require.GreaterOrEqual(t, len(broken), 40)
	for _, b := range broken {
		t.Run(b.field+" "+b.value, func(t *testing.T) {
			shop := woocommercetest.New(woocommercetest.Config{})
			skus := simple(shop, 60)
			const bad = "S-17"
			shop.Inject(breakRow(bad, b.field, b.value))
			ch := open(t, shop, woocommerce.ChannelConfig{})
			levels, err := ch.Levels(t.Context(), append(skus, "NONE", "NOR-THIS"))
			require.NoError(t, err)
			got := make(map[string]channel.Level)
			for _, l := range levels {
				got[l.SKU] = l
			}
			for _, sku := range skus {
				if sku == bad {
					assert.ErrorIs(t, got[sku].Err, channel.ErrInvalid, "never absent, and never a quantity")
					assert.Less(t, len(fmt.Sprint(got[sku].Err)), 500)
					continue
				}
				assert.NoError(t, got[sku].Err, sku)
				assert.Equal(t, 1, got[sku].Quantity, sku)
			}
			assert.NotContains(t, got, "NONE", "what is not there is plainly not there")
			assert.NotContains(t, got, "NOR-THIS")
			assert.LessOrEqual(t, shop.Count(nil), 8)

			errs := failures(t, ch.Push(t.Context(), unread(5, skus...)))
			assert.Len(t, errs, 1)
			assert.ErrorIs(t, errs[bad], channel.ErrInvalid)
			shows(t, shop, 5, "S-1", "S-16", "S-18", "S-60")
			shows(t, shop, 1, bad)
		})
	}
}

func TestAVariationWithoutItsParent(t *testing.T) {
	for _, parent := range []string{"0", "null", `"12"`, "-1", ""} {
		shop := woocommercetest.New(woocommercetest.Config{})
		skus := append(simple(shop, 3), variations(shop, 2, 2)...)
		shop.Inject(breakRow("V-2-1", "parent_id", parent))
		levels, err := open(t, shop, woocommerce.ChannelConfig{}).Levels(t.Context(), skus)
		require.NoError(t, err)
		require.Len(t, levels, 7)
		for _, l := range levels {
			if l.SKU == "V-2-1" {
				assert.ErrorIs(t, l.Err, channel.ErrInvalid, "parent_id %s", parent)
			} else {
				assert.NoError(t, l.Err)
			}
		}
	}
}

func TestASKUThatIsANumber(t *testing.T) {
	shop := woocommercetest.New(woocommercetest.Config{})
	id := shop.Add(woocommercetest.Product{SKU: "4006381333931", Quantity: 7})[0]
	skus := append(simple(shop, 99), "4006381333931")
	shop.Disguise(id, func(row map[string]any) { row["sku"] = int64(4006381333931) })
	levels, err := open(t, shop, woocommerce.ChannelConfig{}).Levels(t.Context(), skus)
	require.NoError(t, err)
	require.Len(t, levels, 100)
	for _, l := range levels {
		if l.SKU == "4006381333931" {
			assert.ErrorContains(t, l.Err, "its SKU is 4006381333931, not text")
		} else {
			assert.NoError(t, l.Err)
		}
	}
	assert.Equal(t, 1, shop.Count(nil))
}

// The answer to a batch is read item by item too. What cannot be understood of
// it is read back.
func TestOneBrokenAnswerToABatch(t *testing.T) {
	for name, change := range map[string]func(item map[string]any){
		"another id":         func(item map[string]any) { item["id"] = 999 },
		"no id":              func(item map[string]any) { delete(item, "id") },
		"an empty quantity":  func(item map[string]any) { item["stock_quantity"] = "" },
		"no quantity":        func(item map[string]any) { delete(item, "stock_quantity") },
		"manage_stock words": func(item map[string]any) { item["manage_stock"] = "yes" },
		"nothing":            func(item map[string]any) { clear(item) },
		"an odd error":       func(item map[string]any) { item["error"] = "no" },
	} {
		for _, applied := range []bool{true, false} {
			t.Run(fmt.Sprint(name, " ", applied), func(t *testing.T) {
				shop := woocommercetest.New(woocommercetest.Config{})
				skus := simple(shop, 40)
				ch := open(t, shop, woocommerce.ChannelConfig{})
				updates := seen(t, ch, 5, skus...)
				id := idOf(t, updates, "S-17")
				shop.Disguise(id, func(row map[string]any) {
					if _, list := row["type"]; !list {
						change(row)
					}
				})
				shop.Forgetful(id, !applied)
				shop.Forget()
				err := ch.Push(t.Context(), updates)
				if applied {
					require.NoError(t, err)
					shows(t, shop, 5, skus...)
				} else {
					errs := failures(t, err)
					require.Len(t, errs, 1)
					assert.ErrorIs(t, errs["S-17"], channel.ErrNotApplied)
				}
				assert.Equal(t, 1, shop.Count(batches))
				assert.Equal(t, 1, shop.Count(lookups), "only that one is read back")
			})
		}
	}
}

func TestAnAnswerThatLacksAnItem(t *testing.T) {
	shop := woocommercetest.New(woocommercetest.Config{})
	skus := simple(shop, 40)
	ch := open(t, shop, woocommerce.ChannelConfig{})
	updates := seen(t, ch, 5, skus...)
	shop.Inject(channeltest.Fault{Match: batches, Rewrite: func(status int, _ http.Header, body []byte) (int, []byte) {
		var answer struct {
			Update []json.RawMessage `json:"update"`
		}
		if err := json.Unmarshal(body, &answer); err != nil {
			panic(err)
		}
		answer.Update = append(answer.Update[:16], answer.Update[17:]...)
		body, _ = json.Marshal(answer)
		return status, body
	}})
	shop.Forget()
	require.NoError(t, ch.Push(t.Context(), updates))
	shows(t, shop, 5, skus...)
	assert.Equal(t, 1, shop.Count(batches))
	assert.Equal(t, 1, shop.Count(lookups))
	assert.Equal(t, 40, shop.Writes())
}

func TestOffSale(t *testing.T) {
	shop := woocommercetest.New(woocommercetest.Config{})
	shop.Add(
		woocommercetest.Product{ID: 11, SKU: "LIVE", Quantity: 3},
		woocommercetest.Product{ID: 12, SKU: "EMPTY"},
		woocommercetest.Product{ID: 13, SKU: "DRAFT", Quantity: 3, Status: "draft"},
		woocommercetest.Product{ID: 14, SKU: "PRIVATE", Quantity: 3, Status: "private"},
		woocommercetest.Product{ID: 15, SKU: "NO-PRICE", Quantity: 3},
		woocommercetest.Product{ID: 16, SKU: "THRESHOLD", Quantity: 3},
		woocommercetest.Product{ID: 17, SKU: "OPEN", Stock: woocommercetest.Unmanaged},
		woocommercetest.Product{ID: 18, SKU: "SHUT", Stock: woocommercetest.Unmanaged, OutOfStock: true},
		woocommercetest.Product{ID: 19, SKU: "OPEN-DRAFT", Stock: woocommercetest.Unmanaged, Status: "draft"},
		woocommercetest.Product{ID: 20, SKU: "OWED", Backorders: "yes"},
	)
	shop.Disguise(15, func(row map[string]any) { row["purchasable"] = false })
	shop.Disguise(16, func(row map[string]any) { row["stock_status"] = "outofstock" })
	levels, err := open(t, shop, woocommerce.ChannelConfig{Track: true}).Levels(t.Context(),
		[]string{"LIVE", "EMPTY", "DRAFT", "PRIVATE", "NO-PRICE", "THRESHOLD", "OPEN", "SHUT", "OPEN-DRAFT", "OWED"})
	require.NoError(t, err)
	got := make(map[string]channel.Level)
	for _, l := range levels {
		sku := l.SKU
		l.SKU, l.Ref = "", ""
		got[sku] = l
	}
	assert.Equal(t, map[string]channel.Level{
		"LIVE": {Quantity: 3}, "EMPTY": {}, "DRAFT": {Quantity: 3, OffSale: true}, "PRIVATE": {Quantity: 3, OffSale: true},
		"NO-PRICE": {Quantity: 3, OffSale: true}, "THRESHOLD": {Quantity: 3, OffSale: true},
		"OPEN": {Unset: true}, "SHUT": {Unset: true, OffSale: true}, "OPEN-DRAFT": {Unset: true, OffSale: true},
		"OWED": {SellsAtZero: true},
	}, got)
}
