package syncer_test

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
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/syncer/queuetest"
)

// snag is a queue that fails once for each of some calls, such as "Load waiting".
type snag struct {
	*syncer.MemoryQueue
	mu    sync.Mutex
	calls map[string]bool
}

var errSnag = errors.New("connection reset")

func (q *snag) at(call string) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.calls[call] {
		return nil
	}
	delete(q.calls, call)
	return errSnag
}

func (q *snag) Load(ctx context.Context, set, key string) ([]byte, error) {
	if err := q.at("Load " + key); err != nil {
		return nil, err
	}
	return q.MemoryQueue.Load(ctx, set, key)
}

func (q *snag) Save(ctx context.Context, set string, records ...syncer.Record) error {
	for _, r := range records {
		if err := q.at("Save " + r.Key); err != nil {
			return err
		}
	}
	return q.MemoryQueue.Save(ctx, set, records...)
}

// Since when the first run is waited for is known after a restart, though the queue
// failed when it was to be kept, or asked for.
func TestSinceWhenTheFirstRunIsWaitedForIsNotForgotten(t *testing.T) {
	for _, call := range []string{"", "Save waiting", "Load waiting"} {
		synctest.Test(t, func(t *testing.T) { // from midnight on
			source, m := catalogue(1)
			q := &snag{MemoryQueue: syncer.NewMemoryQueue(), calls: map[string]bool{call: call == "Save waiting"}}
			assert.Empty(t, scheduled(t, syncer.Config{Queue: q}, source, m, time.Hour))
			time.Sleep(2 * time.Hour) // 2:00 has passed by
			q.calls = map[string]bool{call: true}
			assert.Len(t, scheduled(t, syncer.Config{Queue: q}, source, m, time.Minute), 1, "%q fails", call)
		})
	}
}

// A run that is over is not made once more because the queue failed when it was asked.
func TestWhatWasRunIsNotForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := catalogue(1)
		q := &snag{MemoryQueue: syncer.NewMemoryQueue()}
		require.Len(t, scheduled(t, syncer.Config{Queue: q}, source, m, 3*time.Hour), 1)
		q.calls = map[string]bool{"Load reconciled": true}
		assert.Empty(t, scheduled(t, syncer.Config{Queue: q}, source, m, time.Hour))
	})
}

// A run that cannot be remembered says so.
func TestARunThatCannotBeRememberedSaysSo(t *testing.T) {
	source, m := catalogue(1)
	q := &snag{MemoryQueue: syncer.NewMemoryQueue(), calls: map[string]bool{"Save reconciled": true}}
	s := configure(t, syncer.Config{Source: source, Queue: q}, m)
	_, err := s.Reconcile(t.Context())
	require.ErrorIs(t, err, errSnag)
	_, err = s.Reconcile(t.Context())
	require.NoError(t, err)
}

// foresees is a channel that takes its time to prepare for as many products as it is
// to expect.
type foresees struct {
	*channeltest.Memory
	expected []int
	began    time.Time
	waited   []time.Duration
}

func (f *foresees) Preload(ctx context.Context) error {
	f.expected, f.began = append(f.expected, channel.Expected(ctx)), time.Now()
	time.Sleep(time.Minute)
	return nil
}

func (f *foresees) Levels(ctx context.Context, skus []string) ([]channel.Level, error) {
	f.waited = append(f.waited, time.Since(f.began))
	return f.Memory.Levels(ctx, skus)
}

// A channel is told how many products the last run had, and asked for nothing before
// it has prepared.
func TestAChannelPreparesForWhatIsToBeExpected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := catalogue(3)
		f := &foresees{Memory: m}
		s := configure(t, syncer.Config{Source: source}, f)
		for range 2 {
			_, err := s.Reconcile(t.Context())
			require.NoError(t, err)
		}
		assert.Equal(t, []int{0, 3}, f.expected)
		assert.Equal(t, []time.Duration{time.Minute, time.Minute}, f.waited)
	})
}

// Once a run has read all of the catalogue, an SKU that is not in it is nobody's.
// Until then it waits.
func TestAnSKUWaitsForTheFirstRunOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := catalogue(1)
		q := syncer.NewMemoryQueue()
		s := configure(t, syncer.Config{Source: source, Queue: q, Schedule: syncer.Never()}, gossip{Memory: m})
		defer running(t, s)()
		require.Equal(t, 202, tells(t, handler(t, s, "a"), sold("nobody's")))
		waiting := func() int {
			d, err := q.Depth(t.Context(), "inbox/skus")
			require.NoError(t, err)
			return d.Tasks
		}
		pass(5 * time.Minute)
		assert.Equal(t, 1, waiting())
		_, err := s.Reconcile(t.Context())
		require.NoError(t, err)
		pass(2 * time.Minute)
		assert.Zero(t, waiting())
	})
}

// Each term makes a run for a channel that is new, until one has compared it.
func TestTermsCompareANewChannelUntilOneHas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, source := queuetest.NewServer(leaseTime), newStock(5)
		a, b := shop("a", 1), shop("b", 1)
		down := &channeltest.Intercept{Channel: b, OnLevels: func(context.Context, channel.Reader, []string) ([]channel.Level, error) {
			return nil, channel.ErrUnavailable
		}}
		term := func(channels ...channel.Channel) (ended []bool) {
			cfg := syncer.Config{Source: source, Schedule: syncer.Never(), Targets: targets(channels...)}
			cfg.Hooks.Reconciled = func(_ context.Context, _ *syncer.Report, err error) { ended = append(ended, err == nil) }
			r := join(t, server, "r", cfg, nil)
			pass(12 * time.Minute)
			r.stop()
			return ended
		}
		assert.Empty(t, term(a))
		assert.Equal(t, []bool{false}, term(a, down), "it is tried again ten minutes later, or by the next term")
		assert.Equal(t, []bool{true}, term(a, b))
		assert.Empty(t, term(a, b))
	})
}
