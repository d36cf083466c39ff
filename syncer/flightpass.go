package syncer

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"time"

	"github.com/ecosire/stocksync/channel"
)

// A FlightEvent says that units took flight or landed: that they were sold by a
// channel, booked by the source, and so on. What is in flight at the moment is a
// [Flight].
type FlightEvent struct {
	Channel   string     `json:"channel"` // that sold them
	ProductID string     `json:"productID"`
	SKU       string     `json:"sku,omitempty"` // of the listing, where that is known
	Units     int        `json:"units"`         // of the product
	Kind      FlightKind `json:"kind"`
	// Age is how long they were in flight; 0 for FlightNoticed and FlightEdited.
	Age time.Duration `json:"age,omitempty"`
}

// A FlightKind is what happened to units in flight. It can be a metric's label.
type FlightKind string

// What happens to units in flight.
const (
	// FlightNoticed: the channel shows fewer than it did. They are in flight now.
	FlightNoticed FlightKind = "noticed"
	// FlightBooked: the source has that many fewer, too. They are in flight no more.
	FlightBooked FlightKind = "booked"
	// FlightCancelled: the channel shows all of its own again.
	FlightCancelled FlightKind = "cancelled"
	// FlightExpired: they were neither booked nor cancelled within Config.Settle.
	FlightExpired FlightKind = "expired"
	// FlightEdited: too many are missing for sales, so somebody is taken to have
	// lowered the listing. Other channels keep theirs, and this listing is not
	// raised for the length of Config.Settle.
	//
	// Too many are more than 10 of the listing for each delivery of the channel
	// about it, or, without one, for each minute since it was last read. A channel
	// may also have no more in flight than a tenth of all products, or 50 if that
	// is more, and 40 units for each of these: what is beyond that is edited, too.
	FlightEdited FlightKind = "edited"
)

// defaultSettle is twice the delay of a slow import of orders.
const defaultSettle = 30 * time.Minute

func newLedger(cfg *Config, targets []*target) *ledger {
	l := &ledger{
		settle: cfg.Settle, booked: cfg.Booked, start: time.Now(),
		flights: make(map[string]*flight), tallies: make([]tally, len(targets)), dirty: make(map[string]bool),
		keeping: make(channelLock, 1),
	}
	if l.settle == 0 {
		l.settle = defaultSettle
	}
	for _, t := range targets {
		l.names = append(l.names, t.name)
	}
	return l
}

// stocks are what a want rests on.
func (w *want) stocks() []*channel.Stock {
	if w.isKit() {
		return w.bundle.of
	}
	return []*channel.Stock{w.stock}
}

// unread reports whether nobody has read a stock: it is of no product, or of one
// that is pinned to 0, of which nothing need be known.
func unread(s *channel.Stock) bool { return s.ProductID == "" || s.AsOf.IsZero() || s.Err != nil }

// perListing is how many units of the i-th of its stocks one of a listing takes.
func (w *want) perListing(i int) int {
	if w.bundle == nil {
		return 1
	}
	return w.bundle.parts[i].Units
}

// reference tells what a level is about: which item of the channel, and how many
// units of which products one of the listing takes.
func (w *want) reference(level *channel.Level) uint16 {
	ref := level.Ref
	for _, part := range w.parts() {
		ref += "\x00" + part.ProductID + "\x00" + strconv.Itoa(part.Units)
	}
	return short(ref)
}

// A lowering is what is to be taken off a want: units of each of its stocks. It
// is not raised above cap, unless that is less than 0.
type lowering struct {
	at    int
	units []int
	cap   int
}

