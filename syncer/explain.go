package syncer

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ecosire/stocksync/channel"
)

// A Question asks about a product, by its id or by an SKU.
type Question struct {
	ProductID string
	// SKU is asked about if there is no ProductID. It is the channel's or the
	// source's. It is looked up among what the last runs have met, what guards hold
	// and what is in trouble, and else by the source's search ([channel.Finder]),
	// which costs a request.
	SKU string
	// Remembered asks for what the channels were last known to show, instead of
	// reading them now. Only the process that works remembers it.
	Remembered bool
}

// An Explanation says why a product shows the quantity that it does on each
// channel. As text it is for people, as JSON for programs.
type Explanation struct {
	ProductID string    `json:"productID"`
	Name      string    `json:"name,omitempty"`
	At        time.Time `json:"at"`
	// Stock is what the source says, or nil; then Err says why.
	Stock *channel.Stock `json:"stock,omitempty"`
	Err   error          `json:"-"`
	// InFlight are units that channels have sold and the source has not booked,
	// the oldest first. They are taken off Stock before any policy is applied.
	InFlight []Flight `json:"inFlight,omitempty"`
	// Marked is set if it was marked and has not reached the channels' lanes.
	Marked *Waiting `json:"marked,omitempty"`
	// Channels has one entry for each target.
	Channels []ChannelExplanation `json:"channels"`
}

// ChannelExplanation is what an [Explanation] says of one channel.
type ChannelExplanation struct {
	Channel string `json:"channel"`
	// Down is since when the channel as a whole fails, or zero, and DownErr why.
	Down    time.Time `json:"down,omitzero"`
	DownErr error     `json:"-"`
	// Paused is set while the channel is paused; Listings then say what it was
	// last known to show.
	Paused *Pause `json:"paused,omitempty"`
	// Listings are what the channel shows of the product; none if the target's
	// Filter or Listings leave it out.
	Listings []ListingExplanation `json:"listings,omitempty"`
	// Waiting is set if the product is marked for the channel. With an Attempt
	// above 0 it was tried, and Trouble says why it failed.
	Waiting *Waiting `json:"waiting,omitempty"`
	// Trouble is set if the product is retried, or was given up.
	Trouble *Trouble `json:"trouble,omitempty"`
	// History has the last entries of the journal, the newest first.
	History []Entry `json:"history,omitempty"`
}

// ListingExplanation is what an [Explanation] says of one listing.
type ListingExplanation struct {
	SKU   string `json:"sku"`
	Parts []Part `json:"parts,omitempty"` // see [Listing]
	// Steps are those of the policy, for the product; a kit has none.
	Steps []Step `json:"steps,omitempty"`
	// Wanted is what the channel should show; nil if that is not known, and then
	// Err says why.
	Wanted *int `json:"wanted,omitempty"`
	// Shows is what it shows; nil if it shows no quantity, or that is not known.
	Shows *int `json:"shows,omitempty"`
	// SeenAt is when that was read, or last known; zero if it never was.
	SeenAt time.Time `json:"seenAt,omitzero"`
	// OffSale and Unset are as in [channel.Level].
	OffSale bool `json:"offSale,omitempty"`
	Unset   bool `json:"unset,omitempty"`
	// Pinned is the pin that says what it should show, or nil.
	Pinned *Pin `json:"pinned,omitempty"`
	// Observed reports that nothing is written, as the target observes; see
	// [Target].Observe.
	Observed bool `json:"observed,omitempty"`
	// Pending is a quantity that was accepted at a time and does not show yet, or
	// from which the channel has deducted what it sold ([channel.Deductor]).
	Pending   *int      `json:"pending,omitempty"`
	PendingAt time.Time `json:"pendingAt,omitzero"`
	// Edited is set if somebody is taken to have set the listing lower: it is not
	// raised before that time.
	Edited time.Time `json:"edited,omitzero"`
	// Held is set if a guard holds the listing, and Trip is why.
	Held     *Line     `json:"held,omitempty"`
	Trip     *Trip     `json:"trip,omitempty"`
	Approved *Approval `json:"approved,omitempty"`
	// Err is why the quantity is not known, or why the channel has none.
	Err error `json:"-"`
}

