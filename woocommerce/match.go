package woocommerce

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/ecosire/stocksync/channel"
)

// A found row has exactly the SKU that was asked for.
type found struct {
	sku string
	row row
}

// match picks the rows that have an SKU byte for byte. missing are the SKUs
// that the answer says nothing of, and odd the rows that may be one of these.
func (l lookup) match(rows []row) (exact []found, notes []channel.Level, missing []string, odd []row) {
	bySKU := make(map[string][]row, len(rows))
	expected := l.expected()
	for _, r := range rows {
		switch {
		case r.sku != "" && expected(r.sku):
			bySKU[r.sku] = append(bySKU[r.sku], r)
		case r.name != "" && slices.Contains(l.skus, r.name):
			bySKU[r.name] = append(bySKU[r.name], r)
		default:
			odd = append(odd, r)
		}
	}
	for _, sku := range l.skus {
		if same := bySKU[sku]; len(same) > 0 {
			for _, r := range same {
				exact = append(exact, found{sku, r})
			}
			continue
		}
		if err := l.nearMiss(sku, rows); err != nil {
			notes = append(notes, channel.Level{SKU: sku, Err: err})
		} else {
			missing = append(missing, sku)
		}
	}
	return exact, notes, missing, odd
}

// nearMiss tells of a product that the shop's database takes for sku.
func (l lookup) nearMiss(sku string, rows []row) error {
	for _, r := range rows {
		switch {
		case r.sku == "":
		case fold(strings.TrimLeft(r.sku, " ")) == fold(strings.TrimLeft(sku, " ")):
			return channel.UnknownSKU(sku, r.sku)
		case alike(r.sku, sku) && !slices.Contains(l.skus, r.sku):
			return fmt.Errorf("%w %q: the shop takes it for %q; SKUs must match exactly", channel.ErrUnknownSKU, short(sku), short(r.sku))
		}
	}
	return nil
}

// foreign returns a row that nobody asked for, if there are so many of these
// that the question must have been ignored. A few are rows like others that
// make no sense.
func (l lookup) foreign(rows []row) *row {
	var first *row
	found := make(map[string]bool, len(rows))
	foreign := 0
	expected := l.expected()
	for i := range rows {
		switch r := &rows[i]; {
		case r.sku == "" && r.err != nil:
		case expected(r.sku):
			found[r.sku] = true
		default:
			foreign++
			if first == nil {
				first = r
			}
		}
	}
	if foreign <= max(len(l.skus)-len(found), len(l.skus)/4) {
		return nil
	}
	return first
}

// expected returns whether an SKU may be in the answer.
func (l lookup) expected() func(sku string) bool {
	if l.param == "search_sku" {
		part := strings.ToLower(l.value)
		return func(sku string) bool { return !ascii(sku) || strings.Contains(strings.ToLower(sku), part) }
	}
	asked := append(strings.Split(l.value, ","), l.value)
	exact := make(map[string]bool, len(asked))
	for _, sku := range asked {
		exact[sku] = true
	}
	return func(sku string) bool {
		return exact[sku] || slices.ContainsFunc(asked, func(a string) bool { return fold(a) == fold(sku) }) || slices.ContainsFunc(asked, func(a string) bool { return alike(a, sku) })
	}
}

// alike reports whether the shop's database may take two SKUs for the same
// one. It ignores case, accents and blanks at the end, and folds more than
// this package knows of: what is outside of ASCII is taken to be anything.
func alike(a, b string) bool {
	if ascii(a) && ascii(b) {
		return fold(a) == fold(b)
	}
	a, b = fold(a), fold(b)
	foreign := func(r rune) bool { return r >= utf8.RuneSelf }
	edges := func(s string) (head, tail string) {
		i, j := strings.IndexFunc(s, foreign), strings.LastIndexFunc(s, foreign)
		if i < 0 {
			return s, s
		}
		_, width := utf8.DecodeRuneInString(s[j:])
		return s[:i], s[j+width:]
	}
	headA, tailA := edges(a)
	headB, tailB := edges(b)
	return (strings.HasPrefix(headA, headB) || strings.HasPrefix(headB, headA)) &&
		(strings.HasSuffix(tailA, tailB) || strings.HasSuffix(tailB, tailA))
}

func fold(sku string) string { return strings.ToLower(strings.TrimRight(sku, " ")) }

func ascii(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r >= utf8.RuneSelf })
}
