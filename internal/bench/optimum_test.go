package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sort"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/ecosire"
	"github.com/ecosire/stocksync/ecosire/ecosiretest"
)

// stream is when events come: a Poisson process with a given rate.
func stream(perSecond float64, d time.Duration, seed uint64) (at []time.Duration) {
	random := rand.New(rand.NewPCG(seed, 3))
	for t := time.Duration(0); ; {
		if t += time.Duration(random.ExpFloat64() / perSecond * float64(time.Second)); t >= d {
			return at
		}
		at = append(at, t)
	}
}

// covered is how many of the events the best choice of reads serves within a
// delay, with a number of reads in each minute, the first ones apart. Whoever chooses knows all events
// beforehand. A read at the time of an event serves it and those before it.
//
// best[i] is the most of the first i events that can be served by the minutes
// up to that of event i. Within a minute, most[k] is the same with k reads.
func covered(at []time.Duration, delay time.Duration, reads int, first ...int) int {
	best := make([]int, len(at)+1)
	for begin := 0; begin < len(at); {
		minute := at[begin] / time.Minute
		end := begin
		for end < len(at) && at[end]/time.Minute == minute {
			end++
		}
		reads := reads
		if minute := int(at[begin] / time.Minute); minute < len(first) {
			reads = first[minute]
		}
		// most[i-begin][k], of which the rows so far are needed.
		most := make([][]int, end-begin+1)
		most[0] = slices.Repeat([]int{best[begin]}, reads+1)
		for i := begin; i < end; i++ {
			from := max(0, sort.Search(i+1, func(j int) bool { return at[i]-at[j] <= delay }))
			row := slices.Clone(most[i-begin])
			for k := 1; k <= reads; k++ {
				before := best[min(from, begin)]
				if from > begin {
					before = most[from-begin][k-1]
				}
				row[k] = max(row[k], row[k-1], before+i+1-from)
			}
			most[i-begin+1] = row
			best[i+1] = row[reads]
		}
		begin = end
	}
	return best[len(at)]
}

// optimum is the least delay within which any scheduler could serve 99 of 100
// events.
func optimum(at []time.Duration, reads int, first ...int) time.Duration {
	want := (len(at)*99 + 99) / 100
	low, high := time.Duration(-1), 3*time.Second
	for high-low > 5*time.Millisecond {
		middle := (low + high) / 2
		if covered(at, middle, reads, first...) >= want {
			high = middle
		} else {
			low = middle
		}
	}
	return max(0, high)
}

// ours is what the client's scheduler makes of the same events: from each to
// the request that reads it, as a syncer's Run asks. beside says whether a
// catalogue is read meanwhile, and had been before.
func ours(t *testing.T, at []time.Duration, beside bool) (delays []time.Duration) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := ecosiretest.New(ecosiretest.Config{Latency: ecosireTime})
		products := make([]ecosiretest.Product, 20_000)
		ids := s.Add(products...)
		c, err := ecosire.New(ecosire.Config{APIKey: "eco_live_test", HTTPClient: &http.Client{Transport: s}})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		if beside {
			wg.Go(func() {
				for ctx.Err() == nil {
					for range c.Stock(channel.WithUrgency(ctx, channel.Background)) {
					}
				}
			})
			time.Sleep(90 * time.Second)
		}
		start := time.Now()
		for next := 0; next < len(at); {
			time.Sleep(time.Until(start.Add(at[next])))
			require.NoError(t, c.Pace(ctx))
			for first := time.Now(); next < len(at) && !start.Add(at[next]).After(first); next++ {
				delays = append(delays, time.Since(start.Add(at[next])))
			}
			for _, err := range c.Stock(ctx, ids[0]) {
				require.NoError(t, err)
			}
			if s.Count(nil) > 1000 {
				s.Forget()
			}
		}
		cancel()
		wg.Wait()
	})
	return delays
}

// TestOptimum shows how far the client's scheduler is from the best that any could
// do: from an event until the request is sent that reads it, as Run asks, without
// what the services take. The best one knows all events beforehand; see covered. It has 60
// requests in each minute, or 50 beside a run.
func TestOptimum(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long under the race detector")
	}
	d := 5 * time.Minute
	if mode != "" {
		d = 30 * time.Minute
	}
	out := newTable("optimum", "events/s", "best possible p99", "ours p50", "p99", "beside a run: best possible p99", "ours p50", "p99")
	for _, most := range []struct {
		perSecond     float64
		alone, beside time.Duration // p99
	}{
		{0.2, 300 * time.Millisecond, 1250 * time.Millisecond}, {1, time.Second, 1400 * time.Millisecond},
		{10, 1100 * time.Millisecond, 1300 * time.Millisecond}, {50, 1100 * time.Millisecond, 1300 * time.Millisecond}, {90, 1100 * time.Millisecond, 1300 * time.Millisecond},
	} {
		perSecond := most.perSecond
		at := stream(perSecond, d, 11)
		best, bestBeside := optimum(at, ecosireLimit), optimum(at, ecosireLimit*5/6)
		alone, beside := ours(t, at, false), ours(t, at, true)
		out.row(perSecond, span(best), span(percentile(alone, 50)), span(percentile(alone, 99)),
			span(bestBeside), span(percentile(beside, 50)), span(percentile(beside, 99)))
		assert.LessOrEqual(t, percentile(alone, 99), most.alone, "%v a second", perSecond)
		assert.LessOrEqual(t, percentile(beside, 99), most.beside, "%v a second beside a run", perSecond)
	}
	out.done(t)
}

// Events that begin when a run has just taken what was left of its last window:
// 31 s of it and 15 requests are left. No scheduler could do much better then
// than one that reads as soon as there is a request for each equal part.
func TestOptimumInARunsLastMinute(t *testing.T) {
	const left, rest = 15, 31 * time.Second
	begin := time.Minute - rest
	at := stream(10, time.Minute, 11)
	for i := range at {
		at[i] += begin
	}
	best := optimum(at, ecosireLimit, left)
	even := rest / (left + 1)
	t.Log("best possible p99", best, "; evenly", even)
	assert.GreaterOrEqual(t, best, even*8/10)
}

func TestCovered(t *testing.T) {
	second := func(s ...float64) (at []time.Duration) {
		for _, s := range s {
			at = append(at, time.Duration(s*float64(time.Second)))
		}
		return at
	}
	for _, tt := range []struct {
		at    []time.Duration
		delay time.Duration
		reads int
		want  int
	}{
		{second(1, 2, 3), 0, 2, 2}, {second(1, 2, 3), time.Second, 1, 2}, {second(1, 2, 3), time.Second, 2, 3},
		{second(59, 60.5, 61), 2 * time.Second, 1, 3}, {second(59, 60.5, 61), 0, 1, 2}, {second(1, 1, 1), 0, 1, 3}, {nil, 0, 1, 0},
		{second(1, 59.5, 60, 61), time.Second, 1, 3},
	} {
		assert.Equal(t, tt.want, covered(tt.at, tt.delay, tt.reads), fmt.Sprint(tt))
	}
}
