package syncer

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"time"

	"github.com/ecosire/stocksync/internal/logs"
)

// A Trouble is a product that a channel does not show as it should, for a
// reason of its own: it is tried again, or given up until it changes or the
// next reconciliation. The failure of a whole channel is no Trouble.
type Trouble struct {
	Channel   string `json:"channel"`
	ProductID string `json:"productID"`
	SKU       string `json:"sku,omitempty"`
	Name      string `json:"name,omitempty"`
	// Since is when it began, and At when it was last found.
	Since time.Time `json:"since"`
	At    time.Time `json:"at"`
	// GivenUp reports that nobody tries again for now. Else Next is when.
	GivenUp  bool      `json:"givenUp,omitempty"`
	Attempts int       `json:"attempts,omitempty"` // since it was last marked
	Next     time.Time `json:"next,omitzero"`
	// Err is why; [channel.Class] gives a word for it to group by.
	Err error `json:"-"`
}

// MarshalJSON writes Err as its text and a class.
func (t Trouble) MarshalJSON() ([]byte, error) {
	type plain Trouble
	return json.Marshal(struct {
		plain
		failure
	}{plain(t), failureOf(t.Err)})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (t *Trouble) UnmarshalJSON(data []byte) error {
	type plain Trouble
	var v struct {
		plain
		failure
	}
	err := json.Unmarshal(data, &v)
	*t = Trouble(v.plain)
	t.Err = v.failure.err()
	return err
}

// troubleSet and a channel's name is the set of its troubles, by product.
const troubleSet = "troubles/"

// troubles are those of one channel. They are in the store, and their products
// in memory, so that what works costs no look into the store.
type troubles struct {
	mu    channelLock         // held while the queue is asked
	known map[string]troubled // by product; nil until the store was read
}

type troubled struct {
	since   time.Time
	retried bool   // else it was given up
	sku     string // the listing's, or ""
}

// troubleFor is how long a trouble is kept that nobody has found again, such as
// that of a product which no longer exists.
const troubleFor = 30 * 24 * time.Hour

// load reads which products have troubles. The caller has the lock.
func (x *troubles) load(ctx context.Context, s *Syncer, name string) error {
	if x.known != nil {
		return nil
	}
	known := make(map[string]troubled)
	var old []Record
	for rec, err := range s.on(ctx).Records(ctx, troubleSet+name, "") {
		if err != nil {
			return err
		}
		var t Trouble
		if json.Unmarshal(rec.Value, &t) == nil && time.Since(t.At) < troubleFor {
			known[rec.Key] = troubled{t.Since, !t.GivenUp, t.SKU}
		} else {
			old = append(old, Record{Key: rec.Key})
		}
	}
	x.known = known
	return s.on(ctx).Save(ctx, troubleSet+name, old...)
}

// forget has the next load read again: another process may have found others.
func (x *troubles) forget() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.known = nil
}

// note remembers troubles. Like the journal it is for people, and stops
// nothing; at most 10,000 of a channel are kept. What Run tries again is Run's,
// whatever a run over the catalogue says of it.
func (x *troubles) note(ctx context.Context, s *Syncer, found []Trouble, nightly bool) {
	if len(found) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), journalWithin)
	defer cancel()
	x.mu.Lock()
	defer x.mu.Unlock()
	err := s.safely(ctx, "the queue: Save", func() error {
		name := found[0].Channel
		if err := x.load(ctx, s, name); err != nil {
			return err
		}
		now := time.Now()
		records := make([]Record, 0, len(found))
		for _, t := range found {
			known, ok := x.known[t.ProductID]
			switch {
			case !ok && len(x.known) >= maxListed, ok && nightly && known.retried:
				continue
			case !ok:
				known.since = now
			}
			x.known[t.ProductID] = troubled{known.since, !t.GivenUp, t.SKU}
			t.Since, t.At = known.since, now
			value, err := json.Marshal(t)
			if err != nil {
				return err
			}
			records = append(records, Record{t.ProductID, value})
		}
		return s.on(ctx).Save(ctx, troubleSet+name, records...)
	})
	if err != nil {
		s.once.warn(logs.With(ctx, logs.Channel, found[0].Channel), s, "what is in trouble cannot be kept", slog.Any("err", err))
	}
}

// cleared forgets the troubles of what the channel shows as it should, or what
// waits for somebody else. Where there are kits, a product that agrees says
// nothing of the kit that is in trouble.
func (x *troubles) cleared(ctx context.Context, s *Syncer, t *target, results []result) {
	name := t.name
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.known != nil && len(x.known) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), journalWithin)
	defer cancel()
	err := s.safely(ctx, "the queue: Save", func() error {
		if err := x.load(ctx, s, name); err != nil || len(x.known) == 0 {
			return err
		}
		var gone []Record
		for id, r := range worst(results) {
			k, ok := x.known[id]
			if ok && r.state <= held && r.state != unclear && (t.Kits == nil || k.sku == "" || lists(results, k.sku)) {
				gone = append(gone, Record{Key: id})
			}
		}
		if len(gone) == 0 {
			return nil
		}
		if err := s.on(ctx).Save(ctx, troubleSet+name, gone...); err != nil {
			return err
		}
		for _, r := range gone {
			delete(x.known, r.Key)
		}
		return nil
	})
	if err != nil {
		s.once.warn(logs.With(ctx, logs.Channel, name), s, "what is no longer in trouble cannot be forgotten", slog.Any("err", err))
	}
}

// lists reports whether a listing is among the results.
func lists(results []result, sku string) bool {
	return slices.ContainsFunc(results, func(r result) bool { return r.sku == sku })
}

// Troubles yields the products that are in trouble, channel by channel. The
// error is the queue's, and comes last.
func (s *Syncer) Troubles(ctx context.Context) iter.Seq2[Trouble, error] {
	return func(yield func(Trouble, error) bool) {
		for _, t := range s.targets {
			for rec, err := range s.queue.Records(ctx, troubleSet+t.name, "") {
				if err != nil {
					yield(Trouble{}, fmt.Errorf("syncer: Troubles: %w", err))
					return
				}
				var x Trouble
				if json.Unmarshal(rec.Value, &x) == nil && !yield(x, nil) {
					return
				}
			}
		}
	}
}
