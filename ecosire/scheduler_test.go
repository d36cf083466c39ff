package ecosire_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
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

// Never more than the limit, whatever the ways take, in whatever windows, by
// whatever clock.
func TestNeverMoreThanTheLimit(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	times := 25
	if testing.Short() {
		times = 5
	}
	for range times {
		m := &minute{}
		var mu sync.Mutex
		draw := func(most time.Duration) func(int) time.Duration {
			return func(int) time.Duration {
				mu.Lock()
				defer mu.Unlock()
				return time.Duration(random.Float64() * random.Float64() * float64(most))
			}
		}
		there, back := time.Duration(random.IntN(3))*5*time.Second, time.Duration(random.IntN(3))*5*time.Second
		m.before, m.after = draw(there), draw(back)
		kind := random.IntN(5)
		skew := time.Duration(random.IntN(3)-1) * time.Hour
		m.tell = func(_ int, h http.Header) {
			shift := func() {
				reset, _ := strconv.ParseInt(h.Get("X-RateLimit-Reset"), 10, 64)
				h.Set("X-RateLimit-Reset", strconv.FormatInt(reset+int64(skew.Seconds()), 10))
				date, _ := http.ParseTime(h.Get("Date"))
				h.Set("Date", date.Add(skew).Format(http.TimeFormat))
			}
			switch kind {
			case 1:
				shift()
			case 2:
				h.Del("Date")
			case 3:
				if mu.Lock(); random.IntN(3) == 0 {
					h.Del("X-RateLimit-Reset")
				}
				mu.Unlock()
			}
		}
		callers := 1 + random.IntN(100)
		aligned := random.IntN(2) == 0
		pause := draw(time.Duration(random.IntN(20)) * time.Second)
		synctest.Test(t, func(t *testing.T) {
			if aligned {
				m.begin = time.Now().Add(-time.Duration(1+random.IntN(58)) * time.Second)
			}
			c := scheduled(t, m, nil)
			ctx, cancel := context.WithTimeout(t.Context(), 12*time.Minute)
			defer cancel()
			var wg sync.WaitGroup
			for i := range callers {
				wg.Go(func() {
					for ctx.Err() == nil {
						ask(channel.WithUrgency(ctx, channel.Urgency(i%3)), c)
						select {
						case <-ctx.Done():
						case <-time.After(pause(0)):
						}
					}
				})
			}
			wg.Wait()
			refused := 0
			if kind == 3 {
				refused = 2 // an answer that does not say so may have counted in the next window
			}
			assert.LessOrEqual(t, m.over, refused, "%d callers, %v there, %v back, headers %d, aligned %v, %v skew", callers, there, back, kind, aligned, skew)
			if m.most >= 50 { // and it is used
				assert.GreaterOrEqual(t, m.total, 8*40)
			}
		})
	}
}

func TestTheQuotaIsUsedUp(t *testing.T) {
	for _, u := range []channel.Urgency{channel.Urgent, channel.Background} {
		if racetest.Short() && u == channel.Urgent {
			continue // takes long under the race detector
		}
		synctest.Test(t, func(t *testing.T) {
			s, _ := server(30_000)
			time.Sleep(300 * time.Millisecond) // windows do not begin with a second
			start := time.Now()
			got, err := collect(client(t, s, io.Discard).Stock(channel.WithUrgency(t.Context(), u)))
			require.NoError(t, err)
			assert.Len(t, got, 30_000)
			assert.Len(t, s.Requests(), 300, "none was refused")
			assert.InDelta(t, 4*61, time.Since(start).Seconds(), 4, u)
		})
	}
}

func TestCallersShareTheQuota(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := ecosiretest.New(ecosiretest.Config{Latency: 200 * time.Millisecond})
		ids := s.Add(ecosiretest.Product{SKU: "a"})
		c := client(t, s, io.Discard)
		start := time.Now()
		var wg sync.WaitGroup
		for range 150 {
			wg.Go(func() {
				_, err := collect(c.Stock(t.Context(), ids...))
				assert.NoError(t, err)
			})
		}
		wg.Wait()
		assert.Len(t, s.Requests(), 150, "none was refused and repeated")
		assert.InDelta(t, 122, time.Since(start).Seconds(), 3)
	})
}

