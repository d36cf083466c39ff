package shopify

import (
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
	"github.com/ecosire/stocksync/internal/racetest"
	"github.com/ecosire/stocksync/shopify/shopifytest"
)

// brokenRows are ways in which the row of one item can make no sense. Each gets
// the row as the shop writes it.
var brokenRows = map[string]func(row string) string{
	"no quantity":             without(`"quantities":[{"name":"available","quantity":5}]`, `"quantities":[]`),
	"null quantities":         without(`"quantities":[{"name":"available","quantity":5}]`, `"quantities":null`),
	"missing quantities":      without(`,"quantities":[{"name":"available","quantity":5}]`, ``),
	"quantities as an object": without(`[{"name":"available","quantity":5}]`, `{"name":"available","quantity":5}`),
	"quantities as text":      without(`[{"name":"available","quantity":5}]`, `"5"`),
	"another quantity":        without(`"name":"available"`, `"name":"on_hand"`),
	"a quantity twice":        without(`{"name":"available","quantity":5}`, `{"name":"available","quantity":5},{"name":"available","quantity":5}`),
	"a quantity of null":      without(`"quantity":5`, `"quantity":null`),
	"a missing quantity":      without(`,"quantity":5`, ``),
	"a quantity with a point": without(`"quantity":5`, `"quantity":5.0`),
	"a fraction":              without(`"quantity":5`, `"quantity":5.5`),
	"an exponent":             without(`"quantity":5`, `"quantity":5e0`),
	"a quantity as text":      without(`"quantity":5`, `"quantity":"5"`),
	"an empty text":           without(`"quantity":5`, `"quantity":""`),
	"a quantity as truth":     without(`"quantity":5`, `"quantity":true`),
	"a quantity as a list":    without(`"quantity":5`, `"quantity":[5]`),
	"a quantity as an object": without(`"quantity":5`, `"quantity":{"n":5}`),
	"beyond the bounds":       without(`"quantity":5`, `"quantity":1000000001`),
	"below the bounds":        without(`"quantity":5`, `"quantity":-1000000001`),
	"beyond 2^53":             without(`"quantity":5`, `"quantity":9007199254740993`),
	"beyond 2^63":             without(`"quantity":5`, `"quantity":9223372036854775813`),
	"beyond everything":       without(`"quantity":5`, `"quantity":1e400`),
	"a key in capitals":       without(`"quantity":5`, `"QUANTITY":5`),
	"a key in two cases":      without(`"quantity":5`, `"quantity":5,"Quantity":0`),
	"a key that repeats":      without(`"quantity":5`, `"quantity":5,"quantity":0`),
	"a name that is null":     without(`"name":"available"`, `"name":null`),
	"isActive missing":        without(`"isActive":true,`, ``),
	"isActive null":           without(`"isActive":true`, `"isActive":null`),
	"isActive as text":        without(`"isActive":true`, `"isActive":"true"`),
	"isActive twice":          without(`"isActive":true`, `"isActive":true,"isActive":false`),
	"a missing level":         func(row string) string { return cutFrom(row, `,"inventoryLevel":`) + `}` },
	"a level as text":         func(row string) string { return cutFrom(row, `"inventoryLevel":`) + `"inventoryLevel":"none"}` },
	"a level as a list":       func(row string) string { return cutFrom(row, `"inventoryLevel":`) + `"inventoryLevel":[]}` },
	"an empty level":          func(row string) string { return cutFrom(row, `"inventoryLevel":`) + `"inventoryLevel":{}}` },
	"a level twice":           without(`"inventoryLevel":`, `"inventoryLevel":null,"inventoryLevel":`),
	"tracked missing":         without(`"tracked":true,`, ``),
	"tracked null":            without(`"tracked":true`, `"tracked":null`),
	"tracked as a number":     without(`"tracked":true`, `"tracked":1`),
	"sku missing":             func(row string) string { return strings.Replace(row, `"sku":"4006381333931",`, ``, 1) },
	"sku as a number":         without(`"sku":"4006381333931"`, `"sku":4006381333931`),
	"sku as a list":           without(`"sku":"4006381333931"`, `"sku":["4006381333931"]`),
	"sku twice":               without(`"sku":"4006381333931"`, `"sku":"4006381333931","SKU":"other"`),
	"sku that is no text":     without(`"sku":"4006381333931"`, `"sku":"\ud800"`),
	"duplicates as text":      without(`"duplicateSkuCount":0`, `"duplicateSkuCount":"0"`),
	"duplicates missing":      without(`"duplicateSkuCount":0,`, ``),
	"duplicates below zero":   without(`"duplicateSkuCount":0`, `"duplicateSkuCount":-1`),
	"id as a number": func(row string) string {
		return strings.Replace(row, `"id":"gid://shopify/InventoryItem/`, `"id":"`, 1)
	},
	"id missing":      func(row string) string { return `{` + row[strings.Index(row, `"sku"`):] },
	"id of another":   func(row string) string { return strings.Replace(row, `/InventoryItem/`, `/InventoryItem/9`, 1) },
	"a list":          func(string) string { return `[]` },
	"text":            func(string) string { return `"gone"` },
	"a number":        func(string) string { return `0` },
	"truth":           func(string) string { return `false` },
	"an empty object": func(string) string { return `{}` },
}

