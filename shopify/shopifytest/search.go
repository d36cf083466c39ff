package shopifytest

import (
	"cmp"
	"slices"
	"strings"
	"time"
	"unicode"
)

// find returns what a search finds, by number. As Shopify's it is not exact:
// case does not matter, and a term finds SKUs that begin with it, and SKUs
// that contain its words one after another.
func (s *Server) find(query string) []*item {
	if s.index == nil {
		s.index = newIndex(s.items)
	}
	x := s.index
	if query == "" {
		return s.settled(x.all)
	}
	if x.query != query {
		var found []*item
		for _, term := range parseSearch(query) {
			found = append(found, x.find(term)...)
		}
		slices.SortFunc(found, func(a, b *item) int { return cmp.Compare(a.number, b.number) })
		x.query, x.found = query, slices.Compact(found)
	}
	return s.settled(x.found)
}

// settled leaves out what search does not find yet.
func (s *Server) settled(found []*item) []*item {
	if s.cfg.IndexLag <= 0 {
		return found
	}
	now := time.Now()
	return slices.DeleteFunc(slices.Clone(found), func(i *item) bool { return now.Before(i.indexed.Add(s.cfg.IndexLag)) })
}

// An index is what search looks in. It is made anew after the items changed.
type index struct {
	all    []*item
	byFold []folded // sorted
	byWord map[string][]*item

	query string // the latest, of which the next page will be asked for
	found []*item
}

type folded struct {
	sku string
	*item
}

func newIndex(items []*item) *index {
	x := &index{byWord: map[string][]*item{}}
	for _, i := range items {
		if i.Unindexed {
			continue
		}
		fold := strings.ToLower(i.SKU)
		x.all = append(x.all, i)
		x.byFold = append(x.byFold, folded{fold, i})
		in := words(fold)
		slices.Sort(in)
		for _, w := range slices.Compact(in) {
			x.byWord[w] = append(x.byWord[w], i)
		}
	}
	slices.SortFunc(x.byFold, func(a, b folded) int { return cmp.Compare(a.sku, b.sku) })
	return x
}

func (x *index) find(term string) (found []*item) {
	term = strings.ToLower(term)
	start, _ := slices.BinarySearchFunc(x.byFold, term, func(f folded, term string) int { return cmp.Compare(f.sku, term) })
	for _, f := range x.byFold[start:] {
		if !strings.HasPrefix(f.sku, term) {
			break
		}
		found = append(found, f.item)
	}
	asked := words(term)
	if len(asked) == 0 {
		return found
	}
	rarest := slices.MinFunc(asked, func(a, b string) int { return cmp.Compare(len(x.byWord[a]), len(x.byWord[b])) })
	for _, i := range x.byWord[rarest] {
		if contains(words(strings.ToLower(i.SKU)), asked) {
			found = append(found, i)
		}
	}
	return found
}

// words splits a text at everything that is no letter and no digit.
func words(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
}

func contains(list, part []string) bool {
	for i := 0; i+len(part) <= len(list); i++ {
		if slices.Equal(list[i:i+len(part)], part) {
			return true
		}
	}
	return false
}

// parseSearch reads terms such as sku:'a b', joined by OR, and returns their
// values. Of the rest of Shopify's search syntax it does nothing; in
// particular it refuses what follows a quote that was not escaped, of which
// nobody knows what Shopify makes.
func parseSearch(query string) (values []string) {
	rest := strings.TrimSpace(query)
	for {
		after, ok := strings.CutPrefix(rest, "sku:")
		if !ok {
			panic(unsupportedf("search %q: only terms like sku:'value' are known", query))
		}
		var value string
		value, rest, ok = searchValue(after)
		if !ok || value == "" {
			panic(unsupportedf("search %q: no quoted value, or an unescaped one, before %q", query, rest))
		}
		values = append(values, value)
		if rest == "" {
			return values
		}
		after, ok = strings.CutPrefix(strings.TrimLeft(rest, " "), "OR ")
		if !ok || rest[0] != ' ' {
			panic(unsupportedf("search %q: only OR may join terms, not %q", query, rest))
		}
		rest = strings.TrimLeft(after, " ")
	}
}

// searchValue reads a value, quoted or not, with its escapes.
func searchValue(text string) (value, rest string, ok bool) {
	var quote byte
	if text != "" && (text[0] == '\'' || text[0] == '"') {
		quote, text = text[0], text[1:]
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && i+1 < len(text):
			i++
			b.WriteByte(text[i])
		case quote != 0 && c == quote:
			return b.String(), text[i+1:], true
		case quote == 0 && c == ' ':
			return b.String(), text[i:], true
		case c == '\\', quote == 0 && strings.IndexByte(`:()'"*<>`, c) >= 0:
			return "", text[i:], false
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), "", quote == 0
}
