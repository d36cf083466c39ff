package woocommercetest

import (
	"cmp"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

var (
	productTypes = []string{"simple", "grouped", "external", "variable"}
	listStatuses = []string{"any", "future", "trash", "draft", "pending", "private", "publish"}
	orders       = []string{"date", "id", "include", "title", "slug", "modified", "price", "popularity", "rating", "menu_order"}

	// Parameters of a list that shops know and this one does not. Others are
	// ignored, as shops do.
	foreignFilters = strings.Fields(`search after before modified_before exclude parent parent_exclude slug
		exclude_status include_types exclude_types featured category tag brand shipping_class attribute attribute_term
		tax_class on_sale min_price max_price stock_status virtual downloadable search_name_or_sku global_unique_id
		search_fields context`)
)

// A selection is what a list request asks for.
type selection struct {
	perPage, page, offset int
	byOffset              bool
	orderBy               string
	ascending             bool
	include               []int
	statuses              []string // nil: any, which leaves out the trash
	kind                  string
	sku, searchSKU        string
	modifiedAfter         time.Time
}

func parseSelection(q params, parent int) (sel selection, _ *apiError) {
	for _, name := range foreignFilters {
		if v, ok := q.text(name); ok && v != "" && !(name == "context" && v == "view") {
			return sel, notImplemented("the parameter " + name)
		}
	}
	sel = selection{perPage: 10, page: 1, orderBy: "date"}
	var bad invalid
	whole := func(name string, least, most int, into *int) bool {
		v, ok := q.text(name)
		if !ok {
			return false
		}
		n := intval(v)
		switch {
		case !isInteger(v):
			bad.notOfType(name, "integer")
		case most > 0 && (n < least || n > most):
			bad.add(name, "rest_out_of_bounds", fmt.Sprintf("%s must be between %d (inclusive) and %d (inclusive)", name, least, most))
		case most == 0 && n < least:
			bad.add(name, "rest_out_of_bounds", fmt.Sprintf("%s must be greater than or equal to %d", name, least))
		}
		*into = n
		return true
	}
	oneOf := func(name string, options []string) string {
		v, ok := q.text(name)
		if ok && !slices.Contains(options, v) {
			bad.notOneOf(name, options...)
		}
		return v
	}
	whole("page", 1, 0, &sel.page)
	whole("per_page", 1, 100, &sel.perPage)
	sel.byOffset = whole("offset", math.MinInt, 0, &sel.offset)
	sel.ascending = oneOf("order", []string{"asc", "desc"}) == "asc"
	sel.orderBy = cmp.Or(oneOf("orderby", orders), "date")
	if status := oneOf("status", listStatuses); status != "" && status != "any" {
		sel.statuses = []string{status}
	}
	if v, ok := q.text("include_status"); ok {
		list := fieldList(v)
		if slices.ContainsFunc(list, func(status string) bool { return !slices.Contains(listStatuses, status) }) {
			bad.add("include_status", "rest_not_in_enum", "include_status[0] is not one of "+strings.Join(listStatuses, ", ")+".")
		}
		if sel.statuses = list; slices.Contains(list, "any") {
			return sel, notImplemented("include_status=any")
		}
	}
	sel.kind = oneOf("type", productTypes)
	for _, name := range []string{"sku", "search_sku"} {
		if q.has(name + "[]") {
			bad.notOfType(name, "string")
		}
	}
	if v, ok := q.text("include"); ok {
		for _, id := range fieldList(v) {
			if !isInteger(id) {
				bad.add("include", "rest_invalid_type", "include[0] is not of type integer.")
			}
			sel.include = append(sel.include, intval(id))
		}
	}
	if v, ok := q.text("modified_after"); ok {
		var err error
		if sel.modifiedAfter, err = time.Parse(time.RFC3339, v); err != nil {
			if sel.modifiedAfter, err = time.Parse("2006-01-02T15:04:05", v); err != nil {
				bad.add("modified_after", "rest_invalid_date", "Invalid date.")
			}
		}
	}
	if e := bad.err(); e != nil {
		return sel, e
	}
	sku, _ := q.text("sku")
	searchSKU, _ := q.text("search_sku")
	sel.sku, sel.searchSKU = sanitize(sku), sanitize(searchSKU)
	switch {
	case parent != 0 && (sku != "" || searchSKU != "" || sel.kind != ""):
		return sel, notImplemented("SKU and type filters on a list of variations")
	case !slices.Contains([]string{"date", "id", "modified", "include"}, sel.orderBy):
		return sel, notImplemented("orderby=" + sel.orderBy)
	case sel.offset < 0:
		return sel, notImplemented("a negative offset")
	}
	return sel, nil
}

// list answers GET /products and, with a parent, GET /products/<parent>/variations.
func (s *Server) list(c *call, parent int) reply {
	sel, e := parseSelection(c.query, parent)
	if e == nil && c.anonymous {
		e = denied("view", "Sorry, you cannot list resources.")
	}
	if e != nil {
		return e.reply()
	}
	names := fieldList(c.query.values["_fields"])

	s.mu.Lock()
	found := s.find(sel, parent)
	total := len(found)
	start := min(sel.page-1, total) * sel.perPage // far beyond the end it would overflow
	if sel.byOffset {
		if start = sel.offset; start >= total {
			total = 0
		}
	}
	start = min(start, len(found))
	sort(found, sel, start)
	rows := []any{}
	for _, p := range found[start:min(start+sel.perPage, len(found))] {
		if message := s.dirt.fatal[p.id]; message != "" {
			s.mu.Unlock()
			return died(message)
		}
		if row := s.dirt.shows(p.id, s.render(c, p, parent != 0, names)); len(row) > 0 {
			rows = append(rows, row)
		} else {
			rows = append(rows, []any{}) // PHP's empty array
		}
	}
	s.mu.Unlock()
	s.compute(c.Context(), time.Duration(len(rows))*s.cfg.ItemReadTime)

	rep := jsonReply(http.StatusOK, rows)
	pages := (total + sel.perPage - 1) / sel.perPage
	rep.header.Set("X-WP-Total", strconv.Itoa(total))
	rep.header.Set("X-WP-TotalPages", strconv.Itoa(pages))
	var links []string
	if sel.page > 1 {
		links = append(links, c.pageLink(min(sel.page-1, pages), "prev"))
	}
	if sel.page < pages {
		links = append(links, c.pageLink(sel.page+1, "next"))
	}
	if len(links) > 0 {
		rep.header.Set("Link", strings.Join(links, ", "))
	}
	return rep
}

// find selects rows, in no order. All products come by id, which makes their
// usual order cheap.
func (s *Server) find(sel selection, parent int) []*product {
	// "0" is as good as nothing: PHP calls it empty. Then there is no filter.
	bySKU := sel.sku != "" && sel.sku != "0"
	search := sel.searchSKU != "" && sel.searchSKU != "0"
	var from []*product
	switch {
	case parent != 0:
		from = s.children[parent]
	case search:
		part := fold(sel.searchSKU)
		for _, p := range s.products {
			// The table that is searched has room for 100 characters.
			if p.sku != "" && len([]rune(p.sku)) <= 100 && strings.Contains(fold(p.sku), part) {
				from = append(from, p)
			}
		}
	case bySKU:
		from = s.withSKUs(sel.sku)
	default:
		from = s.listed
	}
	found := make([]*product, 0, len(from))
	for _, p := range from {
		switch {
		case sel.statuses == nil && p.status == "trash",
			sel.statuses != nil && !slices.Contains(sel.statuses, p.status),
			sel.kind != "" && sel.kind != p.kind,
			len(sel.include) > 0 && !slices.Contains(sel.include, p.id),
			!sel.modifiedAfter.IsZero() && p.modified.Unix() <= sel.modifiedAfter.Unix():
		default:
			found = append(found, p)
		}
	}
	return found
}

// sort orders rows as the database does: by one column only. What is equal in
// it comes in an order that depends on which page is asked for, so that a
// crawl by date, the default, meets some rows twice and others never.
func sort(found []*product, sel selection, start int) {
	byDate := func(date func(*product) time.Time) func(a, b *product) int {
		return func(a, b *product) int {
			order := cmp.Compare(date(a).Unix(), date(b).Unix())
			if !sel.ascending {
				order = -order
			}
			return cmp.Or(order, cmp.Compare(shuffled(a.id, start), shuffled(b.id, start)))
		}
	}
	switch sel.orderBy {
	case "id":
		compare := func(a, b *product) int { return cmp.Compare(a.id, b.id) }
		if !slices.IsSortedFunc(found, compare) {
			slices.SortFunc(found, compare)
		}
		if !sel.ascending {
			slices.Reverse(found)
		}
	case "include":
		slices.SortFunc(found, func(a, b *product) int {
			return cmp.Compare(slices.Index(sel.include, a.id), slices.Index(sel.include, b.id))
		})
	case "modified":
		slices.SortFunc(found, byDate(func(p *product) time.Time { return p.modified }))
	default:
		slices.SortFunc(found, byDate(func(p *product) time.Time { return p.created }))
	}
}

// shuffled is a number that has nothing to do with the order of ids.
func shuffled(id, start int) uint64 {
	x := uint64(id)*0x9E3779B97F4A7C15 + uint64(start)*0xD1B54A32D192ED03
	x = (x ^ x>>31) * 0xBF58476D1CE4E5B9
	return x ^ x>>29
}

// pageLink repeats the whole query, credentials included, as a shop does.
func (c *call) pageLink(page int, rel string) string {
	q := params{}.over(c.query)
	q.set("page", strconv.Itoa(page))
	var b strings.Builder
	for i, key := range q.keys {
		if i > 0 {
			b.WriteByte('&')
		}
		text, _ := q.text(key)
		b.WriteString(url.QueryEscape(key) + "=" + url.QueryEscape(text))
	}
	return fmt.Sprintf("<%s%s?%s>; rel=%q", c.origin, c.URL.Path, b.String(), rel)
}