func without(part, with string) func(string) string {
	return func(row string) string {
		if !strings.Contains(row, part) {
			panic(fmt.Sprintf("%s is not in %s", part, row))
		}
		return strings.Replace(row, part, with, 1)
	}
}

func cutFrom(row, part string) string {
	before, _, _ := strings.Cut(row, part)
	return before
}

// A good answer, one row of which is broken: exactly that product fails.
func TestOneBrokenRow(t *testing.T) {
	racetest.Long(t)
	require.GreaterOrEqual(t, len(brokenRows), 40)
	for name, breakRow := range brokenRows {
		t.Run(name, func(t *testing.T) {
			for _, place := range []int{0, 2, 4} { // first, between, last
				shop := shopifytest.New(shopifytest.Config{})
				ch := open(t, shop)
				skus := stock(shop, 4)
				const bad = "4006381333931"
				id := shop.Add(shopifytest.Item{SKU: bad, Available: 5})[0]
				asked := append(append(append([]string{}, skus[:place]...), bad), skus[place:]...)
				good := levels(t, ch, asked...)
				require.Len(t, good, 5)

				f := shopifytest.OddRow(id, func(row []byte) []byte { return []byte(breakRow(string(row))) })
				f.Match = doing(readLevels)
				shop.Inject(f)
				got, err := ch.Levels(t.Context(), asked)
				require.NoError(t, err)
				require.Len(t, got, 5)
				for i, l := range got {
					assert.Equal(t, asked[i], l.SKU)
					if l.SKU != bad {
						assert.Equal(t, good[i], l)
						continue
					}
					require.Error(t, l.Err)
					assert.ErrorIs(t, l.Err, channel.ErrUnavailable)
					assert.False(t, channel.Permanent(l.Err), "it is to be tried again")
					assert.Zero(t, l.Quantity)
					assert.Less(t, len(l.Err.Error()), 500)
				}

				// Neither is anything written for it unseen.
				var todo []channel.Update
				for _, sku := range asked {
					todo = append(todo, channel.Update{SKU: sku, Quantity: 70})
				}
				errs, ok := ch.Push(t.Context(), todo).(channel.Errors)
				require.True(t, ok)
				assert.Len(t, errs, 1)
				assert.ErrorIs(t, errs[bad], channel.ErrUnavailable)
				assert.Len(t, shop.History(), 4)

				shop.Heal()
				assert.NoError(t, levels(t, ch, bad)[0].Err, "nothing is left of it")
			}
		})
	}
}

// What is not the quantity that is shown does not matter.
func TestOddRowsThatSayAllTheSame(t *testing.T) {
	for name, change := range map[string]func(string) string{
		"further keys":    without(`"tracked":true`, `"tracked":true,"note":{"quantity":"7"},"createdAt":null`),
		"further amounts": without(`{"name":"available","quantity":5}`, `{"name":"on_hand","quantity":"many"},{"name":"available","quantity":5}`),
		"blanks": func(row string) string {
			return strings.ReplaceAll(row, `:`, " : ")[:0] + strings.ReplaceAll(row, `,"`, " ,\n\"")
		},
		"escapes": without(`"sku":"A"`, `"s\u006bu":"\u0041"`),
	} {
		t.Run(name, func(t *testing.T) {
			shop := shopifytest.New(shopifytest.Config{})
			ch := open(t, shop)
			id := shop.Add(shopifytest.Item{SKU: "A", Available: 5})[0]
			levels(t, ch, "A")
			f := shopifytest.OddRow(id, func(row []byte) []byte { return []byte(change(string(row))) })
			f.Match = doing(readLevels)
			shop.Inject(f)
			l := levels(t, ch, "A")[0]
			assert.NoError(t, l.Err)
			assert.Equal(t, 5, l.Quantity)
		})
	}
}

