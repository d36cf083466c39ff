package shopify

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/ecosire/stocksync/channel"
)

const (
	// openLife is how long a write whose outcome is unclear is remembered. Keys
	// live for a day; what the shop shows tells by then.
	openLife = 15 * time.Minute
	// openTries is how often its outcome is asked for, if the shop answers.
	openTries = 3
	maxOpen   = 256
)

// openWrites are the writes whose outcome is not known: their answers were
// lost, or their callers left.
type openWrites struct {
	mu     sync.Mutex
	writes []*openWrite
}

type openWrite struct {
	location string
	request  setQuantitiesVars
	sent     []row
	until    time.Time

	turn    chan struct{} // guards what follows; waiting for it looks at ctx
	tries   int
	over    bool // its outcome is known, or not asked for any more
	applied bool
}

func (o *openWrites) add(location string, f *failure) {
	o.mu.Lock()
	defer o.mu.Unlock()
	now := time.Now()
	o.writes = slices.DeleteFunc(o.writes, func(w *openWrite) bool {
		return now.After(w.until) || w.request.Key == f.request.Key
	})
	if len(o.writes) >= maxOpen {
		o.writes = slices.Delete(o.writes, 0, 1)
	}
	o.writes = append(o.writes, &openWrite{
		location: location, request: f.request, sent: f.sent, until: now.Add(openLife), turn: make(chan struct{}, 1),
	})
}

func (o *openWrites) remove(gone *openWrite) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.writes = slices.DeleteFunc(o.writes, func(w *openWrite) bool { return w == gone })
}

// of returns the writes that concern any of the rows, the earlier ones first.
func (o *openWrites) of(location string, rows []row) (found []*openWrite) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.writes) == 0 {
		return nil
	}
	items := make(map[uint64]bool, len(rows))
	for _, r := range rows {
		items[r.item] = true
	}
	now := time.Now()
	for _, w := range o.writes {
		if w.location == location && now.Before(w.until) && slices.ContainsFunc(w.sent, func(r row) bool { return items[r.item] }) {
			found = append(found, w)
		}
	}
	return found
}

// settle finds out what became of earlier writes of the same items, and returns
// the rows that are still to be written.
func (p *push) settle(ctx context.Context, rows []row) []row {
	for _, w := range p.client.open.of(p.location, rows) {
		concerned := make(map[uint64]row, len(w.sent))
		for _, r := range w.sent {
			concerned[r.item] = r
		}
		applied, err := p.ask(ctx, w)
		var hit, rest []row
		for _, r := range rows {
			before, ok := concerned[r.item]
			switch {
			case !ok:
				rest = append(rest, r)
			case err != nil, applied && r.same(before):
				hit = append(hit, r)
			default:
				r.again = r.same(before)
				rest = append(rest, r)
			}
		}
		if err != nil {
			p.unclear(ctx, err, hit)
		} else if len(hit) > 0 {
			// It was done; whether it is still shown is to be seen.
			left, _ := p.compare(ctx, hit)
			rest = append(rest, left...)
		}
		rows = rest
	}
	return rows
}

// ask sends a write of unclear outcome again, with its own key. An error says
// that the outcome is as unclear as before.
func (p *push) ask(ctx context.Context, w *openWrite) (applied bool, _ error) {
	select {
	case w.turn <- struct{}{}:
	case <-ctx.Done():
		return false, ctx.Err()
	}
	defer func() { <-w.turn }()
	if w.over {
		return w.applied, nil
	}
	o := p.send(ctx, w.request, w.sent, true)
	switch {
	case o.unclear:
		if ctx.Err() == nil && aboutEntries(o.err) {
			w.tries++
		}
		if w.tries < openTries {
			return false, o.err
		}
	case o.err != nil && !refused(o.err):
		return false, o.err // it was not even looked at
	default:
		w.applied = o.err == nil && !o.spent && o.byRow == nil && o.general == nil
	}
	w.over = true
	p.client.open.remove(w)
	return w.applied, nil
}

// compare reads what the shop shows for rows, and returns those that it does
// not show: to be written, if the shop shows what they expect. Rows for which
// it shows something else are conflicts. After an error all are left.
func (p *push) compare(ctx context.Context, rows []row) (left []row, _ error) {
	shown, err := p.shown(ctx, rows)
	if err != nil {
		return rows, err
	}
	for _, r := range rows {
		n := shown[r.item]
		switch {
		case n == nil || n.err != nil || !n.tracked || !n.active:
			left = append(left, r)
		case n.available == r.quantity:
			p.done()
		case r.from != nil && *r.from != n.available:
			p.refuse(r.sku, fmt.Errorf("%w: %s shows %d", channel.ErrConflict, itemID(r.item), n.available))
		default:
			r.again = true
			left = append(left, r)
		}
	}
	return left, nil
}

func (p *push) shown(ctx context.Context, rows []row) (map[uint64]*node, error) {
	ids := make([]uint64, len(rows))
	for i, r := range rows {
		ids[i] = r.item
	}
	slices.Sort(ids)
	shown := make(map[uint64]*node)
	err := p.client.nodes(ctx, question{location: p.location}, slices.Compact(ids), shown)
	return shown, err
}

// A doubt is a row that was refused because the shop shows something else than
// it expects, which may be what an earlier request for it wrote.
type doubt struct {
	row
	err error
}

func (p *push) doubt(r row, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.known = true
	p.doubts = append(p.doubts, doubt{r, err})
}

// decide reads what the shop shows for the doubts.
func (p *push) decide(ctx context.Context) {
	if len(p.doubts) == 0 {
		return
	}
	rows := make([]row, len(p.doubts))
	for i, d := range p.doubts {
		rows[i] = d.row
	}
	shown, err := p.shown(ctx, rows)
	for _, d := range p.doubts {
		if n := shown[d.item]; err != nil || n == nil || n.err != nil || n.available != d.quantity {
			p.refuse(d.sku, fmt.Errorf("%s: %w", itemID(d.item), d.err))
		}
	}
}
