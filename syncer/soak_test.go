package syncer_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/syncer"
)

// moody is what goes wrong at the moment.
type moody struct {
	mu  sync.Mutex
	rnd *rand.Rand
	on  map[string]bool
}

// turn switches one trouble on or off.
func (m *moody) turn(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.on[name] = !m.on[name]
}

func (m *moody) calm() {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.on)
}

// is reports whether a trouble is on and strikes this time.
func (m *moody) is(name string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.on[name] && m.rnd.IntN(2) == 0
}

// moodyQueue fails at times.
type moodyQueue struct {
	*syncer.MemoryQueue
	*moody
}

func (q moodyQueue) fail() error {
	if q.is("queue") {
		return errors.New("no space left on device")
	}
	return nil
}

func (q moodyQueue) Mark(ctx context.Context, marks ...syncer.Mark) error {
	return errors.Join(q.fail(), q.MemoryQueue.Mark(ctx, marks...)) // the marks may be there all the same
}

func (q moodyQueue) Lease(ctx context.Context, lane string, n int) ([]syncer.Task, error) {
	if err := q.fail(); err != nil {
		return nil, err
	}
	return q.MemoryQueue.Lease(ctx, lane, n)
}

func (q moodyQueue) Ack(ctx context.Context, tasks ...syncer.Task) error {
	if err := q.fail(); err != nil {
		return err
	}
	return q.MemoryQueue.Ack(ctx, tasks...)
}

func (q moodyQueue) Retry(ctx context.Context, at time.Time, tasks ...syncer.Task) error {
	if err := q.fail(); err != nil {
		return err
	}
	return q.MemoryQueue.Retry(ctx, at, tasks...)
}

// A week of events and nights. Everything that can go wrong is switched on and
// off at random; one SKU spoils each batch that it is in; one adapter panics at
// times, and one does not return. Whenever it is quiet the healthy channels
// show what the source has, nothing was wrongly zeroed, and each trouble was
// named.
func TestAWeekInWhichEverythingGoesWrong(t *testing.T) {
	days, products, chances, events := 7, 150, 3, 20
	if testing.Short() {
		days, products, chances, events = 1, 60, 2, 40 // so that each trouble comes in a day
	}
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	synctest.Test(t, func(t *testing.T) {
		m := &moody{rnd: rand.New(rand.NewPCG(seed, 1)), on: make(map[string]bool)}
		source, well := catalogue(products)
		shops := map[string]*channeltest.Memory{"well": well}
		for _, name := range []string{"panics", "hangs", "poisoned"} {
			shops[name] = channeltest.NewMemory(name)
			for i := range products {
				shops[name].Set(fmt.Sprintf("SKU-%d", i), 10)
			}
		}
		var zeroed atomic.Int64
		watched := func(name string, trouble func(ctx context.Context, skus []string) error) channel.Channel {
			return &channeltest.Intercept{Channel: shops[name],
				OnLevels: func(ctx context.Context, next channel.Reader, skus []string) ([]channel.Level, error) {
					if err := trouble(ctx, skus); err != nil {
						return nil, err
					}
					return next.Levels(ctx, skus)
				},
				OnPush: func(ctx context.Context, next channel.Channel, updates []channel.Update) error {
					var skus []string
					for _, u := range updates {
						skus = append(skus, u.SKU)
						if u.Quantity == 0 { // the source never has none
							zeroed.Add(1)
						}
					}
					if err := trouble(ctx, skus); err != nil {
						return err
					}
					return next.Push(ctx, updates)
				}}
		}
		log := new(lines)
		cfg := syncer.Config{
			Source: moodySource{source, m}, Queue: moodyQueue{syncer.NewMemoryQueue(), m}, Patience: time.Minute,
			Logger: slog.New(slog.NewTextHandler(log, nil)),
		}
		none := func(context.Context, []string) error { return nil }
		s := configure(t, cfg,
			watched("well", none),
			watched("panics", func(context.Context, []string) error {
				if m.is("panic") {
					panic("the adapter's")
				}
				return nil
			}),
			watched("hangs", func(ctx context.Context, _ []string) error {
				if m.is("hang") {
					time.Sleep(20 * time.Minute) // whatever ctx says
				}
				return nil
			}),
			watched("poisoned", func(_ context.Context, skus []string) error {
				for _, sku := range skus {
					if sku == "SKU-7" {
						return fmt.Errorf("500: %w", channel.ErrUnavailable)
					}
				}
				if m.is("down") {
					return channel.ErrUnavailable
				}
				return nil
			}))
		stop := running(t, s)
		chance := rand.New(rand.NewPCG(seed, 2)) // the test's own: m's is shared
		for range days {
			for range 24 {
				for name := range strings.SplitSeq("queue panic hang down source rows", " ") {
					if chance.IntN(chances) == 0 {
						m.turn(name)
					}
				}
				for range events {
					i := chance.IntN(products)
					id := fmt.Sprintf("p%d", i)
					source.put(id, fmt.Sprintf("SKU-%d", i), 12+chance.IntN(13)) // no guard's affair
					for s.Notify(t.Context(), id) != nil {                       // as a sender does that got 503
						time.Sleep(time.Second)
					}
					time.Sleep(time.Hour / time.Duration(events))
				}
			}
			m.calm()
			pass(90 * time.Minute) // quiet: also for what waits longest, and for calls that were left behind
			for i := range products {
				sku := fmt.Sprintf("SKU-%d", i)
				for name, shop := range shops {
					n, _ := shop.Quantity(sku)
					if name == "poisoned" && i == 7 {
						continue
					}
					source.mu.Lock()
					want := source.products[fmt.Sprintf("p%d", i)].Available
					source.mu.Unlock()
					require.Equal(t, want, n, "%s: %s", name, sku)
				}
			}
		}
		stop()
		assert.Zero(t, zeroed.Load(), "nothing was ever to be zeroed")
		held, err := s.Held(t.Context())
		require.NoError(t, err)
		assert.Empty(t, held)
		for _, named := range []string{
			"the queue failed, and is tried again", "recovered from a panic", "a call does not return and is left behind",
			"a call that was left behind has returned", "channel down", "channel up", "will be tried again", "product=p7 ",
			"reading the source", "available is 1.5",
		} {
			assert.True(t, log.has(named), "no log line says %q", named)
		}
	})
}

// moodySource fails, or has odd rows, at times.
type moodySource struct {
	*stock
	*moody
}

func (s moodySource) Stock(ctx context.Context, ids ...string) iter.Seq2[channel.Stock, error] {
	return func(yield func(channel.Stock, error) bool) {
		if s.is("source") {
			yield(channel.Stock{}, fmt.Errorf("502: %w", channel.ErrUnavailable))
			return
		}
		for p, err := range s.stock.Stock(ctx, ids...) {
			if p.ProductID == "p3" && s.is("rows") {
				p = channel.Stock{ProductID: "p3", SKU: "SKU-3", Err: errors.New("available is 1.5")}
			}
			if !yield(p, err) {
				return
			}
		}
	}
}

// lines is a log that remembers what it said, in little space.
type lines struct {
	mu   sync.Mutex
	seen map[string]bool
}

func (l *lines) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.seen == nil {
		l.seen = make(map[string]bool)
	}
	for _, word := range []string{
		"the queue failed, and is tried again", "recovered from a panic", "a call does not return and is left behind",
		"a call that was left behind has returned", "channel down", "channel up", "will be tried again", "product=p7 ",
		"reading the source", "available is 1.5",
	} {
		if strings.Contains(string(line), word) {
			l.seen[word] = true
		}
	}
	return len(line), nil
}

func (l *lines) has(word string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.seen[word]
}
