package woocommerce

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/ecosire/stocksync/channel"
)

// Push writes quantities, 100 a request, and checks each one in the shop's
// answer. Updates that carry what Levels returned need no request more;
// others are looked up first.
//
// Where the outcome of a request is not clear, such as after a proxy's timeout,
// Push reads back what became of it until that stands still, and writes only
// what is missing. What it knows not to be shown after a few attempts ends with
// an error that matches channel.ErrUnavailable, and what was sent and is not
// known, such as when ctx is done meanwhile, with one that matches
// channel.ErrUnclear. The client remembers the latter for ten minutes, and
// settles it before it writes the same products again. Another process does not
// know of it: see the package documentation for what follows.
//
// An item that shows again exactly what it showed before it was written is
// looked at once more after the next write: if it has not changed then, it is
// channel.ErrNotApplied, and is written less and less often, once an hour at
// the least.
//
// A quantity beyond ±(2³¹−1) is a channel.ErrInvalid. WooCommerce has no
// compare-and-set: a sale in the shop between the reading of the source and the
// write is overwritten until the source knows of it.
func (ch *Channel) Push(ctx context.Context, updates []channel.Update) error {
	return ch.apply(ctx, updates, false)
}

// Unset switches off the stock management of the items, so that they show no
// quantity and customers can buy them without a limit, as before their first
// one. An item that was out of stock by a switch when this client gave it its
// first quantity is so again, and one whose Seen is OffSale stays as it is; all
// others are in stock. The items of an SKU that several share are not unset:
// that is channel.ErrInvalid.
func (ch *Channel) Unset(ctx context.Context, updates []channel.Update) error {
	return ch.apply(ctx, updates, true)
}

func (ch *Channel) apply(ctx context.Context, updates []channel.Update, unset bool) error {
	p := &push{ch: ch, errs: make(channel.Errors)}
	writes := make([]*write, 0, len(updates))
	room := make([]write, 0, len(updates))
	add := func(u channel.Update, seen channel.Level, items []item) {
		if unset && len(items) > 1 {
			p.errs[u.SKU] = fmt.Errorf("%w: %d items have the SKU", channel.ErrInvalid, len(items))
			return
		}
		for _, it := range items {
			if err := ch.writable(it); err != nil && !unset {
				p.errs[u.SKU] = err
				return
			}
		}
		for _, it := range items {
			if len(room) == cap(room) { // an SKU of several items
				room = make([]write, 0, len(updates))
			}
			room = append(room, ch.write(u, it))
			w := &room[len(room)-1]
			if unset {
				ch.unset(w, seen)
			} else if len(items) == 1 {
				w.before, w.known = quantity{n: seen.Quantity, none: seen.Unset, fraction: seen.Inexact}, true
			}
			writes = append(writes, w)
		}
	}
	var unread []channel.Update
	var named []item
	for _, u := range updates {
		if !unset && (u.Quantity > math.MaxInt32 || u.Quantity < -math.MaxInt32) {
			p.errs[u.SKU] = fmt.Errorf("%w: quantity %d is out of range", channel.ErrInvalid, u.Quantity)
			continue
		}
		if u.Seen == nil {
			unread = append(unread, u)
			continue
		}
		items, ok := appendItems(named[:0], u.Seen.Ref)
		named = items
		switch {
		case u.Seen.Err != nil && !unset:
			p.errs[u.SKU] = u.Seen.Err
		case ok:
			add(u, *u.Seen, items)
		default:
			unread = append(unread, u)
		}
	}
	p.halt = ch.read(ctx, unread, p.errs, unset, add)
	p.write(ctx, p.agree(writes))
	return p.err(len(updates))
}

// agree returns the writes that may be carried out, one for each item.
func (p *push) agree(writes []*write) (agreed []*write) {
	c := p.ch.client
	slices.SortStableFunc(writes, inOrder)
	for len(writes) > 0 {
		w, n := writes[0], 1
		for n < len(writes) && writes[n].id == w.id {
			n++ // variations that all write their parent
		}
		same := writes[:n]
		writes = writes[n:]
		err := agree(same)
		if p.ch.cfg.WriteParents && w.parent == 0 && !w.unset {
			if others := c.siblings.want(same); err == nil {
				err = others
			}
		}
		if err == nil {
			err = c.written.refuse(w)
		}
		if err != nil {
			p.fail(same, err)
			continue
		}
		for _, other := range same[1:] {
			w.also = append(w.also, other.sku)
		}
		agreed = append(agreed, w)
	}
	return agreed
}

