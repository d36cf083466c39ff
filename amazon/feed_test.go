package amazon_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/amazon"
	"github.com/ecosire/stocksync/amazon/amazontest"
	"github.com/ecosire/stocksync/channel"
)

// A store is kept over restarts, and fails on demand.
type store struct {
	mu     sync.Mutex
	values map[string][]byte
	fails  func(op, name string) bool
	most   int // the largest value
}

func (s *store) Load(_ context.Context, name string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fails != nil && s.fails("load", name) {
		return nil, errors.New("the disk is gone")
	}
	return s.values[name], nil
}

func (s *store) Save(_ context.Context, name string, value []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fails != nil && s.fails("save", name) {
		return errors.New("the disk is full")
	}
	if s.values == nil {
		s.values = make(map[string][]byte)
	}
	if s.values[name] = bytes.Clone(value); value == nil {
		delete(s.values, name)
	}
	s.most = max(s.most, len(value))
	return nil
}

// A fed is a channel that makes feeds from 100 updates on.
type fed struct {
	*amazon.Channel
	t      *testing.T
	seller *amazontest.Server
	store  *store
	logs   *bytes.Buffer
	skus   []string
	again  time.Duration // what Resume said last
}

func newFed(t *testing.T, cfg amazontest.Config, n int) *fed {
	f := &fed{t: t, seller: amazontest.New(cfg), store: new(store), logs: new(bytes.Buffer)}
	f.skus = stock(f.seller, n)
	f.restart()
	return f
}

// restart makes a new channel, as after a crash or on another replica.
func (f *fed) restart() {
	f.Channel = open(f.t, f.seller, func(c *amazon.Config, cc *amazon.ChannelConfig) {
		c.Logger = logger(f.logs)
		cc.FeedFrom, cc.Store = 100, f.store
	})
	f.again = 0
}

// patient is a context of work that can wait.
func (f *fed) patient() context.Context {
	return channel.WithUrgency(f.t.Context(), channel.Background)
}

// run pushes a quantity for every listing as a run does, and wants it to be
// pending for long.
func (f *fed) run(quantity func(i int) int, size int) {
	f.t.Helper()
	_, again, err := f.Resume(f.t.Context()) // as whoever calls it does at first
	require.NoError(f.t, err)
	f.again = again
	got := levels(f.t, f.Channel, f.skus...)
	for i := 0; i < len(f.skus); i += size {
		var updates []channel.Update
		for k, sku := range f.skus[i:min(i+size, len(f.skus))] {
			u := to(sku, quantity(i+k))
			u.Seen = new(got[sku])
			updates = append(updates, u)
		}
		err := f.Push(f.patient(), updates)
		errs, ok := err.(channel.Errors)
		require.True(f.t, ok, "%v", err)
		require.Len(f.t, errs, len(updates))
		for _, err := range errs {
			require.ErrorIs(f.t, err, channel.ErrPending)
			lag, ok := channel.LagOf(err)
			require.True(f.t, ok)
			require.Greater(f.t, lag, 7*time.Hour)
		}
	}
}

// resume calls Resume when it is time to, and then again and again until a
// call returns listings or there is nothing more to do.
func (f *fed) resume() (skus []string) {
	f.t.Helper()
	for range 1000 {
		time.Sleep(f.again)
		skus, again, err := f.Resume(f.t.Context())
		f.again = again
		if err != nil {
			f.t.Log(err)
		}
		if len(skus) > 0 || again == 0 {
			return skus
		}
	}
	f.t.Fatal("Resume does not end")
	return nil
}

// over wants nothing more to be done.
func (f *fed) over() {
	f.t.Helper()
	assert.Empty(f.t, f.resume())
	assert.Zero(f.t, f.again)
	for name := range f.store.values {
		assert.NotContains(f.t, name, "/feeds/", "the entries are gone")
	}
}

func (f *fed) calls(operation string) int {
	n, _ := f.seller.Calls(operation)
	return n
}

func hundred(i int) int { return 100 + i }

