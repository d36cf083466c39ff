package amazon

import (
	"context"
	"fmt"
	"math/bits"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/httpx"
	"github.com/ecosire/stocksync/internal/logs"
	"github.com/ecosire/stocksync/internal/strictjson"
	"github.com/ecosire/stocksync/internal/text"
)

const (
	// pageSize is how many SKUs a search takes. It must be asked for: a page has
	// 10 otherwise.
	pageSize = 20
	// maxPages bounds the pages of a search for 20 SKUs: there are several only
	// if look-ups ignore the case.
	maxPages = 10
	// parallel is how many requests of one call are in flight at most. The
	// quota is the real limit: this many keep up with it when an answer takes
	// two seconds.
	parallel = 10
)

// reading collects what is found.
type reading struct {
	*Channel
	mu     sync.Mutex
	levels []channel.Level
}

func (r *reading) add(levels ...channel.Level) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.levels = append(r.levels, levels...)
}

// read reads the levels of SKUs. Those without a listing are absent.
func (ch *Channel) read(ctx context.Context, skus []string) ([]channel.Level, error) {
	r := &reading{Channel: ch}
	var plain, single []string
	seen := make(map[string]bool, len(skus))
	for _, sku := range skus {
		err := refuseSKU(sku)
		switch {
		case sku == "" || seen[sku]:
		case err != nil:
			r.add(channel.Level{SKU: sku, Err: err})
		case strings.Contains(sku, ","):
			single = append(single, sku)
		default:
			plain = append(plain, sku)
		}
		seen[sku] = true
	}
	// Two groups: the two operations have quotas of their own, and neither
	// should keep the other waiting.
	both, ctx := errgroup.WithContext(ctx)
	both.Go(func() error {
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(parallel)
		for len(plain) > 0 {
			some := plain[:min(len(plain), pageSize)]
			plain = plain[len(some):]
			group.Go(func() error { return r.search(ctx, some) })
		}
		return group.Wait()
	})
	both.Go(func() error {
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(parallel)
		for _, sku := range single {
			group.Go(func() error { return r.look(ctx, sku) })
		}
		return group.Wait()
	})
	if err := both.Wait(); err != nil {
		return nil, err
	}
	return r.levels, nil
}

// search reads up to 20 SKUs without a comma.
func (r *reading) search(ctx context.Context, skus []string) error {
	rows, err := r.pages(ctx, skus)
	if e := blame(err); e != nil {
		return r.split(ctx, skus, e)
	}
	if err != nil {
		return err
	}
	if len(rows) == 0 && len(skus) > 1 {
		// That not one of them exists is possible, but an answer that lacks all
		// of them is more often trouble.
		found, _, err := r.one(ctx, skus[0])
		if err != nil && blame(err) == nil {
			return err
		}
		if found != nil {
			return &Error{Op: searchListings, Status: http.StatusOK, kind: channel.ErrUnavailable,
				Message: "the answer lacks a listing that exists"}
		}
	}
	r.match(skus, rows)
	return nil
}

// pages reads all pages of a search.
func (r *reading) pages(ctx context.Context, skus []string) ([]row, error) {
	c := r.client
	query := url.Values{
		"marketplaceIds": {r.marketplace}, "identifiersType": {"SKU"}, "identifiers": {strings.Join(skus, ",")},
		"includedData": {"fulfillmentAvailability"}, "pageSize": {fmt.Sprint(pageSize)},
	}
	var rows []row
	for range maxPages {
		resp, err := c.send(ctx, request{
			op: searchListings, bucket: c.buckets[searchListings],
			method: http.MethodGet, path: listingsPath + escape(c.seller), query: query, repeat: true,
		})
		if err != nil {
			return nil, err
		}
		if resp.Status != http.StatusOK {
			return nil, c.refusal(searchListings, resp, false)
		}
		v, err := strictjson.Parse(resp.Body)
		if err != nil {
			return nil, nonsense(searchListings, resp, "got "+httpx.Describe(resp))
		}
		var page strictjson.Row
		page.Read(v)
		items, total, next := page.Elements("items"), page.Int("numberOfResults"), ""
		if page.Has("pagination") {
			var p strictjson.Row
			if p.Read(page.Value("pagination")); p.Has("nextToken") {
				next = p.Text("nextToken")
			}
			if err := p.Err(); err != nil {
				return nil, nonsense(searchListings, resp, err.Error())
			}
		}
		if err := page.Err(); err != nil {
			return nil, nonsense(searchListings, resp, err.Error())
		}
		earlier := len(rows)
		for _, v := range items {
			row := r.readRow(searchListings, v)
			// What moves meanwhile may come on two pages, in place of another one.
			if i := index(rows[:earlier], row.sku); i >= 0 {
				rows[i] = row
				continue
			}
			rows = append(rows, row)
		}
		switch {
		case next == "" && len(rows) < total:
			return nil, nonsense(searchListings, resp, fmt.Sprintf("the answer has %d of %d listings", len(rows), total))
		case next == "":
			r.worked.Store(true)
			return rows, nil
		case next == query.Get("pageToken"):
			return nil, nonsense(searchListings, resp, "the list of listings does not end")
		}
		query.Set("pageToken", next)
	}
	return nil, &Error{Op: searchListings, Status: http.StatusOK, kind: channel.ErrUnavailable, Message: "the list of listings does not end"}
}

