package syncer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/ecosire/stocksync/channel"
)

const (
	// maxMissed bounds the products that a run remembers for a channel that is
	// behind or does not work: 17 MB of them. With more the run is not whole, and
	// the next one compares what it has not.
	maxMissed = 1_000_000
	// maxOutage is how long a run waits for a channel that does not work, after
	// everything else is done.
	maxOutage = 10 * time.Minute
)

// A night is what a run over the catalogue keeps for one channel.
type night struct {
	s       *Syncer
	t       *target
	account *account
	tell    func(*account)
	missed  idList    // products to be compared yet
	lost    int       // how many more there are, which are not remembered
	missing *[]string // gets what a stride adds to these
	aside   [gain + 1]aside
	written [gain + 1]bool
	watched [gain + 1]watched
	whole   bool        // everything was compared
	stopped atomic.Bool // the channel was paused
	put     []string    // products that were put aside
	rounds  int         // of catching up, while the channel worked
	// kitting is the kind of listings that are looked at now: the kits come
	// last. left are those that must be looked at again, by SKU.
	kitting kitting
	left    map[string]bool
	noKits  error // why the kits were not compared
	// unsure are writes of which nothing is known yet, by SKU; their products
	// are among the missed.
	unsure map[string]result
	rooms  rooms // of its passes
	// retiring are the retired SKUs that are to be set to 0.
	retiring map[string]Line
}

// pass is a pass that puts aside what is dangerous. It reads nothing again: a
// read waits for its share of the source's quota, and would hold a thousand
// SKUs meanwhile. What changed under it is made up for later.
func (n *night) pass(put *[]change) *pass {
	return &pass{s: n.s, t: n.t, purpose: nightly, gate: n.divide(put), kitting: n.kitting}
}

// kits takes the kits through the channel, when all their parts have been read
// for the others: a part is read once more, since it may be in many kits.
func (n *night) kits(ctx context.Context) {
	if n.missed.count > 0 || n.paused() { // the channel does not work
		return
	}
	n.kitting, n.left = kitsAlone, make(map[string]bool)
	n.rounds = 0
	for g, err := range n.s.kitGroups(ctx, n.t) {
		if err != nil {
			n.noKits = err
			return
		}
		var did deed
		p := n.pass(&did.put)
		p.chosen = g.chosen
		did.outcome = p.take(ctx, g.stocks)
		n.add(ctx, did)
		g.endAll()
	}
	n.catchUp(ctx)
}

// take takes a group through the channel.
func (n *night) take(ctx context.Context, g *group) { n.took(ctx, g, n.work(ctx, g)) }

// add adds what came of a pass. If the channel failed as a whole, what was not
// done, and what is not known to be done, is looked at again.
func (n *night) add(ctx context.Context, did deed) {
	n.putAside(did.put)
	o := did.outcome
	if len(o.takePaused()) > 0 {
		n.account.report.Paused = true
	}
	for i := range o.results {
		r := &o.results[i]
		if before, ok := n.unsure[r.sku]; ok && r.state == agreed && r.quantity == before.quantity {
			r.state, r.seen = updated, before.seen // it was applied
		}
		delete(n.unsure, r.sku)
		delete(n.left, r.sku)
	}
	if n.kitting == kitsAlone { // their products are counted by themselves
		o = o.uncounted()
	}
	if n.rounds < maxLooks {
		var again []string
		o.results = slices.DeleteFunc(o.results, func(r result) bool {
			if r.state != superseded {
				return false
			}
			again = append(again, n.lookAgain(&r)...)
			return true
		})
		slices.Sort(again)
		again = slices.Compact(again)
		o.recount(again)
		n.miss(again)
	}
	if o.err != nil && !isContext(ctx, o.err) {
		var again []string
		o.results = slices.DeleteFunc(o.results, func(r result) bool {
			if r.state == unclear {
				if n.unsure == nil {
					n.unsure = make(map[string]result)
				}
				stock := *r.stock
				r.stock = &stock
				n.unsure[r.sku] = r
			} else if !r.unsent {
				return false
			}
			again = append(again, n.lookAgain(&r)...)
			return true
		})
		slices.Sort(again)
		o.recount(again)
		n.miss(slices.Compact(again))
		o.err = nil // unless it stays so
	}
	n.watch(o)
	n.account.add(ctx, o)
	n.tell(n.account)
}