func TestAFeed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFed(t, amazontest.Config{Lag: time.Minute, MaxLag: 10 * time.Minute}, 300)
		f.run(hundred, 150)
		assert.Zero(t, f.calls("patchListingsItem"))
		assert.Zero(t, f.calls("createFeed"), "more may come")
		f.run(hundred, 150) // the same once more changes nothing
		all := f.resume()
		assert.ElementsMatch(t, f.skus, all, "which are to be compared")
		for i, sku := range f.skus {
			assert.Equal(t, 100+i, quantity(t, f.seller, sku))
		}
		f.over()
		feeds := f.seller.Feeds()
		require.Len(t, feeds, 1)
		assert.GreaterOrEqual(t, time.Since(feeds[0].Done), 15*time.Minute, "when all of it must show")
		assert.NoError(t, amazontest.ValidateFeed(feeds[0].Content))
		var content struct {
			Messages []struct {
				MessageID int `json:"messageId"`
				SKU       string
			}
		}
		require.NoError(t, json.Unmarshal(feeds[0].Content, &content))
		assert.Len(t, content.Messages, 300)
		assert.Zero(t, f.calls("patchListingsItem"))
		for operation, most := range map[string]int{"createFeedDocument": 1, "file PUT": 1, "createFeed": 1, "getFeedDocument": 1, "file GET": 1, "getFeed": 20, "getFeeds": 0} {
			assert.LessOrEqual(t, f.calls(operation), most, operation)
		}
		assert.Empty(t, f.seller.Harm())
		assert.NotContains(t, f.logs.String(), "level=WARN")
		assert.LessOrEqual(t, f.store.most, 100<<10)
	})
}

// What must not wait does not: an event, a run's few updates, and whatever is
// pushed on a channel that makes no feeds.
func TestWhatIsNotGathered(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFed(t, amazontest.Config{}, 300)
		var updates []channel.Update
		for i, sku := range f.skus {
			updates = append(updates, to(sku, 100+i))
		}
		assert.Empty(t, outcome(t, f.Push(t.Context(), updates)))
		assert.Equal(t, 300, f.calls("patchListingsItem"), "an event's")
		assert.Empty(t, outcome(t, f.Push(f.patient(), updates[:1])))
		assert.Equal(t, 301, f.calls("patchListingsItem"), "a run's few")
		f.over()
		never := open(t, f.seller)
		time.Sleep(time.Minute) // it does not know that the quota is used up
		assert.Empty(t, outcome(t, never.Push(f.patient(), updates[:10])))
		_, again, err := never.Resume(t.Context())
		assert.NoError(t, err)
		assert.Zero(t, again)
		assert.Equal(t, 311, f.calls("patchListingsItem"))
	})
}

// What nobody would hand over is not gathered.
func TestNothingIsGatheredWithoutResume(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFed(t, amazontest.Config{}, 120)
		var updates []channel.Update
		for i, sku := range f.skus {
			updates = append(updates, to(sku, 100+i))
		}
		assert.Empty(t, outcome(t, f.Push(f.patient(), updates)))
		assert.Equal(t, 120, f.calls("patchListingsItem"))
	})
}

// What a feed has is not gathered for another one.
func TestAnotherRunDuringAFeed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFed(t, amazontest.Config{}, 300)
		f.run(hundred, 300)
		for len(f.seller.Feeds()) == 0 {
			time.Sleep(f.again)
			_, f.again, _ = f.Resume(t.Context())
		}
		f.run(hundred, 300)
		f.run(func(i int) int { return 100 + i + i%2 }, 300) // half of them differ
		for range 5 {
			f.resume()
		}
		feeds := f.seller.Feeds()
		require.Len(t, feeds, 2)
		assert.Equal(t, 150, strings.Count(string(feeds[1].Content), "messageId"))
		assert.Zero(t, f.calls("patchListingsItem"))
		for i, sku := range f.skus {
			assert.Equal(t, 100+i+i%2, quantity(t, f.seller, sku))
		}
	})
}

