package amazon

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/ecosire/stocksync/channel"
)

// A bucket knows how many requests Amazon grants for one operation, as well as
// that can be known from here: other processes of the same application draw on
// the same bucket.
//
// Those that wait are served by urgency, and then in the order in which they
// came. What can wait leaves a share of the burst to what cannot; see
// [channel.WithUrgency].
type bucket struct {
	table float64 // requests a second that Amazon's models name
	burst float64

	mu      sync.Mutex
	changed chan struct{}                   // closed, and made anew, when anything below changes
	rate    float64                         // requests a second, as Amazon said last
	share   float64                         // of the rate that others leave, as refusals show
	tokens  float64                         // at the time at
	at      time.Time                       // zero until the first request
	strikes int                             // 429s in a row
	blocked time.Time                       // until when nothing is sent, after a 429
	waiting [channel.Background + 1][]*turn // by urgency, first come first served
}

type turn struct{ urgency channel.Urgency }

// leaves is the share of the burst that is left to what is more urgent. A
// larger one would cost a run that reads and writes by turns: what is granted
// meanwhile is lost beyond the burst.
var leaves = [channel.Background + 1]float64{channel.Soon: 0.1, channel.Background: 0.15}

func newBucket(rate, burst float64) *bucket {
	return &bucket{table: rate, rate: rate, share: 1, burst: burst, tokens: burst, changed: make(chan struct{})}
}

// take waits for a request's turn.
func (b *bucket) take(ctx context.Context) error {
	t := &turn{channel.UrgencyOf(ctx)}
	b.mu.Lock()
	queue := &b.waiting[t.urgency]
	*queue = append(*queue, t)
	for {
		wait, mine := b.wait(t)
		if mine && wait <= 0 {
			b.tokens--
			b.leave(queue, t)
			b.mu.Unlock()
			return nil
		}
		changed := b.changed
		b.mu.Unlock()
		if !mine {
			wait = math.MaxInt64
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-changed:
		case <-ctx.Done():
		}
		timer.Stop()
		b.mu.Lock()
		if err := ctx.Err(); err != nil {
			b.leave(queue, t)
			b.mu.Unlock()
			return err
		}
	}
}

func (b *bucket) leave(queue *[]*turn, t *turn) {
	*queue = slices.DeleteFunc(*queue, func(o *turn) bool { return o == t })
	b.tell()
}

func (b *bucket) tell() {
	close(b.changed)
	b.changed = make(chan struct{})
}

// wait returns how long a turn has to wait if nothing changes. mine is false if
// others come first.
func (b *bucket) wait(t *turn) (wait time.Duration, mine bool) {
	b.fill()
	for _, queue := range b.waiting {
		if len(queue) == 0 {
			continue
		}
		if queue[0] != t {
			return 0, false
		}
		break
	}
	need := 1 + leaves[t.urgency]*(b.burst-1)
	wait = seconds((need - b.tokens) / b.pace())
	return max(wait, time.Until(b.blocked)), true
}

// pace is how many requests a second are sent.
func (b *bucket) pace() float64 { return b.rate * b.share }

func (b *bucket) fill() {
	now := time.Now()
	if !b.at.IsZero() {
		b.tokens = min(b.burst, b.tokens+now.Sub(b.at).Seconds()*b.pace())
	}
	b.at = now
}

// follow takes over the rate that Amazon names, up or down, within a hundredth
// of the rate that it documents and twenty times that.
func (b *bucket) follow(rate float64) {
	if math.IsNaN(rate) || math.IsInf(rate, 0) || rate <= 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fill()
	b.rate = min(max(rate, b.table/100), b.table*20)
	b.tell()
}

// granted says that Amazon accepted a request.
func (b *bucket) granted() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fill()
	b.strikes = 0
	b.share = min(1, b.share+shareGrowth)
}

// refused says that a request that was sent at a time was over the quota. There
// is no telling for how long: the next one waits about as long as a request
// takes to be granted, and twice as long after each further refusal. What
// follows goes slower for a while.
func (b *bucket) refused(sent time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if sent.Before(b.blocked) {
		return // it went out before the last refusal was known
	}
	b.fill()
	b.tokens = 0
	b.share = max(min(b.share*shareCut, b.table/b.rate), minShare)
	wait := seconds(1 / min(b.rate, b.table))
	wait = min(wait<<min(b.strikes, 8), max(wait, maxBlock))
	b.strikes++
	b.blocked = time.Now().Add(wait/2 + rand.N(wait))
	b.tell()
}

// How the share of the rate is found that other processes leave: it shrinks by
// a refusal, at least to the pace that Amazon documents, and grows by each
// request that is granted.
const (
	shareCut    = 0.7
	shareGrowth = 0.01
	minShare    = 0.02
)

// maxBlock caps the wait after a 429, unless a single request takes longer to
// be granted.
const maxBlock = 30 * time.Second

// until is how long nothing will be sent, or 0.
func (b *bucket) until() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	return max(0, time.Until(b.blocked))
}

func seconds(s float64) time.Duration {
	return time.Duration(math.Ceil(max(0, min(s, 1e6)) * float64(time.Second)))
}
