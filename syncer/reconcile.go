package syncer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ecosire/stocksync/channel"
)

// How a reconciliation can end otherwise than well.
var (
	// ErrHeld: a guard holds lines. They are in the report's Held, and
	// [Syncer.Held] has them until they are dealt with.
	ErrHeld = errors.New("held by the guard")
	// ErrReconciling: a reconciliation is under way already.
	ErrReconciling = errors.New("syncer: a reconciliation is under way already")
	// ErrEmpty: the source has no products at all. Nothing was changed.
	ErrEmpty = errors.New("the source has no products")
	// ErrShrunk: the source has less than half of the products that it had the
	// last time it was well. Nothing was changed for those that were not read.
	ErrShrunk = errors.New("the source has lost more than half of its products")
	// ErrForeign: a channel knows none of the source's SKUs.
	ErrForeign = errors.New("the channel knows none of the SKUs: is it the right shop, and does it answer well?")
	// ErrNotCompared: a channel was not compared as a whole.
	ErrNotCompared = errors.New("not all products were compared with the channel")
)

// Reconcile reads the whole catalogue at the source and makes every channel
// show it, in bounded memory: while one group of products is compared and
// mended on the channels, the next is read. What is written was read moments
// before, and an event that comes meanwhile wins over an older quantity. To
// find an SKU that comes twice, a catalogue of over 100,000 products makes use
// of a temporary file, eight bytes a product; see [os.TempDir]. Where there can
// be none it is memory.
//
// What takes products off sale, or on sale, is put aside until everything was
// compared, read again, and then written, or held if it is more than the
// [Guard] of the channel lets pass; the run then ends with an error that
// matches [ErrHeld]. Only what was read is written: missing is never zero. A
// source that fails or is incomplete, or a catalogue that is empty or has
// shrunk to less than half, ends the run with an error that says so, after what
// was read has been dealt with.
//
// A channel that cannot keep pace with the source, or that fails for a while,
// does not delay the others: it gets its products afterwards, read anew. If it
// does not work again within ten minutes the run ends without it, with an error
// that matches [ErrNotCompared]. The run leaves room in the
// source's quota for more urgent work. Two runs never overlap: the second call returns
// [ErrReconciling].
//
// For the error see [Report.Err]. The report is there in any case, but for
// ErrReconciling.
func (s *Syncer) Reconcile(ctx context.Context) (*Report, error) {
	r, _, err := s.reconcile(ctx)
	return r, err
}

func (s *Syncer) reconcile(ctx context.Context) (r *Report, complete bool, err error) {
	if !s.reconciling.CompareAndSwap(false, true) {
		return nil, false, ErrReconciling
	}
	defer s.reconciling.Store(false)
	e := s.begin(channel.WithUrgency(ctx, channel.Background), "reconcile")
	ctx = e.ctx
	failed := s.ready(ctx)
	if failed != nil {
		r, err := e.end(failed)
		return r, false, err
	}
	preloaded := s.preload(ctx)
	progress := s.newProgress(ctx, e.report)
	nights := make([]*night, len(s.targets))
	for i, t := range s.targets {
		nights[i] = &night{s: s, t: t, account: e.accounts[i], tell: func(a *account) { progress.did(i, &a.report) }}
	}
	known := s.newNames()
	defer known.close()
	f := s.fanOut(ctx, windowGroups, func(ctx context.Context, i int, g *group) { nights[i].take(ctx, g) }, preloaded...)
	f.spill = true
	failed = e.catalogue(ctx, f, known, progress)
	f.wait()

	whole := failed == nil && ctx.Err() == nil
	var wg sync.WaitGroup
	for i, n := range nights {
		n.missed = append(n.missed, f.behind[i]...)
		wg.Go(func() {
			n.catchUp(ctx)
			n.kits(ctx)
			n.finish(ctx, whole)
		})
	}
	wg.Wait()
	if whole && ctx.Err() == nil {
		failed = s.conclude(ctx, e)
		complete = true
	}
	for _, n := range nights {
		complete = complete && n.whole
	}
	r, err = e.end(failed)
	return r, complete, err
}