// notice notices what the channel has sold, books what the source has by now,
// and takes what is in flight off the wants. Those of which a policy does not
// know what is left then go to out.
func (p *pass) notice(ctx context.Context, wants []want, levels levelIndex, began time.Time, out *outcome) []want {
	l := p.s.ledger
	if len(wants) == 0 {
		return wants
	}
	g := &glance{at: slices.Index(l.names, p.t.name), looked: p.t.reader != nil, began: began.Sub(l.start), minute: l.minute(), told: p.told}
	booked := p.bookings(ctx, wants)
	l.mu.Lock()
	g.share = max(fewFlights, l.table.count/10)
	if p.purpose == surveying {
		p.unseen = l.peek(g, wants, levels)
	} else {
		p.sight(l, g, wants, levels, booked)
	}
	var lower []lowering
	if p.fixed == nil {
		lower = l.lower(g, wants, levels, p.unseen, p.purpose != surveying)
	}
	l.mu.Unlock()
	for id, units := range g.sold {
		p.s.sales.add(id, units)
		out.soldIDs = append(out.soldIDs, id)
		out.sold += units
	}
	out.moved = append(out.moved, g.moved...)
	p.s.flew(ctx, g.events)

	bad := make(map[string]bool)
	for _, o := range lower {
		w := &wants[o.at]
		if err := p.requote(ctx, w, o); err != nil {
			out.add(result{want: *w, state: failed, err: err})
			bad[w.sku] = true
		}
	}
	if len(bad) > 0 {
		wants = slices.DeleteFunc(wants, func(w want) bool { return bad[w.sku] })
	}
	return wants
}

// A booking is what the host says of a change from what was known.
type booking struct{ available, reserved, units int }

// bookings asks the host how much of what the source has less is booked orders.
func (p *pass) bookings(ctx context.Context, wants []want) map[string]booking {
	l := p.s.ledger
	if l.booked == nil {
		return nil
	}
	booked := make(map[string]booking)
	for i := range wants {
		for _, s := range wants[i].stocks() {
			l.mu.Lock()
			pos, known := l.table.get(s.ProductID)
			l.mu.Unlock()
			if !known || unread(s) || pos.available == s.Available && pos.reserved == s.Reserved {
				continue
			}
			before := *s
			before.OnHand, before.Reserved, before.Available = pos.available+pos.reserved, pos.reserved, pos.available
			before.Warehouses = nil
			n, err := consult(ctx, p.s, p.t, question{"Config.Booked", s.ProductID, s.SKU}, func() (int, error) { return l.booked(before, *s), nil })
			if err == nil && sound(n) {
				booked[s.ProductID] = booking{pos.available, pos.reserved, n}
			}
		}
	}
	return booked
}

// sight takes what was read of the source and of the channel into the ledger.
func (p *pass) sight(l *ledger, g *glance, wants []want, levels levelIndex, booked map[string]booking) {
	var id string // whose position is at hand
	var pos position
	var now int
	var read time.Time
	put := func() {
		if id == "" {
			return
		}
		l.book(g, id, &pos, now, read)
		if pos.changed {
			l.table.put(id, &pos)
		}
		id = ""
	}
	open := func(s *channel.Stock) {
		if s.ProductID != id {
			put()
			id, read = s.ProductID, s.AsOf
			pos, now = l.position(s, booked)
			if fewer := s.Available - pos.available; fewer > 0 && s.AsOf.Sub(l.start) < pos.asOf {
				g.fewer(s.ProductID, fewer)
			}
		}
	}
	for i := range wants {
		w := &wants[i]
		of := w.stocks()
		if len(of) == 0 || slices.ContainsFunc(of, unread) {
			continue
		}
		open(of[0])
		sold := 0
		var quiet time.Duration
		if g.looked {
			level := levels.only(w.sku)
			sold, quiet = l.see(g, &pos, w, level, &p.t.memory)
			if p.t.memory.unsettling(w.sku) { // what it has deducted may be booked
				pos.drop(g.at, w.sku)
				sold = 0
			}
		}
		for j, s := range of {
			open(s)
			per := w.perListing(j)
			switch {
			case sold > 0:
				told := g.told[s.ProductID]
				many := max(1, told.marks)
				if !told.told {
					many = max(many, int(quiet/time.Minute))
				}
				l.add(g, s.ProductID, w.sku, times(sold, per), times(times(many, editUnits), per))
			case sold < 0:
				l.cancel(g, s.ProductID, w.sku, times(-sold, per))
			}
		}
	}
	put()
}

