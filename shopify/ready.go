package shopify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/ecosire/stocksync/channel"
)

// A prepared says what was done to an item so that it can show a quantity.
type prepared struct{ tracked, activated bool }

// prepare makes the items ready that are not, and returns the rows that can
// be written.
func (p *push) prepare(ctx context.Context, rows []row) []row {
	if !slices.ContainsFunc(rows, func(r row) bool { return r.unready != nil }) {
		return rows
	}
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
	if err := p.stopped(ctx); err != nil {
		p.fail(err, r.sku)
		return false
	}
	if !r.unready.tracked {
		if !p.setTracked(ctx, r, true) {
			return false
		}
	}
	if !r.unready.active {
		if !p.stock(ctx, r) {
			return false
		}
	}
	return true
}

// lost notes a request about one item that got no usable answer.
func (p *push) lost(err error, sku string) {
	if u, ok := errors.AsType[*unsure](err); ok {
		err = u.error
	}
	p.fail(err, sku)
}

// setTracked switches tracking on or off.
func (p *push) setTracked(ctx context.Context, r row, tracked bool) bool {
	a, err := p.client.do(ctx, trackItem, trackItemVars{itemID(r.item), tracked})
	if err != nil {
		p.lost(err, r.sku)
		return false
	}
	payload, ok := a.object(trackItem.name)
	errs, told := a.userErrors(&payload)
	item, there := member(&payload, "inventoryItem")
	if ok && told && len(errs) == 0 && there && item.Bool("tracked") == tracked && item.Err() == nil {
		if tracked {
			p.note(r.item, func(done *prepared) { done.tracked = true })
		}
		return true
	}
	if !ok || !told {
		p.fail(unusable(trackItem.name, "the answer says nothing"), r.sku)
		return false
	}
	why := p.client.refusal(trackItem, errs)
	if !tracked {
		p.refuse(r.sku, fmt.Errorf("%s: tracking could not be switched off: %w", itemID(r.item), why))
		return false
	}
	err = fmt.Errorf("%w, and tracking could not be switched on: %s: %w", channel.ErrNotTracked, itemID(r.item), why)
	if len(errs) > 0 {
		p.refused.put(r.item, err)
	}
	p.refuse(r.sku, err)
	return false
}

// stock stocks an item at the location.
func (p *push) stock(ctx context.Context, r row) bool {
	for range maxRounds {
		a, err := p.client.do(ctx, activateItem, activateItemVars{Item: itemID(r.item), Location: p.location, Key: newKey()})
		if fault, ok := errors.AsType[*Error](err); ok && spentKey(fault.Codes...) {
			continue
		}
		if err != nil {
			p.lost(err, r.sku)
			return false
		}
		payload, ok := a.object(activateItem.name)
		errs, told := a.userErrors(&payload)
		if !ok || !told {
			p.fail(unusable(activateItem.name, "the answer says nothing"), r.sku)
			return false
		}
		if spentKeyText(errs) {
			continue
		}
		level, there := member(&payload, "inventoryLevel")
		if len(errs) == 0 && there && level.Bool("isActive") && level.Err() == nil {
			p.note(r.item, func(done *prepared) { done.activated = true })
			return true
		}
		err = fmt.Errorf("%w, and the item could not be activated there: %s: %w", channel.ErrNotStocked, itemID(r.item), p.client.refusal(activateItem, errs))
		if len(errs) > 0 {
			p.refused.put(r.item, err)
		}
		p.refuse(r.sku, err)
		return false
	}
	p.fail(tooOften(activateItem), r.sku)
	return false
}

// spentKeyText reports whether user errors without codes say that the request
// needs another key. Those of inventoryActivate have none, so the text counts.
func spentKeyText(errs []userError) bool {
	for _, e := range errs {
		if strings.Contains(strings.ToLower(e.message), "idempoten") {
			return true
		}
	}
	return false
}

// note remembers what was done to an item.
func (p *push) note(item uint64, change func(*prepared)) {
	done, _ := p.switched.get(item)
	change(&done)
	p.switched.put(item, done)
}

