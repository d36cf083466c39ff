package woocommerce

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/httpx"
)

// A write sets the stock of one product or variation.
type write struct {
	id       int64
	parent   int64 // of a variation, otherwise 0
	quantity int
	manage   bool     // start to manage its stock
	out      bool     // with manage, it was out of stock by a switch before
	unset    bool     // end to manage its stock, in place of all that
	status   string   // with unset, its stock status from then on, or ""
	sku      string   // whose quantity it is
	also     []string // of a parent, further SKUs with this quantity

	before quantity // what it showed, if that is known
	known  bool
	doubt  bool // it is looked at after it is written, whatever the answer says

	half  *split // of a refused batch that it is sent with now
	alone bool   // it was refused in a batch of several parents
	tries int    // how often it is suspected to have broken a batch
}

// A split is a batch that was refused as a whole and is sent in halves. If both
// are taken, it was too large.
type split struct {
	left  int // writes of it that are not taken yet
	size  int // of the larger half
	wrong bool
}

// root is the product that a write changes: that of a variation changes with it.
func (w *write) root() int64 { return cmp.Or(w.parent, w.id) }

// inOrder keeps the variations of a parent together.
func inOrder(a, b *write) int {
	return cmp.Or(cmp.Compare(a.parent, b.parent), cmp.Compare(a.id, b.id))
}

func (ch *Channel) write(u channel.Update, it item) write {
	w := write{id: it.id, parent: it.parent, quantity: u.Quantity, sku: u.SKU}
	switch {
	case it.stock == byParent:
		w.id, w.parent = it.parent, 0
	case it.parent != 0:
		// On a variation that shows its parent's stock by now, it would detach it.
		w.manage = it.stock == unmanaged
	default:
		w.manage = ch.cfg.Track
	}
	w.out = it.stock == unmanaged && it.out
	return w
}

