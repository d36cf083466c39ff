package syncer

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/ecosire/stocksync/channel"
)

// Units in flight are sold by a channel and not booked by the source yet: a
// shop's order takes seconds to a quarter of an hour until the source has it.
// What a channel shows below what it was last known to show is taken for that.
// Until the source has booked the units, or Config.Settle has passed, they are
// taken off what is available before any channel's policy is applied, so that
// nothing that is written undoes a sale, and a unit that one channel has sold
// leaves the others.
//
// The rule, for each product, at each look at one channel:
//
//	the source first    what was read of it, before the channel was looked at
//	then the channel    it shows less: sold. It shows all of it again: cancelled
//	then the bookings   each unit that the source has less ends the oldest entry
//
// Each is by amount. A difference of two numbers would not do: a booking and a
// sale in the same minute would hide each other.
//
// What the source books before a channel was looked at may be sales of that
// channel. Such units are remembered ([flight].Early) until each channel was
// looked at, and are no new sales when these are noticed.
type ledger struct {
	mu      sync.Mutex
	settle  time.Duration
	booked  func(before, after channel.Stock) int // Config.Booked, or nil
	start   time.Time                             // positions count from it
	names   []string                              // of the channels
	table   table                                 // what all products were last known to be
	flights map[string]*flight                    // by product, of the few that have any
	tallies []tally                               // by channel
	late    late
	dirty   map[string]bool // products whose flight is to be kept
	// What is kept of it: see flightstore.go.
	keeping        channelLock // held while the queue is asked
	loaded, headed bool
	doubted        bool // keeping guards it
	bulks          int  // writes under way of which no products are kept
	generation     uint32
}

// A flight is what of a product is in flight.
type flight struct {
	Entries []sale `json:"entries,omitempty"` // the oldest first
	// Early are units that the source has booked, and that one of the channels in
	// Unseen may have sold: these were not looked at since EarlyAt.
	Early   int      `json:"early,omitempty"`
	Unseen  []string `json:"unseen,omitempty"`
	earlyAt time.Duration
	// Edits are listings that somebody has set lower: they are not raised until
	// a time, and nobody else is concerned.
	Edits []edit    `json:"edits,omitempty"`
	due   time.Time // when the product was last marked because it is
	// taken are the channels that were made to show what is in flight by now.
	taken []bool
	lazy  map[int]time.Time // since when a channel puts off what it should show
}

// A sale is units that a channel has sold.
type sale struct {
	Channel string    `json:"channel"`
	Units   int       `json:"units"`
	Since   time.Time `json:"since"`
}

// An edit is a listing that shows much less than before, all at once.
type edit struct {
	Channel string    `json:"channel"`
	SKU     string    `json:"sku"`
	Till    time.Time `json:"till"`
}

// A tally is what a channel has in flight.
type tally struct{ products, units int }

const (
	// editUnits is how many units fewer a listing may show for each delivery of
	// the channel about it, or for each minute since it was last looked at, to be
	// taken for sales. More at once is somebody's edit.
	editUnits = 10
	// fewFlights and unitsEach bound what one channel puts in flight, so that a
	// fault in one shop does not empty the others: a tenth of all products, or
	// fewFlights, and 40 units of each. With an import that takes 15
	// minutes these are orders of 200 different products an hour, in a catalogue of
	// 10,000 twenty times as many; and a flash sale of two units a second.
	fewFlights = 50
	unitsEach  = 40
	// unreadFor is how much longer units are in flight if the source cannot be
	// read.
	unreadFor = 24 * time.Hour
)

// A glance is what a pass saw of one channel.
type glance struct {
	at     int           // the channel
	looked bool          // it was read
	began  time.Duration // when that began
	minute int
	told   map[string]tellings
	share  int      // how many products it may have in flight
	moved  []string // products of which more or less is in flight now
	sold   map[string]int
	events []FlightEvent
	// since has how many units fewer the source has of a product by now than what
	// the pass has read: bookings of these have ended what was in flight.
	since map[string]int
}

// units is how many units of a product are in flight.
func (f *flight) units() (n int) {
	if f != nil {
		for _, s := range f.Entries {
			n += s.Units
		}
	}
	return n
}

// inFlight is how many units of a product are in flight.
func (l *ledger) inFlight(id string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.flights[id].units()
}

// soldBy is how many units of all products a channel has in flight.
func (l *ledger) soldBy(channel string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.tallies[slices.Index(l.names, channel)].units
}

// of is how many of them a channel has sold.
func (f *flight) of(channel string) (n int) {
	for _, s := range f.Entries {
		if s.Channel == channel {
			n += s.Units
		}
	}
	return n
}

func (f *flight) empty() bool { return len(f.Entries) == 0 && f.Early == 0 && len(f.Edits) == 0 }

