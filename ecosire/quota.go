package ecosire

import (
	"context"
	"net/http"
	"strconv"
	"sync"
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
	assumed  bool      // no answer has told about this window yet
	reset    time.Time // when the window ends; zero before the first request
}

func newQuota() *quota { return &quota{limit: defaultLimit} }

// wait takes one request from the quota, as soon as there is one. Work that
// can wait leaves some of them to other work; see [channel.WithReserve].
func (q *quota) wait(ctx context.Context) error {
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

func (q *quota) take(reserve float64) (until time.Time, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if now := time.Now(); !now.Before(q.reset) {
		q.left, q.assumed, q.reset, q.urgent = q.limit, true, now.Add(defaultWindow), 0
	}
	if q.left-q.inflight <= q.kept(reserve) {
		return q.reset, false
	}
	q.inflight++
	if reserve == 0 {
		q.urgent++
	}
	return time.Time{}, true
}

// kept is how many requests of this window are kept from work that can wait:
// the reserve, less what other work has had of it already. At least one in a
// window is for everybody, or a small quota could never be used.
func (q *quota) kept(reserve float64) int {
	return max(0, min(int(reserve*float64(q.limit)), q.limit-1)-q.urgent)
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
			q.left, q.reset = 0, time.Now().Add(max(time.Second, httpx.RetryAfter(resp.Header)))
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
	requests -= max(0, q.left-q.inflight-q.kept(reserve))
	if requests <= 0 {
		return 0
	}
	each := max(1, q.limit-int(reserve*float64(q.limit)))
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