// MarshalJSON writes Err as its text and a class.
func (x Explanation) MarshalJSON() ([]byte, error) {
	type plain Explanation
	return json.Marshal(struct {
		plain
		failure
	}{plain(x), failureOf(x.Err)})
}

// MarshalJSON writes DownErr as its text and a class.
func (x ChannelExplanation) MarshalJSON() ([]byte, error) {
	type plain ChannelExplanation
	return json.Marshal(struct {
		plain
		failure
	}{plain(x), failureOf(x.DownErr)})
}

// MarshalJSON writes Err as its text and a class.
func (x ListingExplanation) MarshalJSON() ([]byte, error) {
	type plain ListingExplanation
	return json.Marshal(struct {
		plain
		failure
	}{plain(x), failureOf(x.Err)})
}

// maxHistory bounds an explanation's history of one channel.
const maxHistory = 10

// Explain says why a product shows the quantity that it does on each channel: what the
// source has, how the policy comes to a quantity, what the channel shows, what
// stands between the two, and what happened lately. It writes nothing.
//
// It reads the source, and the channels unless the question says otherwise;
// what fails in that is in the explanation. The error is the queue's, or
// [ErrNoProduct] for an SKU of which nothing is known.
func (s *Syncer) Explain(ctx context.Context, q Question) (*Explanation, error) {
	x := &Explanation{ProductID: q.ProductID, At: time.Now()}
	if x.ProductID == "" {
		id, err := s.productOf(ctx, q.SKU)
		if err != nil {
			return nil, fmt.Errorf("syncer: Explain: %w", err)
		}
		x.ProductID = id
	}
	if err := s.takeOverOne(ctx); err != nil {
		return nil, fmt.Errorf("syncer: Explain: %w", err)
	}
	found, err := s.fetchFor(s.targets...)(ctx, []string{x.ProductID})
	stock, ok := found[x.ProductID]
	switch {
	case ok && stock.Err != nil:
		x.Err = stock.Err
	case ok:
		x.Stock, x.Name = &stock, stock.Name
	default:
		x.Err = cmp.Or(err, ErrNoProduct)
	}
	aloft, err := s.aloft(ctx, x.ProductID)
	if err != nil {
		return nil, fmt.Errorf("syncer: Explain: %w", err)
	}
	for _, e := range aloft.Entries {
		x.InFlight = append(x.InFlight, Flight{e.Channel, e.Units, e.Since, e.Since.Add(s.ledger.settle)})
	}
	stocks := make([]channel.Stock, 0, len(found))
	for _, st := range found {
		if st.Err != nil {
			continue
		}
		f := aloft
		if st.ProductID != x.ProductID {
			if f, err = s.aloft(ctx, st.ProductID); err != nil {
				return nil, fmt.Errorf("syncer: Explain: %w", err)
			}
		}
		stocks = append(stocks, *takeOff(&st, f.units()))
	}
	for _, lane := range []string{inboxLane, noticedLane} {
		if x.Marked, err = s.peek(ctx, lane, x.ProductID); err != nil {
			return nil, fmt.Errorf("syncer: Explain: %w", err)
		} else if x.Marked != nil {
			break
		}
	}
	for _, t := range s.targets {
		c, err := s.explain(ctx, t, x, stocks, q.Remembered)
		if err != nil {
			return nil, fmt.Errorf("syncer: Explain: %w", err)
		}
		for i := range c.Listings {
			c.Listings[i].unraised(t.name, aloft)
		}
		x.Channels = append(x.Channels, *c)
	}
	return x, nil
}

