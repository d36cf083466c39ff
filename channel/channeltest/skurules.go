package channeltest

import (
	"errors"
	"strings"

	"github.com/ecosire/stocksync/channel"
)

// odd are SKUs that a hasty adapter gets wrong, each with others that it may
// be taken for.
var odd = []struct {
	name   string
	sku    string
	beside []string
}{
	{"Blank", "TEA GREEN", []string{"TEA", "GREEN"}},
	{"Blanks", "TEA  GREEN", []string{"TEA GREEN", "TEAGREEN"}},
	{"Comma", "TEA,GREEN", []string{"TEA", "GREEN"}},
	{"Semicolon", "TEA;GREEN|1", []string{"TEA", "GREEN|1"}},
	{"Quotes", `19" O'RING`, []string{"19", "O'RING"}},
	{"Slashes", `3/4\8`, []string{"3", "4"}},
	{"Dots", "../A-1", []string{"A-1", ".."}},
	{"Percent", "50%20OFF", []string{"50 OFF", "50%OFF"}},
	{"QueryString", "R&D+1#2?sku=A-1", []string{"A-1", "R", "R&D 1"}},
	{"Wildcards", "A*_%", []string{"AB", "ABC"}},
	{"Operators", `-A OR sku:B`, []string{"A", "B"}},
	{"Markup", "<b>A</b>", []string{"A", "b"}},
	{"LeadingZeros", "00123", []string{"123", "0123"}},
	{"Exponent", "1e3", []string{"1000", "1E03"}},
	{"Formula", "=1+1", []string{"2", "1+1"}},
	{"Null", "null", []string{"nil", "undefined"}},
	{"OtherScripts", "日本-1", []string{"日本-2", "-1"}},
	{"Emoji", "🧵-1", []string{"🧶-1", "-1"}},
	{"Long", strings.Repeat("L", 199) + "1", []string{strings.Repeat("L", 199) + "2", strings.Repeat("L", 199)}},
}

// skuRules has a rule for each odd SKU, and those for SKUs that look alike.
func skuRules() []rule {
	const promise = "SKUs match byte for byte; one that the service cannot have or find is channel.ErrInvalid, and never another item's"
	const advice = "escape the SKU for where it is put (a URL, a search, a CSV), and compare the answer's SKUs with =="
	var rules []rule
	for _, o := range odd {
		rules = append(rules, rule{"OddSKU" + o.name, promise, advice, func(k *kit) {
			k.oddSKU(o.sku, o.beside)
		}})
	}
	return append(rules,
		rule{"NearMissIsUnknown", "an SKU that differs in case or blanks is another SKU: unknown, and named in the error if possible",
			"compare SKUs with ==, also after a search that is not exact; channel.UnknownSKU takes candidates", func(k *kit) {
				k.open(level("Abc-1", 1))
				for _, miss := range []string{"ABC-1", "Abc-1 ", "Abc-", "Abc-11"} {
					k.named(k.push(k.t.Context(), update(miss, 9)), miss, channel.ErrUnknownSKU)
					k.shows("Abc-1", 1)
					if k.reader != nil {
						k.unknown(k.all(miss), miss)
					}
				}
			}},
		rule{"LookAlikesAreApart", "SKUs that differ in case, or in how an accent is written, are different items",
			"use SKUs as keys as they are; if the service itself cannot have both, skip in the Maker", func(k *kit) {
				skus := []string{"abc-1", "ABC-1", "caf\u00e9", "cafe\u0301"}
				var levels []channel.Level
				for i, sku := range skus {
					levels = append(levels, level(sku, i))
				}
				k.open(levels...)
				k.done(update("ABC-1", 11), update("caf\u00e9", 12))
				for i, n := range []int{0, 11, 12, 3} {
					k.shows(skus[i], n)
				}
				if k.reader != nil {
					got := k.all(skus...)
					for i, n := range []int{0, 11, 12, 3} {
						k.answers(got, skus[i], n)
					}
				}
			}},
	)
}

func (k *kit) oddSKU(sku string, beside []string) {
	levels := []channel.Level{level(sku, 1)}
	updates := []channel.Update{update(sku, 11)}
	for i, other := range beside {
		levels = append(levels, level(other, i+2))
		updates = append(updates, update(other, i+12))
	}
	k.open(levels...)
	out := k.push(k.t.Context(), updates...)
	if err := out.errs[sku]; err != nil {
		k.named(out, sku, channel.ErrInvalid)
		k.t.Logf("%q is refused: %v", sku, err)
	}
	if out.whole != nil {
		k.errorf("Push of %q returned %v for the whole call", sku, out.whole)
	}
	k.truthful(out, updates[0])
	k.others(out, updates[1:]...)
	if k.reader == nil {
		return
	}
	skus := append([]string{sku}, beside...)
	got := k.all(skus...)
	for _, u := range updates {
		if ls := got[u.SKU]; len(ls) == 1 && errors.Is(ls[0].Err, channel.ErrInvalid) && u.SKU == sku {
			continue
		}
		k.answers(got, u.SKU, u.Quantity)
	}
}

// unknown wants Levels not to know an SKU.
func (k *kit) unknown(levels map[string][]channel.Level, sku string) {
	k.t.Helper()
	for _, l := range levels[sku] {
		if !errors.Is(l.Err, channel.ErrUnknownSKU) {
			k.errorf("Levels returned %s (error %v) for %q, which the service does not have", display(l.Quantity, !l.Unset), l.Err, sku)
		}
	}
}
