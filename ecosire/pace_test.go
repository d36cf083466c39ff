package ecosire_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/ecosire"
	"github.com/ecosire/stocksync/ecosire/ecosiretest"
	"github.com/ecosire/stocksync/internal/racetest"
)

// steady marks something at random times, at a given rate, and reads it
// as a syncer's Run does. It returns how long it took until each mark was read.
func steady(ctx context.Context, c *ecosire.Client, perSecond float64, seed uint64) (delays []time.Duration) {
	random := rand.New(rand.NewPCG(seed, 7))
	var mu sync.Mutex
	var marks []time.Time
	marked := make(chan struct{}, 1)
	go func() {
		for ctx.Err() == nil {
			select {
			case <-ctx.Done():
				return
			case <-time.After(time.Duration(random.ExpFloat64() / perSecond * float64(time.Second))):
			}
			mu.Lock()
			marks = append(marks, time.Now())
			mu.Unlock()
			select {
			case marked <- struct{}{}:
			default:
			}
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return delays
		case <-marked:
		}
		time.Sleep(100 * time.Millisecond)
		if c.Pace(ctx) != nil {
			return delays
		}
		mu.Lock()
		some := marks
		marks = nil
		mu.Unlock()
		if len(some) == 0 {
			continue
		}
		if look(ctx, c) != nil {
			return delays
		}
		for _, at := range some {
			delays = append(delays, time.Since(at))
		}
	}
}

func percentile(ds []time.Duration, p int) time.Duration {
	sorted := append([]time.Duration(nil), ds...)
	for i := range sorted { // few
		for j := i; j > 0 && sorted[j] < sorted[j-1]; j-- {
			sorted[j], sorted[j-1] = sorted[j-1], sorted[j]
		}
	}
	return sorted[(len(sorted)-1)*p/100]
}

// Events wait for ECOSIRE no longer than its quota makes them, from the first
// minute on, alone and beside a run that was there before them or comes after.
func TestHowLongEventsWait(t *testing.T) {
	const least = 200 * time.Millisecond // to gather, and to be answered
	seeds := uint64(3)
	if testing.Short() {
		seeds = 1
	}
	for _, tt := range []struct {
		perSecond float64
		run       bool
		p50, p99  time.Duration // beyond that
	}{
		{0.2, false, 0, 300 * time.Millisecond}, {1, false, 100 * time.Millisecond, 1000 * time.Millisecond}, {10, false, 600 * time.Millisecond, 1150 * time.Millisecond},
		{90, false, 600 * time.Millisecond, 1150 * time.Millisecond},
		{0.2, true, 0, 500 * time.Millisecond}, {1, true, 700 * time.Millisecond, 1400 * time.Millisecond}, {10, true, 700 * time.Millisecond, 1250 * time.Millisecond},
	} {
		t.Run(fmt.Sprint(tt.perSecond, " ", tt.run), func(t *testing.T) {
			if racetest.Short() && (!tt.run || tt.perSecond < 10) {
				t.Skip("takes long under the race detector")
			}
			for seed := range seeds {
				synctest.Test(t, func(t *testing.T) {
					s := ecosiretest.New(ecosiretest.Config{Latency: 100 * time.Millisecond})
					for i := range 30_000 {
						s.Add(ecosiretest.Product{SKU: fmt.Sprint(i)})
					}
					c := scheduled(t, s, nil)
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					if tt.run {
						go func() {
							for ctx.Err() == nil {
								collect(c.Stock(channel.WithUrgency(ctx, channel.Background)))
							}
						}()
						time.Sleep(time.Duration(10+seed*17) * time.Second)
					}
					for range 3 { // the first minutes are not excused
						some, stop := context.WithTimeout(ctx, 60*time.Second)
						ds := steady(some, c, tt.perSecond, seed)
						stop()
						assert.LessOrEqual(t, percentile(ds, 50)-least, tt.p50)
						assert.LessOrEqual(t, percentile(ds, 99)-least, tt.p99)
					}
				})
			}
		})
	}
}

// Workers that the same mark woke are let through together, though they do not
// come at the very same time, and count once.
func TestPaceLetsCompanyThrough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &minute{}
		c := scheduled(t, m, nil)
		for range 200 {
			start := time.Now()
			require.NoError(t, c.Pace(t.Context()))
			require.NoError(t, ask(t.Context(), c))
			time.Sleep(30 * time.Millisecond)
			require.NoError(t, c.Pace(t.Context())) // and finds what it needs
			assert.LessOrEqual(t, time.Since(start), 250*time.Millisecond)
			time.Sleep(970 * time.Millisecond)
		}
		start := time.Now()
		require.NoError(t, c.Pace(t.Context()))
		require.NoError(t, ask(t.Context(), c))
		time.Sleep(300 * time.Millisecond) // this one is no company
		require.NoError(t, c.Pace(t.Context()))
		require.NoError(t, ask(t.Context(), c))
		time.Sleep(300 * time.Millisecond)
		require.NoError(t, c.Pace(t.Context()))
		assert.Less(t, time.Since(start), 2500*time.Millisecond)
		assert.Greater(t, time.Since(start), time.Second)
	})
}

func TestPaceLetsABurstGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &minute{}
		c := scheduled(t, m, nil)
		start := time.Now()
		var wg sync.WaitGroup
		for range 25 {
			wg.Go(func() {
				assert.NoError(t, c.Pace(t.Context()))
				assert.NoError(t, ask(t.Context(), c))
			})
		}
		wg.Wait()
		assert.Zero(t, time.Since(start))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		assert.ErrorIs(t, c.Pace(ctx), context.Canceled)
	})
}

// Beside a run, and what a watch noticed, no event waits for longer than its
// turn, the last ones of a window included.
func TestTheLongestWaitOfAnEvent(t *testing.T) {
	for seed := range uint64(8) {
		synctest.Test(t, func(t *testing.T) {
			m := &minute{}
			c := scheduled(t, m, nil)
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
			defer cancel()
			var wg sync.WaitGroup
			for _, u := range []channel.Urgency{channel.Soon, channel.Background} {
				wg.Go(func() {
					time.Sleep(70 * time.Second) // by then it is known how much urgent work there is
					for ctx.Err() == nil {
						_ = ask(channel.WithUrgency(ctx, u), c)
						if u == channel.Soon || seed%2 == 0 { // some, or all that there is
							time.Sleep(time.Duration(11+seed) * 1300 * time.Millisecond)
						}
					}
				})
			}
			ds := steady(ctx, c, 10, seed)
			wg.Wait()
			assert.LessOrEqual(t, percentile(ds, 100), 1210*time.Millisecond)
			assert.Greater(t, m.total, 290, "and the quota is used")
		})
	}
}