// position returns what is known of a product, and makes it of what was read if
// nothing is. It returns how many units the source has booked since.
func (l *ledger) position(s *channel.Stock, booked map[string]booking) (pos position, now int) {
	asOf := s.AsOf.Sub(l.start)
	pos, known := l.table.get(s.ProductID)
	switch {
	case !known:
		pos.available, pos.reserved, pos.asOf, pos.changed = s.Available, s.Reserved, asOf, true
		return pos, 0
	case asOf < pos.asOf, pos.available == s.Available && pos.reserved == s.Reserved: // an older read is no rise and no fall
		return pos, 0
	}
	now = max(0, pos.available-s.Available, s.Reserved-pos.reserved)
	if b, ok := booked[s.ProductID]; ok && b.available == pos.available && b.reserved == pos.reserved { // else another pass was first
		now = max(0, b.units)
	}
	pos.available, pos.reserved, pos.asOf, pos.changed = s.Available, s.Reserved, asOf, true
	return pos, now
}

// see compares what a listing shows with what it was last known to show. It
// returns how many of it were sold, less than 0 if it shows more again, and how
// long it had not been looked at.
func (l *ledger) see(g *glance, pos *position, w *want, level *channel.Level, m *memory) (sold int, quiet time.Duration) {
	b := pos.base(g.at, w.sku)
	switch {
	case level == nil || level.Err != nil || level.Unset:
		pos.drop(g.at, w.sku)
		return 0, 0
	case b == nil || b.ref != w.reference(level): // nothing is known yet, or it is another item by now
		pos.set(base{at: g.at, sku: short(w.sku), ref: w.reference(level), low: level.Quantity, high: level.Quantity, minute: g.minute})
		return 0, 0
	}
	v, before := level.Quantity, *b
	written, open := b.high, false
	if b.low < b.high {
		if last, known, still := m.lastWrite(w.sku, v); known {
			written, open = last, still
		}
	}
	switch {
	case v < b.low:
		sold = b.low - v
	case v > b.high:
		sold = b.high - v
	case !open && v > b.low && v < written: // it shows by now, and was sold from
		sold = written - v
	}
	if open {
		b.low, b.high = min(b.low, v), max(b.high, v)
	} else {
		b.low, b.high = v, v
	}
	b.minute = g.minute
	pos.changed = pos.changed || *b != before
	return sold, time.Duration(b.minute-before.minute) * time.Minute
}

// add counts units of a product as sold by a channel, but for those that the
// source has booked already. limit is what may be a sale and no edit.
func (l *ledger) add(g *glance, id, sku string, units, limit int) {
	name := l.names[g.at]
	if g.sold == nil {
		g.sold = make(map[string]int)
	}
	if units <= limit {
		g.sold[id] += units
	}
	if l.settle < 0 {
		return
	}
	f := l.flights[id]
	if f != nil && f.Early > 0 && slices.Contains(f.Unseen, name) {
		x := min(units, f.Early)
		f.Early -= x
		units -= x
	}
	if units == 0 {
		return
	}
	f = l.flight(id)
	t := &l.tallies[g.at]
	first := f.of(name) == 0
	if units > limit || l.late.doubtful(name, id) || first && t.products >= g.share || t.units+units > g.share*unitsEach {
		f.edited(edit{name, sku, time.Now().Add(l.settle)})
		g.event(FlightEvent{Channel: name, ProductID: id, SKU: sku, Units: units, Kind: FlightEdited})
		return
	}
	if first {
		t.products++
	}
	t.units += units
	f.Entries = append(f.Entries, sale{name, units, time.Now()})
	f.turned()
	g.moved = append(g.moved, id)
	g.event(FlightEvent{Channel: name, ProductID: id, SKU: sku, Units: units, Kind: FlightNoticed})
}

// cancel ends what a channel has in flight if it shows all of it again.
func (l *ledger) cancel(g *glance, id, sku string, units int) {
	name := l.names[g.at]
	f := l.flights[id]
	if f == nil || units < f.of(name) || f.of(name) == 0 {
		return
	}
	l.dirty[id] = true
	l.end(f, f.of(name), func(s sale) bool { return s.Channel == name }, func(s sale) {
		g.event(FlightEvent{Channel: name, ProductID: id, SKU: sku, Units: s.Units, Kind: FlightCancelled, Age: time.Since(s.Since)})
	})
	f.turned()
	g.moved = append(g.moved, id)
}

