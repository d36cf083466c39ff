package syncer

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// What products were known to be, and what of them is in flight, is kept in the
// queue's store. What is kept of one product is of one moment: so it may be
// older than the truth, as if the process had slept since. Only what is going to
// be written is kept before, since that a channel shows less is no sale then.

// flightSet has a head, a record for each bucket of the table, and one for each
// flight.
const (
	flightSet     = "flights"
	flightHead    = "" // it comes first
	bucketPrefix  = "b/"
	aloftPrefix   = "f/"
	flightDoubt   = "!" // before all buckets and flights
	flightVersion = 1
	// flightsEvery is how often what has changed is kept at most.
	flightsEvery = 30 * time.Second
	// keptBuckets bounds one Save.
	keptBuckets = 64
	// lateAt is how many units must be booked after they expired, in
	// [Config.Settle], for a warning.
	lateAt = 5
)

// A flightNote is the head: who the channels are by their numbers. A channel
// whose policy has changed is another one, and what it showed says nothing.
type flightNote struct {
	Version  int      `json:"version"`
	Channels []string `json:"channels"`
}

// generation is in each bucket: one that was kept under another head is not read.
func (n flightNote) generation() uint32 {
	return uint32(hash64(strings.Join(n.Channels, "\x00")))
}

func bucketKey(i int) string { return fmt.Sprintf("%s%04d", bucketPrefix, i) }

// identity is what a channel's number stands for in the store.
func (t *target) identity() string {
	names := []string{t.name}
	for _, s := range t.Policy.steps {
		names = append(names, s.name)
	}
	return strings.Join(names, "\n")
}

