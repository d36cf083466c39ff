package squaretest_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/square/squaretest"
)

// The order of what occurred decides, and not that of what arrives.
func TestTheLedger(t *testing.T) {
	type step struct {
		kind string // "count", "sell", "receive"
		n    int
		ago  time.Duration
	}
	c := func(n int, ago time.Duration) step { return step{"count", n, ago} }
	s := func(n int, ago time.Duration) step { return step{"sell", n, ago} }
	const m = time.Minute
	for name, test := range map[string]struct {
		steps       []step
		want, other string // and with counts that replace
		tie         string // and where the later one of two wins, if that differs
	}{
		"a count":                              {[]step{c(5, 0)}, "5", "5", ""},
		"a sale after it":                      {[]step{c(5, 2*m), s(1, m)}, "4", "4", ""},
		"a sale before it that arrives later":  {[]step{c(5, 2*m), s(1, 3*m)}, "5", "5", ""},
		"a sale after it that arrives sooner":  {[]step{s(1, m), c(5, 2*m)}, "4", "5", ""},
		"a sale before it that arrives sooner": {[]step{s(1, 3*m), c(5, 2*m)}, "5", "5", ""},
		"an older count":                       {[]step{c(5, m), c(9, 2*m)}, "5", "5", ""},
		"a newer count":                        {[]step{c(5, 2*m), c(9, m)}, "9", "9", ""},
		"a count of the same time":             {[]step{c(5, m), c(9, m)}, "5", "5", "9"},
		"a sale of the same time":              {[]step{c(5, m), s(1, m)}, "5", "5", ""},
		"two counts and sales between":         {[]step{s(1, 3*m), c(9, 4*m), s(2, m), c(5, 2*m)}, "3", "5", ""},
		"more than there is":                   {[]step{c(5, 2*m), s(7, m)}, "-2", "-2", ""},
		"a count over the first one":           {[]step{c(5, 59*m)}, "5", "5", ""},
		"a count that is older than the first": {[]step{c(5, 61*m)}, "10", "10", ""},
	} {
		for _, doubts := range []squaretest.Doubts{{}, {CountsReplace: true}, {LaterCountWinsTie: true}} {
			t.Run(fmt.Sprint(name, doubts), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					till := squaretest.New(squaretest.Config{Doubts: doubts, ClockSkew: 7 * time.Second})
					id := till.Add(squaretest.Variation{SKU: "A", Quantity: 10})[0]
					for _, step := range test.steps {
						if step.kind == "sell" {
							till.SellAt("A", step.n, till.Now().Add(-step.ago))
							continue
						}
						status, answer := call(t, till, "POST", changes, write(count(till, id, strconv.Itoa(step.n), step.ago)))
						require.Equal(t, 200, status, answer)
					}
					want := test.want
					if doubts.CountsReplace {
						want = test.other
					}
					if doubts.LaterCountWinsTie && test.tie != "" {
						want = test.tie
					}
					assert.Equal(t, want, till.Stock(id, "LMAIN"))
				})
			})
		}
	}
}

func TestALongLedger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		till := squaretest.New(squaretest.Config{})
		id := till.Add(squaretest.Variation{SKU: "A", Quantity: 10})[0]
		left := 10
		for i := range 1000 {
			time.Sleep(time.Second)
			if i%7 == 0 {
				till.Set("A", 50)
				left = 50
				continue
			}
			till.Sell("A", 1)
			left--
		}
		assert.Equal(t, strconv.Itoa(left), till.Stock(id, "LMAIN"))
	})
}

func TestUnchangedCountsAreIgnoredByDefault(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		till := squaretest.New(squaretest.Config{})
		id := till.Add(squaretest.Variation{SKU: "A", Quantity: 10})[0]
		till.Sell("A", 4)
		time.Sleep(time.Minute)
		body := write(count(till, id, "10", 0))
		delete(body, "ignore_unchanged_counts")
		_, answer := call(t, till, "POST", changes, body)
		assert.Equal(t, "6", answer["counts"].([]any)[0].(object)["quantity"])
		assert.Nil(t, answer["changes"])
		_, answer = call(t, till, "POST", changes, write(count(till, id, "10", 0)))
		assert.Equal(t, "10", answer["counts"].([]any)[0].(object)["quantity"])
		assert.Len(t, answer["changes"], 1)
	})
}

func TestAKeyIsAnsweredAsTheFirstTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		till := squaretest.New(squaretest.Config{})
		id := till.Add(squaretest.Variation{SKU: "A", Quantity: 10})[0]
		body := write(count(till, id, "7", 0))
		_, first := call(t, till, "POST", changes, body)
		time.Sleep(time.Minute)
		till.Sell("A", 1)
		_, again := call(t, till, "POST", changes, body)
		assert.Equal(t, first, again, "with the counts of then")
		assert.Equal(t, "6", till.Stock(id, "LMAIN"))
		body["changes"] = []object{count(till, id, "7", 0)}
		status, answer := call(t, till, "POST", changes, body)
		assert.Equal(t, 400, status)
		assert.Equal(t, "IDEMPOTENCY_KEY_REUSED idempotency_key", code(answer))
		assert.Len(t, till.History(), 1)
	})
}

