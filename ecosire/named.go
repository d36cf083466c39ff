package ecosire

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/text"
)

// maxQuery bounds the ids of a request, in bytes of its URL: many servers and
// proxies take 8 kB. A hundred of ECOSIRE's own ids have 4 kB.
const maxQuery = 7000

// minQuery is what the bound may be lowered to where ECOSIRE refuses long URLs.
const minQuery = 1000

// A naming is one time that products are read by their ids.
type naming struct {
	*Client
	ctx     context.Context
	yield   func(channel.Stock, error) bool
	stopped bool // yield has had enough, or was given an error
	all     bool // the quantities of all warehouses are read in any case
}

func (n *naming) put(s channel.Stock) { n.stopped = n.stopped || !n.yield(s, nil) }

func (n *naming) fail(err error) {
	if !n.stopped {
		n.yield(channel.Stock{}, err)
	}
	n.stopped = true
}

// read reads products, whose ids are sorted.
func (n *naming) read(ids []string) {
	together, apart := n.refusal.plan(ids, n.put)
	for len(together) > 0 && !n.stopped {
		some := together[:n.chunk(together)]
		together = together[len(some):]
		n.group(some, false)
	}
	for _, some := range apart {
		if n.stopped {
			return
		}
		if !n.halving.take() {
			n.later(some)
			continue
		}
		n.group(some, true)
	}
}

// chunk is how many of the ids fit into one request.
func (c *Client) chunk(ids []string) int {
	room := int(c.maxQuery.Load())
	for i, id := range ids[:min(len(ids), pageSize)] {
		if room -= escapedLen(id); room < 0 && i > 0 {
			return i
		}
	}
	return min(len(ids), pageSize)
}

// escapedLen is how long an id and a comma are in a URL.
func escapedLen(id string) int { return len(url.QueryEscape(id)) + len("%2C") }

// group reads at most a page of products.
func (n *naming) group(ids []string, once bool) {
	err := n.ask(ids, once)
	if err == nil {
		return
	}
	length := 0
	for _, id := range ids {
		length += escapedLen(id)
	}
	if !partial(err) && !(length > minQuery && len(ids) > 1 && tooLong(err)) {
		n.fail(err)
		return
	}
	whole := true
	left, all := hunt[[]string]{Client: n.Client,
		size:  func(ids []string) int { return len(ids) },
		split: func(ids []string) [][]string { return [][]string{ids[:(len(ids)+1)/2], ids[(len(ids)+1)/2:]} },
		join: func(parts [][]string) [][]string {
			if len(parts) < 2 {
				return parts
			}
			ids := slices.Concat(parts...)
			slices.Sort(ids)
			return [][]string{ids}
		},
		ask: func(ids []string) error { return n.ask(ids, true) },
		alone: func(ids []string, err error) {
			whole = false
			n.put(channel.Stock{ProductID: ids[0], Err: n.refusal.alone(n.ctx, ids[0], err, n.logger)})
		},
	}.isolate(n.ctx, ids, err)
	if all != nil {
		n.fail(all)
		return
	}
	for _, ids := range left {
		n.refusal.suspect(slices.Clone(ids))
		n.later(ids)
	}
	if whole && len(left) == 0 && tooLong(err) {
		// Each part is well: it was too much at once.
		n.maxQuery.Store(max(minQuery, min(n.maxQuery.Load(), int64(length/2))))
		n.logger.LogAttrs(n.ctx, slog.LevelWarn, "ECOSIRE refuses a long URL; fewer products are asked for at once from now on",
			slog.Int("bytes", length), slog.Any("err", err))
	}
}

// tooLong reports whether an error may be about the length of a URL.
func tooLong(err error) bool {
	e, ok := errors.AsType[*Error](err)
	return ok && slices.Contains([]int{http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound, http.StatusRequestEntityTooLarge,
		http.StatusRequestURITooLong, http.StatusRequestHeaderFieldsTooLarge}, e.Status)
}

// later says of products that they were not read for now.
func (n *naming) later(ids []string) {
	for _, id := range ids {
		n.put(channel.Stock{ProductID: id, Err: &laterError{
			what: fmt.Sprintf("ecosire: not read for now: ECOSIRE fails for one of %d products with %q, and which one is still to be found", len(ids), text.Clean(id)),
			wait: n.halving.wait(),
		}})
	}
}

// ask reads at most a page of products.
func (n *naming) ask(ids []string, once bool) error {
	stocks, err := n.quantities(ids, once)
	if err != nil {
		return err
	}
	n.refusal.well(ids)
	for _, s := range stocks {
		n.put(s)
	}
	return nil
}

// A batch is what ECOSIRE answered for some ids.
type batch struct {
	ids     []string // sorted
	found   []channel.Stock
	missing []string        // those that are not among found
	odd     []channel.Stock // entries that do not say which of the ids they are about
	whole   bool            // there is no more
	ignored bool            // products came that were not asked for
}

// batch reads at most a page of products, in one warehouse or in all, by one
// request, as long as ECOSIRE's pages are not smaller than asked for.
func (c *Client) batch(ctx context.Context, ids []string, warehouse string, once bool) (batch, error) {
	if c.pager.instead() {
		return c.pager.find(ctx, c, ids, warehouse)
	}
	b := batch{ids: ids, missing: slices.Clone(ids)}
	l := c.products(ctx)
	req := request{query: url.Values{"productIds": {strings.Join(ids, ",")}}, once: once}
	set(req.query, "warehouseId", warehouse)
	for number, read := 1, 0; ; number++ {
		a := l.page(ctx, c, req, number, pageSize)
		if a.err != nil {
			return b, a.err
		}
		before := len(b.missing)
		b.add(a.entries)
		read += a.rows
		b.whole = a.total == read || len(b.missing) == 0
		if b.ignored {
			c.odd.once(ctx, slog.LevelError, "ECOSIRE answered products that were not asked for: it seems not to know the parameter productIds, "+
				"and products are looked for page by page", "")
			c.pager.begin()
			return c.pager.find(ctx, c, ids, warehouse)
		}
		if len(b.missing) == before || len(b.missing) == 0 || a.total <= read && a.pages <= number || number >= pageSize {
			return b, nil
		}
	}
}

// add takes the entries of an answer.
func (b *batch) add(entries []channel.Stock) {
	for _, s := range entries {
		_, asked := slices.BinarySearch(b.ids, s.ProductID)
		at, unread := slices.BinarySearch(b.missing, s.ProductID)
		switch {
		case unread:
			b.missing = slices.Delete(b.missing, at, at+1)
			b.found = append(b.found, s)
		case asked:
			first := &b.found[slices.IndexFunc(b.found, func(f channel.Stock) bool { return f.ProductID == s.ProductID })]
			if !sameQuantities(first, &s) {
				clash(first)
			}
		case s.Err != nil:
			b.odd = append(b.odd, s)
		default:
			b.ignored = true
		}
	}
}

// attribute says of entries that make no sense, and do not say which product
// they are about, that it is one of those that are missing.
func (b *batch) attribute() {
	if len(b.odd) == 0 {
		return
	}
	for _, id := range b.missing {
		s := channel.Stock{ProductID: id, AsOf: b.odd[0].AsOf, Err: b.odd[0].Err}
		if len(b.odd) == 1 && len(b.missing) == 1 {
			s.SKU = b.odd[0].SKU
		}
		b.found = append(b.found, s)
	}
	if len(b.missing) == 0 {
		b.found = append(b.found, b.odd[0])
	}
	b.missing = nil
}
