package ecosire

import (
	"context"
	"math"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/httpx"
)

// What is assumed until the first answer tells.
const (
	defaultLimit  = 60
	defaultWindow = time.Minute
)

// A quota keeps requests within ECOSIRE's rate: so many in a window, which is
// then refilled at once. It believes the X-RateLimit headers of the latest
// window, and counts what is under way as spent.
type quota struct {
	mu       sync.Mutex
	limit    int       // requests in a window
	left     int       // left in this window, those under way not yet taken off
	inflight int       // sent and not answered
	urgent   int       // sent in this window by work that does not wait
	before   int       // the same in the window before
	starved  bool      // that work had to wait long in this window
	sent     time.Time // when work that does not wait was last let through
	next     time.Time // when pace lets it through again
	assumed  bool      // no answer has told about this window yet
	reset    time.Time // when the window ends; zero before the first request
}

func newQuota() *quota { return &quota{limit: defaultLimit} }

// wait takes one request from the quota, as soon as there is one. Work that
// can wait leaves some of them to other work; see [channel.WithReserve].
func (q *quota) wait(ctx context.Context) error {
	if paid, ok := ctx.Value(paidKey{}).(*atomic.Bool); ok && paid.Swap(false) {
		return nil
	}
	for {
		until, ok := q.take(channel.Reserve(ctx))
		if ok {
			return nil
		}
		timer := time.NewTimer(time.Until(until))
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
	}
}

// maxWait caps what ECOSIRE may say about when to ask again: two windows.
const maxWait = 2 * defaultWindow

// together is how soon after another one work may follow unpaced.
const together = 200 * time.Millisecond

// long is longer than work that does not wait should.
const long = 1500 * time.Millisecond

type paidKey struct{}

// advance takes a request from the quota if there is one now. It is for the one
// request that is made with the context returned.
func (q *quota) advance(ctx context.Context) (paid context.Context, ok bool) {
	if _, ok := q.take(channel.Reserve(ctx)); !ok {
		return ctx, false
	}
	once := new(atomic.Bool)
	once.Store(true)
	return context.WithValue(ctx, paidKey{}, once), true
}

// take takes one request, or says when there may be one. Work that can wait
// leaves what is kept for other work, but no more than that can still use at the
// pace of five sixths of the quota. So as the window ends it gets one request
// after the other, and a quota that nobody else wants is used up.
func (q *quota) take(reserve float64) (until time.Time, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	if !now.Before(q.reset) {
		q.roll(now)
		q.left, q.assumed, q.reset = q.limit, true, now.Add(defaultWindow)
	}
	rest := q.left - q.inflight - 1
	if rest < 0 {
		return q.reset, false
	}
	if rest < q.kept(reserve) {
		usable := defaultWindow / time.Duration(max(1, q.limit*5/6)) * time.Duration(rest)
		if until = q.reset.Add(-max(usable, long)); now.Before(until) {
			return until, false
		}
	}
	q.inflight++
	if reserve == 0 {
		q.urgent++
		q.sent = now
	}
	return time.Time{}, true
}

// roll begins a new window.
func (q *quota) roll(now time.Time) {
	q.before, q.urgent = q.urgent, 0
	if q.starved {
		q.before, q.starved = q.limit, false // it would have taken more
	}
	if now.Sub(q.reset) > defaultWindow {
		q.before = 0 // that was long ago
	}
}

// kept is how many requests of a whole window are kept from work that can
// wait: its reserve, or half as many again as other work took in the window
// before, up to five sixths, if that is more. At least one in a window is for
// everybody, or a small quota could never be used.
func (q *quota) kept(reserve float64) int {
	if reserve == 0 {
		return 0
	}
	return min(max(int(math.Ceil(reserve*float64(q.limit))), min(q.before*3/2, q.limit*5/6)), q.limit-1)
}

