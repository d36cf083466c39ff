package syncer

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// A Guard limits what may be done to one channel before anybody has looked.
// Its zero value is the default guard.
//
// What counts is products, not units, so that one odd number decides nothing:
//
//   - a loss is a product that is on sale and would not be, whether it shows a
//     quantity or is sold without one, or that would show less than half of
//     what it shows;
//   - a gain is a product that comes on sale, or would show more than Times as
//     much as it does.
//
// A loss that orders explain is none: the source has promised all that is on
// hand, or the channels have sold as much since they were last read. What the
// channel cannot show at all does not count.
//
// A run over the catalogue puts losses and gains aside until everything was
// compared. Then those within the limits are written, and the others held: all
// of them or none. In real time, when single products are marked or synced, the
// limits are for each Window: a product counts once in it, by when it was marked.
// A product that would show less than half is no loss then as long as it stays on
// sale, since holding it would sell what is gone.
//
// A guard that has held something has tripped, which is kept in the queue's
// [Store]: from then on it holds every loss or gain, in every kind of run, until
// somebody approves ([Syncer.Approve]), or a run over the whole catalogue is
// within the limits by itself.
//
// The limits for a channel with that many products on sale:
//
//	on sale    10   30   100   1,000   30,000
//	losses      3    5    10     100    3,000
//	gains       5    9    30     300    9,000
//
// A channel that cannot be read is not guarded: nobody knows what it loses.
type Guard struct {
	// Losses is the share of the products on sale that may be lost; 0 means
	// 0.1, and a negative share no limit.
	Losses float64
	// Gains is the share of the products on sale that may gain; 0 means 0.3,
	// and a negative share no limit.
	Gains float64
	// Few is how many products may be lost or gain whatever the shares say;
	// losses never exceed a third of those on sale, or one. 0 means 5, and a
	// negative number none.
	Few int
	// Times is how many times as much as before a product must show to count
	// as a gain; 0 means 10.
	Times int
	// Window is how long losses and gains in real time add up towards the limits; 0
	// means 10 minutes.
	Window time.Duration
}

func (g Guard) check() error {
	switch {
	case !(g.Losses <= 1 && g.Gains <= 1): // NaN is no share either
		return fmt.Errorf("a share is at most 1; -1 means no limit")
	case g.Times < 0 || g.Window < 0:
		return fmt.Errorf("Times and Window are not negative")
	}
	return nil
}

func (g Guard) orDefault() Guard {
	g.Losses = cmp.Or(g.Losses, 0.1)
	g.Gains = cmp.Or(g.Gains, 0.3)
	g.Few = max(0, cmp.Or(g.Few, 5))
	g.Times = cmp.Or(g.Times, 10)
	g.Window = cmp.Or(g.Window, 10*time.Minute)
	return g
}

// A danger is what a guard counts.
type danger uint8

const (
	harmless danger = iota
	loss
	gain
)

func (d danger) String() string { return [...]string{"harmless", "loss", "gain"}[d] }

// danger says what a change is, explained or not.
func (g Guard) danger(c *change) danger {
	switch l := c.seen; {
	case l == nil:
		return harmless
	case c.pin != nil && onSale(l) && (l.Unset || c.quantity <= l.Quantity): // somebody has decided it
		return harmless
	case !onSale(l):
		if c.quantity > 0 {
			return gain
		}
	case c.quantity <= 0:
		return loss
	case l.Unset:
	case c.quantity < l.Quantity-c.quantity:
		return loss
	case c.quantity/g.Times > l.Quantity, c.quantity/g.Times == l.Quantity && c.quantity%g.Times > 0:
		return gain
	}
	return harmless
}

// limit is how many products may be in danger on a channel with so many
// products on sale; -1 means any number.
func (g Guard) limit(d danger, onSale int) int {
	switch {
	case d == loss && g.Losses < 0, d == gain && g.Gains < 0:
		return -1
	case d == loss:
		return max(int(g.Losses*float64(onSale)), min(g.Few, max(1, onSale/3)))
	default:
		return max(int(g.Gains*float64(onSale)), g.Few)
	}
}

// danger says what a guard has to decide about a change: a loss or a gain for which
// it has a limit, and that orders do not explain.
func (p *pass) danger(c *change) danger {
	d := p.t.Guard.danger(c)
	if d == loss && p.explained(c) || p.t.Guard.limit(d, 0) < 0 {
		return harmless
	}
	return d
}

