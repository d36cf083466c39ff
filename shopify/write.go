package shopify

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ecosire/stocksync/channel"
)

// maxRounds bounds how often rows are sent again without those refused.
const maxRounds = 8

// write writes up to 250 rows. What fails for all of them is tried for halves,
// if it may be about one.
func (p *push) write(ctx context.Context, rows []row) {
	if err := p.stopped(ctx); err != nil {
		p.fail(err, skus(rows)...)
		return
	}
	since := time.Now()
	_, known := p.client.venom.get(rows[0].item)
	f := p.submit(ctx, rows, !known || len(rows) > 1)
	if f == nil {
		return
	}
	looked := false
	if f.unclear && ctx.Err() == nil && aboutEntries(f.err) && time.Since(since) < maxBlameTime {
		// What the shop shows by now tells more than another write would.
		left, err := p.compare(ctx, f.rows)
		if f.rows = left; err == nil && len(left) == 0 {
			return
		}
		looked = err == nil
	}
	switch {
	case len(f.rows) == 1 && byUser(f.err):
		p.reject(f.rows[0], f.err)
		return
	case len(f.rows) == 1, !looked && (f.unclear || !p.client.blameable(ctx, f.err, since)):
		p.lose(ctx, f)
		return
	}
	failures := make(map[uint64]*failure) // by item: the latest
	left, err := halve(f.rows, func(some []row) ([]row, error) {
		part := p.submit(ctx, some, false)
		if part == nil {
			return nil, nil
		}
		for i, r := range part.rows {
			failures[r.item] = part
			part.rows[i].again = r.again || part.unclear
		}
		return part.rows, part.err
	}, func(r row, err error) {
		p.client.venom.put(r.item, struct{}{})
		if part := failures[r.item]; part.unclear {
			p.done()
			p.lose(ctx, part)
			return
		}
		p.reject(r, err)
	}, aboutEntries)
	if len(left) > 0 {
		f.rows, f.err = left, err
		p.lose(ctx, f)
	}
}

// A failure is a request that did not do what was asked for some rows.
type failure struct {
	err     error
	rows    []row // of which it is so
	unclear bool  // it may have been done
	request setQuantitiesVars
	sent    []row // all rows of the request
}

// lose notes a failure of rows that nobody refused.
func (p *push) lose(ctx context.Context, f *failure) {
	if !f.unclear {
		p.fail(f.err, skus(f.rows)...)
		return
	}
	p.client.open.add(p.location, f)
	p.unclear(ctx, f.err, f.rows)
}

// unclear notes that rows may have been written.
func (p *push) unclear(ctx context.Context, err error, rows []row) {
	p.fail(err)
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range rows {
		p.errs[r.sku] = fmt.Errorf("%w: %w", channel.ErrUnclear, err)
	}
	// Of a shop that does not answer nothing is known. But after a caller has
	// left nobody asks again, so it must be said what was sent.
	p.known = p.known || ctx.Err() != nil
}

// submit writes rows, and returns nil if the fate of each is known. With any
// error about a row the shop applies none of them, so the others are sent again
// without it, as another request, which needs another key.
func (p *push) submit(ctx context.Context, rows []row, repeat bool) *failure {
	for round := range maxRounds {
		if round > 0 {
			if err := p.stopped(ctx); err != nil {
				return &failure{err: err, rows: rows}
			}
		}
		request := p.request(rows)
		o := p.send(ctx, request, rows, repeat)
		switch {
		case o.unclear:
			return &failure{err: o.err, rows: slices.Clone(rows), unclear: true, request: request, sent: rows}
		case o.spent:
			continue
		case o.err != nil:
			return &failure{err: o.err, rows: slices.Clone(rows)}
		case o.byRow == nil && o.general == nil:
			p.written(rows)
			return nil
		}
		var rest []row
		for i, r := range rows {
			if errs := o.byRow[i]; errs != nil {
				p.reject(r, p.client.refusal(setQuantities, errs))
			} else {
				rest = append(rest, r)
			}
		}
		switch {
		case len(rest) == 0:
			return nil
		case o.general != nil:
			return &failure{err: p.client.refusal(setQuantities, o.general), rows: rest}
		}
		rows = rest
	}
	return &failure{err: tooOften(setQuantities), rows: slices.Clone(rows)}
}

