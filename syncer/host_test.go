package syncer_test

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/internal/racetest"
	"github.com/ecosire/stocksync/syncer"
)

// trickyQueue does something before one of its methods.
type trickyQueue struct {
	*syncer.MemoryQueue
	mu     sync.Mutex
	method string
	trick  func()
	calls  map[string]int
}

func newTrickyQueue() *trickyQueue {
	return &trickyQueue{MemoryQueue: syncer.NewMemoryQueue(), calls: make(map[string]int)}
}

func (q *trickyQueue) play(method string, trick func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.method, q.trick = method, trick
}

func (q *trickyQueue) called(method string) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.calls[method]
}

func (q *trickyQueue) on(method string) {
	q.mu.Lock()
	q.calls[method]++
	trick := q.trick
	if q.method != method {
		trick = nil
	}
	q.mu.Unlock()
	if trick != nil {
		trick()
	}
}

func (q *trickyQueue) Mark(ctx context.Context, marks ...syncer.Mark) error {
	q.on("Mark")
	return q.MemoryQueue.Mark(ctx, marks...)
}

func (q *trickyQueue) Wait(ctx context.Context, lane string) error {
	q.on("Wait")
	return q.MemoryQueue.Wait(ctx, lane)
}

func (q *trickyQueue) Lease(ctx context.Context, lane string, n int) ([]syncer.Task, error) {
	q.on("Lease")
	return q.MemoryQueue.Lease(context.WithoutCancel(ctx), lane, n) // late, too
}

func (q *trickyQueue) Ack(ctx context.Context, tasks ...syncer.Task) error {
	q.on("Ack")
	return q.MemoryQueue.Ack(ctx, tasks...)
}

func (q *trickyQueue) Retry(ctx context.Context, at time.Time, tasks ...syncer.Task) error {
	q.on("Retry")
	return q.MemoryQueue.Retry(ctx, at, tasks...)
}

func (q *trickyQueue) Depth(ctx context.Context, lane string) (syncer.Depth, error) {
	q.on("Depth")
	return q.MemoryQueue.Depth(ctx, lane)
}

func (q *trickyQueue) Save(ctx context.Context, set string, records ...syncer.Record) error {
	q.on("Save")
	return q.MemoryQueue.Save(ctx, set, records...)
}

func (q *trickyQueue) Load(ctx context.Context, set, key string) ([]byte, error) {
	q.on("Load")
	return q.MemoryQueue.Load(ctx, set, key)
}

func (q *trickyQueue) Records(ctx context.Context, set, from string) iter.Seq2[syncer.Record, error] {
	return func(yield func(syncer.Record, error) bool) {
		q.on("Records")
		q.MemoryQueue.Records(ctx, set, from)(yield)
	}
}

var queueMethods = []string{"Mark", "Wait", "Lease", "Ack", "Retry", "Depth", "Save", "Load", "Records"}

// Whichever method of the queue panics, no call of the syncer does; and whoever
// gets an error is told that it is the queue's.
func TestNoMethodOfAQueuePanicsThrough(t *testing.T) {
	for _, method := range queueMethods {
		t.Run(method, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := newTrickyQueue()
				q.play(method, func() { panic("boom") })
				a := shop("a", 2)
				s := configure(t, syncer.Config{Source: newStock(90, 80), Queue: q, Schedule: syncer.Never()}, a)
				var errs []error
				_, err := s.Reconcile(t.Context())
				errs = append(errs, err)
				_, err = s.SyncProducts(t.Context(), "p0")
				errs = append(errs, err)
				plan, err := s.Plan(t.Context())
				errs = append(errs, err)
				_, err = s.Apply(t.Context(), plan)
				errs = append(errs, err)
				_, err = s.Health(t.Context())
				errs = append(errs, err)
				_, err = s.Held(t.Context())
				errs = append(errs, err, s.Notify(t.Context(), "p0"), s.Approve(t.Context(), syncer.Approval{Channel: "a", Who: "ann", UpTo: 3}))
				told := false
				for _, err := range errs {
					if err != nil {
						told = true
						assert.ErrorContains(t, err, "the queue: "+method)
						assert.ErrorContains(t, err, "boom")
					}
				}
				inRun := slices.Contains([]string{"Wait", "Lease", "Ack", "Retry"}, method)
				assert.Equal(t, !inRun, told)
				defer running(t, s)()
				pass(time.Minute)
				h, err := s.Health(t.Context())
				if inRun && method != "Retry" {
					if method == "Ack" {
						require.NoError(t, s.Notify(t.Context(), "p0"))
						pass(time.Minute)
						h, err = s.Health(t.Context())
					}
					require.NoError(t, err)
					assert.ErrorContains(t, h.QueueErr, "the queue: "+method)
				}
				q.play("", nil)
				pass(time.Minute)
				require.NoError(t, s.Notify(t.Context(), "p0", "p1"))
				pass(time.Minute)
				shows(t, a, 90, 80)
				assert.True(t, drained(t, s))
			})
		})
	}
}

