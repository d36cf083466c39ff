package syncer

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/text"
)

// A Pin fixes what channels show of a product, whatever the source says: for a
// recall, or a pallet that fell. See [Syncer.Pin].
type Pin struct {
	ProductID string `json:"productID"`
	// Channel is where it holds; "" means everywhere. A product may have a pin
	// for each channel beside one for all: the least quantity counts.
	Channel string `json:"channel,omitempty"`
	// Quantity is in units of the product. A pack shows how many it makes, and so
	// does a kit that the product is a part of.
	Quantity int `json:"quantity"`
	// Raise lets a channel show Quantity also where that is more than the target's
	// Policy gives. Without it the lesser of the two is shown. A kit is never
	// raised.
	Raise bool `json:"raise,omitempty"`
	// Who pins, and Why, are for the journal and whoever asks. Both are required,
	// of Unpin too.
	Who string `json:"who"`
	Why string `json:"why"`
	// Since is when it was pinned; Pin sets it.
	Since time.Time `json:"since"`
	// Until is when the pin ends by itself; zero means with Unpin.
	Until time.Time `json:"until,omitzero"`
	// senseless is why its record cannot be read: the product is not raised.
	senseless error
}

// ErrNoPin: there is no such pin to end.
var ErrNoPin = errors.New("the product is not pinned there")

// Pin fixes what channels show of a product, from now on: it is kept where the
// queue keeps things, outlives the process where the queue does, and holds in
// all processes that share the queue. The product is marked, so that Run, or
// whoever leads, shows the quantity within moments.
//
// Every entrance heeds it: events, reconciliations, plans, Apply, an approval, an
// undo, SyncProducts. On its way down it passes the guards; on its way up, with
// Raise, or when it ends, it does not. It is applied to what the source answers,
// so a source that is down delays it; of a product whose quantity the source, or
// a Policy, does not know it shows 0, if that is what it is pinned to.
// [Syncer.Explain], reports, [Health] and the journal tell of it.
//
// A process that cannot read which products are pinned raises no quantity until
// it can; what it lowers it writes.
//
// A pin of the same product and channel replaces the one before. Pin returns nil
// when it is stored and marked. If it fails it may be stored all the same: call
// it again. There may be up to 10,000 pins.
func (s *Syncer) Pin(ctx context.Context, p Pin) error {
	p.Since = time.Now()
	p.Who, p.Why = text.Clean(p.Who), text.Clean(p.Why)
	err := s.checkPin(&p)
	switch {
	case err != nil:
	case p.Quantity < 0 || !sound(p.Quantity):
		err = errors.New("a quantity is not negative, and less than 2⁵³")
	case !p.Until.IsZero() && !p.Until.After(p.Since):
		err = errors.New("Until has passed")
	}
	if err != nil {
		return fmt.Errorf("syncer: Pin: %w", err)
	}
	all, err := s.pinned(ctx)
	if err != nil {
		return fmt.Errorf("syncer: Pin: %w", err)
	}
	if _, old := all[p.ProductID]; !old && len(all) >= maxListed {
		return fmt.Errorf("syncer: Pin: %d products are pinned already", len(all))
	}
	value, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("syncer: Pin: %w", err)
	}
	return s.setPin(ctx, "Pin", &p, value)
}

// Unpin ends the pin of p's ProductID on p's Channel; Who and Why say by whom
// and why. The source's quantity is shown again within moments. It fails with
// [ErrNoPin] if there is none.
func (s *Syncer) Unpin(ctx context.Context, p Pin) error {
	p.Who, p.Why = text.Clean(p.Who), text.Clean(p.Why)
	if err := s.checkPin(&p); err != nil {
		return fmt.Errorf("syncer: Unpin: %w", err)
	}
	value, err := s.on(ctx).Load(ctx, pinSet, p.key())
	if err == nil && value == nil {
		err = ErrNoPin
	}
	if err != nil {
		return fmt.Errorf("syncer: Unpin: %w", err)
	}
	return s.setPin(ctx, "Unpin", &p, nil)
}

// Pins returns the pins that hold now, the newest first. The error is the
// queue's.
func (s *Syncer) Pins(ctx context.Context) ([]Pin, error) {
	all, err := s.pinned(ctx)
	if err != nil {
		return nil, fmt.Errorf("syncer: Pins: %w", err)
	}
	var now []Pin
	for _, pins := range all {
		for _, p := range pins {
			if p.holds() {
				now = append(now, p)
			}
		}
	}
	slices.SortFunc(now, func(a, b Pin) int {
		return cmp.Or(b.Since.Compare(a.Since), strings.Compare(a.key(), b.key()))
	})
	return now, nil
}

func (s *Syncer) checkPin(p *Pin) error {
	switch {
	case !utf8.ValidString(p.ProductID):
		return errors.New("ProductID is no UTF-8")
	case checkID(p.ProductID) != nil:
		return fmt.Errorf("ProductID: %w", checkID(p.ProductID))
	case p.Channel != "" && !slices.ContainsFunc(s.targets, func(t *target) bool { return t.name == p.Channel }):
		return fmt.Errorf("there is no channel %q", p.Channel)
	case strings.TrimSpace(p.Who) == "" || strings.TrimSpace(p.Why) == "":
		return errors.New("Who and Why are required: somebody will ask")
	}
	return nil
}

const (
	// pinSet has the pins, by product and channel, and under pinVersion a text that
	// changes with them.
	pinSet     = "pins"
	pinVersion = ""
)

func (p *Pin) key() string { return p.ProductID + "\x00" + p.Channel }

// holds reports whether the pin has not ended. Whoever asks goes by the time of
// day: a machine that slept must not hold it longer.
func (p *Pin) holds() bool {
	return p.senseless == nil && (p.Until.IsZero() || time.Now().Round(0).Before(p.Until))
}

