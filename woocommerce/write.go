package woocommerce

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ecosire/stocksync/channel"
)

// A write sets the stock of one product or variation.
type write struct {
	id       int64
	parent   int64 // of a variation, otherwise 0
	quantity int
	manage   bool     // start to manage its stock
	sku      string   // whose figure it is
	also     []string // of a parent, further SKUs with this figure

	alone bool // it was refused in a batch of several parents
	tries int  // how often it is suspected to have broken a batch
}

// root is the product that a write changes: that of a variation changes with it.
func (w *write) root() int64 {
	if w.parent != 0 {
		return w.parent
	}
	return w.id
}

// inOrder keeps the variations of a parent together.
func inOrder(a, b *write) int {
	return cmp.Or(cmp.Compare(a.parent, b.parent), cmp.Compare(a.id, b.id))
}

func (ch *Channel) write(u channel.Update, it item) write {
	w := write{id: it.id, parent: it.parent, quantity: u.Quantity, sku: u.SKU}
	switch {
	case it.stock == byParent:
		w.id, w.parent = it.parent, 0
		w.manage = true
	case it.parent != 0:
		// On a variation that shows its parent's stock by now, it would detach it.
		w.manage = it.stock == unmanaged
	default:
		w.manage = !ch.cfg.LeaveUnmanaged
	}
	return w
}

// A push carries out the writes of one call of [Channel.Push].
type push struct {
	ch *Channel

	mu   sync.Mutex
	errs channel.Errors
	halt error // why the shop is not asked any more
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

// stop fails writes, and all that were not begun, for a reason that they share.
func (p *push) stop(writes []*write, err error) {
	p.mu.Lock()
	if p.halt == nil {
		p.halt = err
	}
	p.mu.Unlock()
	p.fail(writes, err)
}

// err is what becomes of so many updates: the shop's failure as a whole, if
// nothing is known of any of them, or else their errors.
func (p *push) err(updates int) error {
	if p.halt == nil || len(p.errs) < updates {
		return p.errs.Err()
	}
	for _, err := range p.errs {
		if !errors.Is(err, channel.ErrUnauthorized) && !errors.Is(err, channel.ErrUnavailable) {
			return p.errs
		}
	}
	return p.halt
}

func (p *push) halted() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.halt
}

func (p *push) run(ctx context.Context, products, variations []*write) {
	c := p.ch.client
	var group errgroup.Group
	group.SetLimit(cap(c.slots))
	for _, batch := range append(c.pack(products), c.pack(variations)...) {
		group.Go(func() error {
			p.batch(ctx, batch)
			return nil
		})
	}
	group.Wait() // the errors are in p.errs
}

// pack splits writes, all of products or all of variations, into batches. The
// variations of one parent stay together where they can, because two batches
// that change the same parent wait for each other.
func (c *Client) pack(writes []*write) [][]*write {
	limit, single := int(c.limit.Load()), c.single.Load()
	slices.SortFunc(writes, inOrder)
	var batches [][]*write
	var batch []*write
	flush := func() {
		if len(batch) > 0 {
			batches, batch = append(batches, batch), nil
		}
	}
	for len(writes) > 0 {
		n := 1
		for n < len(writes) && writes[n].parent == writes[0].parent {
			n++
		}
		if single {
			flush()
		}
		for part := range slices.Chunk(writes[:n], limit) {
			if len(batch)+len(part) > limit {
				flush()
			}
			batch = append(batch, part...)
		}
		writes = writes[n:]
	}
	flush()
	return batches
}

// maxUnclear is how many requests for one batch may end without a clear
// outcome, one after the other.
const maxUnclear = 4

