package shopify

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/ecosire/stocksync/channel"
)

// The bounds of the figure "available".
const (
	leastQuantity = -1_000_000_000
	mostQuantity  = 1_000_000_000
)

// maxRounds bounds how often rows are sent again without those refused.
const maxRounds = 8

// Push sets what is available at the location, 250 updates a request. An
// update that was Seen is written only if the shop still shows the quantity
// seen, and ends in [channel.ErrConflict] otherwise; no request is needed to
// find its item. One that was not seen is written whatever the shop shows,
// after requests that find its item.
//
// Each request carries an idempotency key, so that one whose answer was lost
// is sent again without being applied twice. In the shop's inventory history
// the changes refer to gid://stocksync/SyncRun/ and the run's name (see
// [channel.WithRun]), or a random one.
func (ch *Channel) Push(ctx context.Context, updates []channel.Update) error {
	p := &push{Channel: ch, document: document(channel.Run(ctx)), errs: channel.Errors{}}
	rows := p.prepare(ctx, p.rows(ctx, updates))
	var group errgroup.Group
	group.SetLimit(parallel)
	for some := range slices.Chunk(rows, maxInput) {
		group.Go(func() error { p.write(ctx, some); return nil })
	}
	group.Wait()
	if p.whole != nil && !p.known {
		return p.whole
	}
	return p.errs.Err()
}

// A push is one call of Push.
type push struct {
	*Channel
	document string // the referenceDocumentUri

	mu    sync.Mutex
	errs  channel.Errors
	known bool  // the fate of some update is known
	whole error // the first error that is about no update in particular
	stop  error // one after which the shop is left alone
}

// A row is an update whose item is known.
type row struct {
	sku      string
	item     uint64
	quantity int
	from     *int  // what the shop must show; nil means anything
	unready  *node // the item, if it must be tracked or activated first
}

// refuse notes an error about one update.
func (p *push) refuse(sku string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.errs[sku] = err
	p.known = true
}

// fail notes an error about whole requests.
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

func (p *push) stopped() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stop
}

// rows finds the items of the updates.
func (p *push) rows(ctx context.Context, updates []channel.Update) []row {
	var rows []row
	var unknown []channel.Update
	for _, u := range updates {
		switch item, ok := p.seen(u); {
		case u.SKU == "":
			p.refuse(u.SKU, channel.UnknownSKU(u.SKU))
		case u.Quantity < leastQuantity || u.Quantity > mostQuantity:
			p.refuse(u.SKU, fmt.Errorf("%w: %d is not a quantity between %d and %d", channel.ErrInvalid, u.Quantity, leastQuantity, mostQuantity))
		case ok:
			rows = append(rows, row{sku: u.SKU, item: item, quantity: u.Quantity, from: new(u.Seen.Quantity)})
		default:
			unknown = append(unknown, u)
		}
	}
	return append(rows, p.find(ctx, unknown)...)
}

// seen returns the item that was seen, if nothing speaks against relying on it.
func (p *push) seen(u channel.Update) (item uint64, ok bool) {
	if u.Seen == nil || u.Seen.Err != nil || u.Seen.Unset || p.client.items.count(u.SKU) > 1 {
		return 0, false
	}
	return itemNumber(u.Seen.Ref)
}

// find reads the items of updates whose item was not seen.
func (p *push) find(ctx context.Context, updates []channel.Update) []row {
	if len(updates) == 0 {
		return nil
	}
	skus := make([]string, len(updates))
	for i, u := range updates {
		skus[i] = u.SKU
	}
	found, err := p.client.find(ctx, p.location, skus)
	if err != nil {
		p.fail(err, skus...)
		return nil
	}
	var rows []row
	for _, u := range updates {
		m := found[u.SKU]
		if len(m.exact) == 0 {
			p.refuse(u.SKU, channel.UnknownSKU(u.SKU, m.near...))
			continue
		}
		n := m.exact[0]
		seen := u.Seen != nil && u.Seen.Err == nil && !u.Seen.Unset
		r := row{sku: u.SKU, quantity: u.Quantity}
		r.item, _ = itemNumber(n.ID)
		if seen {
			r.from = new(u.Seen.Quantity)
		}
		if !n.Tracked || !n.active() {
			r.unready = n
		}
		switch err := p.obstacle(n); {
		case len(m.exact) > 1:
			p.refuse(u.SKU, ambiguous(u.SKU, m.exact))
		case err != nil:
			p.refuse(u.SKU, err)
		case seen && u.Seen.Ref != "" && u.Seen.Ref != n.ID:
			p.refuse(u.SKU, fmt.Errorf("%w: %q was on %s and is on %s now", channel.ErrConflict, u.SKU, u.Seen.Ref, n.ID))
		default:
			rows = append(rows, r)
		}
	}
	return rows
}

// prepare makes the items ready that are not, and returns the rows that can
// be written.
func (p *push) prepare(ctx context.Context, rows []row) []row {
	var group errgroup.Group
	group.SetLimit(parallel)
	ready := make([]bool, len(rows))
	for i, r := range rows {
		if r.unready == nil {
			ready[i] = true
			continue
		}
		group.Go(func() error { ready[i] = p.ready(ctx, r); return nil })
	}
	group.Wait()
	var out []row
	for i, r := range rows {
		if ready[i] {
			out = append(out, r)
		}
	}
	return out
}

