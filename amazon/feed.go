package amazon

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/text"
)

// The limits of a feed.
const (
	feedType    = "JSON_LISTINGS_FEED"
	maxMessages = 25_000
	maxBytes    = 9 << 20
	// messageBytes is the size of a message without its SKU, at most.
	messageBytes = 260
	// maxFeeds bounds the feeds under way. What is beyond is written one by one.
	maxFeeds = 8
	// partSize is how many entries are kept as one value.
	partSize = 1000
	// gatherFor is how long a feed is not sent after the last update came to it:
	// more of the same run may follow. A source with a quota by the minute may
	// keep a run waiting for one.
	gatherFor = 2 * time.Minute
	// gatherShare is the part of FeedFrom that the updates of one Push must be
	// to be gathered. A first sync is full of differences and comes in large
	// pushes, a nightly run in small ones, which need not wait.
	gatherShare = 50
)

// A phase is how far a feed has come.
type phase string

const (
	gathering phase = "gathering" // updates come to it
	creating  phase = "creating"  // it is being handed over; whether Amazon has it is not known
	sent      phase = "sent"      // Amazon has it
	stuck     phase = "stuck"     // Amazon has had it for too long
	landing   phase = "landing"   // Amazon is done with it, and some may not show yet
	released  phase = "released"  // its listings are to be compared, and it is forgotten
)

// A state is what is written down of a feed, apart from its entries.
type state struct {
	ID    string   `json:"id"` // ours
	Phase phase    `json:"phase"`
	Parts int      `json:"parts"`           // values that hold its entries
	Feeds []string `json:"feeds,omitempty"` // Amazon's ids: several if it cannot be told which one it is

	Added time.Time `json:"added"`           // when the last update came
	Tried time.Time `json:"tried,omitzero"`  // when it was handed over, if it is not known whether that worked
	Taken time.Time `json:"taken,omitzero"`  // when Amazon had it
	Next  time.Time `json:"next,omitzero"`   // when to ask again
	Tries int       `json:"tries,omitempty"` // failures in a row
}

// reckon makes times that were read ones of this process, which stay as far away if
// the clock is set. If it was set back already nothing was done later than now, and
// nothing is to be done later than wait from now.
func (s *state) reckon(now time.Time, wait time.Duration) {
	for _, t := range []*time.Time{&s.Added, &s.Tried, &s.Taken, &s.Next} {
		if t.IsZero() {
			continue
		}
		ahead := t.Sub(now)
		if t == &s.Next {
			ahead = min(ahead, wait)
		} else {
			ahead = min(ahead, 0)
		}
		*t = now.Add(ahead)
	}
}

// An entry is an update in a feed. A negative quantity takes it out again.
type entry struct {
	SKU      string `json:"s"`
	Quantity int    `json:"q"`
}

// A feed is one that is under way.
type feed struct {
	state
	entries []entry
	index   map[string]int // of the entries, by SKU
	bytes   int
	changed map[string]bool // SKUs written otherwise meanwhile
	told    bool            // its listings were returned by Resume
}

// feeds are those of one channel. What is known of them is in the store; this
// is a copy.
type feeds struct {
	ch    *Channel
	from  int
	limit time.Duration
	store Store
	idle  bool // there never is a feed

	resuming chan struct{} // held by the one Resume that is at work

	turn chan struct{} // held by whoever reads or changes what follows
	// resumed says that somebody calls Resume. Without that nothing is gathered:
	// it would never be handed over.
	resumed bool
	list    []*feed
	raw     []byte // of the list, as it is in the store; nil if it was not read
}

func newFeeds(ch *Channel, cfg ChannelConfig) *feeds {
	f := &feeds{
		ch: ch, from: cfg.FeedFrom, limit: cfg.FeedLimit, store: calm{cfg.Store}, turn: make(chan struct{}, 1), resuming: make(chan struct{}, 1),
		idle: cfg.FeedFrom == 0 && cfg.Store == nil,
	}
	if f.limit == 0 {
		f.limit = DefaultFeedLimit
	}
	if cfg.Store == nil {
		f.store = new(memory)
	}
	return f
}