// pace waits until work that does not wait may be sent such that what is left
// lasts until the window ends. While the first fifth of a window goes, and if
// nobody wanted much of the one before, it waits for a part of that time only, so
// that a few events after one another are not held up.
func (q *quota) pace(ctx context.Context) error {
	q.mu.Lock()
	now := time.Now()
	at := now
	switch left := q.left - q.inflight; {
	case now.Before(q.next):
		at = q.next
	case now.Before(q.next.Add(together)): // the read of whoever went just now may do
		q.mu.Unlock()
		return ctx.Err()
	case !now.Before(q.reset):
	case left <= 0:
		at = q.reset
	case q.before > q.limit/2:
		at = q.sent.Add(q.reset.Sub(now) / time.Duration(left))
	case q.urgent >= q.limit/30: // less than that is for everybody
		strictly := min(1, 5*float64(q.limit-left)/float64(q.limit))
		at = q.sent.Add(time.Duration(strictly * float64(q.reset.Sub(now)) / float64(left)))
	}
	q.next = later(at, now)
	if at.Sub(now) > long {
		q.starved = true
	}
	q.mu.Unlock()
	timer := time.NewTimer(at.Sub(now))
	defer timer.Stop()
	// Whoever comes meanwhile waits for the same moment, so that one request can
	// serve them all. Nobody looks again.
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// answered learns from an answer; nil means that none came.
func (q *quota) answered(resp *httpx.Response) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.inflight--
	if resp == nil {
		q.left--
		return
	}
	left, err := strconv.Atoi(resp.Header.Get("X-RateLimit-Remaining"))
	reset, known := resetTime(resp.Header)
	if err != nil || !known {
		q.left--
		if resp.Status == http.StatusTooManyRequests {
			q.left, q.reset = 0, time.Now().Add(max(time.Second, min(httpx.RetryAfter(resp.Header), maxWait)))
		}
		return
	}
	if limit, err := strconv.Atoi(resp.Header.Get("X-RateLimit-Limit")); err == nil && limit > 0 {
		q.limit = limit
	}
	if resp.Status == http.StatusTooManyRequests {
		left, reset = 0, later(reset, time.Now().Add(time.Second))
	}
	switch {
	case q.assumed, reset.After(q.reset.Add(rounding)):
		if !q.assumed {
			q.roll(time.Now())
			q.urgent = max(0, q.limit-left) // others', or this one
		}
		q.left, q.reset, q.assumed = left, reset, false
	case reset.After(q.reset.Add(-rounding)):
		q.left = min(q.left, left) // answers may overtake one another
	}
}

// rounding is by how much two answers may name the same reset differently.
const rounding = 2 * time.Second

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// time is how long so many requests will take.
func (q *quota) time(requests int, reserve float64) time.Duration {
	q.mu.Lock()
	defer q.mu.Unlock()
	kept := q.kept(reserve)
	requests -= max(0, q.left-q.inflight-kept)
	if requests <= 0 {
		return 0
	}
	each := q.limit
	if kept > int(math.Ceil(reserve*float64(q.limit))) {
		each -= kept // work that does not wait will take it
	}
	return max(0, time.Until(q.reset)) + time.Duration((requests-1)/each)*defaultWindow
}

// untilReset is how long it takes until there are requests again.
func (q *quota) untilReset() time.Duration {
	q.mu.Lock()
	defer q.mu.Unlock()
	return max(0, time.Until(q.reset))
}

// resetTime reads X-RateLimit-Reset, Unix seconds. A window that ends within
// second s has certainly ended at s+1. Where the two clocks disagree by more
// than the seconds' rounding the service's own Date tells how long it is. A
// time more than two windows ahead is not believed.
func resetTime(h http.Header) (time.Time, bool) {
	seconds, err := strconv.ParseInt(h.Get("X-RateLimit-Reset"), 10, 64)
	if err != nil {
		return time.Time{}, false
	}
	reset := time.Unix(seconds+1, 0)
	now := time.Now()
	if date, err := http.ParseTime(h.Get("Date")); err == nil {
		if skew := date.Sub(now); skew.Abs() > rounding {
			reset = reset.Add(-skew)
		}
	}
	if reset.After(now.Add(2 * defaultWindow)) {
		return time.Time{}, false
	}
	return reset, true
}
