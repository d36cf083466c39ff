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
	row *row
}

// match picks the rows that have an SKU byte for byte. missing are the SKUs
// that the answer says nothing of, and odd the rows that may be one of these.
func (l lookup) match(rows []row) (exact []found, notes []channel.Level, missing []string, odd []row) {
	first := make(map[string]int, len(rows)) // by SKU: the first row that has it, and 1
	next := make([]int, len(rows))           // the next row with the same, and 1; or 0
	for i := len(rows) - 1; i >= 0; i-- {
		r, sku := &rows[i], ""
		switch {
		case r.sku != "" && l.names.has(r.sku):
			sku = r.sku
		case r.name != "" && slices.Contains(l.skus, r.name):
			sku = r.name
		default:
			odd = append(odd, *r)
			continue
		}
		next[i], first[sku] = first[sku], i+1
	}
	slices.Reverse(odd)
	exact = make([]found, 0, len(rows))
	for _, sku := range l.skus {
		at := first[sku]
		if at == 0 {
			if err := l.nearMiss(sku, rows); err != nil {
				notes = append(notes, channel.Level{SKU: sku, Err: err})
			} else {
				missing = append(missing, sku)
			}
		}
		for ; at > 0; at = next[at-1] {
			exact = append(exact, found{sku, &rows[at-1]})
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

// foreign returns a row that nobody asked for, if there are enough of these
// that the question must have been ignored. A few are rows like others that
// make no sense.
func (l lookup) foreign(rows []row) *row {
	var first *row
	foreign := 0
	for i := range rows {
		if r := &rows[i]; (r.sku != "" || r.err == nil) && !l.names.has(r.sku) {
			if foreign++; first == nil {
				first = r
			}
		}
	}
	if foreign == 0 {
		return nil
	}
	found := make(map[string]bool, len(rows))
	for i := range rows {
		if r := &rows[i]; (r.sku != "" || r.err == nil) && l.names.has(r.sku) {
			found[r.sku] = true
		}
	}
	if foreign <= max(len(l.skus)-len(found), len(l.skus)/4) {
		return nil
	}
	return first
}

// names are the SKUs that may be in the answer to a lookup.
type names struct {
	part  string            // that they all have, in lower case, or ""
	exact map[string]string // those that were asked for, each by itself
	asked []string
}

func (l lookup) expected() *names {
	if l.param == "search_sku" {
		return &names{part: strings.ToLower(l.value)}
	}
	asked := append(strings.Split(l.value, ","), l.value)
	exact := make(map[string]string, len(asked))
	for _, sku := range asked {
		exact[sku] = sku
	}
	return &names{exact: exact, asked: asked}
}

// has reports whether an SKU may be in the answer.
func (n *names) has(sku string) bool {
	if n.exact == nil {
		return !ascii(sku) || strings.Contains(strings.ToLower(sku), n.part)
	}
	if _, ok := n.exact[sku]; ok {
		return true
	}
	return slices.ContainsFunc(n.asked, func(a string) bool { return fold(a) == fold(sku) }) ||
		slices.ContainsFunc(n.asked, func(a string) bool { return alike(a, sku) })
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