// written notes that rows were written, so that nothing speaks against that.
func (p *push) written(rows []row) {
	p.done()
	if p.client.venom.empty() && p.refused.empty() {
		return
	}
	for _, r := range rows {
		p.client.venom.drop(r.item)
		p.refused.drop(r.item)
	}
}

// tooOften ends what the shop refuses in ever other ways.
func tooOften(op operation) *Error {
	e := unusable(op.name, "the shop refused it again and again")
	e.final = true
	return e
}

// reject notes that the shop refused a row.
func (p *push) reject(r row, err error) {
	if fault, ok := errors.AsType[*Error](err); ok {
		switch {
		case r.again && fault.Is(channel.ErrConflict):
			p.doubt(r, err)
			return
		case fault.Is(channel.ErrUnknownSKU):
			p.client.items.drop(r.sku, r.item)
		case fault.Is(channel.ErrShared):
			p.refused.put(r.item, fmt.Errorf("%w: %s: the shop refused a quantity for it", channel.ErrShared, itemID(r.item)))
		}
	}
	p.refuse(r.sku, fmt.Errorf("%s: %w", itemID(r.item), err))
}

// An outcome is what became of a request. If neither of its fields is set it
// was done.
type outcome struct {
	err     error
	unclear bool                // it may have been done
	spent   bool                // it was not, and needs another key
	byRow   map[int][]userError // it was not, because of these rows
	general []userError         // it was not, because of no row in particular
}

// send makes one request, and sorts what the shop objects to.
func (p *push) send(ctx context.Context, request setQuantitiesVars, rows []row, repeat bool) outcome {
	op := setQuantities
	if !repeat {
		op = op.once()
	}
	a, err := p.client.do(ctx, op, request)
	if u, ok := errors.AsType[*unsure](err); ok {
		return outcome{err: u.error, unclear: true}
	}
	if fault, ok := errors.AsType[*Error](err); ok && spentKey(fault.Codes...) {
		return outcome{spent: true}
	}
	if err != nil {
		return outcome{err: err}
	}
	payload, ok := a.object(op.name)
	errs, told := a.userErrors(&payload)
	if !ok || !told {
		return outcome{err: unusable(op.name, "the answer says nothing"), unclear: true}
	}
	var o outcome
	for _, e := range errs {
		n, named := e.row(len(rows))
		switch {
		case spentKey(e.code):
			o.spent = true
		case e.code == "IDEMPOTENCY_CONCURRENT_REQUEST":
			return outcome{err: p.client.refusal(op, []userError{e}), unclear: true}
		case named && !slices.Contains(wholeCodes, e.code):
			if o.byRow == nil {
				o.byRow = make(map[int][]userError)
			}
			o.byRow[n] = append(o.byRow[n], e)
		default:
			o.general = append(o.general, e)
		}
	}
	return o
}

func (p *push) request(rows []row) setQuantitiesVars {
	vars := setQuantitiesVars{Key: newKey(), Input: setQuantitiesInput{
		Name: "available", Reason: "correction", ReferenceDocumentURI: p.document,
		Quantities: make([]quantityInput, len(rows)),
	}}
	for i, r := range rows {
		id := r.id
		if id == "" {
			id = itemID(r.item)
		}
		vars.Input.Quantities[i] = quantityInput{
			InventoryItemID: id, LocationID: p.location, Quantity: r.quantity, ChangeFromQuantity: r.from,
		}
	}
	return vars
}

// spentKey reports whether a code says that the request needs another key.
func spentKey(codes ...string) bool {
	return slices.Contains(codes, "IDEMPOTENCY_KEY_PARAMETER_MISMATCH") ||
		slices.Contains(codes, "IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED")
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
