package syncer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"time"
)

// The sets of the store that guards use. Each channel has a record in the
// first, and a set of its own for the lines that are held.
const (
	tripSet = "guards"
	heldSet = "held/" // and the channel's name, by SKU
)

// A keeper keeps what a target's guard holds, in the store and in memory.
type keeper struct {
	mu       channelLock
	read     time.Time // when the store was read last; zero for never
	trip     *Trip
	held     map[string]string // SKUs of lines held, with their products
	products map[string]bool   // those products
	onSale   int               // counted in the last run over the catalogue; -1 if there was none
}

// A channelLock is held while the queue is asked, which may take as long as that
// takes. It is made with room for one.
type channelLock chan struct{}

func (l channelLock) Lock()   { l <- struct{}{} }
func (l channelLock) Unlock() { <-l }

// keptFor is how long what the store says of a guard is believed without
// another look: other processes may trip it, or clear it.
const keptFor = 5 * time.Second

// guardRecord is what the store keeps of a guard.
type guardRecord struct {
	Trip   *Trip `json:"trip,omitempty"`
	OnSale int   `json:"onSale"`
}

// loadGuard reads what the store keeps of the target's guard. The caller has the
// lock.
func (t *target) loadGuard(ctx context.Context, s *Syncer) error {
	k := &t.keeper
	if !k.read.IsZero() && time.Since(k.read) < keptFor {
		return nil
	}
	value, err := s.on(ctx).Load(ctx, tripSet, t.name)
	if err != nil {
		return fmt.Errorf("the guard's memory: %w", err)
	}
	r := guardRecord{OnSale: -1}
	if value != nil {
		if err := json.Unmarshal(value, &r); err != nil {
			s.once.warn(ctx, s, "what the guard remembers makes no sense, and is begun anew", slog.String("channel", t.name), slog.Any("err", err))
			r = guardRecord{OnSale: -1}
		}
	}
	held := make(map[string]string)
	if r.Trip != nil || k.held == nil || len(k.held) > 0 {
		for rec, err := range s.on(ctx).Records(ctx, heldSet+t.name, "") {
			if err != nil {
				return fmt.Errorf("the guard's memory: %w", err)
			}
			held[rec.Key] = t.heldLine(rec).ProductID
		}
	}
	k.trip, k.onSale, k.held, k.products, k.read = r.Trip, r.OnSale, held, make(map[string]bool), time.Now()
	for _, id := range held {
		k.products[id] = true
	}
	return nil
}

// recallHeld loads the guard's record from the store, once in a process. If that
// fails the next call tries again. The caller holds the lock.
func (t *target) recallHeld(ctx context.Context, s *Syncer) {
	if t.keeper.read.IsZero() && ctx.Err() == nil { // else the turn's tasks are all that the queue is told
		_ = t.loadGuard(ctx, s)
	}
}

func (t *target) saveGuard(ctx context.Context, s *Syncer) error {
	value, err := json.Marshal(guardRecord{t.keeper.trip, t.keeper.onSale})
	if err != nil {
		return err
	}
	return s.on(ctx).Save(ctx, tripSet, Record{t.name, value})
}

// heldLine is a line as the store keeps it.
type heldLine struct {
	Line
	Approved *Approval `json:"approved,omitempty"`
}

// heldLine is what a record says. One that makes no sense is a line that is nobody's,
// so that it hides no other, and is gone once somebody approves or the guard is clear.
func (t *target) heldLine(rec Record) (l heldLine) {
	if l.decode(rec.Value) != nil || l.SKU != rec.Key || l.Channel != t.name {
		return heldLine{Line: Line{Channel: t.name, SKU: rec.Key, Reason: ReasonHeld}}
	}
	return l
}

// hold keeps lines, and that the guard has tripped if trip is not nil.
func (t *target) hold(ctx context.Context, s *Syncer, trip *Trip, lines []Line) error {
	t.keeper.mu.Lock()
	tripped, err := t.holdLocked(ctx, s, trip, lines)
	t.keeper.mu.Unlock()
	if tripped { // without the lock: the hook may ask what is held
		s.logger.LogAttrs(ctx, slog.LevelError, "the guard has tripped: nothing dangerous is written on the channel until somebody approves",
			slog.String("run", trip.Run), slog.String("channel", t.name), slog.String("why", trip.Why()))
		s.hooks.tripped(ctx, s, t.name, *trip)
	}
	return err
}