func TestTooFewForAFeedAreReturned(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFed(t, amazontest.Config{}, 99)
		f.run(hundred, 50)
		start := time.Now()
		assert.ElementsMatch(t, f.skus, f.resume())
		assert.Less(t, time.Since(start), 3*time.Minute)
		assert.Empty(t, f.seller.Feeds())
		f.over()
	})
}

func TestAnEventOvertakesAFeed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		f := newFed(t, amazontest.Config{Lag: time.Minute}, 300)
		f.run(hundred, 300)
		assert.Empty(t, outcome(t, f.Push(t.Context(), []channel.Update{to(f.skus[0], 7)})))
		time.Sleep(time.Minute)
		assert.Equal(t, 7, quantity(t, f.seller, f.skus[0]), "at once")
		for len(f.seller.Feeds()) == 0 {
			time.Sleep(f.again)
			var err error
			_, f.again, err = f.Resume(t.Context())
			require.NoError(t, err)
		}
		assert.NotContains(t, string(f.seller.Feeds()[0].Content), f.skus[0], "it was taken out in time")
		assert.Empty(t, outcome(t, f.Push(t.Context(), []channel.Update{to(f.skus[1], 8)})))
		// A run that still wants what the feed has does not write it.
		before := f.calls("patchListingsItem")
		f.skus = f.skus[:1]
		err := f.Push(f.patient(), []channel.Update{to("SKU-00002", 102)})
		assert.ErrorIs(t, err, channel.ErrPending)
		_, long := channel.LagOf(err)
		assert.True(t, long)
		assert.Equal(t, before, f.calls("patchListingsItem"))
		// But for what was written since it does.
		err = f.Push(f.patient(), []channel.Update{to("SKU-00001", 101)})
		_, long = channel.LagOf(err)
		assert.False(t, long)
		assert.Empty(t, outcome(t, f.Push(t.Context(), []channel.Update{to("SKU-00001", 8)})))

		assert.Equal(t, []string{"SKU-00001"}, f.resume(), "as soon as the feed is done")
		assert.Equal(t, 101, quantity(t, f.seller, "SKU-00001"), "the older one came last")
		all := f.resume()
		assert.Len(t, all, 299)
		assert.Contains(t, all, "SKU-00001")
		f.over()
	})
}

// A process that ends at any moment leaves a feed to the next one.
func TestFeedsAreResumedByAnother(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for after := range 12 {
			f := newFed(t, amazontest.Config{Lag: time.Minute}, 120)
			f.run(hundred, 120)
			time.Sleep(2 * time.Minute)
			for range after {
				ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
				_, again, _ := f.Resume(ctx)
				cancel()
				time.Sleep(again)
			}
			f.restart()
			err := f.Push(f.patient(), []channel.Update{to(f.skus[3], 103)})
			if n := len(f.seller.Feeds()); n == 1 && f.seller.Feeds()[0].Status != "DONE" {
				_, long := channel.LagOf(err)
				assert.True(t, long, "it knows what the feed has")
			}
			var all []string
			for range 5 {
				if all = f.resume(); len(all) == 120 || len(all) == 0 {
					break
				}
			}
			for i, sku := range f.skus {
				assert.Equal(t, 100+i, quantity(t, f.seller, sku))
			}
			assert.Len(t, f.seller.Feeds(), 1)
		}
	})
}

func TestAFeedForEach25000(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long under the race detector")
	}
	bubble(t, func(t *testing.T) {
		f := newFed(t, amazontest.Config{}, 26_000)
		f.run(func(i int) int { return i + 1 }, 1000)
		returned := 0
		for f.again = time.Second; f.again > 0; {
			returned += len(f.resume())
		}
		assert.Equal(t, 26_000, returned)
		feeds := f.seller.Feeds()
		require.Len(t, feeds, 2)
		assert.Equal(t, 25_000, strings.Count(string(feeds[0].Content), "messageId"))
		assert.Less(t, len(feeds[0].Content), 9<<20)
		assert.Equal(t, 26_000, quantity(t, f.seller, f.skus[25_999]))
		f.over()
	})
}