// read looks up what was not read before, and adds what differs. Its error is
// that of the lookup, which is that of all these updates too.
func (ch *Channel) read(ctx context.Context, updates []channel.Update, errs channel.Errors, unset bool,
	add func(channel.Update, channel.Level, []item)) error {
	if len(updates) == 0 {
		return nil
	}
	skus := make([]string, len(updates))
	for i, u := range updates {
		skus[i] = u.SKU
	}
	all, err := ch.Levels(ctx, skus)
	levels := make(map[string][]channel.Level, len(skus))
	for _, l := range all {
		levels[l.SKU] = append(levels[l.SKU], l)
	}
	for _, u := range updates {
		switch shown := levels[u.SKU]; {
		case err != nil:
			errs[u.SKU] = err
		case len(shown) == 0:
			errs[u.SKU] = channel.UnknownSKU(u.SKU)
		case len(shown) > 1:
			refs := make([]string, len(shown))
			for i, l := range shown {
				refs[i] = l.Ref
			}
			slices.Sort(refs)
			errs[u.SKU] = fmt.Errorf("%w %q: %s", channel.ErrAmbiguousSKU, short(u.SKU), strings.Join(refs, "; "))
		case shown[0].Err != nil && !(unset && errors.Is(shown[0].Err, channel.ErrNotTracked)):
			errs[u.SKU] = shown[0].Err
		case unset && (shown[0].Unset || shown[0].Err != nil):
		case unset, shown[0].Unset, shown[0].Inexact, shown[0].Quantity != u.Quantity:
			items, _ := parseRefs(shown[0].Ref)
			add(u, shown[0], items)
		}
	}
	return err
}

// agree checks that one quantity is wanted of all that write the same item.
func agree(same []*write) error {
	if len(same) == 1 {
		return nil
	}
	wants := make(map[string]int, len(same))
	differ := false
	for _, w := range same {
		differ = differ || w.quantity != same[0].quantity || w.unset != same[0].unset
		wants[w.sku] = w.quantity
	}
	if !differ {
		return nil
	}
	return disagreement(same[0].id, wants)
}

func disagreement(id int64, wants map[string]int) error {
	texts := make([]string, 0, len(wants))
	for sku, n := range wants {
		texts = append(texts, fmt.Sprintf("%q %d", short(sku), n))
	}
	slices.Sort(texts)
	if len(texts) > 5 {
		texts = append(texts[:5], fmt.Sprintf("%d more", len(texts)-5))
	}
	return fmt.Errorf("%w: product %d is to show different quantities: %s", channel.ErrShared, id, strings.Join(texts, ", "))
}

// A push carries out the writes of one call of [Channel.Push].
type push struct {
	ch *Channel

	mu      sync.Mutex
	errs    channel.Errors
	halt    error // why the shop is not asked any more
	told    bool  // what became of an update is known, and not that of all
	refused int   // requests that were refused, since one was not
	key     *bool // whether the key may write, once that was asked
}

func (p *push) fail(writes []*write, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, w := range writes {
		p.errs[w.sku] = err
		for _, sku := range w.also {
			p.errs[sku] = err
		}
	}
}

// deny fails writes that are known not to be shown.
func (p *push) deny(writes []*write, err error) {
	p.fail(writes, err)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.told = true
}

// stop fails writes, and all that were not begun, for a reason that they share.
func (p *push) stop(writes []*write, err error) {
	p.end(err)
	p.fail(writes, err)
}

// end keeps what was not begun from beginning.
func (p *push) end(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.halt == nil {
		p.halt = err
	}
}

func (p *push) halted() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.halt
}

// err is what becomes of a batch of updates: the shop's failure as a whole, if
// nothing is known of any of them, or else their errors.
func (p *push) err(updates int) error {
	if p.halt == nil || p.told || len(p.errs) < updates {
		return p.errs.Err()
	}
	for _, err := range p.errs {
		if !errors.Is(err, channel.ErrUnauthorized) && !errors.Is(err, channel.ErrUnavailable) {
			return p.errs
		}
	}
	return p.halt
}

// write carries out writes, those last and alone that are known to break what
// they are part of.
func (p *push) write(ctx context.Context, writes []*write) {
	c := p.ch.client
	var products, variations []*write
	var apart [][]*write
	for _, w := range writes {
		switch {
		case c.broken.has(w.id):
			w.tries = 1
			apart = append(apart, []*write{w})
		case w.parent == 0:
			products = append(products, w)
		default:
			variations = append(variations, w)
		}
	}
	var group errgroup.Group
	group.SetLimit(c.load.width())
	for _, batch := range slices.Concat(c.pack(products), c.pack(variations), apart) {
		group.Go(func() error {
			p.batch(ctx, batch)
			return nil
		})
	}
	group.Wait() // the errors are in p.errs
}