// peek is what the channel has sold that the ledger does not know, by product.
func (l *ledger) peek(g *glance, wants []want, levels levelIndex) (unseen map[string]int) {
	for i := range wants {
		w := &wants[i]
		of := w.stocks()
		level := levels.only(w.sku)
		if len(of) == 0 || level == nil || level.Err != nil || level.Unset {
			continue
		}
		pos, _ := l.table.get(of[0].ProductID)
		b := pos.base(g.at, w.sku)
		if b == nil || b.ref != w.reference(level) || level.Quantity >= b.low {
			continue
		}
		if sold := b.low - level.Quantity; sold <= editUnits*max(1, g.minute-b.minute) {
			if unseen == nil {
				unseen = make(map[string]int)
			}
			for j, s := range of {
				unseen[s.ProductID] = min(unseen[s.ProductID]+times(sold, w.perListing(j)), maxSound)
			}
		}
	}
	return unseen
}

// lower says which wants are to be lowered, and notes, unless that is a survey's,
// that the channel is made to show it.
func (l *ledger) lower(g *glance, wants []want, levels levelIndex, unseen map[string]int, shown bool) (lower []lowering) {
	if len(l.flights) == 0 && len(unseen) == 0 && len(g.since) == 0 {
		return nil
	}
	for i := range wants {
		w := &wants[i]
		o := lowering{at: i, cap: -1}
		any := false
		for _, s := range w.stocks() {
			f := l.flights[s.ProductID]
			n := f.units() + unseen[s.ProductID] + g.since[s.ProductID]
			o.units = append(o.units, n)
			any = any || n > 0
			if f == nil {
				continue
			}
			if shown {
				if f.taken == nil {
					f.taken = make([]bool, len(l.names))
				}
				f.taken[g.at] = true
			}
			for _, e := range f.Edits {
				if e.Channel == l.names[g.at] && e.SKU == w.sku {
					if level := levels.only(w.sku); level != nil && level.Err == nil && !level.Unset {
						o.cap, any = max(0, level.Quantity), true
					}
				}
			}
		}
		if any {
			lower = append(lower, o)
		}
	}
	return lower
}

// takeOff returns a stock from which units in flight are taken.
func takeOff(s *channel.Stock, units int) *channel.Stock {
	if units == 0 {
		return s
	}
	less := *s
	less.Reserved += units
	less.Available -= units
	less.InFlight += units
	return &less
}

// requote applies the policy to what is left of a want's stocks.
func (p *pass) requote(ctx context.Context, w *want, o lowering) error {
	if w.pin != nil && w.quantity <= 0 { // whatever a policy knows
		return nil
	}
	of := w.stocks()
	quantity := -1
	for i, s := range of {
		less := takeOff(s, o.units[i])
		n, err := p.t.quantityOf(ctx, p.s, *less)
		if err != nil {
			if w.isKit() {
				err = fmt.Errorf("part %s of the kit: %w", s.ProductID, err)
			}
			return err
		}
		if n /= w.perListing(i); quantity < 0 || n < quantity {
			quantity, w.stock = n, less
		}
	}
	w.quantity = quantity
	if o.cap >= 0 {
		w.quantity = min(w.quantity, o.cap)
	}
	p.pin(ctx, w)
	return nil
}

// flew tells the host what happened to units in flight.
func (s *Syncer) flew(ctx context.Context, events []FlightEvent) {
	for _, f := range events {
		s.hooks.inFlight(ctx, s, f)
		level := slog.LevelInfo
		if f.Kind == FlightExpired || f.Kind == FlightEdited {
			level = slog.LevelWarn
		}
		s.logger.LogAttrs(about(ctx, f.Channel, f.ProductID, f.SKU), level, "units in flight",
			slog.String("what", string(f.Kind)), slog.Int("units", f.Units), slog.Duration("age", f.Age))
	}
}