// lookAgain returns the products that must be read to look at a listing again.
func (n *night) lookAgain(r *result) []string {
	if n.kitting == kitsAlone {
		n.left[r.sku] = true
	}
	return productsOf([]want{r.want})
}

func (n *night) miss(ids []string) {
	if n.missed.count+len(ids) > maxMissed {
		n.lost += len(ids)
		return
	}
	n.missed.add(ids...)
	if n.missing != nil {
		*n.missing = append(*n.missing, ids...)
	}
}

// missAll is miss for a list, and for lost more products, which nobody remembers.
func (n *night) missAll(ids *idList, lost int) {
	n.lost += lost
	if over := n.missed.count + ids.count - maxMissed; over > 0 {
		n.lost += len(ids.take(over))
	}
	n.missed.join(ids)
}

func idsOfStocks(stocks []channel.Stock) []string {
	ids := make([]string, len(stocks))
	for i := range stocks {
		ids[i] = stocks[i].ProductID
	}
	return ids
}

// catchUp compares the products that the channel has missed, read anew, until
// that is done or the channel has not worked for too long. The next group is
// read while one is compared.
func (n *night) catchUp(ctx context.Context) {
	var down time.Time // since when nothing works
	for n.missed.count > 0 && ctx.Err() == nil && !n.paused() {
		if wait, up := n.t.state.rest(); wait > 0 {
			if down.IsZero() {
				down = time.Now()
			}
			if time.Since(down) > maxOutage || sleepOr(ctx, wait, up) != nil {
				return
			}
		}
		ids := n.missed
		n.missed = idList{}
		n.forget(ids.all())
		if since, _ := n.t.state.down(); since.IsZero() { // else it is a probe
			n.rounds++
		}
		n.groups(ctx, &ids)
		if since, _ := n.t.state.down(); since.IsZero() {
			down = time.Time{}
		}
	}
}

// groups reads products and takes them through the channel, until it fails. What
// it did not come to by then is missed again.
func (n *night) groups(ctx context.Context, ids *idList) {
	for next := n.ahead(ctx, ids); next != nil; {
		c := <-next
		next = n.ahead(ctx, ids)
		n.account.unread(c.unread)
		n.take(ctx, c.group)
		c.endAll()
		if n.t.state.wait() > 0 && next != nil {
			c = <-next
			n.miss(c.ids)
			c.endAll()
			break
		}
	}
	n.missAll(ids, 0)
}

// A chunk is a group of some of the products that a night has missed.
type chunk struct {
	*group
	ids    []string
	unread map[string]error
}

// ahead reads the next of the products, beside what the caller does; it returns nil
// if there are none. Whoever gets the chunk ends it.
func (n *night) ahead(ctx context.Context, ids *idList) <-chan chunk {
	if ids.count == 0 {
		return nil
	}
	c := chunk{n.s.group(time.Now()), ids.take(groupSize), make(map[string]error)}
	read := make(chan chunk, 1)
	go func() {
		fetch := n.s.fetchFor(n.t)
		if n.kitting == withoutKits {
			fetch = n.s.fetchOnly
		}
		_ = c.read(ctx, fetch, c.ids, func(id, _ string, err error) { c.unread[id] = err })
		read <- c
	}()
	return read
}

// finish decides about what was put aside, and says whether the channel was
// compared as a whole.
func (n *night) finish(ctx context.Context, whole bool) {
	r := &n.account.report
	if n.paused() {
		n.passBy(ctx)
		return
	}
	if n.missed.count > 0 || n.lost > 0 {
		n.tellMissed(ctx)
	}
	if n.noKits != nil {
		r.Err = errors.Join(r.Err, fmt.Errorf("%w: the kits are missing: %w", ErrNotCompared, n.noKits))
	}
	if r.Err == nil {
		var found []Trouble
		for _, p := range r.Problems {
			if p.ProductID != "" {
				found = append(found, Trouble{Channel: n.t.name, ProductID: p.ProductID, SKU: p.SKU, Name: p.Name, GivenUp: true, Err: p.Err})
			}
		}
		n.t.troubles.note(ctx, n.s, found, true)
	}
	n.whole = whole && n.missed.count == 0 && n.lost == 0 && n.noKits == nil && ctx.Err() == nil
	over := n.wouldHold()
	for d := loss; d <= gain; d++ {
		over = n.decide(ctx, d) || over
	}
	n.whole = n.whole && !r.Paused
	if !n.whole {
		return
	}
	err := n.t.countOnSale(ctx, n.s, r.OnSale)
	if err == nil && !over {
		err = n.t.clear(ctx, n.s)
	}
	if err != nil {
		r.Err = errors.Join(r.Err, err)
	}
}

