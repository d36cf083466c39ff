package syncer

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/logs"
)

// A Watch says how often, and how much of, a channel is read to notice sales that
// no delivery of its webhooks told of; see [Target]. The zero Watch is none. (The
// source is watched by Config.WatchEvery.)
type Watch struct {
	// Every is how often [Syncer.Run] looks; 0 means never, and less than 5
	// seconds counts as 5. A look every 15 seconds finds most sales in time, one
	// every minute only a few.
	//
	// A channel that is a [channel.ChangeLister] is asked what has changed: of
	// WooCommerce a look is a request, and one more for each product with
	// variations that has changed.
	Every time.Duration
	// AtOnce is how many SKUs a look reads at most where the channel cannot list
	// what has changed; 0 means 250. Those that have sold within the hour and
	// those of which ten or fewer are left come eight times as often as others.
	// 250 SKUs in 15 seconds are 0.2 % of the points of Shopify's plan Standard,
	// one request of Square's and 13 of the 75 searches that Amazon grants.
	AtOnce int
}

const (
	minWatchChannel = 5 * time.Second
	watchAtOnce     = 250
)

func (w Watch) check() error {
	if w.Every < 0 || w.AtOnce < 0 {
		return errors.New("Every and AtOnce must not be negative")
	}
	return nil
}

// listen watches a channel. Its trouble is logged and is nobody else's.
func (s *Syncer) listen(ctx context.Context, t *target) {
	every := max(t.Watch.Every, minWatchChannel)
	if o := onceOf(ctx); o != nil {
		err := s.look(ctx, t)
		if errors.Is(err, errResting) { // the next call looks
			err = nil
		}
		o.did("look "+t.name, err)
	}
	for wait := every; sleep(ctx, wait) == nil; {
		err := s.look(ctx, t)
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, errResting):
			wait = every
		case err != nil:
			wait = max(every, min(2*wait, maxWatchWait))
			s.logger.LogAttrs(logs.With(ctx, logs.Channel, t.name), slog.LevelWarn, "watching a channel failed",
				slog.Duration("wait", wait), slog.Any("err", err))
		default:
			wait = every
		}
	}
}

// errResting: the channel is down or paused, and is not looked at.
var errResting = errors.New("the channel rests")

// look looks once, and marks what has changed.
func (s *Syncer) look(ctx context.Context, t *target) error {
	if down, _ := t.state.down(); !down.IsZero() || t.pause.err() != nil {
		return errResting
	}
	ctx = channel.WithUrgency(ctx, channel.Soon)
	asked := time.Now()
	levels, save, err := s.news(ctx, t)
	if err != nil {
		return err
	}
	changed, unknown := t.memory.watch.compare(levels, asked)
	var marks []Mark
	kits := t.kits(ctx, s)
	for sku, productID := range changed {
		ids := s.productsUnder(t, kits, sku)
		if len(ids) == 0 {
			ids = []string{productID}
		}
		for _, id := range ids {
			marks = append(marks, Mark{Key: Key{inboxLane, id}, Why: CauseChannel})
		}
	}
	for _, level := range unknown {
		ids := s.productsUnder(t, kits, level.SKU)
		mark := Mark{Key: Key{Lane: noticedLane}, Why: CauseWatch} // whether anything changed is not known
		same := false
		for _, id := range ids {
			if n, known := s.ledger.shows(t.name, id, level.SKU); known {
				mark.Lane, mark.Why, same = inboxLane, CauseChannel, n == level.Quantity
			}
		}
		for _, id := range ids {
			if mark.ID = id; !same {
				marks = append(marks, mark)
			}
		}
	}
	if len(marks) > 0 {
		if err := s.insist(ctx, "Mark", func() error { return s.on(ctx).Mark(ctx, marks...) }); err != nil {
			return err // it is to end, and what is known of the channel ends with it
		}
	}
	if len(changed) > 0 {
		s.logger.LogAttrs(logs.With(ctx, logs.Channel, t.name), slog.LevelInfo, "the watch finds that a channel shows other quantities", slog.Int("skus", len(changed)))
	}
	t.hearing.noticed(ctx, s, t, len(changed))
	return save()
}

// news reads what may have changed, or what it is the turn of. save keeps how
// far that went, once it is marked.
func (s *Syncer) news(ctx context.Context, t *target) (levels []channel.Level, save func() error, err error) {
	save = func() error { return nil }
	lister, can := channel.As[channel.ChangeLister](t.Channel)
	if can {
		name := "watch/" + t.name
		cursor, err := s.on(ctx).Load(ctx, stateSet, name)
		if err != nil {
			return nil, nil, err
		}
		next := ""
		levels, err = called(ctx, s, t, "Changes", func(ctx context.Context) (levels []channel.Level, err error) {
			levels, next, err = lister.Changes(ctx, string(cursor))
			return levels, err
		})
		if err == nil && next != string(cursor) {
			save = func() error { return s.on(ctx).Save(ctx, stateSet, Record{name, []byte(next)}) }
		}
		if !errors.Is(err, errors.ErrUnsupported) {
			return levels, save, err
		}
	}
	if t.reader == nil {
		return nil, save, nil
	}
	n := t.Watch.AtOnce
	if n == 0 {
		n = watchAtOnce
	}
	for some := range batches(t.memory.watch.choose(n), t.size) {
		ls, err := t.levels(ctx, s, some)
		if err != nil {
			return nil, nil, err
		}
		levels = slices.Concat(levels, ls)
	}
	return levels, save, nil
}

// hearing compares what a channel's deliveries tell with what its watch finds, in
// the process that leads.
type hearing struct {
	mu      sync.Mutex
	mounted bool      // there is a handler for the deliveries
	heard   time.Time // the last delivery
	missed  int       // what the watch has found since
	since   time.Time // when it began to
	warned  bool
}

const (
	// deafAfter and deafChanges are when a watch that finds what no delivery
	// tells is a warning: WooCommerce's may take minutes.
	deafAfter   = 30 * time.Minute
	deafChanges = 10
)

func (h *hearing) told() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.heard, h.missed, h.warned = time.Now(), 0, false
}

func (h *hearing) mount() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.mounted = true
}

func (h *hearing) noticed(ctx context.Context, s *Syncer, t *target, changes int) {
	h.mu.Lock()
	if h.missed == 0 {
		h.since = time.Now()
	}
	h.missed += changes
	warn := h.mounted && !h.warned && h.missed >= deafChanges && time.Since(h.since) >= deafAfter
	h.warned = h.warned || warn
	missed, heard := h.missed, h.heard
	h.mu.Unlock()
	if warn {
		s.logger.LogAttrs(logs.With(ctx, logs.Channel, t.name), slog.LevelWarn, "no delivery of a channel's webhooks comes, while its watch finds changes",
			slog.Int("skus", missed), slog.Time("last", heard))
	}
}
