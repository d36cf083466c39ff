package syncer

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
)

// A filer is a market that carries its writes by a file, for an hour.
type filer struct {
	market
	done []string // what it is about to tell of
	read []string
}

type byFile struct{ error }

func (byFile) Lag() time.Duration { return 8 * time.Hour }
func (e byFile) Unwrap() error    { return e.error }

func (f *filer) Push(ctx context.Context, updates []channel.Update) error {
	errs, _ := errors.AsType[channel.Errors](f.market.Push(ctx, updates))
	for sku := range errs {
		errs[sku] = byFile{channel.ErrPending}
	}
	return errs
}

func (f *filer) Resume(context.Context) (skus []string, again time.Duration, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	skus, f.done = f.done, nil
	return skus, 10 * time.Second, nil
}

func (f *filer) Levels(ctx context.Context, skus []string) ([]channel.Level, error) {
	f.mu.Lock()
	f.read = append(f.read, skus...)
	f.mu.Unlock()
	return f.market.Levels(ctx, skus)
}

// What was written by a file is compared when that is done, also by a process
// that has not written it.
func TestTheOutcomeOfAFileIsComparedAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &filer{market: market{lag: time.Minute, items: make(map[string]offer)}}
		queue := NewMemoryQueue() // stands for one that survives
		start := func() (*Syncer, func()) {
			s, err := New(Config{Source: sevens(3), Targets: []Target{{Channel: f}}, Queue: queue, Schedule: Never()})
			require.NoError(t, err)
			ctx, cancel := context.WithCancel(t.Context())
			var wg sync.WaitGroup
			wg.Go(func() { assert.NoError(t, s.Run(ctx)) })
			return s, func() { cancel(); wg.Wait() }
		}
		s, stop := start()
		_, err := s.SyncProducts(t.Context(), "0", "1", "2")
		require.NoError(t, err)
		stop()

		_, stop = start()
		defer stop()
		time.Sleep(time.Hour)
		f.mu.Lock()
		f.read = nil
		f.items["1"] = offer{} // of the file's lines this one came to nothing
		f.done = []string{"0", "1", "not ours"}
		f.mu.Unlock()
		time.Sleep(time.Minute)
		f.mu.Lock()
		assert.Subset(t, f.read, []string{"0", "1"})
		assert.NotContains(t, f.read, "2")
		f.mu.Unlock()
		time.Sleep(time.Hour)
		f.mu.Lock()
		assert.Equal(t, 7, f.items["1"].quantity)
		f.mu.Unlock()
		left := 0
		for _, err := range queue.Records(t.Context(), awaitedSet+"market", "") {
			require.NoError(t, err)
			left++
		}
		assert.Equal(t, 2, left, "of what was told of only what was written once more is left")
	})
}
