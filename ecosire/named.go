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
func (n *naming) chunk(ids []string) int {
	room := int(n.maxQuery.Load())
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
	if err == nil || n.stopped {
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
			n.put(channel.Stock{ProductID: ids[0], Err: n.refusal.alone(ids[0], err, n.logger)})
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
		n.logger.Warn("ECOSIRE refuses a long URL; fewer products are asked for at once from now on",
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

// ask reads at most a page of products by one request, as long as ECOSIRE's
// pages are not smaller than asked for.
//
// The parameter productIds is in ECOSIRE's Inventory Sync Guide and not in its
// API reference. A server that does not know it lists the whole catalogue.
func (n *naming) ask(ids []string, once bool) error {
	l := n.products()
	req := request{query: url.Values{"productIds": {strings.Join(ids, ",")}}, once: once}
	var found, odd []channel.Stock
	missing := slices.Clone(ids)
	for number, read := 1, 0; ; number++ {
		a := l.page(n.ctx, n.Client, req, number, pageSize)
		if a.err != nil {
			return a.err
		}
		fresh := false
		for _, s := range a.entries {
			_, asked := slices.BinarySearch(ids, s.ProductID)
			at, unread := slices.BinarySearch(missing, s.ProductID)
			switch {
			case unread:
				fresh = true
				missing = slices.Delete(missing, at, at+1)
				found = append(found, s)
			case asked:
				i := slices.IndexFunc(found, func(f channel.Stock) bool { return f.ProductID == s.ProductID })
				if !l.same(&found[i], &s) {
					l.clash(&found[i])
				}
			case s.Err != nil:
				odd = append(odd, s)
			default:
				n.odd.once(slog.LevelWarn, "ECOSIRE answered products that were not asked for: it seems not to know the parameter productIds", "")
				number = pageSize
			}
		}
		read += a.rows
		if !fresh || len(missing) == 0 || a.total <= read && a.pages <= number || number >= pageSize {
			break
		}
	}
	n.refusal.well(ids)
	for _, s := range found {
		n.put(s)
	}
	n.unnamed(odd, missing)
	return nil
}

// unnamed deals with entries of an answer that make no sense and do not say
// which product they are about: most likely one of those that are missing.
func (n *naming) unnamed(odd []channel.Stock, missing []string) {
	if len(odd) == 0 {
		return
	}
	for _, id := range missing {
		s := channel.Stock{ProductID: id, Err: odd[0].Err}
		if len(odd) == 1 && len(missing) == 1 {
			s.SKU = odd[0].SKU
		}
		n.put(s)
	}
	if len(missing) == 0 {
		n.put(odd[0])
	}
}
