package channeltest

import (
	"context"
	"fmt"

	"github.com/ecosire/stocksync/channel"
)

// Intercept is a channel that passes every call on to another one, unless the
// function for it is set. It serves to make one thing go wrong.
type Intercept struct {
	channel.Channel
	OnPush   func(ctx context.Context, next channel.Channel, updates []channel.Update) error
	OnLevels func(ctx context.Context, next channel.Reader, skus []string) ([]channel.Level, error)
}

// Push implements [channel.Channel].
func (i *Intercept) Push(ctx context.Context, updates []channel.Update) error {
	if i.OnPush != nil {
		return i.OnPush(ctx, i.Channel, updates)
	}
	return i.Channel.Push(ctx, updates)
}

// Levels implements [channel.Reader]. The channel inside must be one.
func (i *Intercept) Levels(ctx context.Context, skus []string) ([]channel.Level, error) {
	next, ok := channel.As[channel.Reader](i.Channel)
	if !ok {
		return nil, fmt.Errorf("channeltest: %s is no channel.Reader", i.Name())
	}
	if i.OnLevels != nil {
		return i.OnLevels(ctx, next, skus)
	}
	return next.Levels(ctx, skus)
}

// Unwrap gives access to the other optional interfaces.
func (i *Intercept) Unwrap() channel.Channel { return i.Channel }
