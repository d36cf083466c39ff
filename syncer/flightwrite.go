package syncer

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/ecosire/stocksync/channel"
)

// spread marks what one channel has sold on the others, where it is not shown
// yet. Marks that were leased already cover what was read for them.
func (s *Syncer) spread(ctx context.Context, moved []string, marked map[string]time.Time) {
	var marks []Mark
	for _, id := range moved {
		for i, t := range s.targets {
			if !s.ledger.shown(id, i) {
				marks = append(marks, Mark{Key: Key{Lane: t.eventLane(), ID: id}, Why: CauseSale, First: marked[id], Last: marked[id]})
			}
		}
	}
	if len(marks) > 0 {
		_ = s.insist(ctx, "Mark", func() error { return s.on(ctx).Mark(ctx, marks...) })
	}
}

// spreadAll marks all products of which something is in flight: whoever noticed
// that may have ended before the queue was told of it.
func (s *Syncer) spreadAll(ctx context.Context) error {
	l := s.ledger
	l.mu.Lock()
	ids := slices.Sorted(maps.Keys(l.flights))
	l.mu.Unlock()
	for some := range slices.Chunk(ids, groupSize) {
		marks := make([]Mark, len(some))
		for i, id := range some {
			marks[i] = Mark{Key: Key{Lane: inboxLane, ID: id}, Why: CauseSale}
		}
		if err := s.on(ctx).Mark(ctx, marks...); err != nil {
			return err
		}
	}
	return nil
}

// shown reports whether a channel was made to show what of a product is in
// flight by now.
func (l *ledger) shown(id string, at int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.flights[id]
	return f != nil && f.taken != nil && f.taken[at]
}

// followUp takes what was sold meanwhile through the channels that were looked at
// before that was noticed.
func (e *entrance) followUp(ctx context.Context) error {
	var failed error
	for range maxLooks {
		var ids []string
		for _, a := range e.accounts {
			ids = append(ids, a.moved...)
			a.moved = nil
		}
		slices.Sort(ids)
		ids = slices.DeleteFunc(slices.Compact(ids), func(id string) bool {
			for i := range e.s.targets {
				if !e.s.ledger.shown(id, i) {
					return false
				}
			}
			return true
		})
		if len(ids) == 0 {
			break
		}
		f := e.s.fanOut(ctx, groupsOf(len(ids), groupSize), func(ctx context.Context, i int, g *group) {
			p := e.s.realtime(ctx, e.s.targets[i], nil, e.s.readNow(e.s.targets[i]))
			p.chosen = g.chosen
			o := p.take(ctx, g.stocks).uncounted()
			o.results = slices.DeleteFunc(o.results, func(r result) bool { return r.state == agreed })
			e.accounts[i].addAgain(ctx, o)
		})
		for some := range slices.Chunk(ids, groupSize) {
			g := e.s.group(time.Now())
			if failed = g.read(ctx, e.s.fetchFor(e.s.targets...), some, func(string, string, error) {}); failed != nil {
				g.endAll()
				f.wait()
				var marks []Mark // Run makes up for it
				for _, id := range ids {
					marks = append(marks, Mark{Key: Key{inboxLane, id}, Why: CauseSale})
				}
				free := context.WithoutCancel(ctx)
				return errors.Join(failed, e.s.on(free).Mark(free, marks...))
			}
			f.send(g)
		}
		f.wait()
	}
	return failed
}

// What became of a write, as far as what the channel shows is concerned.
type fate int

const (
	applied   fate = iota
	uncertain      // it may show or not, now or later
	refused
)