// index returns which row has an SKU, or -1.
func index(rows []row, sku string) int {
	return slices.IndexFunc(rows, func(r row) bool { return r.sku != "" && r.sku == sku })
}

// match picks the rows that have an SKU byte for byte.
func (r *reading) match(skus []string, rows []row) {
	asked := make(map[string]bool, len(skus))
	for _, sku := range skus {
		asked[sku] = true
	}
	found := make(map[string]bool, len(skus))
	var others []string
	var unreadable error // of a row that may be anybody's
	for _, row := range rows {
		switch {
		case row.sku == "":
			unreadable = row.level.Err
		case asked[row.sku]:
			found[row.sku] = true
			r.add(row.level)
		default:
			others = append(others, row.sku)
		}
	}
	for _, sku := range skus {
		if found[sku] {
			continue
		}
		if unreadable != nil {
			r.add(channel.Level{SKU: sku, Err: unreadable})
		} else if len(others) > 0 {
			r.add(channel.Level{SKU: sku, Err: channel.UnknownSKU(sku, others...)})
		}
	}
}

// blame returns the error of a request that Amazon refuses for what it is
// about, so that it is worth asking for parts of it, or nil.
func blame(err error) *Error {
	if e, ok := err.(*Error); ok && e.kind == nil && e.Code != "" &&
		(e.Status == http.StatusBadRequest || e.Status == http.StatusRequestEntityTooLarge || e.Status == http.StatusNotFound) {
		return e
	}
	return nil
}

// split asks for the halves of what was refused, until it is clear which SKU
// Amazon cannot take. If it takes none in as many tries as it takes to find one,
// the SKUs are not to blame.
func (r *reading) split(ctx context.Context, skus []string, refusal *Error) error {
	part := &reading{Channel: r.Channel}
	tries, taken := 1, false
	var ask func(skus []string) error
	ask = func(skus []string) error {
		rows, err := part.pages(ctx, skus)
		e := blame(err)
		switch tries++; {
		case err == nil:
			taken = true
			part.match(skus, rows)
			return nil
		case e == nil:
			return err
		case !taken && tries > bits.Len(uint(pageSize))+1:
			return refusal
		case len(skus) == 1:
			part.add(channel.Level{SKU: skus[0], Err: invalid(e)})
			return nil
		}
		if err := ask(skus[:len(skus)/2]); err != nil {
			return err
		}
		return ask(skus[len(skus)/2:])
	}
	if len(skus) > 1 {
		if err := ask(skus[:len(skus)/2]); err != nil {
			return err
		}
		if err := ask(skus[len(skus)/2:]); err != nil {
			return err
		}
	} else {
		return r.look(ctx, skus[0])
	}
	if !taken {
		return refusal
	}
	r.add(part.levels...)
	return nil
}

// invalid is a refusal that concerns one SKU.
func invalid(e *Error) error {
	one := *e
	one.kind = channel.ErrInvalid
	return &one
}

// look reads an SKU on its own.
func (r *reading) look(ctx context.Context, sku string) error {
	found, other, err := r.one(ctx, sku)
	// What was never asked well may be wrong as such, for a wrong store, say.
	if e := blame(err); e != nil && r.worked.Load() {
		r.add(channel.Level{SKU: sku, Err: invalid(e)})
		return nil
	}
	if err != nil {
		return err
	}
	if found != nil {
		r.add(*found)
	} else if other != "" {
		r.add(channel.Level{SKU: sku, Err: channel.UnknownSKU(sku, other)})
	}
	return nil
}

// one reads one SKU. other is what Amazon answered in its place, if it did.
func (r *reading) one(ctx context.Context, sku string) (found *channel.Level, other string, err error) {
	c := r.client
	ctx = logs.With(ctx, logs.SKU, text.Clean(sku))
	resp, err := c.send(ctx, request{
		op: getListing, bucket: c.buckets[getListing], method: http.MethodGet, path: c.listingPath(sku),
		query: url.Values{"marketplaceIds": {r.marketplace}, "includedData": {"fulfillmentAvailability"}}, repeat: true,
	})
	if err != nil {
		return nil, "", err
	}
	switch {
	case resp.Status == http.StatusNotFound && apiError(resp):
		r.worked.Store(true)
		return nil, "", nil
	case resp.Status != http.StatusOK:
		return nil, "", c.refusal(getListing, resp, false)
	}
	v, err := strictjson.Parse(resp.Body)
	if err != nil {
		return nil, "", nonsense(getListing, resp, "got "+httpx.Describe(resp))
	}
	r.worked.Store(true)
	row := r.readRow(getListing, v)
	switch {
	case row.sku == "":
		return nil, "", nonsense(getListing, resp, "the answer has no SKU")
	case row.sku != sku:
		return nil, row.sku, nil
	}
	return &row.level, "", nil
}