// ready reads what earlier runs left in the store, and does what was approved
// since.
func (s *Syncer) ready(ctx context.Context) error {
	if err := s.doubled.load(ctx, s.queue); err != nil {
		return fmt.Errorf("the queue's store: %w", err)
	}
	if s.running.Load() {
		return nil // Run does
	}
	return s.execute(ctx)
}

const (
	// maxMissed bounds the products that a run remembers for a channel that is
	// behind or does not work.
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
	mu      sync.Mutex // of aside, which two passes may add to
	missed  []string   // products to be compared yet
	lost    bool       // there were too many of these
	aside   [gain + 1]aside
	whole   bool // everything was compared
	rounds  int  // of catching up
	// unsure are writes of which nothing is known yet, by SKU; their products
	// are among the missed.
	unsure map[string]result
}

// aside are the changes of one kind that wait for the end of a run. Products
// are counted, lines are kept.
type aside struct {
	products map[string]bool
	changes  []change
}

// pass is a pass that puts aside what is dangerous. It reads nothing again: a
// read waits for its share of the source's quota, and would hold a thousand
// SKUs meanwhile. What changed under it is made up for later.
func (n *night) pass() *pass {
	return &pass{s: n.s, t: n.t, purpose: nightly, gate: n.divide, kitting: withoutKits}
}

// kits takes the kits through the channel, when all their parts have been read
// for the others: a part is read once more, since it may be in many kits.
func (n *night) kits(ctx context.Context) {
	if len(n.missed) > 0 { // the channel does not work
		return
	}
	for g := range n.s.kitGroups(ctx, n.t) {
		p := n.pass()
		p.kitting = kitsAlone
		n.add(ctx, p.take(ctx, g.stocks))
		g.endAll()
	}
	n.catchUp(ctx)
}

// divide lets pass what is harmless or explained, and puts the rest aside.
func (n *night) divide(changes []change) (open, shut []change) {
	p := &pass{s: n.s, t: n.t}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range changes {
		d := n.t.Guard.danger(&c)
		if d == harmless || d == loss && p.explained(&c) || n.t.Guard.limit(d, 0) < 0 {
			open = append(open, c)
			continue
		}
		a := &n.aside[d]
		if a.products == nil {
			a.products = make(map[string]bool)
		}
		a.products[c.stock.ProductID] = true
		if len(a.changes) < maxListed {
			stock, seen := *c.stock, *c.seen // the group that they are in shall not stay
			c.stock, c.seen = &stock, &seen
			a.changes = append(a.changes, c)
		}
	}
	return open, nil
}

// take takes a group through the channel. If that does not work, the group is
// made up for later.
func (n *night) take(ctx context.Context, g *group) {
	if n.t.state.wait() > 0 { // it does not work, and was asked moments ago
		n.miss(idsOfStocks(g.stocks))
		return
	}
	if n.t.size <= 0 || len(g.stocks) <= n.t.size {
		n.add(ctx, n.pass().take(ctx, g.stocks))
		return
	}
	// A channel that takes little at a time is slow. An event must not wait for
	// a whole group of it, so each of its batches is a pass; the next one is
	// read while one is written.
	var passes errgroup.Group
	passes.SetLimit(2)
	outs := make([]*outcome, groupsOf(len(g.stocks), n.t.size))
	i := 0
	for some := range slices.Chunk(g.stocks, n.t.size) {
		at := i
		i++
		passes.Go(func() error {
			outs[at] = n.pass().take(ctx, some)
			return nil
		})
	}
	_ = passes.Wait()
	for _, o := range outs {
		n.add(ctx, o)
	}
}

func groupsOf(n, size int) int { return (n + size - 1) / size }

// add adds what came of a pass. If the channel failed as a whole, what was not
// done, and what is not known to be done, is looked at again.
func (n *night) add(ctx context.Context, o *outcome) {
	for i := range o.results {
		r := &o.results[i]
		if before, ok := n.unsure[r.sku]; ok && r.state == agreed && r.quantity == before.quantity {
			r.state, r.seen = updated, before.seen // it was applied
		}
		delete(n.unsure, r.sku)
	}
	if n.rounds < maxLooks {
		var again []string
		o.results = slices.DeleteFunc(o.results, func(r result) bool {
			if r.state != superseded {
				return false
			}
			again = append(again, productsOf([]want{r.want})...)
			return true
		})
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
			again = append(again, productsOf([]want{r.want})...)
			return true
		})
		slices.Sort(again)
		n.miss(slices.Compact(again))
		o.err = nil // unless it stays so
	}
	n.account.add(ctx, o)
	n.tell(n.account)
}