// unset makes w end the management of its stock.
func (ch *Channel) unset(w *write, seen channel.Level) {
	w.unset, w.manage, w.status = true, false, "instock"
	out, known := ch.client.tracked.get(w.id)
	switch {
	case known && out, w.out:
		w.status = "outofstock"
	case !known && seen.OffSale:
		w.status = ""
	}
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
// outcome, one after the other. A page in place of JSON is most often a wall
// against bots, which more requests make no lower; and after a batch that
// ended so the next one gets one request only.
func (c *Client) maxUnclear(err error) int {
	e, _ := errors.AsType[*Error](err)
	switch {
	case c.walled.Load():
		return 1
	case e != nil && e.page:
		return 2
	}
	return 4
}

// hopeless reports whether more attempts are pointless. Behind a wall the shop
// is asked whether it takes a batch of nothing: if so, the products are the cause.
func (p *push) hopeless(ctx context.Context, err error) bool {
	e, _ := errors.AsType[*Error](err)
	if !p.ch.client.walled.Load() && (e == nil || !e.page) {
		return true
	}
	if !p.mayWrite(ctx) {
		return true
	}
	p.ch.client.walled.Store(false)
	return false
}

// batch carries out one batch, in as many requests as the shop makes it take,
// while nobody else writes the same products.
func (p *push) batch(ctx context.Context, batch []*write) {
	c := p.ch.client
	release, err := p.hold(ctx, batch)
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
		sent, begun := new(atomic.Bool), time.Now()
		answers, err := c.post(context.WithValue(ctx, sentKey{}, sent), part)
		e, _ := errors.AsType[*Error](err)
		switch {
		case err == nil:
			unclear = 0
			p.succeeded()
			if half := part[0].half; half != nil && !half.wrong {
				if half.left -= len(part); half.left == 0 {
					c.lower(half.size)
				}
			}
			queue = append(queue, p.judge(ctx, part, answers)...)
		case ctx.Err() != nil && sent.Load():
			c.loose.add(part, begun)
			p.fail(part, fmt.Errorf("%w: %w", channel.ErrUnclear, ctx.Err()))
		case ctx.Err() != nil:
			p.fail(part, ctx.Err())
		case e != nil && e.Status == http.StatusRequestEntityTooLarge && len(part) > 1:
			c.lower(len(part) / 2) // nothing was applied
			queue = append([][]*write{part}, queue...)
		case !possiblyApplied(err):
			queue = append(p.refusal(ctx, part, err), queue...)
		default:
			unclear++
			left, failed := p.settle(ctx, part, begun, err)
			switch {
			case failed != nil:
				c.loose.add(part, begun)
				p.end(failed)
				p.fail(left, fmt.Errorf("%w: %w", channel.ErrUnclear, failed))
			case len(left) == len(part) && unclear >= c.maxUnclear(err) && p.hopeless(ctx, err):
				failed := fmt.Errorf("not shown after %d attempts: %w", unclear, err)
				p.end(failed) // others would fare no better
				left = slices.Concat(append(queue, left)...)
				if c.walled.Swap(true) || e != nil && e.page {
					p.fail(left, failed)
				} else {
					p.deny(left, failed)
				}
				return
			default:
				if len(left) < len(part) {
					unclear = 0
				}
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
		p.ch.client.broken.put(first[0].id, struct{}{})
		p.deny(first, fmt.Errorf("not shown after %d attempts: %w", first[0].tries, err))
		return rest, nil
	}
	return rest, [][]*write{first}
}

func (p *push) succeeded() {
	p.mu.Lock()
	defer p.mu.Unlock()
	works := true
	p.key, p.refused = &works, 0
	p.ch.client.walled.Store(false)
}

// refusal deals with a batch of which nothing was done, and returns what is to
// be sent because of it. A refusal is that of the key, or of the shop, unless a
// batch of nothing is taken: then it is that of a part of the batch.
func (p *push) refusal(ctx context.Context, part []*write, err error) [][]*write {
	e, _ := errors.AsType[*Error](err)
	parent := part[0].parent
	ofParent := e != nil && e.Code == "woocommerce_rest_cannot_batch" && parent != 0
	switch {
	case e == nil, !ofParent && !divisible(err):
	case !p.mayWrite(ctx):
		err = cmp.Or(ctx.Err(), err)
	case ofParent:
		n := 0
		for n < len(part) && part[n].parent == parent {
			n++
		}
		p.deny(part[:n], fmt.Errorf("%w: the shop does not let the variations of product %d be written; is it in the trash? %w",
			channel.ErrInvalid, parent, ofItem(e)))
		return rest(part[n:])
	case len(part) == 1:
		if half := part[0].half; half != nil {
			half.wrong = true
		}
		p.deny(part, ofItem(e))
		return nil
	default:
		half := (len(part) + 1) / 2
		whole := &split{left: len(part), size: half}
		for _, w := range part {
			if w.half != nil {
				w.half.wrong = true // what it was part of is not known to be too large
			}
			w.half = whole
		}
		return [][]*write{part[:half], part[half:]}
	}
	if errors.Is(err, channel.ErrUnauthorized) || errors.Is(err, channel.ErrUnavailable) {
		p.stop(part, err)
	} else {
		p.fail(part, err)
	}
	return nil
}

func rest(part []*write) [][]*write {
	if len(part) == 0 {
		return nil
	}
	return [][]*write{part}
}

// ofItem is an error that is about the one item that was sent.
func ofItem(e *Error) *Error {
	own := *e
	own.item = true
	return &own
}

// maxRefused is how many refusals of batches, one after the other, make the shop
// the cause though it takes a batch of nothing.
const maxRefused = 24

// mayWrite reports whether the shop takes batches. It is asked once.
func (p *push) mayWrite(ctx context.Context) bool {
	p.mu.Lock()
	p.refused++
	refused, key := p.refused, p.key
	p.mu.Unlock()
	if key == nil {
		resp, err := p.ch.client.send(ctx, request{method: http.MethodPost, path: "products/batch", body: []byte("{}")})
		if ctx.Err() != nil {
			return false
		}
		works := err == nil && json.Valid(resp.Body)
		p.mu.Lock()
		p.key, key = &works, &works
		p.mu.Unlock()
	}
	return *key && refused < maxRefused
}

// possiblyApplied reports whether a write that ended with err may have been
// done, in part or in whole.
func possiblyApplied(err error) bool {
	if h, ok := errors.AsType[*httpx.Error](err); ok && h.Unsent {
		return false
	}
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return true // there was no answer
	}
	return e.Status < 300 || e.Status >= 500 || e.Status == http.StatusRequestTimeout
}