func (p *push) ready(ctx context.Context, r row) bool {
	if err := p.stopped(); err != nil {
		p.fail(err, r.sku)
		return false
	}
	if !r.unready.Tracked {
		var data trackItemData
		if err := p.client.do(ctx, trackItem, trackItemVars{r.unready.ID}, &data); err != nil {
			p.fail(err, r.sku)
			return false
		}
		if d := data.InventoryItemUpdate; d == nil || len(d.UserErrors) > 0 || d.InventoryItem == nil || !d.InventoryItem.Tracked {
			var errs []userError
			if d != nil {
				errs = d.UserErrors
			}
			p.refuse(r.sku, fmt.Errorf("%w, and tracking could not be switched on: %w", channel.ErrNotTracked, p.client.refusal(trackItem, errs)))
			return false
		}
	}
	if !r.unready.active() {
		var data activateItemData
		vars := activateItemVars{Item: r.unready.ID, Location: p.location, Key: newKey()}
		if err := p.client.do(ctx, activateItem, vars, &data); err != nil {
			p.fail(err, r.sku)
			return false
		}
		if d := data.InventoryActivate; d == nil || len(d.UserErrors) > 0 || d.InventoryLevel == nil || !d.InventoryLevel.IsActive {
			var errs []userError
			if d != nil {
				errs = d.UserErrors
			}
			p.refuse(r.sku, fmt.Errorf("%w, and the item could not be activated there: %w", channel.ErrNotStocked, p.client.refusal(activateItem, errs)))
			return false
		}
	}
	return true
}

// write writes up to 250 rows. With any error about a row the shop applies
// none of them, so the others are sent again without it, as another request,
// which needs another key.
func (p *push) write(ctx context.Context, rows []row) {
	for range maxRounds {
		if err := p.stopped(); err != nil {
			p.fail(err, skus(rows)...)
			return
		}
		errs, err := p.send(ctx, rows)
		if fault, ok := errors.AsType[*Error](err); ok && spentKey(fault.Codes...) {
			continue
		}
		if err != nil {
			p.fail(err, skus(rows)...)
			return
		}
		if len(errs) == 0 {
			p.mu.Lock()
			p.known = true
			p.mu.Unlock()
			return
		}
		byRow := make(map[int][]userError)
		var general []userError
		again := false
		for _, e := range errs {
			n, ok := e.row(len(rows))
			switch {
			case spentKey(e.Code):
				again = true
			case ok && !configuration[e.Code]:
				byRow[n] = append(byRow[n], e)
			default:
				general = append(general, e)
			}
		}
		var rest []row
		for i, r := range rows {
			if byRow[i] == nil {
				rest = append(rest, r)
				continue
			}
			err := p.client.refusal(setQuantities, byRow[i])
			if err.Is(channel.ErrUnknownSKU) {
				p.client.items.drop(r.sku, r.item)
			}
			p.refuse(r.sku, fmt.Errorf("%s: %w", itemID(r.item), err))
		}
		if len(general) > 0 && !again {
			p.fail(p.client.refusal(setQuantities, general), skus(rest)...)
			return
		}
		if rows = rest; len(rows) == 0 {
			return
		}
	}
	p.fail(unusable(setQuantities.name, "the shop refused it again and again"), skus(rows)...)
}

// send makes one request, and returns what the shop objects to.
func (p *push) send(ctx context.Context, rows []row) ([]userError, error) {
	vars := setQuantitiesVars{Key: newKey(), Input: setQuantitiesInput{
		Name: "available", Reason: "correction", ReferenceDocumentURI: p.document,
		Quantities: make([]quantityInput, len(rows)),
	}}
	for i, r := range rows {
		vars.Input.Quantities[i] = quantityInput{
			InventoryItemID: itemID(r.item), LocationID: p.location, Quantity: r.quantity, ChangeFromQuantity: r.from,
		}
	}
	var data setQuantitiesData
	if err := p.client.do(ctx, setQuantities, vars, &data); err != nil {
		return nil, err
	}
	if data.InventorySetQuantities == nil || data.InventorySetQuantities.UserErrors == nil {
		return nil, unusable(setQuantities.name, "the answer says nothing")
	}
	return data.InventorySetQuantities.UserErrors, nil
}

// spentKey reports whether a code says that the request needs another key.
func spentKey(codes ...string) bool {
	return slices.Contains(codes, "IDEMPOTENCY_KEY_PARAMETER_MISMATCH") ||
		slices.Contains(codes, "IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED")
}

// configuration has the codes that are not about a row, even where they name
// one.
var configuration = map[string]bool{
	"INVALID_LOCATION":           true,
	"INVALID_NAME":               true,
	"INVALID_REASON":             true,
	"INVALID_REFERENCE_DOCUMENT": true,
	"COMPARE_QUANTITY_REQUIRED":  true,
}

func skus(rows []row) []string {
	out := make([]string, len(rows))
	for i, r := range rows {
		out[i] = r.sku
	}
	return out
}

// newKey returns an idempotency key: a random UUID.
func newKey() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// document names the run in the way that Shopify names things.
func document(run string) string {
	id := strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '-', r == '_':
			return r
		}
		return '-'
	}, run)
	if id == "" {
		id = newKey()
	}
	return "gid://stocksync/SyncRun/" + id[:min(len(id), 100)]
}