// explain explains a product on one channel.
func (s *Syncer) explain(ctx context.Context, t *target, x *Explanation, stocks []channel.Stock, remembered bool) (*ChannelExplanation, error) {
	c := &ChannelExplanation{Channel: t.name, Paused: t.pause.get()}
	var err error
	if c.Down, c.DownErr, err = s.downOf(ctx, t); err != nil {
		return nil, err
	}
	if x.Stock != nil {
		c.Listings = s.listed(ctx, t, x.Stock, stocks)
	}
	if remembered || t.reader == nil || c.Paused != nil {
		t.memory.recall(c.Listings, true)
	} else {
		s.lookAt(ctx, t, c.Listings, x.At)
	}
	if err := s.heldOf(ctx, t, c.Listings); err != nil {
		return nil, err
	}
	for _, lane := range t.lanes() {
		if c.Waiting, err = s.peek(ctx, lane, x.ProductID); err != nil || c.Waiting != nil {
			break
		}
	}
	if err != nil {
		return nil, err
	}
	value, err := s.queue.Load(ctx, troubleSet+t.name, x.ProductID)
	if err != nil {
		return nil, err
	}
	if value != nil {
		c.Trouble = new(Trouble)
		if json.Unmarshal(value, c.Trouble) != nil {
			c.Trouble = nil
		}
	}
	for e, err := range s.Journal(ctx, x.ProductID) {
		if err != nil {
			return nil, err
		}
		if e.Channel != t.name && e.Channel != "" {
			continue
		}
		if c.History = append(c.History, e); len(c.History) == maxHistory {
			break
		}
	}
	return c, nil
}

// listed returns what the target should show of a product.
func (s *Syncer) listed(ctx context.Context, t *target, stock *channel.Stock, stocks []channel.Stock) []ListingExplanation {
	p := &pass{s: s, t: t, purpose: surveying, reread: s.readNow(t)}
	out := new(outcome)
	wants := p.want(ctx, stocks, out)
	for i := range stocks {
		if stocks[i].ProductID == stock.ProductID {
			stock = &stocks[i] // less what is in flight
		}
	}
	steps, _ := consult(ctx, s, t, question{"a target's Policy", stock.ProductID, stock.SKU}, func() ([]Step, error) {
		steps, _ := t.Policy.Explain(*stock) // what a step does not know is the listing's error
		return steps, nil
	})
	var all []ListingExplanation
	add := func(w *want, err error) {
		mine := w.stock.ProductID == stock.ProductID
		kit := w.isKit() || len(w.parts()) == 1 && w.parts()[0].ProductID != stock.ProductID
		if !mine && !slices.ContainsFunc(w.parts(), func(p Part) bool { return p.ProductID == stock.ProductID }) {
			return
		}
		l := ListingExplanation{SKU: w.sku, Parts: w.parts(), Err: err, Pinned: w.pin}
		if !kit {
			l.Steps = steps
		}
		if err == nil {
			l.Wanted = new(w.quantity)
			l.Observed, _ = p.observes(ctx, &change{want: *w})
		}
		all = append(all, l)
	}
	for i := range wants {
		add(&wants[i], nil)
	}
	for i := range out.results {
		add(&out.results[i].want, out.results[i].err)
	}
	return all
}

// lookAt reads what the channel shows. It locks nothing, as it changes nothing.
// What cannot be read is told from memory.
func (s *Syncer) lookAt(ctx context.Context, t *target, listings []ListingExplanation, now time.Time) {
	var skus []string
	for i := range listings {
		if listings[i].Err == nil || errors.Is(listings[i].Err, channel.ErrAmbiguousSKU) {
			skus = append(skus, listings[i].SKU)
		}
	}
	if len(skus) == 0 {
		return
	}
	var levels []channel.Level
	blamed := make(map[string]error)
	read := func(some []string) error {
		ls, err := t.levels(ctx, s, some)
		levels = append(levels, ls...)
		return err
	}
	var err error
	for some := range batches(skus, t.size) {
		if err = halve(some, maxCalls, read, func(sku string, err error) { blamed[sku] = err }); err != nil {
			break
		}
	}
	for i := range listings {
		l := &listings[i]
		if !slices.Contains(skus, l.SKU) {
			continue
		}
		if err := cmp.Or(err, blamed[l.SKU]); err != nil {
			l.Err = cmp.Or(l.Err, err)
			continue
		}
		n := 0
		for _, level := range levels {
			if level.SKU != l.SKU {
				continue
			}
			if n++; n == 1 {
				l.SeenAt, l.Shows, l.OffSale, l.Unset = now, shownBefore(&level), level.OffSale, level.Unset
				if level.Err != nil {
					l.Shows, l.Err = nil, cmp.Or(l.Err, level.Err)
				}
			}
		}
		switch {
		case n == 0:
			l.SeenAt, l.Err = now, cmp.Or(l.Err, channel.UnknownSKU(l.SKU))
		case n > 1:
			l.Shows, l.Err = nil, fmt.Errorf("%w %q: it stands for %d items", channel.ErrAmbiguousSKU, l.SKU, n)
		}
	}
	t.memory.recall(listings, err != nil || len(blamed) > 0)
}