// A node may be null beside good data, with an entry in errors.
func TestErrorAboutOneRow(t *testing.T) {
	for name, path := range map[string]string{"of the row": `["nodes",1]`, "within the row": `["nodes",1,"inventoryLevel","quantities"]`} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				shop := shopifytest.New(shopifytest.Config{})
				ch := open(t, shop)
				skus := stock(shop, 3)
				levels(t, ch, skus...)
				for _, code := range []string{"INTERNAL_SERVER_ERROR", "SOMETHING"} {
					shop.Inject(channeltest.Fault{Match: doing(readLevels), Times: -1, Rewrite: func(_ int, _ http.Header, body []byte) (int, []byte) {
						rows := strings.Split(string(body), `{"id":`)
						require.Len(t, rows, 4)
						rows[2] = "null," + `{"id":` + rows[3]
						text := strings.Join(rows[:3], `{"id":`)
						text = strings.Replace(text, `,{"id":null,`, `,null,`, 1)
						return 200, []byte(`{"errors":[{"message":"failed","path":` + path + `,"extensions":{"code":"` + code + `"}}],` + text[1:])
					}})
					got := levels(t, ch, skus...)
					require.Len(t, got, 3)
					assert.NoError(t, got[0].Err)
					assert.NoError(t, got[2].Err)
					assert.Equal(t, 2, got[2].Quantity)
					assert.ErrorIs(t, got[1].Err, channel.ErrUnavailable)
					assert.ErrorContains(t, got[1].Err, "failed")
					assert.NotErrorIs(t, got[1].Err, channel.ErrUnknownSKU, "missing is not gone")
					shop.Heal()
				}
			})
		})
	}
}

// An item that the shop stumbles over costs no other its level, and is read
// alone from then on.
func TestItemThatTheShopStumblesOver(t *testing.T) {
	for name, fault := range map[string]channeltest.Fault{
		"500":           {Status: 500},
		"cut":           {Cut: true},
		"nonsense":      {Status: 200, Body: "<html>"},
		"refused":       {Status: 200, Body: `{"errors":[{"message":"x","extensions":{"code":"INVALID_FIELD_ARGUMENTS"}}]}`},
		"fails inside":  {Status: 200, Body: `{"errors":[{"message":"x","extensions":{"code":"INTERNAL_SERVER_ERROR"}}]}`},
		"short answers": {Status: 200, Body: `{"data":{"nodes":[]}}`},
		"bad request":   {Status: 400},
	} {
		t.Run(name, func(t *testing.T) {
			if name != "cut" {
				racetest.Long(t)
			}
			synctest.Test(t, func(t *testing.T) {
				shop := shopifytest.New(shopifytest.Config{})
				ch := open(t, shop)
				skus := stock(shop, 500)
				seen := levels(t, ch, skus...)
				fault.Times, fault.Match = -1, shopifytest.Mentioning(seen[300].Ref)
				shop.Inject(fault)
				shop.Forget()
				check := func() {
					t.Helper()
					got := levels(t, ch, skus...)
					require.Len(t, got, 500)
					for i, l := range got {
						if i == 300 {
							require.Error(t, l.Err)
							assert.False(t, channel.Permanent(l.Err))
						} else {
							require.Equal(t, seen[i], l)
						}
					}
				}
				check()
				assert.LessOrEqual(t, shop.Count(nil), 2+4+1+16, "two reads, their repetitions, whether the shop is there, and eight halves twice")
				shop.Forget()
				start := time.Now()
				check()
				assert.LessOrEqual(t, shop.Count(nil), 2+1+1, "it is read alone")
				assert.Zero(t, time.Since(start), "and nobody waits for it")
				shop.Heal()
				shop.Forget()
				assert.Equal(t, seen, levels(t, ch, skus...))
				assert.Equal(t, 3, shop.Count(nil))
				shop.Forget()
				assert.Equal(t, seen, levels(t, ch, skus...))
				assert.Equal(t, 2, shop.Count(nil), "and with the others when it is well")
			})
		})
	}
}