// wrote says what became of a write.
func (p *pass) wrote(c *change, how fate) {
	of := c.stocks()
	if p.t.reader == nil || len(of) == 0 {
		return
	}
	l := p.s.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	at, id := slices.Index(l.names, p.t.name), of[0].ProductID
	pos, known := l.table.get(id)
	b := pos.base(at, c.sku)
	switch {
	case !known, how == refused && b == nil:
		return
	case p.unsetter != nil, how == applied && p.t.memory.deductor:
		pos.drop(at, c.sku)
	case b == nil:
		n := base{at: at, sku: short(c.sku), low: c.quantity, high: c.quantity, minute: l.minute()}
		if c.seen != nil {
			n.ref = c.reference(c.seen)
			if how == uncertain && !c.seen.Unset {
				n.low, n.high = min(c.quantity, c.seen.Quantity), max(c.quantity, c.seen.Quantity)
			}
		}
		if how == applied || c.seen != nil && !c.seen.Unset {
			pos.set(n)
		}
	case how == applied:
		b.low, b.high, b.minute, pos.changed = c.quantity, c.quantity, l.minute(), true
	case how == uncertain:
		b.low, b.high, pos.changed = min(b.low, c.quantity), max(b.high, c.quantity), true
	case c.seen != nil && !c.seen.Unset:
		pos.changed = b.low != c.seen.Quantity || b.high != c.seen.Quantity
		b.low, b.high = c.seen.Quantity, c.seen.Quantity
	}
	if pos.changed {
		l.table.put(id, &pos)
	}
	if f := l.flights[id]; f != nil && how != refused {
		delete(f.lazy, at)
	}
}

// maxForeseen bounds the changes that are kept by product, and maxForeseenBytes
// what that takes. Of more it is kept only that they are under way, so that after
// a crash nothing is known.
const (
	maxForeseen      = 200
	maxForeseenBytes = 1 << 20
)

// foresee keeps what is going to be written: after a crash a channel that was
// lowered is not to be taken for one that has sold.
func (p *pass) foresee(ctx context.Context, changes []change) (end func()) {
	l := p.s.ledger
	var ids []string
	size := 0
	l.mu.Lock()
	at := slices.Index(l.names, p.t.name)
	for i := range changes {
		c := &changes[i]
		of := c.stocks()
		if len(of) == 0 || of[0].ProductID == "" {
			continue
		}
		pos, _ := l.table.get(of[0].ProductID)
		if b := pos.base(at, c.sku); b != nil {
			b.low, b.high = min(b.low, c.quantity), max(b.high, c.quantity)
			l.table.put(of[0].ProductID, &pos)
		}
		for _, id := range c.products() {
			ids = append(ids, id)
			size += len(l.table.buckets[hash64(id)%tableBuckets])
		}
	}
	keep := func() error { return p.s.keepFlights(ctx, ids) }
	end = func() {}
	if len(changes) > maxForeseen || size > maxForeseenBytes {
		keep = func() error { return p.s.doubtFlights(ctx) }
		l.bulks++
		end = func() {
			l.mu.Lock()
			l.bulks--
			l.mu.Unlock()
		}
	}
	l.mu.Unlock()
	if err := keep(); err != nil && ctx.Err() == nil {
		p.s.once.warn(ctx, p.s, "what is in flight cannot be kept; a restart may undo sales", slog.Any("err", err))
	}
	return end
}

const (
	// lazyUnits and lazyFor say when a small decrease may wait: where many are
	// left, and a write might undo sales that nobody has seen, one later is better
	// than several now.
	lazyUnits = 10
	lazyFor   = 30 * time.Second
)

// lazily returns how long a decrease for the sake of units in flight may wait, on
// a channel that cannot refuse a write over a change that nobody saw.
func (p *pass) lazily(w *want, seen *channel.Level) time.Duration {
	if w.pin != nil || !p.leased || p.t.compares || w.quantity < lazyUnits || seen.Unset {
		return 0
	}
	if less := seen.Quantity - w.quantity; less <= 0 || less > w.quantity/10 {
		return 0
	}
	l := p.s.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.flights[w.stock.ProductID]
	if f.units() == 0 {
		return 0
	}
	at := slices.Index(l.names, p.t.name)
	since, ok := f.lazy[at]
	if !ok {
		if f.lazy == nil {
			f.lazy = make(map[int]time.Time)
		}
		since = time.Now()
		f.lazy[at] = since
	}
	return max(0, lazyFor-time.Since(since))
}