// enter waits for the turn, and reads what is in the store.
func (f *feeds) enter(ctx context.Context) (leave func(), err error) {
	select {
	case f.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	leave = func() { <-f.turn }
	if err := f.load(ctx); err != nil {
		leave()
		return nil, fmt.Errorf("amazon: reading what is known of feeds: %w", err)
	}
	return leave, nil
}

func (f *feeds) name(parts ...any) string {
	name := f.ch.name + "/feeds"
	for _, p := range parts {
		name += fmt.Sprint("/", p)
	}
	return name
}

// load reads the list, and the entries of feeds that are new to this process:
// another one may have made them.
func (f *feeds) load(ctx context.Context) error {
	raw, err := f.store.Load(ctx, f.name())
	if err != nil {
		return err
	}
	if raw == nil {
		raw = []byte("[]")
	}
	if f.raw != nil && bytes.Equal(raw, f.raw) {
		return nil
	}
	var states []state
	if err := json.Unmarshal(raw, &states); err != nil {
		return fmt.Errorf("the list is not readable: %w", err)
	}
	list := make([]*feed, len(states))
	for i, s := range states {
		if !slices.Contains([]phase{gathering, creating, sent, stuck, landing, released}, s.Phase) {
			return fmt.Errorf("a feed is %q, which this version does not know: a newer one has worked with it; go back to that until no feed is under way", text.Clean(string(s.Phase)))
		}
		s.reckon(time.Now(), max(stuckPoll, f.ch.lag))
		n := newFeed(s)
		if k := slices.IndexFunc(f.list, func(o *feed) bool { return o.ID == s.ID }); k >= 0 {
			n.changed = f.list[k].changed
		}
		for part := range s.Parts {
			text, err := f.store.Load(ctx, f.name(s.ID, part))
			if err != nil {
				return err
			}
			var entries []entry
			if err := json.Unmarshal(text, &entries); err != nil {
				return fmt.Errorf("the entries of a feed are not readable: %w", err)
			}
			n.add(entries)
		}
		list[i] = n
	}
	f.list, f.raw = list, raw
	return nil
}

// save writes the list down. After an error the store is believed.
func (f *feeds) save(ctx context.Context) error {
	states := make([]state, len(f.list))
	for i, o := range f.list {
		states[i] = o.state
	}
	raw, err := json.Marshal(states)
	if err == nil {
		err = f.store.Save(ctx, f.name(), raw)
	}
	if err != nil {
		f.raw = nil
		return fmt.Errorf("amazon: writing down what is known of feeds: %w", err)
	}
	f.raw = raw
	return nil
}

// forget takes a feed off the list, and then its entries out of the store.
func (f *feeds) forget(ctx context.Context, gone *feed) error {
	f.list = slices.DeleteFunc(f.list, func(o *feed) bool { return o == gone })
	if err := f.save(ctx); err != nil {
		return err
	}
	for part := range gone.Parts {
		if err := f.store.Save(ctx, f.name(gone.ID, part), nil); err != nil {
			return fmt.Errorf("amazon: removing a feed: %w", err)
		}
	}
	return nil
}

func newFeed(s state) *feed {
	return &feed{state: s, index: make(map[string]int), changed: make(map[string]bool)}
}

func (o *feed) add(entries []entry) {
	for _, e := range entries {
		if i, ok := o.index[e.SKU]; ok {
			o.entries[i].Quantity = e.Quantity
			continue
		}
		o.index[e.SKU] = len(o.entries)
		o.entries = append(o.entries, e)
		o.bytes += entryBytes(e)
	}
}

func entryBytes(e entry) int {
	quoted, _ := json.Marshal(e.SKU)
	return messageBytes + len(quoted)
}

// live are the entries that were not taken out again.
func (o *feed) live() []entry {
	var live []entry
	for _, e := range o.entries {
		if e.Quantity >= 0 {
			live = append(live, e)
		}
	}
	return live
}

func (o *feed) skus() []string {
	var skus []string
	for _, e := range o.live() {
		skus = append(skus, e.SKU)
	}
	return skus
}

// open reports whether updates of the feed are still to show by it.
func (o *feed) open() bool { return o.Phase == gathering || o.Phase == creating || o.Phase == sent }

// put writes entries down, and adds them.
func (f *feeds) put(ctx context.Context, o *feed, entries []entry) error {
	for some := range slices.Chunk(entries, partSize) {
		text, err := json.Marshal(some)
		if err == nil {
			err = f.store.Save(ctx, f.name(o.ID, o.Parts), text)
		}
		if err != nil {
			f.raw = nil
			return fmt.Errorf("amazon: writing down a feed: %w", err)
		}
		o.Parts++
		o.add(some)
	}
	return nil
}

// gather takes updates for a feed, as far as there is room, and returns the
// others. After an error none is taken.
func (f *feeds) gather(ctx context.Context, updates []channel.Update) (rest []channel.Update, err error) {
	if slices.ContainsFunc(f.list, func(o *feed) bool { return o.Phase == stuck }) {
		return updates, nil // a feed that is stuck keeps all later ones from beginning
	}
	var into *feed
	if i := slices.IndexFunc(f.list, func(o *feed) bool { return o.Phase == gathering }); i >= 0 {
		into = f.list[i]
	}
	var entries []entry
	flush := func() error {
		if into == nil || len(entries) == 0 {
			return nil
		}
		into.Added = time.Now()
		err := f.put(ctx, into, entries)
		entries = nil
		return err
	}
	bytes := 0
	for i, u := range updates {
		e := entry{u.SKU, u.Quantity}
		full := into != nil && (len(into.entries)+len(entries) >= maxMessages || into.bytes+bytes+entryBytes(e) > maxBytes)
		if full {
			if err := flush(); err != nil {
				return updates, err
			}
			into.Phase, into, bytes = creating, nil, 0
		}
		if into == nil {
			if len(f.list) >= maxFeeds {
				rest = updates[i:]
				break
			}
			into = newFeed(state{ID: rand.Text(), Phase: gathering, Added: time.Now()})
			f.list = append(f.list, into)
		}
		entries = append(entries, e)
		bytes += entryBytes(e)
	}
	if err := flush(); err != nil {
		return updates, err
	}
	if err := f.save(ctx); err != nil {
		return updates, err
	}
	return rest, nil
}

// A feedPending is the error of an update that waits for a feed.
type feedPending struct{ lag time.Duration }

func (e *feedPending) Error() string {
	return fmt.Sprintf("waits for a feed, which takes up to %v", e.lag.Round(time.Minute))
}
func (e *feedPending) Is(target error) bool { return target == channel.ErrPending }
func (e *feedPending) Lag() time.Duration   { return e.lag }

// pending is the error of the updates of a feed.
func (f *feeds) pending(o *feed) error {
	since := o.Added
	if !o.Taken.IsZero() {
		since = o.Taken
	}
	return &feedPending{max(f.limit-time.Since(since), 0) + f.ch.lag}
}

// newest returns the latest feed that has an SKU, or nil.
func (f *feeds) newest(sku string) *feed {
	for _, o := range slices.Backward(f.list) {
		if i, ok := o.index[sku]; ok && o.entries[i].Quantity >= 0 {
			return o
		}
	}
	return nil
}

// change notes that an SKU is written otherwise: the feeds that have it will
// bring back an old quantity.
func (f *feeds) change(sku string) {
	for _, o := range f.list {
		if _, ok := o.index[sku]; ok && o.Phase != gathering {
			o.changed[sku] = true
		}
	}
}

// byID returns a feed of the list, or nil.
func (f *feeds) byID(id string) *feed {
	for _, o := range f.list {
		if o.ID == id {
			return o
		}
	}
	return nil
}
