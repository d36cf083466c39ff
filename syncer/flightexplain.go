package syncer

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"time"
)

// A Flight is units of a product that are in flight now: a channel has sold them
// and the source has not booked them; see Config.Settle. What happens to them is
// told by [FlightEvent]s.
type Flight struct {
	Channel string    `json:"channel"`
	Units   int       `json:"units"`
	Since   time.Time `json:"since"` // when that was noticed
	// Till is when they expire.
	Till time.Time `json:"till"`
}

// takeOverOne is takeOver for whoever looks at one product: a shared queue is asked
// what of it is in flight, see aloft.
func (s *Syncer) takeOverOne(ctx context.Context) error {
	if s.shared != nil {
		if !s.knows() {
			s.doubled.forget() // who leads has looked since
		}
		return cmp.Or(s.heed(ctx), s.doubled.load(ctx, s.on(ctx)))
	}
	return s.takeOver(ctx)
}

// aloft returns a product's flight: on a shared queue, that of who leads as it was
// kept last.
func (s *Syncer) aloft(ctx context.Context, id string) (*flight, error) {
	f := new(flight)
	if s.knows() {
		s.ledger.mu.Lock()
		defer s.ledger.mu.Unlock()
		if now := s.ledger.flights[id]; now != nil {
			f.Entries, f.Edits = slices.Clone(now.Entries), slices.Clone(now.Edits)
		}
		return f, nil
	}
	value, err := s.queue.Load(ctx, flightSet, aloftPrefix+id)
	if err != nil || value == nil || json.Unmarshal(value, f) != nil {
		return new(flight), err
	}
	return f, nil
}

// unraised notes that the listing was set lower, and is not raised for a while.
func (l *ListingExplanation) unraised(channel string, f *flight) {
	for _, e := range f.Edits {
		if e.Channel != channel || e.SKU != l.SKU {
			continue
		}
		l.Edited = e.Till
		if l.Wanted != nil && l.Shows != nil && *l.Shows < *l.Wanted {
			l.Wanted = new(max(0, *l.Shows))
		}
	}
}