func TestAWriteIsDoneWholeOrNotAtAll(t *testing.T) {
	for _, part := range []bool{false, true} {
		till := squaretest.New(squaretest.Config{Doubts: squaretest.Doubts{TakesPart: part, NamesNoField: part}})
		id := till.Add(squaretest.Variation{SKU: "A", Quantity: 10})[0]
		status, answer := call(t, till, "POST", changes, write(count(till, id, "7", time.Minute), count(till, "NONE", "7", time.Minute)))
		if part {
			assert.Equal(t, 200, status)
			assert.Equal(t, "NOT_FOUND", code(answer))
			assert.Equal(t, "7", till.Stock(id, "LMAIN"))
			assert.Len(t, answer["counts"], 1)
		} else {
			assert.Equal(t, 404, status)
			assert.Equal(t, "NOT_FOUND changes[1].physical_count.catalog_object_id", code(answer))
			assert.Equal(t, "10", till.Stock(id, "LMAIN"))
		}
	}
}

func TestCountsWithoutFilters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		till := squaretest.New(squaretest.Config{})
		till.AddLocation("LOTHER", "ACTIVE")
		var ids []string
		for i := range 130 {
			ids = append(ids, till.Add(squaretest.Variation{SKU: fmt.Sprint("S", i), Quantity: i})...)
		}
		till.SetAt("S0", "LOTHER", 7)
		till.Put("S0", "LMAIN", "ORDERED_FROM_VENDOR", 50)
		_, answer := call(t, till, "POST", counts, object{"catalog_object_ids": ids[:1]})
		assert.Len(t, answer["counts"], 3, "all locations, all states")
		_, answer = call(t, till, "POST", counts, object{"catalog_object_ids": ids, "location_ids": []string{"LMAIN"}, "states": []string{"IN_STOCK"}})
		assert.Len(t, answer["counts"], 100, "a hundred without a limit")
		cursor := answer["cursor"]
		// The till sells meanwhile: the pages move.
		time.Sleep(time.Minute)
		till.Sell("S129", 1)
		_, second := call(t, till, "POST", counts, object{"catalog_object_ids": ids, "location_ids": []string{"LMAIN"}, "states": []string{"IN_STOCK"}, "cursor": cursor})
		seen := map[string]int{}
		for _, page := range []object{answer, second} {
			for _, r := range page["counts"].([]any) {
				seen[r.(object)["catalog_object_id"].(string)]++
			}
		}
		assert.Zero(t, seen[ids[129]], "which was on the second, and is on the first now")
		_, answer = call(t, till, "POST", counts, object{"catalog_object_ids": ids[:2], "cursor": cursor})
		assert.Equal(t, "INVALID_CURSOR cursor", code(answer), "a cursor goes with its query")
		_, answer = call(t, till, "POST", counts, object{"location_ids": []string{"LOTHER"}})
		assert.Len(t, answer["counts"], 1)
	})
}

func TestTheSearchIgnoresCaseAndFindsBlanks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		till := squaretest.New(squaretest.Config{Doubts: squaretest.Doubts{LateSearch: time.Minute}})
		till.Add(squaretest.Variation{SKU: "abc"}, squaretest.Variation{SKU: "ABC"}, squaretest.Variation{SKU: ""}, squaretest.Variation{SKU: "abcd"})
		find := func(values ...string) int {
			_, answer := call(t, till, "POST", search, object{"object_types": []string{"ITEM_VARIATION"}, "include_related_objects": true,
				"query": object{"set_query": object{"attribute_name": "sku", "attribute_values": values}}})
			list, _ := answer["objects"].([]any)
			related, _ := answer["related_objects"].([]any)
			assert.Equal(t, len(list), len(related))
			return len(list)
		}
		assert.Zero(t, find("abc"), "not yet")
		time.Sleep(2 * time.Minute)
		assert.Equal(t, 2, find("Abc"))
		assert.Equal(t, 1, find(""))
		till.Rename("abcd", "new")
		assert.Equal(t, 1, find("abcd"))
		assert.Zero(t, find("new"))
		time.Sleep(2 * time.Minute)
		assert.Zero(t, find("abcd"))
		assert.Equal(t, 1, find("new"))
		_, answer := call(t, till, "POST", search, object{"object_types": []string{"ITEM"}, "query": object{"set_query": object{"attribute_name": "sku", "attribute_values": []string{"abc"}}}})
		assert.Nil(t, answer["objects"], "an item has no SKU")
	})
}

func TestDeletedObjectsComeWithBeginTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		till := squaretest.New(squaretest.Config{})
		till.Add(squaretest.Variation{SKU: "A"}, squaretest.Variation{SKU: "B"})
		all := object{"object_types": []string{"ITEM_VARIATION"}}
		_, answer := call(t, till, "POST", search, all)
		latest := answer["latest_time"]
		assert.Len(t, answer["objects"], 2)
		time.Sleep(time.Minute)
		till.Remove("A")
		_, answer = call(t, till, "POST", search, all)
		assert.Len(t, answer["objects"], 1)
		_, answer = call(t, till, "POST", search, object{"object_types": []string{"ITEM_VARIATION"}, "begin_time": latest})
		require.Len(t, answer["objects"], 1)
		assert.Equal(t, true, answer["objects"].([]any)[0].(object)["is_deleted"])
		_, answer = call(t, till, "GET", "/v2/catalog/list?types=ITEM_VARIATION", nil)
		assert.Len(t, answer["objects"], 1)
	})
}

func TestPagesOfTheCatalog(t *testing.T) {
	for _, uneven := range []bool{false, true} {
		till := squaretest.New(squaretest.Config{UnevenPages: uneven})
		for i := range 250 {
			till.Add(squaretest.Variation{SKU: fmt.Sprint(i)})
		}
		for limit, first := range map[int]int{60: 60, 0: 100, 1001: 100, -1: 100} {
			body := object{"object_types": []string{"ITEM_VARIATION"}, "limit": limit}
			total := 0
			for pages := 0; ; pages++ {
				_, answer := call(t, till, "POST", search, body)
				n := len(answer["objects"].([]any))
				if pages == 0 {
					assert.Equal(t, uneven, n != first, "the limit is advice: %d", n)
				}
				total += n
				if answer["cursor"] == nil {
					break
				}
				body["cursor"] = answer["cursor"]
			}
			assert.Equal(t, 250, total)
		}
	}
}

func TestCountingWhatIsNotStockableChangesAnother(t *testing.T) {
	till := squaretest.New(squaretest.Config{})
	bottle := till.Add(squaretest.Variation{SKU: "BOTTLE", Item: "Wine", Quantity: 6})[0]
	glass := till.Add(squaretest.Variation{SKU: "GLASS", Item: "Wine", StockedAs: bottle, PerUnit: 5})[0]
	_, answer := call(t, till, "POST", changes, write(count(till, glass, "10", time.Minute)))
	assert.Nil(t, answer["counts"], "it has none of its own")
	assert.Equal(t, "2", till.Stock(bottle, "LMAIN"))
	_, answer = call(t, till, "POST", "/v2/catalog/batch-retrieve", object{"object_ids": []string{glass, "NONE"}, "include_related_objects": true})
	require.Len(t, answer["objects"], 1)
	data := answer["objects"].([]any)[0].(object)["item_variation_data"].(object)
	assert.Equal(t, false, data["stockable"])
	assert.Equal(t, bottle, data["stockable_conversion"].(object)["stockable_item_variation_id"])
	assert.Len(t, answer["related_objects"], 1)
}

func TestSoldOutIsMarked(t *testing.T) {
	till := squaretest.New(squaretest.Config{})
	id := till.Add(squaretest.Variation{SKU: "A", Quantity: 1})[0]
	marked := func() bool {
		_, answer := call(t, till, "POST", "/v2/catalog/batch-retrieve", object{"object_ids": []string{id}})
		data := answer["objects"].([]any)[0].(object)["item_variation_data"].(object)
		return strings.Contains(fmt.Sprint(data["location_overrides"]), "sold_out:true")
	}
	assert.False(t, marked())
	till.Sell("A", 1)
	assert.True(t, marked())
	till.Receive("A", 1)
	assert.False(t, marked())
	n, ok := till.Quantity("A")
	assert.True(t, ok)
	assert.Equal(t, 1, n)
	_, ok = till.Quantity("NONE")
	assert.False(t, ok)
}

func TestPartOfWhatIsRefusedForTheRateIsDone(t *testing.T) {
	till := squaretest.New(squaretest.Config{Rate: 0.001, Doubts: squaretest.Doubts{ThrottledInPart: true}})
	ids := till.Add(squaretest.Variation{SKU: "A", Quantity: 1}, squaretest.Variation{SKU: "B", Quantity: 1})
	till.Drain(10)
	status, answer := call(t, till, "POST", changes, write(count(till, ids[0], "5", time.Minute), count(till, ids[1], "5", time.Minute)))
	assert.Equal(t, 429, status)
	assert.Equal(t, "RATE_LIMITED", code(answer))
	assert.Equal(t, "5", till.Stock(ids[0], "LMAIN"))
	assert.Equal(t, "1", till.Stock(ids[1], "LMAIN"))
}
