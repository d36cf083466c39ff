package syncer

import (
	"cmp"
	"context"
	"strings"
	"time"

	"github.com/ecosire/stocksync/channel"
)

// A Culprit is the likely cause of a drift: why a channel does not show what it
// should, though nobody said that anything has changed. It is worked out from
// the journal's last write to the channel, so it needs Config.Journal. Two causes at once look like one: a sale and an edit that
// come to the same quantity cannot be told apart.
//
// It does not name another application. Neither Shopify nor WooCommerce says in
// an answer that the library reads who changed a quantity last; Shopify's admin
// shows it, in the history of the inventory.
type Culprit string

// The culprits.
const (
	// SoldSince: the channel shows less than it was made to show. Its customers
	// bought some, most likely, of which the source has booked all, none, or a
	// part.
	SoldSince Culprit = "sold since"
	// EditedThere: the channel shows more than it was made to show. Somebody,
	// or another application, has changed it there.
	EditedThere Culprit = "edited in the channel"
	// NotKept: the channel shows what it showed before the last write, which is
	// at most 26 hours old.
	NotKept Culprit = "the write did not stay"
	// NoEvent: the channel shows what it was made to show; the source has
	// changed since, and no event told.
	NoEvent Culprit = "the source changed without an event"
	// NeverWritten: the journal has no write of it.
	NeverWritten Culprit = "never written before"
)

// notKeptFor is how long after a write its loss is told from an edit: until
// after the next night.
const notKeptFor = 26 * time.Hour

// maxCulprits bounds the look-ups of one run on a channel.
const maxCulprits = 2000

// culprit says why a difference exists that a run over the catalogue has found,
// by the last entry about a write.
func (s *Syncer) culprit(ctx context.Context, t *target, r *result) Culprit {
	shown := shownBefore(r.seen)
	if shown == nil {
		return ""
	}
	var last *Entry // about a write
	for e, err := range s.Journal(ctx, r.stock.ProductID) {
		if err != nil {
			return ""
		}
		if e.Channel != t.name || e.SKU != r.sku {
			continue
		}
		switch e.Kind {
		case EntryLanded: // what it showed before is in the entry of its sending
			last = cmp.Or(last, &e)
			continue
		case EntryWrote, EntrySent:
		case EntryUnclear:
			if last == nil {
				return ""
			}
		default:
			continue
		}
		if last == nil || e.Wanted == last.Wanted {
			last = &e
		}
		break
	}
	switch e := last; {
	case e == nil:
		return NeverWritten
	case *shown == e.Wanted:
		if w, _ := s.peek(ctx, t.eventLane(), r.stock.ProductID); w != nil {
			return "" // its mark still waits
		}
		return NoEvent
	case e.Shown != nil && *shown == *e.Shown && time.Since(e.At) < notKeptFor:
		return NotKept
	case *shown < e.Wanted:
		return SoldSince
	default:
		return EditedThere
	}
}

// blame finds the culprits of the drift that a pass of a run over the catalogue
// has found.
func (a *account) blame(ctx context.Context, o *outcome) {
	if !a.s.journal.on() || !strings.HasPrefix(channel.Run(ctx), "reconcile-") {
		return
	}
	for i := range o.results {
		r := &o.results[i]
		drift := r.state == updated || r.state == held || r.state == pending && r.err != nil
		if !drift || a.blamed >= maxCulprits {
			continue
		}
		a.blamed++
		if r.culprit = a.s.culprit(ctx, a.t, r); r.culprit != "" {
			if a.report.Culprits == nil {
				a.report.Culprits = make(map[Culprit]int)
			}
			a.report.Culprits[r.culprit]++
		}
	}
}