// explained reports whether orders explain a loss.
func (p *pass) explained(c *change) bool {
	has := p.t.Policy.basis(c.stock)
	if c.isKit() || c.seen.Unset {
		return has.OnHand > 0 && has.Reserved >= has.OnHand
	}
	lost := c.seen.Quantity - c.quantity
	if per := c.perListing(0); per > 1 { // a pack is gone when its first unit is sold
		lost = times(lost-1, per) + 1
	}
	return has.OnHand > 0 && has.Reserved >= has.OnHand || p.s.sales.units(c.stock.ProductID)+p.unseen[c.stock.ProductID] >= lost
}

// sales are units that channels were seen to have sold since they were last
// known: they show less than then.
type sales struct {
	mu         sync.Mutex
	young, old map[string]int // by product
	turned     time.Time
}

// salesFor is how long a sale explains that stock is gone: at least that long,
// and at most twice.
const salesFor = time.Hour

func (s *sales) age() {
	if time.Since(s.turned) > salesFor || len(s.young) > maxShown {
		s.young, s.old, s.turned = make(map[string]int), s.young, time.Now()
	}
}

func (s *sales) add(productID string, units int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.age()
	s.young[productID] += units
}

func (s *sales) units(productID string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.age()
	return s.young[productID] + s.old[productID]
}

// reconsider marks products again on the channels whose guards hold them: a
// sale that was just noticed may explain their losses.
func (s *Syncer) reconsider(ctx context.Context, sold []string) {
	if len(sold) == 0 {
		return
	}
	var marks []Mark
	for _, t := range s.targets {
		t.keeper.mu.Lock()
		t.recallHeld(ctx, s)
		for _, id := range sold {
			if t.keeper.products[id] {
				marks = append(marks, Mark{Key: Key{Lane: t.eventLane(), ID: id}, Why: CauseRetry})
			}
		}
		t.keeper.mu.Unlock()
	}
	if len(marks) > 0 {
		_ = s.insist(ctx, "Mark", func() error { return s.on(ctx).Mark(ctx, marks...) })
	}
}

// A window counts which products were lost and gained in real time, by the
// minutes in which they were marked: after an outage the backlog of hours
// arrives in seconds, and is none the more dangerous for it. A product counts
// once, at its latest mark, however often it comes and goes.
type window struct {
	mu      sync.Mutex
	minutes [gain + 1]map[int64]map[string]bool
}

// count counts a product that was marked at a time, unless that is one too
// many for the window around it.
func (w *window) count(d danger, productID string, at time.Time, length time.Duration, limit int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	minutes := w.minutes[d]
	if minutes == nil {
		minutes = make(map[int64]map[string]bool)
		w.minutes[d] = minutes
	}
	minute, span := at.Unix()/60, max(1, int64(length/time.Minute))
	before, after := 0, 0
	for m, products := range minutes {
		switch {
		case m > minute-span && m < minute+span && products[productID]: // counted already
			if m < minute {
				delete(products, productID)
				w.put(d, minute, productID)
			}
			return true
		case m > minute-span && m <= minute:
			before += len(products)
			if m == minute {
				after += len(products)
			}
		case m > minute && m < minute+span:
			after += len(products)
		case m < minute-2*24*60: // a backlog is hardly older
			delete(minutes, m)
		}
	}
	if limit >= 0 && max(before, after) >= limit {
		return false
	}
	w.put(d, minute, productID)
	return true
}

func (w *window) put(d danger, minute int64, productID string) {
	if w.minutes[d][minute] == nil {
		w.minutes[d][minute] = make(map[string]bool)
	}
	w.minutes[d][minute][productID] = true
}

// windowSet has the windows of the channels of a shared queue, so that the next
// leader counts on.
const windowSet = "windows"

// keep saves the window, if other processes may go on with it.
func (w *window) keep(ctx context.Context, s *Syncer, name string) {
	t := tenureOf(ctx)
	if t == nil || !t.shared {
		return
	}
	w.mu.Lock()
	value, err := json.Marshal(w.minutes)
	w.mu.Unlock()
	if err == nil {
		err = s.safely(ctx, "the queue: Save", func() error { return t.Save(ctx, windowSet, Record{name, value}) })
	}
	if err != nil && ctx.Err() == nil {
		s.once.warn(ctx, s, "what the guard counted in real time cannot be kept for the next leader", slog.Any("err", err))
	}
}

// inherit reads what the last leader has counted.
func (w *window) inherit(ctx context.Context, t *tenure, name string) error {
	value, err := t.Load(ctx, windowSet, name)
	if err != nil || value == nil {
		return err
	}
	var minutes [gain + 1]map[int64]map[string]bool
	if err := json.Unmarshal(value, &minutes); err != nil {
		return nil // a newer version's; it counts anew
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.minutes = minutes
	return nil
}