// recall adds to listings what was accepted and does not show yet, and, if
// asked, what the channel was last known to show.
func (m *memory) recall(listings []ListingExplanation, shows bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range listings {
		l := &listings[i]
		e, ok := m.get(l.SKU)
		if !ok {
			continue
		}
		if e.awaited() && (l.Shows == nil || *l.Shows != e.quantity) ||
			m.unsettled(e) > 0 && l.Shows != nil && *l.Shows < e.quantity {
			l.Pending, l.PendingAt = new(e.quantity), e.wrote
		}
		if !shows || !l.SeenAt.IsZero() {
			continue
		}
		l.SeenAt = e.at
		switch {
		case !e.pending:
			l.Shows = new(e.quantity)
		case e.unset:
			l.Unset = true
		default:
			l.Shows = new(e.before)
		}
	}
}

// heldOf tells which listings the guard holds.
func (s *Syncer) heldOf(ctx context.Context, t *target, listings []ListingExplanation) error {
	trip, _, err := t.tripped(ctx, s)
	if err != nil || trip == nil {
		return err
	}
	for i := range listings {
		value, err := s.queue.Load(ctx, heldSet+t.name, listings[i].SKU)
		if err != nil {
			return err
		}
		var line heldLine
		if value == nil || line.decode(value) != nil {
			continue
		}
		listings[i].Held, listings[i].Approved, listings[i].Trip = &line.Line, line.Approved, trip
	}
	return nil
}

// peek tells what waits under a product's key, if the queue can tell.
func (s *Syncer) peek(ctx context.Context, lane, id string) (w *Waiting, err error) {
	p, ok := s.queue.(Peeker)
	if !ok {
		return nil, nil
	}
	return p.Peek(ctx, Key{Lane: lane, ID: id})
}

// productOf finds the product that an SKU was last known to stand for.
func (s *Syncer) productOf(ctx context.Context, sku string) (string, error) {
	if sku == "" {
		return "", errors.New("a question has a ProductID or an SKU")
	}
	s.recollectIndex(ctx)
	for _, t := range s.targets {
		t.memory.mu.Lock()
		e, ok := t.memory.get(sku)
		t.memory.mu.Unlock()
		if ok && e.productID != "" {
			return e.productID, nil
		}
		if ids := s.productsUnder(t, t.kits(ctx, s), sku); len(ids) > 0 {
			return ids[0], nil
		}
		value, err := s.queue.Load(ctx, heldSet+t.name, sku)
		if err != nil {
			return "", err
		}
		var line heldLine
		if value != nil && json.Unmarshal(value, &line) == nil {
			return line.ProductID, nil
		}
	}
	for x, err := range s.Troubles(ctx) {
		if err != nil {
			return "", err
		}
		if x.SKU == sku {
			return x.ProductID, nil
		}
	}
	if ids, err := s.search(ctx, sku); err == nil && len(ids) > 0 {
		return ids[0], nil
	}
	return "", fmt.Errorf("%w: nothing is known of the SKU %q lately; ask by the product's id", ErrNoProduct, sku)
}
