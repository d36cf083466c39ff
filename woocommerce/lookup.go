package woocommerce

import (
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
	"github.com/ecosire/stocksync/internal/text"
)

// A lookup is one question for SKUs, answered by one page of rows most often.
type lookup struct {
	param string   // "sku": a list of exact SKUs; "search_sku": a part of SKUs
	value string   // of the parameter
	skus  []string // asked for
	names *names   // what may be in the answer
}

const (
	maxURL   = 8000 // bytes; web servers take a little over 8,000 by default
	maxPages = 10   // of one lookup
	// freshLen is the length of what makes each address another one.
	freshLen = len("&fresh=") + freshDigits
)

// length is the length of the longest address that a lookup takes. Every page
// but the first has a page parameter.
func (c *Client) length(param, value string) int {
	return len(c.endpoint("products", lookupQuery(param, value, maxPages)).String()) + freshLen
}

// lookups splits SKUs into as few questions as possible. Those that the API
// cannot be asked for come back as levels that say why. An SKU that is suspected
// to break what it is part of is asked for alone.
func (c *Client) lookups(skus []string) (asks []lookup, refused []channel.Level) {
	bare := c.length("sku", "")
	room := int(c.maxURL.Load()) - bare
	var value []byte // of a list of SKUs
	var list []string
	size := 0 // SKUs in value
	used := 0 // bytes of it in a URL
	flush := func() {
		if size > 0 {
			asks = append(asks, lookup{param: "sku", value: string(value), skus: list})
		}
		value, list, size = value[:0], nil, 0
	}
	for i, sku := range skus {
		if why := unaskable(sku); why != "" {
			refused = append(refused, refuse(sku, why))
			continue
		}
		ask, n := lookup{param: "sku", value: sku}, 1
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
		if bytes > maxURL-bare {
			refused = append(refused, refuse(sku, "it is too long for a URL"))
			continue
		}
		// A comma separates SKUs, unless this SKU is all there is.
		if ask.param != "sku" || strings.Contains(sku, ",") || c.suspects.has(sku) {
			ask.skus = []string{sku}
			asks = append(asks, ask)
			continue
		}
		if size > 0 && (size+n > pageSize || used+3+bytes > room) {
			flush()
		}
		if size == 0 {
			value, list, size, used = append(value, ask.value...), make([]string, 1, min(pageSize, len(skus)-i)), n, bytes
			list[0] = sku
			continue
		}
		value = append(append(value, ','), ask.value...)
		used += 3 + bytes
		list = append(list, sku)
		size += n
	}
	flush()
	for i := range asks {
		asks[i].names = asks[i].expected()
	}
	return asks, refused
}

// short is an SKU as it may be printed.
func short(sku string) string { return text.Cut(sku, 120) }

func refuse(sku, why string) channel.Level {
	return channel.Level{SKU: sku, Err: fmt.Errorf("%w: SKU %q cannot be looked up: %s", channel.ErrInvalid, short(sku), why)}
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
	return !strings.Contains(sku, "<") && !strings.Contains(sku, "  ") && !(strings.Contains(sku, "%") && octet.MatchString(sku)) &&
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
// not show. once says that no request is repeated.
func (c *Client) rows(ctx context.Context, ask lookup, once bool) (rows []row, hidden int, err error) {
	for page := 1; page <= maxPages; page++ {
		r := request{method: http.MethodGet, path: "products", query: lookupQuery(ask.param, ask.value, page), once: once}
		if len(ask.skus) > 1 {
			r.retries = 1 // then parts of it are asked for
		}
		resp, err := c.send(ctx, r)
		if err != nil {
			return nil, 0, err
		}
		got, err := decodeRows(resp, ask.names)
		if err != nil {
			return nil, 0, c.nonsense(r, resp, err.Error())
		}
		n := len(got)
		rows = appendNew(rows, got)
		if foreign := ask.foreign(rows); foreign != nil {
			e := c.nonsense(r, resp, fmt.Sprintf(
				"the shop does not filter by SKU: it answered with product %d of another one; a plugin may have switched SKUs off", foreign.id))
			e.whole = true
			return nil, 0, e
		}
		total, err := strconv.Atoi(resp.Header.Get("X-WP-Total"))
		switch {
		case err != nil && n < pageSize:
			return rows, 0, nil
		case err == nil && total <= page*pageSize:
			return rows, max(0, total-len(rows)), nil
		case err == nil && total > maxPages*pageSize:
			return nil, 0, errTooMany
		}
	}
	return nil, 0, errTooMany
}

// appendNew appends the rows that are not there yet.
func appendNew(rows, more []row) []row {
	rising, last := len(rows) == 0, int64(0)
	for i := range more {
		rising = rising && more[i].id > last
		last = more[i].id
	}
	if rising { // as asked for
		return more
	}
	for i := range more {
		r := &more[i]
		if r.id <= 0 || !slices.ContainsFunc(rows, func(have row) bool { return have.id == r.id }) {
			rows = append(rows, *r)
		}
	}
	return rows
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