// holdLocked is hold, and reports whether the guard has tripped now.
func (t *target) holdLocked(ctx context.Context, s *Syncer, trip *Trip, lines []Line) (tripped bool, err error) {
	k := &t.keeper
	if err := t.loadGuard(ctx, s); err != nil {
		return false, err
	}
	if k.trip == nil && trip != nil {
		k.trip = trip
		if err := t.saveGuard(ctx, s); err != nil {
			k.trip = nil
			return false, err
		}
		tripped = true
	}
	var records []Record
	for _, l := range lines {
		_, known := k.held[l.SKU]
		if !known && len(k.held)+len(records) >= maxListed {
			continue
		}
		line := heldLine{Line: l}
		if known { // an approval of the very same line stays
			if old, err := s.on(ctx).Load(ctx, heldSet+t.name, l.SKU); err == nil && old != nil {
				var before heldLine
				if before.decode(old) == nil && before.same(l) {
					line.Approved = before.Approved
				}
			}
		}
		value, err := json.Marshal(line)
		if err != nil {
			return tripped, err
		}
		records = append(records, Record{l.SKU, value})
	}
	if len(records) > 0 {
		if err := s.on(ctx).Save(ctx, heldSet+t.name, records...); err != nil {
			return tripped, err
		}
	}
	for _, l := range lines {
		if len(k.held) < maxListed {
			k.held[l.SKU] = l.ProductID
			k.products[l.ProductID] = true
		}
	}
	return tripped, nil
}

// forgetHeld forgets held lines whose listings were dealt with.
func (t *target) forgetHeld(ctx context.Context, s *Syncer, results []result) {
	k := &t.keeper
	k.mu.Lock()
	defer k.mu.Unlock()
	t.recallHeld(ctx, s)
	if len(k.held) == 0 {
		return
	}
	var gone []Record
	for i := range results {
		r := &results[i]
		if _, ok := k.held[r.sku]; ok && (r.state == agreed || r.state == updated || r.state == pending) {
			gone = append(gone, Record{Key: r.sku})
		}
	}
	if len(gone) == 0 {
		return
	}
	if err := s.on(ctx).Save(ctx, heldSet+t.name, gone...); err != nil {
		s.logger.LogAttrs(ctx, slog.LevelWarn, "held lines could not be forgotten", slog.String("channel", t.name), slog.Any("err", err))
		return
	}
	for _, r := range gone {
		delete(k.held, r.Key)
	}
}

// clear forgets that the guard has tripped, and what it holds.
func (t *target) clear(ctx context.Context, s *Syncer) error {
	k := &t.keeper
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.trip == nil && len(k.held) == 0 {
		return nil
	}
	gone := make([]Record, 0, len(k.held))
	for sku := range k.held {
		gone = append(gone, Record{Key: sku})
	}
	if err := s.on(ctx).Save(ctx, heldSet+t.name, gone...); err != nil {
		return err
	}
	was := k.trip
	k.trip = nil
	if err := t.saveGuard(ctx, s); err != nil {
		k.trip = was
		return err
	}
	k.held, k.products = make(map[string]string), make(map[string]bool)
	if was != nil {
		s.logger.LogAttrs(ctx, slog.LevelInfo, "the guard is clear again", slog.String("channel", t.name), slog.Time("since", was.Since))
	}
	return nil
}

// tripped returns the guard's trip, or nil, and how many products are on sale
// as far as that is known. An error means that neither is known.
func (t *target) tripped(ctx context.Context, s *Syncer) (*Trip, int, error) {
	t.keeper.mu.Lock()
	defer t.keeper.mu.Unlock()
	if err := t.loadGuard(ctx, s); err != nil {
		return nil, 0, err
	}
	return t.keeper.trip, t.keeper.onSale, nil
}

// countOnSale remembers how many products are on sale.
func (t *target) countOnSale(ctx context.Context, s *Syncer, n int) error {
	t.keeper.mu.Lock()
	defer t.keeper.mu.Unlock()
	if err := t.loadGuard(ctx, s); err != nil {
		return err
	}
	t.keeper.onSale = n
	return t.saveGuard(ctx, s)
}

