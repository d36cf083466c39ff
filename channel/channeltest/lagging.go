package channeltest

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/ecosire/stocksync/channel"
)

// A Lagging is a [Memory] that shows what it accepts only after a time, as a
// marketplace does. Until then Levels, Quantity and Seen are about what was
// there before. It is safe for concurrent use.
type Lagging struct {
	*Memory
	lag time.Duration
}

var _ channel.Lagger = (*Lagging)(nil)

// NewLagging returns an empty channel of that name, and of that lag.
func NewLagging(name string, lag time.Duration) *Lagging {
	return &Lagging{NewMemory(name), lag}
}

// Lag implements [channel.Lagger].
func (l *Lagging) Lag() time.Duration { return l.lag }

// Push implements [channel.Channel]. What it accepts is an error that matches
// [channel.ErrPending], unless it is shown already and nothing else is under
// way. Of the updates of an SKU that are under way only the last one shows.
func (l *Lagging) Push(ctx context.Context, updates []channel.Update) error {
	return l.write(ctx, updates, func(u channel.Update, it *item) error {
		before := len(l.pending)
		l.pending = slices.DeleteFunc(l.pending, func(p late) bool { return p.SKU == u.SKU })
		if len(l.pending) == before && !it.Unset && it.Quantity == u.Quantity {
			return nil
		}
		l.pending = append(l.pending, late{u, time.Now().Add(l.lag)})
		return fmt.Errorf("%w: %q", channel.ErrPending, u.SKU)
	})
}

// Unset implements [channel.Unsetter]. It shows at once, and ends what is under
// way.
func (l *Lagging) Unset(ctx context.Context, updates []channel.Update) error {
	return l.write(ctx, updates, func(u channel.Update, it *item) error {
		l.pending = slices.DeleteFunc(l.pending, func(p late) bool { return p.SKU == u.SKU })
		it.Quantity, it.Level.Unset = 0, true
		return nil
	})
}
