package square

import (
	"context"
	"slices"
	"time"
)

const (
	searchPath = "/v2/catalog/search"
	objectPath = "/v2/catalog/batch-retrieve"

	maxValues = 250  // SKUs of a search
	pageSize  = 1000 // objects of a page, more or less
	// maxPages bounds the pages of a search for SKUs.
	maxPages = 20
)

// timeFormat is how times are written: Square's own form, to the millisecond.
const timeFormat = "2006-01-02T15:04:05.000Z"

// A searchBody is the body of a search.
type searchBody struct {
	Types     []string `json:"object_types"`
	Query     *query   `json:"query,omitempty"`
	BeginTime string   `json:"begin_time,omitempty"`
	Deleted   bool     `json:"include_deleted_objects,omitempty"`
	Related   bool     `json:"include_related_objects"`
	Limit     int      `json:"limit"`
	Cursor    string   `json:"cursor,omitempty"`
}

type query struct {
	Set set `json:"set_query"`
}

type set struct {
	Name   string   `json:"attribute_name"`
	Values []string `json:"attribute_values"`
}

// searchSKUs returns the variations that Square finds for SKUs. Its search
// ignores case, so these may have others.
func (c *Client) searchSKUs(ctx context.Context, skus []string) (all []*variation, odd int, err error) {
	ask := searchBody{Types: []string{"ITEM_VARIATION"}, Query: &query{set{"sku", skus}}, Related: true, Limit: pageSize}
	pages := 0
	err = c.pages(ctx, ask, func(p *page) error {
		// What changes meanwhile may come on two pages: the later one counts.
		all = slices.DeleteFunc(all, func(v *variation) bool {
			return slices.ContainsFunc(p.variations, func(again *variation) bool { return again.id == v.id })
		})
		all, odd = append(all, p.variations...), odd+p.odd
		if pages++; pages >= maxPages && p.cursor != "" {
			return unusable("POST "+searchPath, 200, "the search for SKUs does not end")
		}
		return nil
	})
	all = slices.DeleteFunc(all, func(v *variation) bool { return v.deleted })
	c.catalog.learn(all)
	return all, odd, err
}

// pages reads an answer of the catalog page by page. How many objects a page
// has is Square's choice; the last one has no cursor.
func (c *Client) pages(ctx context.Context, ask searchBody, each func(*page) error) error {
	seen := map[string]bool{}
	for {
		r, err := post(searchPath, ask)
		if err != nil {
			return err
		}
		_, a, err := c.send(ctx, r)
		if err != nil {
			return err
		}
		p, err := c.catalog.decodePage(a, c.clock.at(time.Now()))
		if err != nil {
			return err
		}
		if err := each(p); err != nil || p.cursor == "" {
			return err
		}
		if seen[p.cursor] {
			return unusable(a.op, 200, "the catalog does not end: a cursor comes again")
		}
		seen[p.cursor] = true
		ask.Cursor = p.cursor
	}
}
