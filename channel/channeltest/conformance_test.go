package channeltest_test

import (
	"context"
	"fmt"
	"iter"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
)

// newMemory puts an Intercept in front of a Memory, which stands for the way
// to the service.
func newMemory(_ *testing.T, levels []channel.Level) channeltest.Subject {
	m := channeltest.NewMemory("memory")
	m.Add(levels...)
	var down, stalled atomic.Bool
	arrive := func(ctx context.Context) error {
		if stalled.Load() {
			<-ctx.Done()
			return ctx.Err()
		}
		if down.Load() {
			return fmt.Errorf("memory: %w", channel.ErrUnavailable)
		}
		return nil
	}
	way := &channeltest.Intercept{
		Channel: m,
		OnPush: func(ctx context.Context, next channel.Channel, updates []channel.Update) error {
			if err := arrive(ctx); err != nil {
				return err
			}
			return next.Push(ctx, updates)
		},
		OnLevels: func(ctx context.Context, next channel.Reader, skus []string) ([]channel.Level, error) {
			if err := arrive(ctx); err != nil {
				return nil, err
			}
			return next.Levels(ctx, skus)
		},
	}
	toggle := func(b *atomic.Bool) func() func() {
		return func() func() {
			b.Store(true)
			return func() { b.Store(false) }
		}
	}
	return channeltest.Subject{
		Channel: lister{way, m, arrive}, Shown: m.Quantity, Set: m.Set,
		OffSale: func(sku string) { m.SetOffSale(sku, true) },
		Break:   toggle(&down), Stall: toggle(&stalled),
	}
}

func TestConformance(t *testing.T) { channeltest.TestChannelInBubble(t, newMemory) }

// A lister can be down too.
type lister struct {
	*channeltest.Intercept
	memory *channeltest.Memory
	arrive func(context.Context) error
}

func (l lister) SKUs(ctx context.Context) iter.Seq2[string, error] {
	if err := l.arrive(ctx); err != nil {
		return func(yield func(string, error) bool) { yield("", err) }
	}
	return l.memory.SKUs(ctx)
}

func (l lister) Unset(ctx context.Context, updates []channel.Update) error {
	if err := l.arrive(ctx); err != nil {
		return err
	}
	return l.memory.Unset(ctx, updates)
}

// The kit needs no more than a channel, and no bubble; and what a channel wraps
// is tested too.
func TestConformanceOfAWrapper(t *testing.T) {
	channeltest.TestChannel(t, func(_ *testing.T, levels []channel.Level) channeltest.Subject {
		m := channeltest.NewMemory("memory")
		m.Add(levels...)
		return channeltest.Subject{Channel: wrapper{m}} // nothing but the channel
	})
}

// A wrapper has no optional interface of its own.
type wrapper struct{ inside channel.Channel }

func (w wrapper) Name() string { return "wrapped" }
func (w wrapper) Push(ctx context.Context, updates []channel.Update) error {
	return w.inside.Push(ctx, updates)
}
func (w wrapper) Unwrap() channel.Channel { return w.inside }

func TestConformanceOfALaggingMemory(t *testing.T) {
	channeltest.TestChannelInBubble(t, func(_ *testing.T, levels []channel.Level) channeltest.Subject {
		m := channeltest.NewLagging("lagging", time.Hour)
		m.Add(levels...)
		return channeltest.Subject{
			Channel: m, Shown: m.Quantity, Set: m.Set, OffSale: func(sku string) { m.SetOffSale(sku, true) },
		}
	})
}

// newLagging makes a channel that takes an hour to show what it accepted, and
// says that it is another time.
func newLagging(said time.Duration) channeltest.Maker {
	return func(_ *testing.T, levels []channel.Level) channeltest.Subject {
		m := channeltest.NewLagging("lagging", time.Hour)
		m.Add(levels...)
		return channeltest.Subject{Channel: saying{m, said}, Shown: m.Quantity, Set: m.Set}
	}
}

type saying struct {
	*channeltest.Lagging
	lag time.Duration
}

func (s saying) Lag() time.Duration { return s.lag }

func TestConformanceOfALagger(t *testing.T) {
	channeltest.TestChannelInBubble(t, newLagging(time.Hour+time.Second))
}
