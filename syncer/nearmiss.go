package syncer

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"unicode"
)

// A trait is something of an SKU that people overlook, and how to drop it.
type trait struct {
	name string
	drop func(string) string
}

// The traits, in the order in which they are dropped: what looks alike depends
// on the case, and which zeros lead on what stands before them.
var traits = [...]trait{
	{"look-alikes", dropLooks}, {"case", dropCase}, {"leading zeros", dropZeros}, {"blanks", dropBlanks}, {"dashes", dropDashes},
}

// rounds are the traits that are dropped to find near misses, the surest first.
var rounds = [...][]int{{1, 3, 4}, {1, 2, 3, 4}, {0, 1, 3, 4}, {0, 1, 2, 3, 4}}

// dropped is an SKU without some traits.
func dropped(sku string, which []int) string {
	for _, i := range which {
		sku = traits[i].drop(sku)
	}
	return sku
}

func dropCase(s string) string {
	return strings.Map(func(r rune) rune { return unicode.ToLower(unicode.ToUpper(r)) }, s)
}

func isBlank(r rune) bool {
	return unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Cf, r)
}

func dropBlanks(s string) string {
	return strings.Map(func(r rune) rune {
		if isBlank(r) {
			return -1
		}
		return r
	}, s)
}

// dropDashes drops what separates, and quotes. "+" and the like mean something.
func dropDashes(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Pd, r) || strings.ContainsRune("_./\\:,;'\"`´’‘“”#*~()[]\u2212\u00b7\u2022", r) {
			return -1
		}
		return r
	}, s)
}

// dropZeros drops the zeros that lead a number anywhere in an SKU.
func dropZeros(s string) string {
	var b strings.Builder
	lead := true
	for i := range len(s) {
		c := s[i]
		digit := c >= '0' && c <= '9'
		if c == '0' && lead && i+1 < len(s) && s[i+1] >= '0' && s[i+1] <= '9' {
			continue
		}
		lead = !digit
		b.WriteByte(c)
	}
	return b.String()
}

// looks are characters, and after each group the one that they look like.
var looks = func() map[rune]rune {
	m := make(map[rune]rune)
	for _, group := range []string{
		"OoОоΟο0", "IlІіΙι|1", // zero and one; an L and a small i are none
		"АΑÀÁÂÃÄÅA", "аαàáâãäåa", "ВΒB", "СϹÇC", "сϲçc", "ЕΕÈÉÊËE", "еèéêëe", "ЅS", "ѕs", "НΗH", "ЈJ", "јj", "КΚK", "кκk", "МΜM",
		"ΝÑN", "ñn", "РΡP", "рρp", "ТΤT", "ХΧX", "хχx", "УΥÝY", "уýÿy", "ΖZ", "ÌÍÎÏ1", "ìíîïi", "ÒÓÔÕÖØ0", "òóôõöø0", "ÙÚÛÜU", "ùúûüu",
	} {
		runes := []rune(group)
		for _, r := range runes[:len(runes)-1] {
			m[r] = runes[len(runes)-1]
		}
	}
	return m
}()

// dropLooks puts one character for those that look like it: letters of other
// alphabets, accents, the wide letters of East Asia, and O and 0, l and 1.
func dropLooks(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 0xff01 && r <= 0xff5e {
			r -= 0xfee0
		}
		if unicode.Is(unicode.Mn, r) {
			return -1
		}
		if to, ok := looks[r]; ok {
			return to
		}
		return r
	}, s)
}

// differences names the traits in which two SKUs differ that are equal without those
// of a round. A trait without which they are equal anyway is not named.
func differences(a, b string, round []int) (names []string) {
	for i := range round {
		others := slices.Delete(slices.Clone(round), i, i+1)
		if dropped(a, others) != dropped(b, others) {
			names = append(names, traits[round[i]].name)
		}
	}
	for i := 0; len(names) == 0 && i < len(round); i++ { // each of several would do
		if dropped(a, round[i:i+1]) == dropped(b, round[i:i+1]) {
			names = append(names, traits[round[i]].name)
		}
	}
	return names
}

// A nearly is what an SKU nearly is, and in which traits it differs.
type nearly struct {
	sku     string
	differs []string
}

// nearMisses finds for each of the SKUs ours which of theirs it nearly is. It is
// the same for any order of these, and takes a few passes over both.
func nearMisses(ours, theirs []string) map[string]nearly {
	found := make(map[string]nearly)
	theirs = slices.Compact(slices.Sorted(slices.Values(theirs)))
	taken := make(map[string]bool)
	for _, round := range rounds {
		byKey := make(map[string][]string)
		for _, sku := range theirs {
			if key := dropped(sku, round); key != "" && !taken[sku] {
				byKey[key] = append(byKey[key], sku)
			}
		}
		for _, sku := range ours {
			if _, ok := found[sku]; ok {
				continue
			}
			candidates := byKey[dropped(sku, round)]
			if len(candidates) == 0 {
				continue
			}
			best := nearly{}
			for _, c := range candidates[:min(len(candidates), 20)] {
				if names := differences(sku, c, round); best.sku == "" || len(names) < len(best.differs) {
					best = nearly{c, names}
				}
			}
			found[sku] = best
		}
		for _, n := range maps.All(found) {
			taken[n.sku] = true
		}
	}
	return found
}

// byChannel orders gaps: by channel, kind, SKU and product.
func byChannel(order map[string]int) func(a, b Gap) int {
	return func(a, b Gap) int {
		return cmp.Or(cmp.Compare(order[a.Channel], order[b.Channel]), cmp.Compare(slices.Index(gapKinds, a.Kind), slices.Index(gapKinds, b.Kind)),
			cmp.Compare(a.SKU, b.SKU), cmp.Compare(a.ProductID, b.ProductID))
	}
}