// batch carries out one batch, in as many requests as the shop makes it take,
// while nobody else writes the same products.
func (p *push) batch(ctx context.Context, batch []*write) {
	c := p.ch.client
	release, err := c.busy.hold(ctx, batch)
	if err != nil {
		p.fail(batch, err)
		return
	}
	defer release()

	unclear := 0
	for queue := [][]*write{batch}; len(queue) > 0; {
		part := queue[0]
		queue = queue[1:]
		if err := p.halted(); err != nil {
			p.fail(part, err)
			continue
		}
		// The limits may have become known since.
		if parts := c.pack(part); len(parts) > 1 {
			queue = append(parts, queue...)
			continue
		}
		sent := time.Now()
		answers, err := c.post(ctx, part)
		e, _ := errors.AsType[*Error](err)
		switch {
		case err == nil:
			unclear = 0
			queue = append(queue, p.judge(part, answers)...)
		case ctx.Err() != nil:
			p.fail(part, ctx.Err())
		case e != nil && e.Status == http.StatusRequestEntityTooLarge && len(part) > 1:
			c.lower(len(part) / 2) // nothing was applied
			queue = append([][]*write{part}, queue...)
		case !possiblyApplied(err):
			if errors.Is(err, channel.ErrUnauthorized) || errors.Is(err, channel.ErrUnavailable) {
				p.stop(part, err)
			} else {
				p.fail(part, err)
			}
		default:
			unclear++
			left, failed := p.settle(ctx, part, sent, err)
			switch {
			case failed != nil:
				p.stop(left, failed)
			case unclear >= maxUnclear:
				p.fail(slices.Concat(append(queue, left)...), fmt.Errorf("not shown after %d attempts: %w", unclear, err))
				return
			default:
				rest, suspect := p.again(left, err)
				queue = slices.Concat(rest, queue, suspect)
			}
		}
	}
}

// again splits what a broken request left undone. Items are applied in their
// order, so if one of them broke it, it is the first one left: that has to go
// last and alone, and is given up if it breaks its own request too.
func (p *push) again(left []*write, err error) (rest, suspect [][]*write) {
	if len(left) == 0 {
		return nil, nil
	}
	if others := left[1:]; len(others) > 0 {
		rest = slices.Collect(slices.Chunk(others, (len(others)+1)/2))
	}
	first := left[:1]
	first[0].tries++
	if first[0].tries > 1 {
		p.fail(first, fmt.Errorf("not shown after %d attempts: %w", first[0].tries, err))
		return rest, nil
	}
	return rest, [][]*write{first}
}

// judge compares answers with what was sent. It returns what has to be sent
// once more in another way.
func (p *push) judge(part []*write, answers []answer) [][]*write {
	c := p.ch.client
	// A variation under the parent that its item names, not the URL, is an
	// undocumented courtesy. Without it all of these are unknown.
	foreign, courtesy := false, false
	for i, w := range part {
		if w.parent != part[0].parent {
			foreign = true
			courtesy = courtesy || answers[i].Error == nil
		}
	}
	var again []*write
	for i, w := range part {
		err := p.verdict(w, answers[i])
		switch e, _ := errors.AsType[*Error](err); {
		case e != nil && e.Code == codeVariationInvalidID && foreign && !courtesy && w.parent != part[0].parent:
			w.alone = true
			again = append(again, w)
		case err != nil:
			p.fail(part[i:i+1], err)
		case w.alone:
			c.single.Store(true)
		}
	}
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

// verdict says what the answer to one item means.
func (p *push) verdict(w *write, a answer) error {
	switch {
	case a.Error != nil:
		e := &Error{Op: "POST " + path([]*write{w}), Status: a.Error.status(), item: true}
		e.Code, e.Message = p.ch.client.plain(a.Error.Code), p.ch.client.plain(a.Error.Message)
		return e
	case w.shows(a.Stock, a.Quantity):
		return nil
	case a.Stock == byParent && p.ch.cfg.WriteParents:
		return fmt.Errorf("%w: variation %d has begun to show the stock of its parent", channel.ErrConflict, w.id)
	case a.Stock == byParent:
		return fmt.Errorf("%w: variation %d shows the stock of its parent, product %d", channel.ErrShared, w.id, w.parent)
	case a.Stock == unmanaged && p.ch.cfg.LeaveUnmanaged:
		return fmt.Errorf("%w: the shop does not manage the stock of product %d", channel.ErrNotTracked, w.id)
	case a.Stock == unmanaged:
		return fmt.Errorf("%w: the shop does not manage the stock of product %d; is stock management enabled in its settings?",
			channel.ErrNotApplied, w.id)
	}
	return fmt.Errorf("%w: asked for %d, the shop shows %v", channel.ErrNotApplied, w.quantity, a.Quantity)
}

// shows reports whether an item that shows this is done.
func (w *write) shows(s stock, f figure) bool {
	return s == managed && f.whole && f.n == w.quantity
}
