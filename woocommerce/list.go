package woocommerce

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/httpx"
	"github.com/ecosire/stocksync/internal/strictjson"
)

// SKUs yields the SKU of every product and variation that has one of its own,
// in every status but the trash. It takes a request for 100 products, and one
// for each product with variations, or for 100 of these: WooCommerce has no list
// of variations. Memory is that of a few pages.
//
// The last pair's error matches channel.ErrIncomplete where the shop hides
// products from the key's user, fails for some of them, or says nonsense. With
// [ChannelConfig].SkipList there is nothing but an error that matches
// errors.ErrUnsupported.
func (ch *Channel) SKUs(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if ch.cfg.SkipList {
			yield("", fmt.Errorf("woocommerce: listing is switched off by ChannelConfig.SkipList: %w", errors.ErrUnsupported))
			return
		}
		l := &list{client: ch.client, path: "products", fields: "id,type,sku,variations"}
		stopped, gap := false, error(nil)
		for !l.ended && !stopped {
			page, err := l.next(ctx)
			if err == nil {
				stopped, gap, err = ch.yieldPage(ctx, page, gap, yield)
			}
			if err != nil {
				yield("", err)
				return
			}
		}
		if err := cmp.Or(l.gap(), gap); err != nil && !stopped {
			yield("", err)
		}
	}
}

// yieldPage yields the SKUs of a page of products, and those of their
// variations. gap says what is missing of lists so far.
func (ch *Channel) yieldPage(ctx context.Context, page []listed, gap error, yield func(string, error) bool) (stopped bool, _, err error) {
	parallel := ch.client.load.width()
	for len(page) > 0 {
		n := min(parallel, len(page))
		lists := make([]*list, n)
		rows := make([][]listed, n)
		group, ctx := errgroup.WithContext(ctx)
		for i, p := range page[:n] {
			if !p.parent {
				continue
			}
			lists[i] = &list{client: ch.client, path: fmt.Sprintf("products/%d/variations", p.id), fields: "id,sku"}
			group.Go(func() error {
				for !lists[i].ended {
					more, err := lists[i].next(ctx)
					if err != nil {
						return err
					}
					rows[i] = append(rows[i], more...)
				}
				return nil
			})
		}
		if err := group.Wait(); err != nil {
			return false, gap, err
		}
		for i, p := range page[:n] {
			if p.sku != "" && !yield(p.sku, nil) {
				return true, gap, nil
			}
			if lists[i] != nil {
				gap = cmp.Or(gap, lists[i].gap())
			}
			for _, v := range rows[i] {
				// One without an SKU of its own shows its parent's.
				if v.sku != "" && v.sku != p.sku && !yield(v.sku, nil) {
					return true, gap, nil
				}
			}
		}
		page = page[n:]
	}
	return false, gap, nil
}

// listed is a product or variation of a list.
type listed struct {
	id     int64
	sku    string
	parent bool // it has variations
}

// A list reads a list page by page, by id. Each page begins with the last item
// of the one before it, so that an item that goes meanwhile, and moves all that
// follow, is noticed.
type list struct {
	client *Client
	path   string
	fields string

	ended   bool
	offset  int
	overlap bool // at offset is the last item that was read
	size    int  // of a page; less where the shop fails for one of its items
	last    int64
	count   int // of items so far
	total   int // by the shop's account
	skipped error
	back    int // steps back in a row
	failing int // items that were left out
}

const maxFailing = 20 // items of a list that the shop fails for

// next returns the next items. There may be none.
func (l *list) next(ctx context.Context) ([]listed, error) {
	l.size = cmp.Or(l.size, pageSize)
	r := request{method: http.MethodGet, path: l.path, once: l.size < pageSize, retries: 1, query: url.Values{
		"per_page": {strconv.Itoa(l.size)}, "offset": {strconv.Itoa(l.offset)}, "orderby": {"id"}, "order": {"asc"}, "_fields": {l.fields}}}
	resp, err := l.client.send(ctx, r)
	var values []strictjson.Value
	if err == nil {
		values, err = l.decode(r, resp)
	}
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, l.narrow(ctx, err)
	}
	total, unknown := strconv.Atoi(resp.Header.Get("X-WP-Total"))
	if unknown != nil {
		total = l.offset + len(values)
		if len(values) == l.size {
			total++ // there may be more
		}
	}
	if len(values) == 0 && l.offset > 0 {
		total = max(total, l.total) // beyond the end the shop counts none
	}
	l.total = total
	items, moved := l.take(values)
	if moved {
		l.back++
		l.offset = max(0, l.offset-pageSize)
		l.overlap = l.offset > 0
		return nil, nil
	}
	l.back = 0
	l.ended = len(values) == 0 || l.offset+l.size >= total
	l.offset += l.size - 1
	l.overlap = true
	l.size = min(pageSize, 2*l.size)
	l.count += len(items)
	return items, nil
}

func (l *list) decode(r request, resp *httpx.Response) ([]strictjson.Value, error) {
	body, err := strictjson.Parse(resp.Body)
	if err != nil {
		return nil, l.client.nonsense(r, resp, httpx.Describe(resp)+" is not a list")
	}
	values, err := body.Elements()
	if err != nil {
		return nil, l.client.nonsense(r, resp, "the list is "+err.Error())
	}
	return values, nil
}

// take reads the items that did not come before. moved reports that the page
// does not begin with the last item of the one before it, or with an earlier one.
func (l *list) take(values []strictjson.Value) (items []listed, moved bool) {
	var r strictjson.Row
	last := l.last
	for i, v := range values {
		r.Read(v)
		it := listed{id: int64(r.Int("id")), sku: r.Text("sku")}
		if kind := r.Value("type"); strings.HasPrefix(kind.Name(), "variable") {
			variations, err := r.Value("variations").Elements()
			it.parent = err != nil || len(variations) > 0
		}
		if i == 0 && last > 0 && it.id > last && l.overlap && l.back < 3 {
			return nil, true
		}
		if err := r.Err(); err != nil {
			l.skipped = cmp.Or(l.skipped, fmt.Errorf("what the shop says of product %d makes no sense: %w", it.id, err))
		}
		if it.id > l.last {
			l.last = it.id
			items = append(items, it)
		}
	}
	return items, false
}

// narrow deals with a page that could not be read: smaller ones find the item
// that the shop fails for.
func (l *list) narrow(ctx context.Context, err error) error {
	if !divisible(err) || l.size == pageSize && l.client.alive(ctx) != nil {
		return cmp.Or(ctx.Err(), err)
	}
	if l.size > 1 {
		if l.size /= 2; l.size == 1 && l.overlap {
			l.offset, l.overlap = l.offset+1, false
		}
		return nil
	}
	if l.failing++; l.failing > maxFailing {
		return err
	}
	l.skipped = cmp.Or(l.skipped, fmt.Errorf("the shop fails for one product: %w", err))
	l.offset++
	l.ended = l.total > 0 && l.offset >= l.total
	return nil
}

// gap says what is missing of a list that was read to its end.
func (l *list) gap() error {
	switch {
	case l.skipped != nil:
		return fmt.Errorf("woocommerce: %w: %w", channel.ErrIncomplete, l.skipped)
	case l.count < l.total:
		return fmt.Errorf("woocommerce: %w: %d of %d products or variations were shown", channel.ErrIncomplete, l.count, l.total)
	}
	return nil
}