// A queue whose method does not return holds itself down, and nobody for ever.
func TestAQueueThatDoesNotReturn(t *testing.T) {
	for _, method := range queueMethods {
		t.Run(method, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q, release := newTrickyQueue(), make(chan struct{})
				a := shop("a", 2)
				s := configure(t, syncer.Config{Source: newStock(90, 80), Queue: q, Schedule: syncer.Never()}, a)
				require.NoError(t, s.Notify(t.Context(), "p0", "p1"))
				q.play(method, func() { <-release }) // whatever ctx says
				stop := running(t, s)
				if method == "Retry" {
					stop()
					close(release)
					return // nothing is retried here
				}
				start := time.Now()
				_, err := s.Health(t.Context())
				_, err2 := s.Reconcile(t.Context())
				assert.Less(t, time.Since(start), 5*time.Minute, "%v, %v", err, err2)
				pass(10 * time.Minute)
				calls := q.called(method)
				pass(time.Hour)
				assert.Equal(t, calls, q.called(method), "nothing more is asked of it")
				start = time.Now()
				stop()
				assert.LessOrEqual(t, time.Since(start), 10*time.Second)
				close(release)
				q.play("", nil)
				synctest.Wait()
				stop = running(t, s)
				pass(time.Minute)
				shows(t, a, 90, 80)
				assert.True(t, drained(t, s))
				stop()
			})
		})
	}
}

// slowSource counts who is in it.
type slowSource struct {
	*stock
	release chan struct{}
	inside  atomic.Int64
	most    atomic.Int64
}

func (s *slowSource) wait() {
	s.most.Store(max(s.most.Load(), s.inside.Add(1)))
	<-s.release // whatever ctx says
	s.inside.Add(-1)
}

func (s *slowSource) Stock(ctx context.Context, ids ...string) iter.Seq2[channel.Stock, error] {
	return func(yield func(channel.Stock, error) bool) {
		s.wait()
		s.stock.Stock(ctx, ids...)(yield)
	}
}

func (s *slowSource) Changes(context.Context, string) ([]string, string, error) {
	s.wait()
	return nil, "", nil
}

func (s *slowSource) OrderProducts(context.Context, string) ([]string, error) {
	s.wait()
	return []string{"p0"}, nil
}

// A source that does not look at its context is asked the same thing once at a
// time, however long it takes.
func TestADeafSourceIsNotAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, a := &slowSource{stock: newStock(5), release: make(chan struct{})}, shop("a", 1)
		s := configure(t, syncer.Config{Source: source, Patience: time.Minute}, a)
		stop := running(t, s)
		for range racetest.Size(24, 4) {
			require.NoError(t, s.Notify(t.Context(), "p0"))
			pass(time.Hour)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			_, err := s.SyncProducts(ctx, "p0")
			require.ErrorIs(t, err, channel.ErrUnavailable)
			cancel()
		}
		// Stock of products, of the catalogue, and Changes.
		assert.LessOrEqual(t, source.most.Load(), int64(3))
		close(source.release)
		pass(time.Minute)
		assert.Zero(t, source.inside.Load())
		shows(t, a, 5)
		stop()
	})
}

// lister lists slowly, whatever ctx says.
type slowLister struct {
	*channeltest.Memory
	release chan struct{}
}

func (l *slowLister) SKUs(context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for i := range 100 {
			if i == 50 {
				<-l.release
			}
			if !yield(fmt.Sprintf("EXTRA-%d", i), nil) {
				return
			}
		}
	}
}

// A listing that was left behind touches nothing of the plan's: the next
// target's listing goes on beside it.
func TestAListingThatWasLeftBehindIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		ill := &slowLister{shop("a", 1), release}
		well := shop("b", 3)
		s := configure(t, syncer.Config{Source: newStock(100), Patience: time.Minute}, ill,
			&slowLister{well, release})
		go func() { time.Sleep(70 * time.Second); close(release) }() // while the second one is listed
		plan, err := s.Plan(t.Context())
		require.NoError(t, err)
		assert.Contains(t, plan.Channels[0].Error, "did not return in time")
		assert.Equal(t, 100, plan.Channels[1].Extra)
		pass(time.Hour)
	})
}

// counting waits for a lock to say what it has sent, as an adapter with a
// single lock does.
type counting struct {
	channel.Channel
	lock chan struct{} // a bubble's clock would wait for a mutex
}

func (c counting) Requests() int64 {
	c.lock <- struct{}{}
	defer func() { <-c.lock }()
	return 7
}

func (c counting) Push(context.Context, []channel.Update) error {
	c.lock <- struct{}{}
	defer func() { <-c.lock }()
	time.Sleep(time.Hour) // whatever ctx says
	return nil
}