func (n *night) miss(ids []string) {
	if len(n.missed)+len(ids) > maxMissed {
		n.lost = true
		return
	}
	n.missed = append(n.missed, ids...)
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
	n.rounds = 0
	for len(n.missed) > 0 && ctx.Err() == nil {
		if wait := n.t.state.wait(); wait > 0 {
			if down.IsZero() {
				down = time.Now()
			}
			if time.Since(down) > maxOutage || sleep(ctx, wait) != nil {
				return
			}
		}
		ids := n.missed
		n.missed = nil
		n.rounds++
		n.groups(ctx, ids)
		if since, _ := n.t.state.down(); since.IsZero() {
			down = time.Time{}
		}
	}
}

// groups reads products and takes them through the channel, until it fails.
func (n *night) groups(ctx context.Context, ids []string) {
	type chunk struct {
		*group
		unread map[string]error
	}
	feed := make(chan chunk)
	stop := make(chan struct{})
	rest := make(chan []string, 1)
	go func() { // ends before groups does
		defer close(feed)
		for len(ids) > 0 {
			some := ids[:min(groupSize, len(ids))]
			c := chunk{n.s.group(time.Now()), make(map[string]error)}
			_ = c.read(ctx, n.s, some, func(id, _ string, err error) { c.unread[id] = err })
			select {
			case feed <- c:
				ids = ids[len(some):]
			case <-stop:
				c.endAll()
				rest <- ids
				return
			}
		}
	}()
	for c := range feed {
		n.account.unread(c.unread)
		n.take(ctx, c.group)
		c.endAll()
		if n.t.state.wait() > 0 {
			close(stop)
			for c := range feed {
				n.account.unread(c.unread)
				n.miss(idsOfStocks(c.stocks))
				c.endAll()
			}
			break
		}
	}
	select {
	case left := <-rest:
		n.miss(left)
	default:
	}
}

