package ecosire

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/ecosire/stocksync/channel"
)

const (
	// pagingFor is how long products are looked for page by page until the
	// parameter productIds gets another try.
	pagingFor = 10 * time.Minute
	// maxFinding bounds the pages that one reading of products may take so.
	maxFinding = 20
)

// A pager finds products by their ids where ECOSIRE ignores the parameter
// productIds: in the catalogue, which it asks to be sorted by id. It remembers
// which page begins with which id.
type pager struct {
	mu     sync.Mutex
	since  time.Time
	starts map[string]map[int]string // by warehouse and page
}

// instead reports whether that is how to read products.
func (p *pager) instead() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.since.IsZero() && time.Since(p.since) < pagingFor
}

func (p *pager) begin() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.since = time.Now()
}

// note remembers what a page begins with, if its entries are in order.
func (p *pager) note(warehouse string, page int, entries []channel.Stock) (ordered bool) {
	if !slices.IsSortedFunc(entries, func(a, b channel.Stock) int { return cmp.Compare(a.ProductID, b.ProductID) }) {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.starts == nil {
		p.starts = make(map[string]map[int]string)
	}
	if p.starts[warehouse] == nil {
		p.starts[warehouse] = make(map[int]string)
	}
	if len(entries) > 0 {
		p.starts[warehouse][page] = entries[0].ProductID
	} else {
		delete(p.starts[warehouse], page)
	}
	return true
}

// between returns the pages of which an id may be on the first, as far as is
// known: it is on none before low, nor on high or behind.
func (p *pager) between(warehouse, id string) (low, high int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	low = 1
	for page, start := range p.starts[warehouse] {
		if start <= id {
			low = max(low, page)
		} else if high == 0 || page < high {
			high = page
		}
	}
	return low, high
}

// find reads products by their ids, which are sorted. Those that it could not
// find with its share of requests have an error.
func (p *pager) find(ctx context.Context, c *Client, ids []string, warehouse string) (batch, error) {
	b := batch{ids: ids, missing: slices.Clone(ids), whole: true}
	l := c.products(ctx)
	req := request{query: url.Values{"sortBy": {"productId"}, "sortOrder": {"asc"}}}
	set(req.query, "warehouseId", warehouse)
	var absent []string
	pages, ordered := 0, true
	read := make(map[int]bool)
	for asked := 0; len(b.missing) > 0; asked++ {
		id := b.missing[0]
		low, high := p.between(warehouse, id)
		page := low
		switch {
		case !ordered:
			page = asked + 1 // all there are
		case high == 0 && pages > low:
			page = (low + pages + 1) / 2
		case high > low+1:
			page = (low + high) / 2
		case read[low]:
			page = high
		}
		if pages > 0 {
			page = min(page, pages)
		}
		if asked == maxFinding || !ordered && pages > maxFinding {
			c.odd.once(ctx, slog.LevelError, "ECOSIRE ignores productIds, and not all products that changed can be found in time", "")
			for _, id := range b.missing {
				b.found = append(b.found, channel.Stock{ProductID: id, Err: &laterError{
					what: fmt.Sprintf("ecosire: not found on %d pages: ECOSIRE ignores the parameter productIds", asked), wait: time.Minute,
				}})
			}
			b.missing = nil
			break
		}
		a := l.page(ctx, c, req, page, pageSize)
		if a.err != nil {
			return b, a.err
		}
		b.add(a.entries)
		pages = max(a.pages, (a.total+pageSize-1)/pageSize)
		if ordered = p.note(warehouse, page, a.entries) && ordered; !ordered {
			if page >= pages {
				break
			}
			continue
		}
		// What would be on this page, or between it and the next, is nowhere.
		read[page] = true
		last := ""
		if n := len(a.entries); n > 0 {
			last = a.entries[n-1].ProductID
		}
		for len(b.missing) > 0 {
			low, high := p.between(warehouse, b.missing[0])
			if low != page || b.missing[0] > last && page < pages && !(high == page+1 && read[high]) {
				break
			}
			absent, b.missing = append(absent, b.missing[0]), b.missing[1:]
		}
	}
	b.ignored = false
	b.missing = append(absent, b.missing...)
	slices.Sort(b.missing)
	return b, nil
}