// assumedOnSale stands for the number of products on sale while no run over
// the catalogue has counted them.
const assumedOnSale = 500

// realtimeGate guards what Run and SyncProducts do.
func (p *pass) realtimeGate(ctx context.Context, marked map[string]time.Time) gate {
	return func(changes []change) (open, shut []change) {
		var newTrip *Trip
		counted := make(map[string]danger) // products that were counted in this pass: one may have many listings
		for _, c := range changes {
			d := p.danger(&c)
			if d == harmless || d == loss && c.quantity > 0 {
				open = append(open, c)
				continue
			}
			stored, onSale, err := p.t.tripped(ctx, p.s)
			if err != nil { // what is not known to be safe is not done
				p.holdErr = err
				shut = append(shut, c)
				continue
			}
			if onSale < 0 {
				onSale = assumedOnSale
			}
			at := time.Now()
			if of, ok := marked[c.stock.ProductID]; ok && of.Before(at) { // a queue's clock may stand where it was set back
				at = of
			}
			limit := p.t.Guard.limit(d, onSale)
			id := c.key()
			if stored == nil && (counted[id] == d || newTrip == nil && p.t.window.count(d, id, at, p.t.Guard.Window, limit)) {
				counted[id] = d
				open = append(open, c)
				continue
			}
			if stored == nil && newTrip == nil {
				newTrip = tripOf(ctx, d, limit+1, limit, onSale)
			}
			shut = append(shut, c)
		}
		if len(counted) > 0 {
			p.t.window.keep(ctx, p.s, p.t.name)
		}
		if len(shut) > 0 && p.holdErr == nil {
			p.holdErr = p.t.hold(ctx, p.s, newTrip, p.lines(shut))
		}
		return open, shut
	}
}

// lines makes held lines of changes.
func (p *pass) lines(changes []change) []Line {
	lines := make([]Line, len(changes))
	for i := range changes {
		lines[i] = lineOf(p.t, &changes[i])
		lines[i].Reason = ReasonHeld
	}
	return lines
}

// Held returns what the guards hold, for each channel on which one has
// tripped. The error is the queue's.
func (s *Syncer) Held(ctx context.Context) ([]Holding, error) {
	var all []Holding
	for _, t := range s.targets {
		h, _, err := s.holding(ctx, t)
		if err != nil {
			return nil, fmt.Errorf("syncer: Held: %w", err)
		}
		if h != nil {
			all = append(all, *h)
		}
	}
	return all, nil
}

func (s *Syncer) holding(ctx context.Context, t *target) (*Holding, []heldLine, error) {
	t.keeper.mu.Lock()
	t.keeper.read = time.Time{} // look again
	err := t.loadGuard(ctx, s)
	trip := t.keeper.trip
	t.keeper.mu.Unlock()
	if err != nil || trip == nil {
		return nil, nil, err
	}
	h := &Holding{Channel: t.name, Trip: *trip}
	approved := 0
	var lines []heldLine
	for rec, err := range s.on(ctx).Records(ctx, heldSet+t.name, "") {
		if err != nil {
			return nil, nil, err
		}
		l := t.heldLine(rec)
		lines = append(lines, l)
		h.Lines = append(h.Lines, l.Line)
		if l.SoldOut {
			h.SoldOut++
		}
		if l.Approved != nil {
			approved++
			h.Approved = l.Approved
		}
	}
	if approved < len(lines) {
		h.Approved = nil
	}
	h.Hash = hashOf(h.Lines)
	slices.SortStableFunc(h.Lines, func(a, b Line) int { return abs(b.delta()) - abs(a.delta()) })
	return h, lines, nil
}

func abs(n int) int { return max(n, -n) }

// hashOf identifies lines, in whichever order.
func hashOf(lines []Line) string {
	keys := make([]string, len(lines))
	for i, l := range lines {
		shown := "-"
		if l.Shown != nil {
			shown = fmt.Sprint(*l.Shown)
		}
		keys[i] = fmt.Sprintf("%q %q %q %s %d", l.Channel, l.ProductID, l.SKU, shown, l.Wanted)
	}
	slices.Sort(keys)
	h := sha256.New()
	for _, k := range keys {
		fmt.Fprintln(h, k)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}
