package woocommerce

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ecosire/stocksync/channel"
)

// judge compares answers with what was sent. It returns what has to be sent
// once more in another way.
func (p *push) judge(ctx context.Context, part []*write, answers []answer) [][]*write {
	c := p.ch.client
	// A variation under the parent that its item names, not the URL, is an
	// undocumented courtesy. Without it all of these are unknown.
	foreign, courtesy := false, false
	for i, w := range part {
		if w.parent != part[0].parent {
			foreign = true
			courtesy = courtesy || answers[i].refused == nil
		}
	}
	now := time.Now()
	var again, look []*write
	reasons := make(map[*write]error)
	for i, w := range part {
		err := p.verdict(w, answers[i])
		refused := answers[i].refused
		switch {
		case refused != nil && refused.Code == codeVariationInvalidID && foreign && !courtesy && w.parent != part[0].parent:
			w.alone = true
			again = append(again, w)
		case refused == nil && (err == nil && w.doubt || errors.Is(err, channel.ErrNotApplied)):
			look = append(look, w)
			reasons[w] = err
		case err != nil:
			p.deny(part[i:i+1], err)
		default:
			if w.alone {
				c.single.Store(true)
			}
			p.done(w, now)
		}
	}
	p.look(ctx, look, reasons)
	var parts [][]*write
	for _, w := range again {
		if n := len(parts); n > 0 && parts[n-1][0].parent == w.parent {
			parts[n-1] = append(parts[n-1], w)
		} else {
			parts = append(parts, []*write{w})
		}
	}
	return parts
}

// look decides by reading where the answer to a batch shows another quantity
// than was sent, or nothing that makes sense, or is not to be believed. reasons
// says why; nil is the last of these.
func (p *push) look(ctx context.Context, writes []*write, reasons map[*write]error) {
	if len(writes) == 0 {
		return
	}
	c := p.ch.client
	shown, left, err := c.left(ctx, writes)
	if err != nil {
		for _, w := range writes {
			p.fail([]*write{w}, fmt.Errorf("%w: it could not be read back: %w", channel.ErrUnclear, err))
		}
		return
	}
	undone := make(map[*write]bool, len(left))
	for _, w := range left {
		undone[w] = true
	}
	for i, w := range writes {
		if !undone[w] {
			p.done(w, time.Now())
			continue
		}
		err := reasons[w]
		if w.doubt && w.known && shown[i] == w.before {
			times := c.written.denied(w)
			err = fmt.Errorf("%w: asked for %d, the shop answered well and shows %v again, for the %s time", channel.ErrNotApplied, w.quantity, shown[i], ordinal(times))
		} else if err == nil {
			err = fmt.Errorf("%w: asked for %d, the shop shows %v", channel.ErrNotApplied, w.quantity, shown[i])
		}
		p.deny(writes[i:i+1], err)
	}
}

func ordinal(n int) string {
	switch {
	case n%10 == 1 && n%100 != 11:
		return fmt.Sprint(n, "st")
	case n%10 == 2 && n%100 != 12:
		return fmt.Sprint(n, "nd")
	case n%10 == 3 && n%100 != 13:
		return fmt.Sprint(n, "rd")
	}
	return fmt.Sprint(n, "th")
}

// done remembers a write that is shown at a time.
func (p *push) done(w *write, now time.Time) {
	c := p.ch.client
	c.broken.remove(w.id)
	switch {
	case w.unset:
		c.tracked.remove(w.id)
		c.written.forget(w.id)
	case w.manage && (!w.known || w.before.none):
		c.tracked.put(w.id, w.out)
	}
	if !w.unset {
		c.written.add(w, now)
	}
}

// verdict says what the answer to one item means.
func (p *push) verdict(w *write, a answer) error {
	switch {
	case a.odd != nil:
		return fmt.Errorf("%w: what the shop answered of product %d makes no sense: %w", channel.ErrNotApplied, w.id, a.odd)
	case a.refused != nil:
		return a.refused
	case w.shows(a.stock, a.quantity):
		return nil
	case w.unset:
		return fmt.Errorf("%w: the shop goes on managing the stock of product %d", channel.ErrNotApplied, w.id)
	case a.stock == byParent && p.ch.cfg.WriteParents:
		return fmt.Errorf("%w: variation %d has begun to show the stock of its parent", channel.ErrConflict, w.id)
	case a.stock == byParent:
		return fmt.Errorf("%w: variation %d shows the stock of its parent, product %d", channel.ErrShared, w.id, w.parent)
	case a.stock == unmanaged && !w.manage:
		return fmt.Errorf("%w: the shop does not manage the stock of product %d", channel.ErrNotTracked, w.id)
	case a.stock == unmanaged:
		return fmt.Errorf("%w: the shop does not manage the stock of product %d; is stock management enabled in its settings?",
			channel.ErrNotApplied, w.id)
	}
	return fmt.Errorf("%w: asked for %d, the shop shows %v", channel.ErrNotApplied, w.quantity, a.quantity)
}

// shows reports whether an item that shows this is done.
func (w *write) shows(s stock, q quantity) bool {
	if w.unset {
		return s == unmanaged || s == byParent
	}
	return s == managed && q == quantity{n: w.quantity}
}