// book ends the oldest entries when the source has booked units, of whichever
// channel. The rest may be sales of a channel that was not looked at since. What
// has been in flight for too long when the source was read ends then, too: not
// before, or a booking that nobody has read yet would be taken for another one's.
func (l *ledger) book(g *glance, id string, pos *position, units int, read time.Time) {
	if units <= 0 && len(l.flights) == 0 { // as a rule nothing is
		return
	}
	f := l.flights[id]
	if f != nil && g.looked && g.began >= f.earlyAt {
		if i := slices.Index(f.Unseen, l.names[g.at]); i >= 0 {
			f.Unseen = slices.Delete(f.Unseen, i, i+1)
			l.dirty[id] = true
		}
		if len(f.Unseen) == 0 {
			f.Early = 0
		}
	}
	if units > 0 {
		if f != nil {
			l.dirty[id] = true
			units -= l.end(f, units, func(sale) bool { return true }, func(s sale) {
				delete(l.late.doubts, s.Channel+"\x00"+id)
				g.event(FlightEvent{Channel: s.Channel, ProductID: id, Units: s.Units, Kind: FlightBooked, Age: time.Since(s.Since)})
			})
		}
		units -= l.late.booked(id, units) // sales that had expired
		var unseen []string
		for _, b := range pos.shows {
			if b.at < len(l.names) && !(g.looked && b.at == g.at) && !slices.Contains(unseen, l.names[b.at]) {
				unseen = append(unseen, l.names[b.at])
			}
		}
		if units > 0 && len(unseen) > 0 {
			f = l.flight(id)
			f.Early += units
			f.earlyAt = max(f.earlyAt, pos.asOf)
			for _, name := range unseen {
				if !slices.Contains(f.Unseen, name) {
					f.Unseen = append(f.Unseen, name)
				}
			}
		}
	}
	if f = l.flights[id]; f != nil {
		l.expire(f, read, l.settle, func(s sale) {
			l.late.expired(id, s.Units)
			l.late.doubt(s.Channel, id)
			g.event(FlightEvent{Channel: s.Channel, ProductID: id, Units: s.Units, Kind: FlightExpired, Age: time.Since(s.Since)})
		})
	}
	l.clear(id)
}

// expire ends what had been in flight for so long at a time.
func (l *ledger) expire(f *flight, at time.Time, after time.Duration, ended func(sale)) {
	if l.end(f, f.units(), func(s sale) bool { return at.Sub(s.Since) >= after }, ended) > 0 {
		f.due = time.Time{}
		f.turned()
	}
}

// end ends entries that are chosen, the oldest first, by amount, and returns how
// many units that were.
func (l *ledger) end(f *flight, units int, chosen func(sale) bool, ended func(sale)) (n int) {
	for i := range f.Entries {
		s := &f.Entries[i]
		if n == units || !chosen(*s) {
			continue
		}
		x := min(units-n, s.Units)
		n += x
		ended(sale{s.Channel, x, s.Since})
		s.Units -= x
		if at := slices.Index(l.names, s.Channel); at >= 0 {
			l.tallies[at].units -= x
			if f.of(s.Channel) == 0 {
				l.tallies[at].products--
			}
		}
	}
	f.Entries = slices.DeleteFunc(f.Entries, func(s sale) bool { return s.Units == 0 })
	return n
}

// due returns the products of which units have been in flight for too long, or
// that were edited long ago: nothing explains any more why a channel shows less.
// A product comes again if nobody has read it meanwhile, until it is given up.
func (l *ledger) due(now time.Time) (ids []string, events []FlightEvent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, f := range l.flights {
		l.expire(f, now, l.settle+unreadFor, func(s sale) {
			events = append(events, FlightEvent{Channel: s.Channel, ProductID: id, Units: s.Units, Kind: FlightExpired, Age: now.Sub(s.Since)})
		})
		edits := len(f.Edits)
		f.Edits = slices.DeleteFunc(f.Edits, func(e edit) bool { return !now.Before(e.Till) })
		old := slices.ContainsFunc(f.Entries, func(s sale) bool { return now.Sub(s.Since) >= l.settle })
		if edits != len(f.Edits) || old && now.Sub(f.due) >= l.settle {
			f.due = now
			f.turned()
			l.dirty[id] = true
			ids = append(ids, id)
		}
		l.clear(id)
	}
	slices.Sort(ids)
	slices.SortFunc(events, func(a, b FlightEvent) int { return cmp.Compare(a.ProductID, b.ProductID) })
	return ids, events
}

// flight returns the flight of a product, and makes one if there is none.
func (l *ledger) flight(id string) *flight {
	f := l.flights[id]
	if f == nil {
		f = new(flight)
		l.flights[id] = f
	}
	l.dirty[id] = true
	return f
}

// clear forgets a flight that is over.
func (l *ledger) clear(id string) {
	if f := l.flights[id]; f != nil && f.empty() {
		delete(l.flights, id)
		l.dirty[id] = true
	}
}

// edited notes an edit. A later one of the listing takes the place of the first.
func (f *flight) edited(e edit) {
	f.Edits = slices.DeleteFunc(f.Edits, func(old edit) bool { return old.Channel == e.Channel && old.SKU == e.SKU })
	f.Edits = append(f.Edits, e)
}

// turned says that no channel shows yet what is in flight now.
func (f *flight) turned() { f.taken = nil }

// minute is now, as positions count it.
func (l *ledger) minute() int { return int(time.Now().Unix() / 60) }

func (g *glance) fewer(id string, units int) {
	if g.since == nil {
		g.since = make(map[string]int)
	}
	g.since[id] = units
}

func (g *glance) event(f FlightEvent) { g.events = append(g.events, f) }
