package shopify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/ecosire/stocksync/channel"
)

// Push sets what is available at the location, 250 updates a request. An
// update that was Seen is written only if the shop still shows the quantity
// seen, and ends in [channel.ErrConflict] otherwise; no request is needed to
// find its item. One that was not seen is written whatever the shop shows,
// after requests that find its item.
//
// What the shop refuses for one update, or stumbles over, is found by halving,
// and is the error of that update alone.
//
// Each request carries an idempotency key, so that one whose answer was lost
// is sent again without being applied twice. If no answer comes at all, or the
// caller leaves, the update's error matches [channel.ErrUnclear], and the
// client remembers the request for a quarter of an hour: the next Push for one
// of its items sends it once more, with the same key, and so learns what became
// of it before it writes anything else. A write that is under way is waited for
// up to three seconds after ctx is done.
//
// In the shop's inventory history the changes refer to gid://stocksync/SyncRun/
// and the run's name (see [channel.WithRun]), or a random one.
func (ch *Channel) Push(ctx context.Context, updates []channel.Update) error {
	p := &push{Channel: ch, document: document(channel.Run(ctx)), errs: channel.Errors{}}
	rows := p.rows(ctx, updates)
	rows = p.settle(ctx, rows)
	rows = p.prepare(ctx, rows)
	var group errgroup.Group
	group.SetLimit(parallel)
	for _, some := range p.parts(rows) {
		group.Go(func() error { p.write(ctx, some); return nil })
	}
	group.Wait()
	p.decide(ctx)
	return p.result()
}

// A push is one call of Push or Unset.
type push struct {
	*Channel
	document string // the referenceDocumentUri

	mu     sync.Mutex
	errs   channel.Errors
	known  bool    // the fate of some update is known, or that it is not known
	whole  error   // the first error that is about no update in particular
	stop   error   // one after which the shop is left alone
	doubts []doubt // rows that may have been refused because they were done
}

// result is what Push returns.
func (p *push) result() error {
	if p.whole != nil && !p.known {
		return p.whole
	}
	return p.errs.Err()
}

// A row is an update whose item is known.
type row struct {
	sku      string
	item     uint64
	id       string // the item's, or ""
	quantity int
	from     *int  // what the shop must show; nil means anything
	unready  *node // the item, if it must be tracked or activated first
	again    bool  // it may have been written by an earlier request
}

func (r row) same(other row) bool {
	return r.item == other.item && r.quantity == other.quantity &&
		(r.from == nil) == (other.from == nil) && (r.from == nil || *r.from == *other.from)
}

// refuse notes an error about one update.
func (p *push) refuse(sku string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.errs[sku] = err
	p.known = true
}

// done notes that something was written.
func (p *push) done() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.known = true
}

// fail notes an error about whole requests, of which nothing was done.
func (p *push) fail(err error, skus ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, sku := range skus {
		p.errs[sku] = err
	}
	if p.whole == nil {
		p.whole = err
	}
	if fault, ok := errors.AsType[*Error](err); ok && fault.fatal() && p.stop == nil {
		p.stop = err
	}
}

func (p *push) stopped(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stop == nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return p.stop
}

// rows finds the items of the updates.
func (p *push) rows(ctx context.Context, updates []channel.Update) []row {
	rows := make([]row, 0, len(updates))
	from := make([]int, len(updates)) // copies: a row may outlive the call
	var unknown []channel.Update
	for i, u := range updates {
		switch item, ok := p.seen(u); {
		case u.SKU == "":
			p.refuse(u.SKU, channel.UnknownSKU(u.SKU))
		case u.Quantity < minQuantity || u.Quantity > maxQuantity:
			p.refuse(u.SKU, fmt.Errorf("%w: %d is not a quantity between %d and %d", channel.ErrInvalid, u.Quantity, minQuantity, maxQuantity))
		case ok:
			from[i] = u.Seen.Quantity
			rows = append(rows, row{sku: u.SKU, item: item, id: u.Seen.Ref, quantity: u.Quantity, from: &from[i]})
		default:
			unknown = append(unknown, u)
		}
	}
	return append(rows, p.search(ctx, unknown)...)
}

// parts divides rows among requests. Those that the shop stumbled over before
// get one each.
func (p *push) parts(rows []row) (parts [][]row) {
	if p.client.venom.empty() {
		return slices.Collect(slices.Chunk(rows, maxInput))
	}
	var rest []row
	for _, r := range rows {
		if _, alone := p.client.venom.get(r.item); alone {
			parts = append(parts, []row{r})
		} else {
			rest = append(rest, r)
		}
	}
	return append(parts, slices.Collect(slices.Chunk(rest, maxInput))...)
}

// seen returns the item that was seen, if nothing speaks against relying on it.
func (p *push) seen(u channel.Update) (item uint64, ok bool) {
	if u.Seen == nil || u.Seen.Err != nil || u.Seen.Unset || p.client.items.count(u.SKU) > 1 {
		return 0, false
	}
	return itemNumber(u.Seen.Ref)
}

// search reads the items of updates whose item was not seen.
func (p *push) search(ctx context.Context, updates []channel.Update) []row {
	if len(updates) == 0 {
		return nil
	}
	skus := make([]string, len(updates))
	for i, u := range updates {
		skus[i] = u.SKU
	}
	found, err := p.find(ctx, skus)
	if err != nil {
		p.fail(err, skus...)
		return nil
	}
	var rows []row
	for i, u := range updates {
		some, err := p.choose(u, found[i])
		if err != nil {
			p.refuse(u.SKU, err)
		}
		rows = append(rows, some...)
	}
	return rows
}

// choose decides which items an update is for.
func (p *push) choose(u channel.Update, m match) (rows []row, _ error) {
	switch {
	case m.err != nil || len(m.exact) == 0:
		return nil, m.unknown(u.SKU)
	case len(m.exact) > 1 && p.duplicates != channel.DuplicatesAll:
		return nil, ambiguous(u.SKU, m.exact)
	}
	seen := u.Seen != nil && u.Seen.Err == nil && !u.Seen.Unset
	for _, n := range m.exact {
		if err := p.obstacle(n); err != nil {
			return nil, err
		}
		r := row{sku: u.SKU, item: n.number, quantity: u.Quantity}
		switch {
		case !n.tracked || !n.active:
			r.unready = n
		case len(m.exact) > 1:
			if seen && u.Seen.Quantity != n.available {
				return nil, fmt.Errorf("%w: %q showed %d, and %s shows %d now", channel.ErrConflict, clip(u.SKU), u.Seen.Quantity, n.id(), n.available)
			}
			r.from = new(n.available)
		case seen && u.Seen.Ref != "" && u.Seen.Ref != n.id():
			return nil, fmt.Errorf("%w: %q is on %s now", channel.ErrConflict, clip(u.SKU), n.id())
		}
		if seen && r.from == nil {
			r.from = new(u.Seen.Quantity)
		}
		rows = append(rows, r)
	}
	return rows, nil
}

func skus(rows []row) []string {
	out := make([]string, len(rows))
	for i, r := range rows {
		out[i] = r.sku
	}
	return out
}