func TestShopThatFailsIsNotHalved(t *testing.T) {
	for name, fault := range map[string]channeltest.Fault{
		"500":       {Status: 500},
		"cut":       {Cut: true},
		"401":       {Status: 401},
		"402":       {Status: 402},
		"throttled": {Status: 200, Body: `{"errors":[{"message":"x","extensions":{"code":"THROTTLED"}}]}`},
		"denied":    {Status: 200, Body: `{"errors":[{"message":"x","extensions":{"code":"ACCESS_DENIED"}}]}`},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				shop := shopifytest.New(shopifytest.Config{})
				ch := open(t, shop)
				skus := stock(shop, 200)
				levels(t, ch, skus...)
				shop.Forget()
				fault.Times = -1
				shop.Inject(fault)
				_, err := ch.Levels(t.Context(), skus)
				require.Error(t, err)
				assert.LessOrEqual(t, shop.Count(nil), 6)
			})
		})
	}
	t.Run("slow", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			shop := shopifytest.New(shopifytest.Config{})
			ch := open(t, shop)
			skus := stock(shop, 200)
			seen := levels(t, ch, skus...)
			for _, op := range []operation{readLevels, setQuantities} {
				shop.Inject(channeltest.Fault{Match: doing(op), Delay: 30 * time.Second, Status: 504, Times: -1})
			}
			shop.Forget()
			_, err := ch.Levels(t.Context(), skus)
			require.ErrorIs(t, err, channel.ErrUnavailable)
			assert.Equal(t, 5, shop.Count(nil), "nobody knows which, and finding out would take hours")
			shop.Forget()
			require.ErrorIs(t, ch.Push(t.Context(), updates(seen, 1)), channel.ErrUnavailable)
			assert.Equal(t, 5, shop.Count(nil))
		})
	})
	t.Run("for reads", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			shop := shopifytest.New(shopifytest.Config{})
			ch := open(t, shop)
			skus := stock(shop, 200)
			levels(t, ch, skus...)
			shop.Forget()
			shop.Inject(channeltest.Fault{Match: doing(readLevels), Status: 500, Times: -1})
			_, err := ch.Levels(t.Context(), skus)
			require.ErrorIs(t, err, channel.ErrUnavailable)
			assert.LessOrEqual(t, shop.Count(nil), 20)
		})
	})
}

func TestOddRowsOfASearch(t *testing.T) {
	for name, test := range map[string]struct {
		row     string
		unknown []string // of which nothing may be said
	}{
		"a number as SKU":  {`{"id":"gid://shopify/InventoryItem/9","sku":4006381333931}`, []string{"4006381333931"}},
		"no id":            {`{"sku":"4006381333931"}`, []string{"4006381333931"}},
		"another id":       {`{"id":"gid://shopify/Product/9","sku":"4006381333931"}`, []string{"4006381333931"}},
		"a number as id":   {`{"id":9,"sku":"4006381333931"}`, []string{"4006381333931"}},
		"repeated":         {`{"id":"gid://shopify/InventoryItem/9","sku":"4006381333931","sku":"x"}`, []string{"4006381333931", "NONE"}},
		"nothing":          {`{}`, []string{"4006381333931", "NONE"}},
		"null":             {`null`, []string{"4006381333931", "NONE"}},
		"a list":           {`[]`, []string{"4006381333931", "NONE"}},
		"a list as an SKU": {`{"id":"gid://shopify/InventoryItem/9","sku":[]}`, []string{"4006381333931", "NONE"}},
	} {
		t.Run(name, func(t *testing.T) {
			shop := shopifytest.New(shopifytest.Config{})
			ch := open(t, shop)
			id := shop.Add(shopifytest.Item{SKU: "A", Available: 1}, shopifytest.Item{SKU: "4006381333931"}, shopifytest.Item{SKU: "B", Available: 2})[1]
			f := shopifytest.OddRow(id, func([]byte) []byte { return []byte(test.row) })
			f.Match = doing(findItems)
			shop.Inject(f)
			got := levels(t, ch, "A", "4006381333931", "B", "NONE")
			require.Len(t, got, 4)
			assert.Equal(t, 1, got[0].Quantity)
			assert.Equal(t, 2, got[2].Quantity)
			for _, l := range got {
				odd := false
				for _, sku := range test.unknown {
					odd = odd || l.SKU == sku
				}
				switch {
				case odd:
					assert.ErrorIs(t, l.Err, channel.ErrUnavailable, l.SKU)
				case l.SKU == "NONE":
					assert.ErrorIs(t, l.Err, channel.ErrUnknownSKU)
				default:
					assert.NoError(t, l.Err, l.SKU)
				}
			}
		})
	}
}

func TestSKUThatSpoilsTheSearch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shop := shopifytest.New(shopifytest.Config{})
		ch := open(t, shop)
		skus := stock(shop, 50)
		skus = append(skus[:30], append([]string{"POISON"}, skus[30:]...)...)
		shop.Inject(channeltest.Fault{Match: shopifytest.Mentioning("POISON"), Times: -1, Status: 500})
		for round := range 2 {
			got := levels(t, ch, skus...)
			require.Len(t, got, 51)
			for _, l := range got {
				if l.SKU == "POISON" {
					assert.ErrorIs(t, l.Err, channel.ErrUnavailable)
				} else {
					assert.NoError(t, l.Err)
				}
			}
			if round == 1 {
				assert.LessOrEqual(t, shop.Count(doing(findItems)), 5, "it is searched for alone")
			}
			shop.Forget()
		}
		shop.Heal()
		shop.Add(shopifytest.Item{SKU: "POISON", Available: 9})
		assert.Equal(t, 9, levels(t, ch, "POISON")[0].Quantity)
	})
}