// A channel that is stuck with its lock held delays no run by being asked what
// it has sent.
func TestAMeterThatIsStuckDelaysNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, well := newStock(5), shop("b", 1)
		s := unguardedly(t, syncer.Config{Source: source, Patience: time.Minute}, counting{shop("a", 1), make(chan struct{}, 1)}, well)
		_, err := s.SyncProducts(t.Context(), "p0")
		require.ErrorIs(t, err, channel.ErrUnavailable)
		shows(t, well, 5)
		source.put("p0", "SKU-0", 4)
		start := time.Now()
		r, err := s.SyncProducts(t.Context(), "p0")
		require.ErrorIs(t, err, channel.ErrUnavailable)
		assert.Less(t, time.Since(start), 10*time.Second)
		assert.NotContains(t, r.Requests, "a")
		shows(t, well, 4)
		pass(2 * time.Hour)
	})
}

// What is told of a call that was not made is that it was not sent.
func TestWhatWasNotSentIsNotUnclear(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, a := newStock(5, 6), shop("a", 2)
		hang := &channeltest.Intercept{Channel: a, OnPush: func(ctx context.Context, next channel.Channel, updates []channel.Update) error {
			time.Sleep(time.Hour) // whatever ctx says
			return next.Push(ctx, updates)
		}}
		s := unguardedly(t, syncer.Config{Source: source, Patience: time.Minute}, hang)
		r, err := s.SyncProducts(t.Context(), "p0")
		require.ErrorIs(t, err, channel.ErrUnavailable)
		assert.Equal(t, 1, r.Channels[0].Unclear, "it was sent")
		r, err = s.SyncProducts(t.Context(), "p1")
		require.ErrorIs(t, err, channel.ErrUnavailable)
		assert.Zero(t, r.Channels[0].Unclear, "it was not")
		assert.Equal(t, 1, r.Channels[0].Failed)
		pass(2 * time.Hour)
	})
}

// nilError is an error whose methods do not bear a nil pointer, as such errors
// are returned by mistake.
type nilError struct{ text string }

func (e *nilError) Error() string        { return e.text }
func (e *nilError) Is(target error) bool { return e.text == target.Error() }

// An error that panics is its product's or channel's trouble, wherever it is
// found.
func TestAnErrorThatPanicsIsAnError(t *testing.T) {
	var odd *nilError
	for name, hurt := range map[string]func(cfg *syncer.Config, c *channeltest.Intercept, source *stock){
		"Push": func(_ *syncer.Config, c *channeltest.Intercept, _ *stock) {
			c.OnPush = func(context.Context, channel.Channel, []channel.Update) error { return odd }
		},
		"an update": func(_ *syncer.Config, c *channeltest.Intercept, _ *stock) {
			c.OnPush = func(_ context.Context, _ channel.Channel, us []channel.Update) error {
				return channel.Errors{us[0].SKU: odd}
			}
		},
		"Levels": func(_ *syncer.Config, c *channeltest.Intercept, _ *stock) {
			c.OnLevels = func(context.Context, channel.Reader, []string) ([]channel.Level, error) { return nil, odd }
		},
		"a level": func(_ *syncer.Config, c *channeltest.Intercept, _ *stock) {
			c.OnLevels = func(ctx context.Context, next channel.Reader, skus []string) ([]channel.Level, error) {
				ls, err := next.Levels(ctx, skus)
				ls[0].Err = odd
				return ls, err
			}
		},
		"the policy": func(cfg *syncer.Config, _ *channeltest.Intercept, _ *stock) {
			cfg.Targets[0].Policy = syncer.Custom("odd", func(channel.Stock) (int, error) { return 0, odd })
		},
		"a product": func(_ *syncer.Config, _ *channeltest.Intercept, source *stock) {
			p := source.products["p0"]
			p.Err = odd
			source.products["p0"] = p
		},
		"the source": func(_ *syncer.Config, _ *channeltest.Intercept, source *stock) { source.fail = odd },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				source, a, b := newStock(90, 80), shop("a", 2), shop("b", 2)
				ill := &channeltest.Intercept{Channel: a}
				cfg := syncer.Config{Source: source, Schedule: syncer.Never(), Targets: []syncer.Target{{Channel: ill}, {Channel: b}}}
				hurt(&cfg, ill, source)
				s := configure(t, cfg)
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				for _, err := range []error{
					second(s.SyncProducts(ctx, "p0", "p1")), second(s.Reconcile(ctx)),
				} {
					assert.ErrorContains(t, err, "panic")
				}
				_, _ = s.Plan(ctx)
				stop := running(t, s)
				require.NoError(t, s.Notify(t.Context(), "p0", "p1"))
				pass(time.Minute)
				if name != "the source" && name != "a product" {
					shows(t, b, 90, 80)
				}
				stop()
			})
		})
	}
}

func second[T any](_ T, err error) error { return err }

// A schedule whose next time has passed already makes no endless run.
func TestAScheduleThatStandsStillIsNoLoop(t *testing.T) {
	racetest.Long(t)
	synctest.Test(t, func(t *testing.T) {
		source := newStock(90)
		defer running(t, configure(t, syncer.Config{Source: source, Schedule: standing{}}, shop("a", 1)))()
		pass(24 * time.Hour)
		assert.InDelta(t, 24, source.asked(), 2)
	})
}

type standing struct{}

func (standing) Next(t time.Time) time.Time { return t }
