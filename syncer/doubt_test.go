package syncer_test

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/syncer"
)

// restless is a source of which every look finds that all has changed.
type restless struct{ *stock }

func (r restless) Changes(context.Context, string) ([]string, string, error) {
	return slices.Clone(r.order), "cursor", nil
}

// What breaks each batch that it is read in was never seen: that is not as if it
// showed nothing.
func TestWhatCouldNotBeReadIsNotKnownToShowNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := shop("a", 2)
		var broken atomic.Bool
		broken.Store(true)
		c := &channeltest.Intercept{Channel: m, OnLevels: func(ctx context.Context, next channel.Reader, skus []string) ([]channel.Level, error) {
			if broken.Load() && slices.Contains(skus, "SKU-0") {
				return nil, errors.New("the shop breaks")
			}
			return next.Levels(ctx, skus)
		}}
		defer running(t, unguardedly(t, syncer.Config{Source: restless{newStock(0, 1)}, Schedule: syncer.Never()}, c))()
		pass(time.Minute)
		shows(t, m, 100, 1)
		broken.Store(false)
		pass(15 * time.Minute)
		shows(t, m, 0, 1)
	})
}

// A write that may have landed ends what was known: what was right before may be
// wrong now.
func TestAfterAnUnclearWriteTheChannelIsLookedAt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := newStock(0), shop("a", 1)
		var unclear, down atomic.Bool
		c := &channeltest.Intercept{Channel: m, OnPush: func(ctx context.Context, next channel.Channel, updates []channel.Update) error {
			err := next.Push(ctx, updates)
			if unclear.Load() {
				down.Store(true)
				return channel.ErrUnclear
			}
			return err
		}, OnLevels: func(ctx context.Context, next channel.Reader, skus []string) ([]channel.Level, error) {
			if down.Load() {
				return nil, channel.ErrUnavailable
			}
			return next.Levels(ctx, skus)
		}}
		s := unguardedly(t, syncer.Config{Source: restless{source}, Schedule: syncer.Never()}, c)
		_, err := s.SyncProducts(t.Context(), "p0")
		require.NoError(t, err)
		shows(t, m, 0)
		unclear.Store(true)
		source.put("p0", "SKU-0", 5)
		defer running(t, s)()
		pass(time.Second)
		shows(t, m, 5)
		source.put("p0", "SKU-0", 0)
		pass(5 * time.Minute)
		unclear.Store(false)
		down.Store(false)
		pass(15 * time.Minute)
		shows(t, m, 0)
	})
}

// So does a look that finds something else, which is then not written.
func TestWhatWasFoundOtherwiseIsLookedAtAgain(t *testing.T) {
	for name, refusal := range map[string]error{"refused": channel.ErrInvalid, "conflict": channel.ErrConflict} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				source, m := newStock(0), shop("a", 1)
				var refused atomic.Bool
				c := &channeltest.Intercept{Channel: m, OnPush: func(ctx context.Context, next channel.Channel, updates []channel.Update) error {
					if refused.Load() {
						return channel.Errors{"SKU-0": refusal}
					}
					return next.Push(ctx, updates)
				}}
				s := unguardedly(t, syncer.Config{Source: restless{source}, Schedule: syncer.Never()}, c)
				_, err := s.SyncProducts(t.Context(), "p0")
				require.NoError(t, err)
				shows(t, m, 0)
				refused.Store(true)
				m.Set("SKU-0", 7) // somebody's edit
				source.put("p0", "SKU-0", 5)
				stop := running(t, s)
				pass(time.Minute)
				refused.Store(false)
				source.put("p0", "SKU-0", 0)
				pass(15 * time.Minute)
				shows(t, m, 0)
				stop()
			})
		})
	}
}