// Unset implements [channel.Unsetter]: it undoes what Push did so that an item
// could show a quantity. An item that Push tracked is not tracked any more, so
// that it is sold without a limit again, and one that it stocked at the
// location is not stocked there any more.
//
// The channel remembers what it did, and Keep keeps it. Of an item of which it
// does not know, it undoes what [ChannelConfig] allows, if that is one of the
// two; if both are allowed the error matches [channel.ErrInvalid]. An update
// that was Seen is done only if the shop still shows that.
func (ch *Channel) Unset(ctx context.Context, updates []channel.Update) error {
	p := &push{Channel: ch, errs: channel.Errors{}}
	known := make([]channel.Update, 0, len(updates))
	names := make([]string, 0, len(updates))
	for _, u := range updates {
		if u.SKU == "" {
			p.refuse(u.SKU, channel.UnknownSKU(u.SKU))
			continue
		}
		known, names = append(known, u), append(names, u.SKU)
	}
	if len(known) == 0 {
		return p.result()
	}
	found, err := ch.find(ctx, names)
	if err != nil {
		p.fail(err, names...)
		return p.result()
	}
	var group errgroup.Group
	group.SetLimit(parallel)
	for i, u := range known {
		m := found[i]
		switch {
		case m.err != nil || len(m.exact) == 0:
			p.refuse(u.SKU, m.unknown(u.SKU))
		case len(m.exact) > 1 && ch.duplicates != channel.DuplicatesAll:
			p.refuse(u.SKU, ambiguous(u.SKU, m.exact))
		default:
			group.Go(func() error {
				for _, n := range m.exact {
					p.unset(ctx, u, n)
				}
				return nil
			})
		}
	}
	group.Wait()
	return p.result()
}

func (p *push) unset(ctx context.Context, u channel.Update, n *node) {
	if err := p.stopped(ctx); err != nil {
		p.fail(err, u.SKU)
		return
	}
	r := row{sku: u.SKU, item: n.number}
	did, known := p.switched.get(n.number)
	if !known {
		did = prepared{tracked: p.track && !p.activate, activated: p.activate && !p.track}
	}
	seen := u.Seen != nil && u.Seen.Err == nil && !u.Seen.Unset
	switch {
	case n.err != nil:
		p.refuse(u.SKU, n.err)
	case !n.tracked || !n.active:
		p.done() // it shows no quantity
	case seen && u.Seen.Quantity != n.available:
		p.refuse(u.SKU, fmt.Errorf("%w: %q showed %d, and %s shows %d now", channel.ErrConflict, clip(u.SKU), u.Seen.Quantity, n.id(), n.available))
	case !did.tracked && !did.activated:
		p.refuse(u.SKU, fmt.Errorf("%w: it is not known whether %s was not tracked or not stocked before", channel.ErrInvalid, n.id()))
	case did.activated && !p.unstock(ctx, r):
	case did.tracked && !p.setTracked(ctx, r, false):
	default:
		p.switched.drop(n.number)
		p.done()
	}
}

// unstock ends that an item is stocked at the location.
func (p *push) unstock(ctx context.Context, r row) bool {
	a, err := p.client.do(ctx, findLevel, findLevelVars{itemID(r.item), p.location})
	if err != nil {
		p.lost(err, r.sku)
		return false
	}
	item, ok := a.object(findLevel.name)
	level, there := member(&item, "inventoryLevel")
	if ok && !there && item.Value("inventoryLevel").Null() {
		return true
	}
	id := level.Text("id")
	if !ok || !there || level.Err() != nil {
		p.fail(unusable(findLevel.name, "the answer has no level"), r.sku)
		return false
	}
	if a, err = p.client.do(ctx, deactivateLevel, deactivateLevelVars{id}); err != nil {
		p.lost(err, r.sku)
		return false
	}
	payload, ok := a.object(deactivateLevel.name)
	errs, told := a.userErrors(&payload)
	switch {
	case !ok || !told:
		p.fail(unusable(deactivateLevel.name, "the answer says nothing"), r.sku)
		return false
	case len(errs) > 0:
		p.refuse(r.sku, fmt.Errorf("%s: the item is still stocked there: %w", itemID(r.item), p.client.refusal(deactivateLevel, errs)))
		return false
	}
	return true
}