// The most urgent leaves first, and of these who came first.
func TestWhoLeavesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &minute{limit: 1}
		c := scheduled(t, m, nil)
		require.NoError(t, ask(t.Context(), c))
		var mu sync.Mutex
		var order []string
		var wg sync.WaitGroup
		for i := range 9 {
			u := channel.Urgency(2 - i%3)
			wg.Go(func() {
				assert.NoError(t, ask(channel.WithUrgency(t.Context(), u), c))
				mu.Lock()
				defer mu.Unlock()
				order = append(order, fmt.Sprint(u, i/3))
			})
			time.Sleep(time.Millisecond)
		}
		wg.Wait()
		assert.Equal(t, []string{"0 0", "0 1", "0 2", "1 0", "1 1", "1 2", "2 0", "2 1", "2 2"}, order)
		assert.Zero(t, m.over)
	})
}

// What is asked for behind somebody who gives up leaves all the same.
func TestGivingUpAPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &minute{}
		c := scheduled(t, m, nil)
		for range 60 {
			require.NoError(t, ask(t.Context(), c))
		}
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		go func() { assert.ErrorIs(t, ask(ctx, c), context.DeadlineExceeded) }()
		time.Sleep(time.Second)
		require.NoError(t, ask(t.Context(), c))
		assert.InDelta(t, 60, time.Since(start).Seconds(), 1.1)
	})
}

// catalogue is an ECOSIRE with a number of pages, at which a run begins.
func catalogue(t *testing.T, pages int, edit func(*ecosire.Config)) (s *ecosiretest.Server, c *ecosire.Client, run func() <-chan struct{}) {
	s, _ = server(pages * 100)
	c = scheduled(t, s, edit)
	return s, c, func() <-chan struct{} {
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, err := collect(c.Stock(channel.WithUrgency(t.Context(), channel.Background)))
			assert.NoError(t, err)
		}()
		return done
	}
}

// A run that fits into what is left takes it. A longer one leaves a request for
// each 1.2 s, and what nobody wanted it gets then.
func TestARunInTheBackground(t *testing.T) {
	for _, tt := range []struct{ pages, atOnce, halfTime, before int }{
		{1, 1, 1, 1}, {55, 55, 55, 55}, {60, 60, 60, 60}, {61, 11, 35, 60}, {300, 11, 35, 60},
	} {
		synctest.Test(t, func(t *testing.T) {
			s, _, run := catalogue(t, tt.pages, nil)
			done := run()
			time.Sleep(time.Second)
			assert.InDelta(t, tt.atOnce, s.Count(nil), 1, "%d pages", tt.pages)
			time.Sleep(29 * time.Second)
			assert.InDelta(t, tt.halfTime, s.Count(nil), 1, "%d pages", tt.pages)
			time.Sleep(29900 * time.Millisecond)
			assert.Equal(t, tt.before, s.Count(nil), "%d pages", tt.pages)
			<-done
			assert.Len(t, s.Requests(), tt.pages)
		})
	}
}

// The last minute of a run is not spread.
func TestTheLastPagesOfARunLeaveAtOnce(t *testing.T) {
	for _, pages := range []int{100, 120} {
		synctest.Test(t, func(t *testing.T) {
			_, _, run := catalogue(t, pages, nil)
			start := time.Now()
			<-run()
			assert.InDelta(t, 61, time.Since(start).Seconds(), 1, "%d pages", pages)
		})
	}
}

// What urgent work took in the last minute it will want again.
func TestARunLeavesWhatUrgentWorkTakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c, run := catalogue(t, 40, nil)
		for range 20 { // one in three seconds
			time.Sleep(3 * time.Second)
			require.NoError(t, look(t.Context(), c))
		}
		time.Sleep(time.Second)
		s.Forget()
		start := time.Now()
		done := run()
		for range 19 {
			asked := time.Now()
			require.NoError(t, look(t.Context(), c))
			assert.LessOrEqual(t, time.Since(asked), 1500*time.Millisecond)
			time.Sleep(3 * time.Second)
		}
		<-done
		assert.Greater(t, time.Since(start), 20*time.Second, "it did not fit")
		assert.Less(t, time.Since(start), 62*time.Second)
	})
	synctest.Test(t, func(t *testing.T) {
		_, c, run := catalogue(t, 59, nil)
		require.NoError(t, look(t.Context(), c))
		time.Sleep(9 * time.Minute)
		start := time.Now()
		<-run()
		assert.Greater(t, time.Since(start), 40*time.Second, "two are kept where there was any in ten minutes")
		time.Sleep(11 * time.Minute)
		start = time.Now()
		<-run()
		assert.Zero(t, time.Since(start), "and none after that")
	})
}