// tellMissed reports the products that the night has not compared.
func (n *night) tellMissed(ctx context.Context) {
	r := &n.account.report
	_, err := n.t.state.down()
	if err == nil {
		err = ctx.Err()
	}
	r.Err = errors.Join(fmt.Errorf("%w: %d are missing", ErrNotCompared, n.missed.count+n.lost), err)
	if n.lost > 0 {
		r.Err = errors.Join(r.Err, fmt.Errorf("%d of these are more than a run remembers for a channel: the next one compares them", n.lost))
	}
	o := &outcome{}
	unsure := make(map[string]bool)
	for _, res := range n.unsure {
		o.add(res)
		unsure[res.stock.ProductID] = true
	}
	for sku := range n.left {
		if _, ok := n.unsure[sku]; !ok {
			o.add(result{want: want{sku: sku, stock: &channel.Stock{}}, state: failed, err: r.Err})
		}
	}
	for id := range n.missed.all() {
		if !unsure[id] && n.kitting != kitsAlone {
			o.add(result{want: want{stock: &channel.Stock{ProductID: id}}, state: failed, err: r.Err})
		}
		if len(o.results) >= groupSize {
			n.account.add(ctx, o)
			o = &outcome{}
		}
	}
	n.account.add(ctx, o)
}

// hold leaves undone what was put aside. With a trip the guard remembers it.
func (n *night) hold(ctx context.Context, d danger, trip *Trip) {
	a := &n.aside[d]
	o := &outcome{}
	var lines []Line
	for i := range a.changes {
		c := &a.changes[i]
		o.add(result{want: c.want, seen: c.seen, state: held})
		line := lineOf(n.t, c)
		line.Reason = ReasonHeld
		lines = append(lines, line)
	}
	n.account.add(ctx, o)
	if more := len(a.products) - len(a.changes); more > 0 {
		n.account.report.Checked += more
		n.account.report.Held += more
	}
	if trip == nil {
		return
	}
	if err := n.t.hold(ctx, n.s, trip, lines); err != nil {
		n.account.report.Err = errors.Join(n.account.report.Err, err)
	}
}

// asideGate is the gate while what was put aside as d is written. The products
// come with others that are in kits with them, and may have changed since. It opens
// what was put aside as d, and as what was written before; it shuts dangers that
// are new; and it leaves out those of the other kind, which have a round of their
// own.
func (n *night) asideGate(p *pass, d danger) gate {
	return func(changes []change) (open, shut []change) {
		for _, c := range changes {
			k := p.danger(&c)
			known := slices.ContainsFunc(c.keys(), func(id string) bool { return n.aside[k].products[id] })
			switch {
			case k == harmless, known && (k == d || n.written[k]):
				open = append(open, c)
			case !known: // the source has changed since
				shut = append(shut, c)
			}
		}
		return open, shut
	}
}

// writeAside writes what was put aside, read anew.
func (n *night) writeAside(ctx context.Context, d danger) {
	a := &n.aside[d]
	ids := make([]string, 0, len(a.products))
	gone := false
	for id := range a.products {
		if id[0] == 0 {
			gone = true
			continue
		}
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for some := range slices.Chunk(ids, groupSize) {
		g := n.s.group(time.Now())
		unread := make(map[string]error)
		_ = g.read(ctx, n.s.fetchFor(n.t), some, func(id, _ string, err error) { unread[id] = err })
		n.account.unread(unread)
		p := &pass{s: n.s, t: n.t, purpose: finishing, reread: n.s.readNow(n.t), chosen: g.chosen}
		p.gate = n.asideGate(p, d)
		o := p.take(ctx, g.stocks).uncounted()
		o.results = slices.DeleteFunc(o.results, func(r result) bool { return r.state == agreed && !a.skus[r.sku] }) // counted before
		n.account.add(ctx, o)
		g.endAll()
	}
	if gone {
		n.writeRetired(ctx, n.asideGate(&pass{s: n.s, t: n.t}, d))
	}
	n.tell(n.account)
}