// words say what the pin is, for people.
func (p *Pin) words() string {
	said := fmt.Sprintf("pinned to %d since %s by %s: %s", p.Quantity, clock(p.Since), text.Clean(p.Who), text.Clean(p.Why))
	if !p.Until.IsZero() {
		said += ", until " + clock(p.Until)
	}
	return said
}

// setPin saves a pin, or its end if value is nil, and tells whoever must know.
func (s *Syncer) setPin(ctx context.Context, op string, p *Pin, value []byte) error {
	s.pins.changing.Lock()
	err := s.on(ctx).Save(ctx, pinSet, Record{p.key(), value}, Record{pinVersion, []byte(rand.Text())})
	s.pins.changing.Unlock()
	if err == nil { // in this order: whoever works on the mark knows of the pin
		err = s.mark(ctx, inboxLane, CausePin, channel.Event{Type: "pin", ProductIDs: []string{p.ProductID}})
	}
	if err != nil {
		return fmt.Errorf("syncer: %s: %w", op, err)
	}
	s.pins.tell()
	e := Entry{Kind: EntryPinned, Channel: p.Channel, ProductID: p.ProductID, Wanted: p.Quantity, Why: fmt.Sprintf("by %s: %s", p.Who, p.Why)}
	attrs := []slog.Attr{slog.String("who", p.Who), slog.String("why", p.Why)}
	ctx = about(ctx, p.Channel, p.ProductID, "")
	if value == nil {
		e.Kind, e.Wanted = EntryUnpinned, 0
		s.logger.LogAttrs(ctx, slog.LevelInfo, "a product is pinned no longer", attrs...)
	} else {
		s.logger.LogAttrs(ctx, slog.LevelWarn, "a product is pinned", append(attrs, slog.Int("quantity", p.Quantity))...)
	}
	s.journal.write(ctx, e)
	return nil
}

// pins are what is pinned, as far as it was read.
type pins struct {
	changing channelLock // of changing them in the store
	mu       sync.Mutex
	version  string
	read     bool
	by       map[string][]Pin // by product; never changed, only replaced
	told     chan struct{}    // has a token when something has changed
}

func (p *pins) tell() {
	select {
	case p.told <- struct{}{}:
	default:
	}
}

// pinned returns what is pinned. It costs one small record, as long as nothing
// has changed: other processes may pin, too.
func (s *Syncer) pinned(ctx context.Context) (map[string][]Pin, error) {
	p := &s.pins
	value, err := s.on(ctx).Load(ctx, pinSet, pinVersion)
	if err != nil {
		return nil, fmt.Errorf("what is pinned cannot be read: %w", err)
	}
	p.mu.Lock()
	by, known := p.by, p.read && p.version == string(value)
	p.mu.Unlock()
	if known {
		return by, nil
	}
	by = make(map[string][]Pin)
	if value != nil {
		for rec, err := range s.on(ctx).Records(ctx, pinSet, "") {
			if err != nil {
				return nil, fmt.Errorf("what is pinned cannot be read: %w", err)
			}
			if rec.Key == pinVersion {
				continue
			}
			var pin Pin
			if err := json.Unmarshal(rec.Value, &pin); err != nil || pin.key() != rec.Key {
				id, name, _ := strings.Cut(rec.Key, "\x00")
				pin = Pin{ProductID: id, Channel: name, senseless: fmt.Errorf("what is pinned cannot be read: the record %q makes no sense: %v", text.Clean(rec.Key), err)}
			}
			by[pin.ProductID] = append(by[pin.ProductID], pin)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.by, p.version, p.read = by, string(value), true
	p.tell()
	return by, nil
}

// keepPins ends pins whose time is over.
func (s *Syncer) keepPins(accept context.Context) {
	for {
		next := time.Now().Add(maxSleep)
		err := s.insist(accept, "Load, Records", func() error {
			all, err := s.pinned(accept)
			for _, pins := range all {
				for i := range pins {
					switch p := pins[i]; {
					case p.senseless != nil:
					case !p.holds():
						err = cmp.Or(err, s.expire(accept, p))
					case !p.Until.IsZero() && p.Until.Before(next):
						next = p.Until
					}
				}
			}
			return err
		})
		if err != nil {
			return
		}
		timer := time.NewTimer(max(nap(next), time.Millisecond))
		select {
		case <-accept.Done():
			timer.Stop()
			return
		case <-s.pins.told:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// expire ends a pin whose time is over: the mark comes first, as whoever works
// on it knows that by the time of day.
func (s *Syncer) expire(ctx context.Context, p Pin) error {
	if err := s.mark(ctx, inboxLane, CausePin, channel.Event{Type: "pin", ProductIDs: []string{p.ProductID}}); err != nil {
		return err
	}
	s.pins.changing.Lock() // nobody renews it in between
	defer s.pins.changing.Unlock()
	value, err := s.on(ctx).Load(ctx, pinSet, p.key())
	var now Pin
	if err != nil || value == nil || json.Unmarshal(value, &now) == nil && now.holds() { // it was renewed
		return err
	}
	if err := s.on(ctx).Save(ctx, pinSet, Record{Key: p.key()}, Record{pinVersion, []byte(rand.Text())}); err != nil {
		return err
	}
	ctx = about(ctx, p.Channel, p.ProductID, "")
	s.logger.LogAttrs(ctx, slog.LevelInfo, "a product is pinned no longer", slog.String("who", p.Who), slog.String("why", "its time is over"))
	s.journal.write(ctx, Entry{Kind: EntryUnpinned, Channel: p.Channel, ProductID: p.ProductID, Why: "its time is over"})
	return nil
}