// finish decides about what was put aside, and says whether the channel was
// compared as a whole.
func (n *night) finish(ctx context.Context, whole bool) {
	r := &n.account.report
	if missed := len(n.missed); missed > 0 || n.lost {
		_, err := n.t.state.down()
		if err == nil {
			err = ctx.Err()
		}
		r.Err = errors.Join(fmt.Errorf("%w: %d are missing", ErrNotCompared, missed), err)
		o := &outcome{}
		unsure := make(map[string]bool)
		for _, res := range n.unsure {
			o.add(res)
			unsure[res.stock.ProductID] = true
		}
		for _, id := range n.missed {
			if !unsure[id] {
				o.add(result{want: want{stock: &channel.Stock{ProductID: id}}, state: failed, err: r.Err})
			}
		}
		n.account.add(ctx, o)
	}
	n.whole = whole && len(n.missed) == 0 && !n.lost && ctx.Err() == nil
	over := false
	for d := loss; d <= gain; d++ {
		a := &n.aside[d]
		count := len(a.products)
		if count == 0 {
			continue
		}
		limit := n.t.Guard.limit(d, r.OnSale)
		switch {
		case !n.whole:
			n.hold(ctx, d, nil)
		case count > limit && !n.s.covered(ctx, n.t, count):
			over = true
			t := &Trip{Since: time.Now(), Run: channel.Run(ctx), Limit: limit, OnSale: r.OnSale}
			if d == loss {
				t.Losses = count
			} else {
				t.Gains = count
			}
			n.hold(ctx, d, t)
		default:
			n.settle(ctx, a)
		}
	}
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

// hold leaves undone what was put aside. With a trip the guard remembers it.
func (n *night) hold(ctx context.Context, d danger, trip *Trip) {
	a := &n.aside[d]
	o := &outcome{}
	var lines []Line
	for i := range a.changes {
		c := &a.changes[i]
		o.add(result{want: c.want, seen: c.seen, state: held})
		line := lineOf(n.t.name, c)
		line.Reason = Held
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

// settle writes what was put aside, read anew.
func (n *night) settle(ctx context.Context, a *aside) {
	ids := make([]string, 0, len(a.products))
	for id := range a.products {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for some := range slices.Chunk(ids, groupSize) {
		g := n.s.group(time.Now())
		unread := make(map[string]error)
		_ = g.read(ctx, n.s, some, func(id, _ string, err error) { unread[id] = err })
		n.account.unread(unread)
		p := &pass{s: n.s, t: n.t, purpose: settling, again: n.s.readNow}
		o := p.take(ctx, g.stocks)
		o.compared, o.onSale = 0, 0 // counted before
		n.account.add(ctx, o)
		g.endAll()
	}
	n.tell(n.account)
}

// preload lets the channels prepare, side by side. Each target's channel in
// the answer is closed when its channel is ready.
func (s *Syncer) preload(ctx context.Context) (ready []<-chan struct{}) {
	for _, t := range s.targets {
		done := make(chan struct{})
		ready = append(ready, done)
		p, ok := channel.As[channel.Preloader](t.Channel)
		if !ok {
			close(done)
			continue
		}
		go func() { // whoever called waits for it
			defer close(done)
			if err := t.prepare(ctx, s, p); err != nil && ctx.Err() == nil {
				s.logger.LogAttrs(ctx, slog.LevelWarn, "preloading failed; the run is slower for it",
					slog.String("run", channel.Run(ctx)), slog.String("channel", t.name), slog.Any("err", err))
			}
		}()
	}
	return ready
}

// conclude remembers a run over the whole catalogue, and returns what in it
// looks like trouble all the same.
func (s *Syncer) conclude(ctx context.Context, e *entrance) error {
	var errs []error
	read := e.report.Read + e.report.Unread
	last, err := s.recall(ctx)
	errs = append(errs, err)
	now := reconciled{At: e.report.Started, Products: read}
	switch {
	case read == 0:
		errs = append(errs, ErrEmpty)
	case 2*read < last.Products:
		errs = append(errs, fmt.Errorf("%w: %d, and %d before", ErrShrunk, read, last.Products))
	}
	if read == 0 || 2*read < last.Products {
		// What it had when it was well stays the measure, until it has stayed as
		// small for a week.
		now.Products, now.Small, now.SmallSince = last.Products, read, last.SmallSince
		if last.SmallSince.IsZero() || read == 0 || abs(read-last.Small) > read/10 {
			now.SmallSince = now.At
		}
		if now.At.Sub(now.SmallSince) >= 7*24*time.Hour {
			now.Products, now.SmallSince = read, time.Time{}
		}
	}
	errs = append(errs, s.remember(ctx, now), s.doubled.settle(ctx, s.queue))
	for _, a := range e.accounts {
		if c := &a.report; c.Checked >= 20 && c.Unknown == c.Checked {
			errs = append(errs, fmt.Errorf("%s: %w", c.Channel, ErrForeign))
		}
	}
	return errors.Join(errs...)
}

// reconciled is what is remembered of the last complete run.
type reconciled struct {
	At time.Time `json:"at"`
	// Products is how many the source had when it was last well.
	Products int `json:"products"`
	// Small is how many it has since SmallSince, if that is suspiciously few.
	Small      int       `json:"small,omitempty"`
	SmallSince time.Time `json:"smallSince,omitzero"`
}

// stateSet has what the syncer remembers of itself.
const (
	stateSet       = "state"
	reconciledName = "reconciled"
)

func (s *Syncer) remember(ctx context.Context, run reconciled) error {
	value, err := json.Marshal(run)
	if err != nil {
		return err
	}
	return s.queue.Save(ctx, stateSet, Record{reconciledName, value})
}

func (s *Syncer) recall(ctx context.Context) (run reconciled, err error) {
	value, err := s.queue.Load(ctx, stateSet, reconciledName)
	if err != nil || value == nil {
		return run, err
	}
	if err := json.Unmarshal(value, &run); err != nil {
		return reconciled{}, fmt.Errorf("what was remembered of the last reconciliation: %w", err)
	}
	if run.At.After(time.Now()) { // the clock was set back since
		run.At = time.Now()
	}
	return run, nil
}
