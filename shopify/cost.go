package shopify

import (
	"context"
	"math"
	"strconv"
	"sync"
	"time"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/strictjson"
)

// What is believed of what Shopify says of points. Its smallest plan restores
// 100 a second, every plan's bucket is full again in 20 seconds, and no request
// may cost more than 1000. Whatever is beyond these bounds is taken for the
// bound: so nobody waits longer than a minute or two for points, whatever an
// answer says.
const (
	minRate     = 10  // points a second
	maxFill     = 100 // seconds in which a bucket is full again
	maxPrice    = 1000
	maxThrottle = time.Minute // of a wait after THROTTLED
)

// A cost is what Shopify says of the points of one request.
type cost struct {
	requested float64
	actual    float64 // as much as requested if the request was refused
	maximum   float64
	available float64
	rate      float64 // points a second
	odd       bool    // one of these was beyond its bounds
}

// readCost reads extensions.cost. It returns nil if there is no cost, or none
// that makes sense. The numbers come as 2000 or as 2000.0.
func readCost(v strictjson.Value) *cost {
	if v.Missing() || v.Null() {
		return nil
	}
	var row, status strictjson.Row
	row.Read(v)
	status.Read(row.Value("throttleStatus"))
	k := &cost{}
	ok := true
	number := func(r *strictjson.Row, key string) float64 {
		f, err := strconv.ParseFloat(string(r.Value(key).JSON()), 64)
		ok = ok && err == nil
		return f
	}
	k.requested = number(&row, "requestedQueryCost")
	k.maximum, k.available, k.rate = number(&status, "maximumAvailable"), number(&status, "currentlyAvailable"), number(&status, "restoreRate")
	k.actual = k.requested
	if row.Has("actualQueryCost") {
		k.actual = number(&row, "actualQueryCost")
	}
	if !ok || row.Err() != nil || status.Err() != nil || k.maximum <= 0 || k.rate <= 0 {
		return nil
	}
	bound := func(f *float64, low, high float64) {
		if b := min(max(*f, low), high); b != *f {
			*f, k.odd = b, true
		}
	}
	bound(&k.rate, minRate, math.MaxFloat64)
	bound(&k.maximum, 1, maxFill*k.rate)
	if k.available < -k.maximum || k.available > 2*k.maximum {
		k.odd = true // a little below 0 is not: a call may cost more than it was said to
	}
	k.available = min(max(k.available, 0), k.maximum)
	bound(&k.requested, 0, maxPrice)
	bound(&k.actual, 0, maxPrice)
	return k
}

// wait is how long it takes until the points suffice for the request.
func (k *cost) wait() time.Duration {
	if k == nil {
		return 0
	}
	return min(seconds((k.requested-k.available)/k.rate), maxThrottle)
}

func seconds(s float64) time.Duration {
	return time.Duration(math.Ceil(max(0, min(s, 1e6)) * float64(time.Second)))
}

// A bucket knows the points that the shop grants, as well as that can be known
// from here: other processes of the same app draw on them too. All calls of a
// client go through it, those of one urgency in the order in which they come.
// What is less urgent leaves a share of the bucket to the rest, and so never
// makes it wait.
//
// Its count is never higher than the shop's own, as far as it depends on this
// client. An answer tells what was left when the shop made it; calls that were
// under way meanwhile may or may not be counted in that, and are deducted here.
type bucket struct {
	queues [channel.Background + 1]queue // by urgency

	mu      sync.Mutex
	maximum float64
	rate    float64            // points a second
	points  float64            // at the time at, those of calls under way included
	at      time.Time          // zero until the first call
	held    float64            // points of the calls under way
	spent   float64            // points of all calls that ended
	costs   map[string]float64 // what a document cost last
}

// reserves are the shares of the bucket that calls of an urgency leave to the
// more urgent ones.
var reserves = [...]float64{channel.Urgent: 0, channel.Soon: 1.0 / 9, channel.Background: 1.0 / 6}

// A queue is of calls that wait for points.
type queue struct {
	turn chan struct{} // held by the first one
	news chan struct{} // wakes it when an answer has come
}

// A debit is the points of one call under way.
type debit struct {
	query  string
	points float64
	spent  float64 // the bucket's, when the call was sent
}

// newBucket assumes the smallest plan, and that nobody else uses the points,
// until the first answer tells.
func newBucket() *bucket {
	b := &bucket{maximum: 2000, rate: 100, points: 2000, costs: make(map[string]float64)}
	for i := range b.queues {
		b.queues[i] = queue{turn: make(chan struct{}, 1), news: make(chan struct{}, 1)}
	}
	return b
}

// take waits until the points suffice for the document, and takes them. guess
// is what it costs if that was never told.
func (b *bucket) take(ctx context.Context, query string, guess float64) (*debit, error) {
	urgency := channel.UrgencyOf(ctx)
	q, reserve := b.queues[urgency], reserves[urgency]
	select {
	case q.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-q.turn }()
	for {
		d, wait := b.try(query, guess, reserve)
		if d != nil {
			return d, nil
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-q.news:
			timer.Stop()
		case <-ctx.Done():
			timer.Stop()
			return nil, ctx.Err()
		}
	}
}

// try takes the points, or says how long to wait. It leaves a share of the
// bucket.
func (b *bucket) try(query string, guess, reserve float64) (*debit, time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.restore(time.Now())
	price, known := b.costs[query]
	if !known {
		price = guess
	}
	// One point more than needed makes up for the shop's rounding.
	need := min(price+1+reserve*b.maximum, b.maximum)
	if free := b.points - b.held; free < need {
		return nil, max(seconds((need-free)/b.rate), time.Millisecond)
	}
	b.held += price
	return &debit{query: query, points: price, spent: b.spent}, 0
}

// restore adds the points that came since.
func (b *bucket) restore(now time.Time) {
	if b.at.IsZero() {
		b.at = now
	}
	b.points = min(b.maximum, b.points+b.rate*now.Sub(b.at).Seconds())
	b.at = now
}

// price is what a document cost last, or guess.
func (b *bucket) price(query string, guess float64) float64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	if price, known := b.costs[query]; known {
		return price
	}
	return guess
}

// in says how long it takes until there are enough points for calls of an
// urgency.
func (b *bucket) in(points float64, urgency channel.Urgency) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.restore(time.Now())
	return seconds((points + 1 + reserves[urgency]*b.maximum - b.points + b.held) / b.rate)
}

// settle ends a call. k is what the answer told, or nil if there was none; the
// points then count as spent. A nil debit has been settled before.
func (b *bucket) settle(d *debit, k *cost) {
	if d == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.held -= d.points
	meanwhile := b.spent - d.spent // by calls that this answer may not have counted
	b.restore(time.Now())
	if k == nil {
		b.spent += d.points
		b.points -= d.points
	} else {
		b.spent += k.actual
		b.maximum, b.rate = k.maximum, k.rate
		// Two counts are never too high: the shop's, less what it may not have
		// counted, and the one kept here, less this call. Of many calls that are
		// answered together the former takes each for not counted. The latter knows
		// nothing of what others draw, unless the shop has less than the calls that
		// are under way explain.
		b.points = max(k.available-meanwhile, min(b.points-k.actual, k.available+b.held), -k.maximum)
		if len(b.costs) < 1000 { // a host may send any number of documents
			b.costs[d.query] = k.requested
		}
	}
	for _, q := range b.queues {
		select {
		case q.news <- struct{}{}:
		default:
		}
	}
}
