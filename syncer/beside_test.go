package syncer

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
)

// slowly is a channel whose answers take a second.
type slowly struct {
	*channeltest.Memory
	mu          sync.Mutex
	under, most int
}

func (c *slowly) Levels(ctx context.Context, skus []string) ([]channel.Level, error) {
	c.mu.Lock()
	c.under++
	c.most = max(c.most, c.under)
	c.mu.Unlock()
	err := sleep(ctx, time.Second)
	c.mu.Lock()
	c.under--
	c.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return c.Memory.Levels(ctx, skus)
}

// limited is one that knows its quota.
type limited struct{ *slowly }

func (limited) Quota() (channel.Quota, bool) { return channel.Quota{}, false }

// Groups go side by side through a channel that knows its quota, and one after the
// other through others.
func TestGroupsGoSideBySide(t *testing.T) {
	const n = 8 * groupSize
	for _, knows := range []bool{true, false} {
		t.Run(fmt.Sprint("knows its quota: ", knows), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				slow := &slowly{Memory: channeltest.NewMemory("a")}
				var ch channel.Channel = slow
				if knows {
					ch = limited{slow}
				}
				stocks := make([]channel.Stock, n)
				for i := range stocks {
					sku := fmt.Sprintf("%05d", i)
					stocks[i] = channel.Stock{ProductID: sku, SKU: sku, Available: 10}
					slow.Set(sku, 10)
					if i%groupSize < 2 {
						slow.Set(sku, 9)
					}
				}
				s, err := New(Config{Source: allOf(stocks), Targets: []Target{{Channel: ch}}})
				require.NoError(t, err)
				start := time.Now()
				report, err := s.Reconcile(t.Context())
				require.NoError(t, err)
				took, side := 8*time.Second, 1
				if knows {
					took, side = 2*time.Second, besideGroups
				}
				assert.Equal(t, took, time.Since(start).Round(time.Second))
				assert.Equal(t, side, slow.most)
				c := report.Channels[0]
				assert.Equal(t, n, c.Checked)
				var skus []string
				for _, change := range c.Changes {
					skus = append(skus, change.SKU)
				}
				assert.Len(t, skus, 16)
				assert.True(t, slices.IsSorted(skus), "what came of groups is added up in their order")
				assert.Zero(t, s.OpenRuns())
			})
		})
	}
}

// allOf is a source of these products.
type allOf []channel.Stock

func (a allOf) Stock(_ context.Context, ids ...string) iter.Seq2[channel.Stock, error] {
	return func(yield func(channel.Stock, error) bool) {
		now := time.Now()
		for _, s := range a {
			if len(ids) > 0 && !slices.Contains(ids, s.ProductID) {
				continue
			}
			s.AsOf = now
			if !yield(s, nil) {
				return
			}
		}
	}
}

// What fails together is one failure, after which the channel is asked again soon.
func TestWhatFailsTogetherIsOneFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := New(Config{Source: allOf{}, Targets: []Target{{Channel: channeltest.NewMemory("a")}}})
		require.NoError(t, err)
		target := s.targets[0]
		for range besideGroups {
			target.failed(t.Context(), s, errors.New("down"), false)
		}
		assert.LessOrEqual(t, target.state.wait(), firstBackoff)
		time.Sleep(firstBackoff)
		target.failed(t.Context(), s, errors.New("down"), false)
		assert.Greater(t, target.state.wait(), firstBackoff, "and the next is the second")
	})
}

// A read that fails beside a write does not make reading prove that writing works.
func TestAReadThatFailsBesideAWriteProvesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := New(Config{Source: allOf{}, Targets: []Target{{Channel: channeltest.NewMemory("a")}}})
		require.NoError(t, err)
		target := s.targets[0]
		target.failed(t.Context(), s, errors.New("no write"), true)
		target.failed(t.Context(), s, errors.New("no read"), false)
		target.worked(t.Context(), s, false)
		since, _ := target.state.down()
		assert.NotZero(t, since)
		target.worked(t.Context(), s, true)
		since, _ = target.state.down()
		assert.Zero(t, since)
	})
}