// Whoever waits because of a long run need not when that is broken off.
func TestARunThatBreaksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, c, _ := catalogue(t, 300, nil)
		ctx := channel.WithUrgency(t.Context(), channel.Background)
		stop := make(chan struct{})
		go func() {
			read := 0
			for range c.Stock(ctx) {
				if read++; read == 450 {
					<-stop
					return
				}
			}
		}()
		synctest.Wait()
		for asked := time.Now(); time.Since(asked) < time.Second; { // up to where a run waits
			asked = time.Now()
			require.NoError(t, look(ctx, c))
		}
		start := time.Now()
		var took time.Duration
		var wg sync.WaitGroup
		wg.Go(func() {
			require.NoError(t, look(ctx, c))
			took = time.Since(start)
		})
		time.Sleep(100 * time.Millisecond)
		close(stop)
		wg.Wait()
		assert.Equal(t, 100*time.Millisecond, took)
	})
}

// A loop of small readings cannot spend what urgent work may need.
func TestSmallReadingsDoNotAddUp(t *testing.T) {
	for _, u := range []channel.Urgency{channel.Soon, channel.Background} {
		synctest.Test(t, func(t *testing.T) {
			m := &minute{}
			c := scheduled(t, m, nil)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			start := time.Now()
			go func() {
				for ctx.Err() == nil {
					_, _ = c.Count(channel.WithUrgency(ctx, u))
				}
			}()
			time.Sleep(10 * time.Second)
			first := m.within(start, 10*time.Second)
			assert.Less(t, first, 53, u)
			for range 8 {
				require.NoError(t, ask(t.Context(), c))
			}
			assert.Equal(t, 10*time.Second, time.Since(start))
			<-ctx.Done()
		})
	}
}

// Work that is to be done soon leaves nearly all to urgent work, however little
// it is itself.
func TestWorkToBeDoneSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &minute{}
		c := scheduled(t, m, nil)
		start := time.Now()
		ctx, cancel := context.WithCancel(channel.WithUrgency(t.Context(), channel.Soon))
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() { _ = ask(ctx, c) })
		}
		time.Sleep(59900 * time.Millisecond)
		assert.InDelta(t, 3, m.within(start, 0), 1)
		assert.InDelta(t, 31, m.within(start, 30*time.Second), 1)
		assert.Equal(t, 59, m.within(start, time.Minute), "ECOSIRE's minute may end up to a second later")
		cancel()
		wg.Wait()
	})
}

// Others with the same key are not our own urgent work. A run leaves them what
// they took, unless the host says that there are none.
func TestOthersWithTheSameKey(t *testing.T) {
	for _, sole := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			m := &minute{taken: 20}
			c := scheduled(t, m, func(cfg *ecosire.Config) { cfg.Sole = sole })
			for range 3 {
				require.NoError(t, ask(channel.WithUrgency(t.Context(), channel.Background), c))
				time.Sleep(62 * time.Second)
			}
			before := m.total
			ctx, cancel := context.WithTimeout(channel.WithUrgency(t.Context(), channel.Background), time.Second)
			defer cancel()
			var wg sync.WaitGroup
			for range 30 { // known to be all
				wg.Go(func() { _ = ask(ctx, c) })
			}
			wg.Wait()
			if sole {
				assert.Equal(t, 30, m.total-before)
			} else {
				assert.Less(t, m.total-before, 30)
			}
			assert.Zero(t, m.over)
		})
	}
}

func TestCeiling(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := server(10_000)
		c := scheduled(t, s, func(cfg *ecosire.Config) { cfg.Ceiling = 25 })
		assert.Equal(t, 2*time.Minute, c.ReadingTime(t.Context(), 7_500).Round(time.Minute))
		start := time.Now()
		_, err := collect(c.Stock(t.Context()))
		require.NoError(t, err)
		assert.InDelta(t, 3*61, time.Since(start).Seconds(), 3)
		for from := range s.Requests()[:75] {
			assert.GreaterOrEqual(t, s.Requests()[from+25].Time.Sub(s.Requests()[from].Time), 55*time.Second)
		}
	})
	_, err := ecosire.New(ecosire.Config{APIKey: "k", Ceiling: -1})
	assert.ErrorContains(t, err, "Ceiling")
}

func TestReadingTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &minute{}
		c := scheduled(t, m, nil)
		for products, want := range map[int]time.Duration{
			0: 0, 1: 0, 6_000: 0, 6_001: time.Minute, 12_000: time.Minute, 12_001: 2 * time.Minute, 600_000: 99 * time.Minute,
		} {
			assert.Equal(t, want, c.ReadingTime(t.Context(), products), products)
		}
		for range 10 {
			require.NoError(t, ask(t.Context(), c))
		}
		assert.Zero(t, c.ReadingTime(t.Context(), 5_000))
		assert.InDelta(t, 60, c.ReadingTime(t.Context(), 5_001).Seconds(), 1)
	})
}
