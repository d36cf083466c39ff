package syncer

import (
	"context"

	"github.com/ecosire/stocksync/channel"
)

// kitsCall names a call of a target's Kits that does not return.
const kitsCall = "Kits"

// askKits calls the target's Kits. One that does not return is left behind: the
// channel is down until it does, as with a call of the channel's own, and those of
// the others do without it.
func (t *target) askKits(ctx context.Context, s *Syncer) ([]Listing, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if call := t.calls.left(kitsCall); call != nil {
		return nil, call.err()
	}
	return awaited(ctx, s, t, kitsCall, s.soonAnswered(), func(context.Context) ([]Listing, error) { return t.Kits(), nil })
}

// fetchFor reads products, and the other parts of their kits on the channels of some
// targets.
func (s *Syncer) fetchFor(targets ...*target) fetch {
	return func(ctx context.Context, ids []string) (map[string]channel.Stock, error) {
		var kits []Listing
		for _, t := range targets {
			kits = append(kits, t.kits(ctx, s)...)
		}
		return s.fetchOnly(ctx, withParts(kits, ids))
	}
}
