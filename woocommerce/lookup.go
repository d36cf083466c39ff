package woocommerce

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/httpx"
)

// A lookup is one question for SKUs, answered by one page of rows most often.
type lookup struct {
	param string   // "sku": a list of exact SKUs; "search_sku": a part of SKUs
	value string   // of the parameter
	skus  []string // asked for
}

const (
	maxURL   = 8000 // bytes; web servers take a little over 8,000 by default
	maxPages = 10   // of one lookup
)

// lookups splits SKUs into as few questions as possible. Those that the API
// cannot be asked for come back as levels that say why.
func (c *Client) lookups(skus []string) (asks []lookup, refused []channel.Level) {
	// Every page but the first has a page parameter.
	room := maxURL - len(c.endpoint("products", lookupQuery("sku", "", maxPages)).String())
	var list lookup
	size := 0 // SKUs in list.value
	used := 0 // bytes of list.value in a URL
	flush := func() {
		if size > 0 {
			asks = append(asks, list)
		}
		list, size = lookup{}, 0
	}
	for _, sku := range skus {
		if why := unaskable(sku); why != "" {
			refused = append(refused, refuse(sku, why))
			continue
		}
		ask := lookup{param: "sku", value: sku, skus: []string{sku}}
		n := 1
		switch {
		case !carried(sku):
			ask.param, ask.value = "search_sku", fragment(sku)
			if ask.value == "" {
				refused = append(refused, refuse(sku, "WooCommerce changes this SKU before it looks it up"))
				continue
			}
		case sku[0] == ' ':
			// The start of the parameter is trimmed, that of a later SKU is not.
			ask.value, n = strings.TrimLeft(sku, " ")+","+sku, 2
		}
		bytes := escapedLen(ask.value)
		if bytes > room {
			refused = append(refused, refuse(sku, "it is too long for a URL"))
			continue
		}
		if ask.param != "sku" || strings.Contains(sku, ",") {
			asks = append(asks, ask) // a comma separates SKUs, unless this SKU is all there is
			continue
		}
		if size > 0 && (size+n > pageSize || used+3+bytes > room) {
			flush()
		}
		if size == 0 {
			list, size, used = ask, n, bytes
			continue
		}
		list.value += "," + ask.value
		used += 3 + bytes
		list.skus = append(list.skus, sku)
		size += n
	}
	flush()
	return asks, refused
}

func refuse(sku, why string) channel.Level {
	return channel.Level{SKU: sku, Err: fmt.Errorf("%w: SKU %q cannot be looked up: %s", channel.ErrInvalid, sku, why)}
}

// unaskable says why an SKU must not even be asked for: WooCommerce drops a
// filter that is empty in the eyes of PHP, and answers with every product.
func unaskable(sku string) string {
	switch strings.TrimSpace(sku) {
	case "":
		return "it is blank"
	case "0":
		return `WooCommerce takes "0" for no SKU at all`
	}
	if !utf8.ValidString(sku) {
		return "it is not UTF-8"
	}
	return ""
}

var octet = regexp.MustCompile(`%[0-9A-Fa-f]{2}`)

// carried reports whether the sku parameter reaches the database as it is.
// WordPress cleans it of tags, percent-encoding and needless blanks first.
func carried(sku string) bool {
	return !strings.Contains(sku, "<") && !strings.Contains(sku, "  ") && !octet.MatchString(sku) &&
		!strings.ContainsFunc(sku, unicode.IsControl) && !(sku[0] == ' ' && strings.Contains(sku, ","))
}

// fragment returns the longest part of an SKU that a search for parts of SKUs
// surely takes as it is, or "". That search does not see SKUs of over 100
// characters.
func fragment(sku string) string {
	if utf8.RuneCountInString(sku) > 100 {
		return ""
	}
	longest := ""
	for part := range strings.FieldsFuncSeq(sku, func(r rune) bool {
		return !(r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.')
	}) {
		if len(part) > len(longest) && part != "0" {
			longest = part
		}
	}
	return longest
}

func lookupQuery(param, value string, page int) url.Values {
	q := url.Values{
		param:      {value},
		"per_page": {strconv.Itoa(pageSize)},
		// The default order, by date, has no tie-break: pages then repeat some
		// products and lose others.
		"orderby": {"id"},
		"order":   {"asc"},
		"_fields": {rowFields},
	}
	if page > 1 {
		q.Set("page", strconv.Itoa(page))
	}
	return q
}

// errTooMany says that a lookup has more answers than are worth reading.
var errTooMany = errors.New("too many products match")

// rows answers a lookup. hidden is how many products the shop counted and did
// not show.
func (c *Client) rows(ctx context.Context, ask lookup) (rows []row, hidden int, err error) {
	expected := ask.expected()
	for page := 1; page <= maxPages; page++ {
		resp, err := c.send(ctx, http.MethodGet, "products", lookupQuery(ask.param, ask.value, page), nil)
		if err != nil {
			return nil, 0, err
		}
		got, err := decodeRows(resp)
		if err != nil {
			return nil, 0, c.nonsense(http.MethodGet, "products", resp, err.Error())
		}
		for _, r := range got {
			if !expected(r.SKU) {
				return nil, 0, c.nonsense(http.MethodGet, "products", resp, fmt.Sprintf(
					"the shop does not filter by SKU: it answered with product %d of another one; a plugin may have switched SKUs off", r.ID))
			}
			if !slices.ContainsFunc(rows, func(have row) bool { return have.ID == r.ID }) {
				rows = append(rows, r)
			}
		}
		total, err := strconv.Atoi(resp.Header.Get("X-WP-Total"))
		switch {
		case err != nil && len(got) < pageSize:
			return rows, 0, nil
		case err == nil && total <= page*pageSize:
			return rows, max(0, total-len(rows)), nil
		case err == nil && total > maxPages*pageSize:
			return nil, 0, errTooMany
		}
	}
	return nil, 0, errTooMany
}

func decodeRows(resp *httpx.Response) ([]row, error) {
	if !bytes.HasPrefix(bytes.TrimSpace(resp.Body), []byte("[")) {
		return nil, fmt.Errorf("%s is not a list of products", httpx.Describe(resp))
	}
	var rows []row
	if err := httpx.Decode(resp, &rows); err != nil {
		return nil, err
	}
	for _, r := range rows {
		if r.ID <= 0 || r.Type == "" || r.Stock == "" || !r.Quantity.shown || r.variation() && r.ParentID <= 0 {
			return nil, fmt.Errorf("product %d of the list lacks its id, type, parent or stock", r.ID)
		}
	}
	return rows, nil
}

// expected returns whether an SKU may be in the answer. One that may not
// shows that the question was ignored.
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

// escapedLen is the length of url.QueryEscape(s).
func escapedLen(s string) int {
	n := 0
	for i := range len(s) {
		switch c := s[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_', c == '.', c == '~', c == ' ':
			n++
		default:
			n += 3
		}
	}
	return n
}