// loadFlights reads what was kept, once for each term.
func (s *Syncer) loadFlights(ctx context.Context, anew bool) error {
	l := s.ledger
	l.mu.Lock()
	loaded := l.loaded
	l.mu.Unlock()
	if loaded && !anew || s.forgets() {
		return nil
	}
	var note flightNote
	at := make(map[int]int) // numbers then and now
	fresh := newLedger(&Config{Settle: l.settle, Booked: l.booked}, s.targets)
	for rec, err := range s.on(ctx).Records(ctx, flightSet, "") {
		switch {
		case err != nil:
			return err
		case rec.Key == flightDoubt: // some of what was kept was written over since
			clear(at)
			fresh.doubted = true
			continue
		case rec.Key != flightHead:
			fresh.restore(rec, note.generation(), at)
			continue
		case json.Unmarshal(rec.Value, &note) != nil || note.Version != flightVersion:
			s.logger.LogAttrs(ctx, slog.LevelWarn, "what is in flight was kept by another version, and is not read")
			note = flightNote{}
		}
		for i, t := range s.targets {
			if was := slices.Index(note.Channels, t.identity()); was >= 0 {
				at[was] = i
			}
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.loaded && (!anew || tenureOf(ctx) == nil && s.knows()) { // another was first, and has noticed more since
		return nil
	}
	l.table, l.flights, l.tallies, l.dirty = fresh.table, fresh.flights, fresh.tallies, fresh.dirty
	l.loaded, l.headed, l.doubted = true, false, fresh.doubted
	return nil
}

// restore takes one record over. One that makes no sense is left out: nothing is
// known of its products then.
func (l *ledger) restore(rec Record, generation uint32, at map[int]int) {
	if id, ok := strings.CutPrefix(rec.Key, aloftPrefix); ok {
		f := new(flight)
		if json.Unmarshal(rec.Value, f) != nil {
			return
		}
		now := time.Now()
		f.Entries = slices.DeleteFunc(f.Entries, func(s sale) bool { return s.Units <= 0 || !slices.Contains(l.names, s.Channel) })
		for i := range f.Entries {
			e := &f.Entries[i]
			e.Since = now.Add(min(0, e.Since.Sub(now))) // reckoned from now, since clocks are set
		}
		for i := range f.Edits {
			e := &f.Edits[i]
			e.Till = now.Add(min(e.Till.Sub(now), l.settle))
		}
		f.Unseen = slices.DeleteFunc(f.Unseen, func(name string) bool { return !slices.Contains(l.names, name) })
		if f.Early = max(0, f.Early); len(f.Unseen) == 0 {
			f.Early = 0
		}
		if f.empty() {
			return
		}
		for i, name := range l.names {
			if n := f.of(name); n > 0 {
				l.tallies[i].products++
				l.tallies[i].units += n
			}
		}
		l.flights[id] = f
		return
	}
	number, ok := strings.CutPrefix(rec.Key, bucketPrefix)
	bucket, err := strconv.Atoi(number)
	if !ok || err != nil || bucket < 0 || bucket >= tableBuckets || len(rec.Value) < 4 || binary.LittleEndian.Uint32(rec.Value) != generation {
		return
	}
	for b := rec.Value[4:]; len(b) > recordHead && 1+int(b[0]) <= len(b) && int(b[0]) >= recordHead; {
		end := 1 + int(b[0])
		var p position
		if p.decode(b[recordHead:end]) == nil {
			p.asOf = math.MinInt64 >> 16 // any read of this process is newer
			p.shows = slices.DeleteFunc(p.shows, func(s base) bool { _, still := at[s.at]; return !still })
			for i := range p.shows {
				p.shows[i].at = at[p.shows[i].at]
			}
			l.table.putHash(hashAt(b[1:], bucket), &p)
		}
		b = b[end:]
	}
}

// keepFlights keeps what has changed: all of it, or only what is about some
// products.
func (s *Syncer) keepFlights(ctx context.Context, only []string) error {
	l := s.ledger
	if s.forgets() {
		return nil
	}
	l.keeping.Lock()
	defer l.keeping.Unlock()
	l.mu.Lock()
	if !l.loaded { // the store knows more
		l.mu.Unlock()
		return nil
	}
	pieces, ids, buckets := l.unkept(only, s.targets)
	sure := only == nil && l.doubted && l.bulks == 0
	l.mu.Unlock()
	if sure {
		pieces = append(pieces, []Record{{Key: flightDoubt}})
	}
	for _, records := range pieces {
		if err := s.on(ctx).Save(ctx, flightSet, records...); err != nil {
			l.mu.Lock()
			l.headed = false // it may not be there
			for _, id := range ids {
				l.dirty[id] = true
			}
			for _, b := range buckets {
				l.table.changed[b] = true
			}
			l.mu.Unlock()
			return err
		}
	}
	if sure {
		l.doubted = false
	}
	return nil
}

// doubtFlights keeps that more is written than is kept, until all is kept.
func (s *Syncer) doubtFlights(ctx context.Context) error {
	l := s.ledger
	if s.forgets() {
		return nil
	}
	l.keeping.Lock()
	defer l.keeping.Unlock()
	if l.doubted {
		return nil
	}
	err := s.on(ctx).Save(ctx, flightSet, Record{flightDoubt, []byte{}})
	l.doubted = err == nil
	return err
}

// unkept returns what is to be saved, in pieces, and takes it for saved. The
// first piece has all flights with their buckets.
func (l *ledger) unkept(only []string, targets []*target) (pieces [][]Record, ids []string, buckets []int) {
	for id := range l.dirty {
		if only == nil || slices.Contains(only, id) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	note := flightNote{Version: flightVersion}
	for _, t := range targets {
		note.Channels = append(note.Channels, t.identity())
	}
	l.generation = note.generation()
	var records []Record
	take := func(b int) {
		if l.table.changed[b] {
			l.table.changed[b] = false
			buckets = append(buckets, b)
			records = append(records, Record{bucketKey(b), append(binary.LittleEndian.AppendUint32(nil, l.generation), l.table.buckets[b]...)})
		}
	}
	for _, id := range ids {
		delete(l.dirty, id)
		rec := Record{Key: aloftPrefix + id}
		if f := l.flights[id]; f != nil {
			rec.Value, _ = json.Marshal(f) // strings, numbers and times
		}
		records = append(records, rec)
		take(int(hash64(id) % tableBuckets))
	}
	for _, id := range only {
		take(int(hash64(id) % tableBuckets))
	}
	if only == nil {
		for b := range l.table.changed {
			if take(b); len(records) >= keptBuckets {
				pieces, records = append(pieces, records), nil
			}
		}
	}
	if len(records) > 0 {
		pieces = append(pieces, records)
	}
	if len(pieces) > 0 && !l.headed {
		head, _ := json.Marshal(note)
		pieces[0] = append([]Record{{flightHead, head}}, pieces[0]...)
		l.headed = true
	}
	return pieces, ids, buckets
}

// tendFlights marks what has been in flight for too long, and keeps what changes,
// until ctx is done.
func (s *Syncer) tendFlights(accept, work context.Context) {
	kept := time.Now()
	for sleep(accept, flightTick) == nil {
		s.expireFlights(work)
		if time.Since(kept) < flightsEvery {
			continue
		}
		kept = time.Now()
		if err := s.keepFlights(work, nil); err != nil && work.Err() == nil {
			s.once.warn(work, s, "what is in flight cannot be kept; a restart may undo sales", slog.Any("err", err))
		}
	}
	_ = s.keepFlights(work, nil) // now, too: the grace may end before the last turns do
}

// flightTick is how often it is looked what has been in flight for too long.
const flightTick = 5 * time.Second

// expireFlights marks what has been in flight for too long, if Run runs.
func (s *Syncer) expireFlights(ctx context.Context) {
	ids, events := s.ledger.due(time.Now())
	s.flew(ctx, events)
	if n := s.ledger.tooLate(); n > 0 {
		s.logger.LogAttrs(ctx, slog.LevelWarn, "units in flight expired and were booked later: Config.Settle is shorter than the import of orders takes",
			slog.Int("units", n), slog.Duration("settle", s.ledger.settle))
	}
	marks := make([]Mark, len(ids))
	for i, id := range ids {
		marks[i] = Mark{Key: Key{Lane: inboxLane, ID: id}, Why: CauseSettle}
	}
	if len(marks) > 0 && s.running.Load() {
		_ = s.insist(ctx, "Mark", func() error { return s.on(ctx).Mark(ctx, marks...) })
	}
}

// late counts units that the source has booked after they expired.
type late struct {
	gone  map[string]int // expired, by product
	units int
	told  time.Time
	// doubts are channels and products whose units have expired, and how often
	// in a row: a channel that accepts writes and does not apply them seems to sell
	// for ever. They last for a day.
	doubts map[string]doubt
}

type doubt struct {
	times int
	last  time.Time
}

// doubtAfter is how often, for the next to concern that channel alone.
const doubtAfter = 2

func (l *late) doubt(channel, id string) {
	if l.doubts == nil || len(l.doubts) >= maxLate {
		l.doubts = make(map[string]doubt)
	}
	key := channel + "\x00" + id
	l.doubts[key] = doubt{l.doubts[key].times + 1, time.Now()}
}

func (l *late) doubtful(channel, id string) bool {
	d := l.doubts[channel+"\x00"+id]
	return d.times >= doubtAfter && time.Since(d.last) < 24*time.Hour
}

// maxLate bounds the products of which expired units are remembered.
const maxLate = 1000

func (l *late) expired(id string, units int) {
	if l.gone == nil || len(l.gone) >= maxLate {
		l.gone = make(map[string]int)
	}
	l.gone[id] += units
}

// booked returns how many of the units that the source has booked had expired.
func (l *late) booked(id string, units int) (gone int) {
	if gone = min(units, l.gone[id]); gone > 0 {
		l.units += gone
		if l.gone[id] -= gone; l.gone[id] == 0 {
			delete(l.gone, id)
		}
	}
	return gone
}

// tooLate returns how many units were booked after they expired, if these are
// many, once an hour.
func (l *ledger) tooLate() (units int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.late.units < lateAt || time.Since(l.late.told) < time.Hour {
		return 0
	}
	units, l.late.units, l.late.told = l.late.units, 0, time.Now()
	return units
}
