package ecosire

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/ecosire/stocksync/internal/httpx"
)

// What is assumed until an answer tells, and what an answer may tell at most.
const (
	defaultLimit = 60 // requests in a window
	window       = time.Minute
	maxWait      = 2 * window
	maxLimit     = 10_000
)

// An account says how many requests ECOSIRE has left for us. It grants a number
// of them for a window, and all of them anew when that ends. A request counts in the window in
// which it arrives there. So what is under way counts in the present window,
// too, until its answer names another one, and no answer, however late and in
// whatever order, makes the account say more than there is.
type account struct {
	odd     *oddities
	ceiling int // requests in a window that the host grants; 0 means all

	limit    int
	began    time.Time // the window, by our own monotonic clock
	end      time.Time // not before ECOSIRE's; in the past if there is no window
	reset    int64     // ECOSIRE's name for it: X-RateLimit-Reset; 0 if no answer told
	past     int64     // the same of the window before
	used     int       // requests answered in it, others' included, at least
	own      int       // of these ours
	others   int       // that others made in the window before
	inflight int
}

// most is how many requests we may make in a window.
func (a *account) most() int { return min(a.limit, cmp.Or(a.ceiling, maxLimit)) }

// left is how many requests may be sent at a time, and how long it is until
// there are as many as can be again.
func (a *account) left(now time.Time) (left int, rest time.Duration) {
	if !now.Before(a.end) {
		return a.most() - a.inflight, window
	}
	return min(a.limit-a.used, a.most()-a.own) - a.inflight, a.end.Sub(now)
}

// send takes a request.
func (a *account) send(now time.Time) {
	if !now.Before(a.end) {
		a.begin(now, 0, now.Add(window))
	}
	a.inflight++
}

// begin begins a window.
func (a *account) begin(now time.Time, reset int64, end time.Time) {
	a.others = max(0, a.used-a.own-a.inflight)
	if a.reset != 0 {
		a.past = a.reset
	}
	a.began, a.reset, a.end, a.used, a.own = now, reset, end, 0, 0
}

// rounding is by how much two answers may name the same reset differently.
const rounding = 2 // seconds

// answered learns from an answer that came at a time; nil means that none came.
func (a *account) answered(ctx context.Context, resp *httpx.Response, now time.Time) {
	a.inflight--
	if resp == nil {
		a.own++
		a.used++
		return
	}
	if n, err := strconv.Atoi(resp.Header.Get("X-RateLimit-Limit")); err == nil && n > 0 {
		a.limit = min(n, maxLimit)
	}
	before := resp.Sent.Before(a.began) // so ECOSIRE may have counted it before, too
	reset, end, known := a.window(ctx, resp, now)
	remaining, err := strconv.Atoi(resp.Header.Get("X-RateLimit-Remaining"))
	switch known = known && err == nil; {
	case !known:
	case a.reset == 0 && !(before && reset <= a.past+rounding):
		a.reset, a.end = reset, end
	case reset > max(a.reset, a.past)+rounding:
		a.begin(resp.Sent, reset, end)
	case a.reset != 0 && reset >= a.reset-rounding:
		if end.Before(a.end) {
			a.end = end // each is a bound
		}
	default:
		known = false // of an earlier window, or whatever it means
	}
	switch {
	case !known && before:
		return // 429 or not, it says nothing about this window
	case !known && a.reset == 0 && a.own == 0:
		a.end = now.Add(window) // it has begun by now
	}
	a.own++
	if a.used++; known {
		a.used = max(a.used-1, a.own, a.limit-min(max(remaining, 0), a.limit))
	}
	if resp.Status == http.StatusTooManyRequests {
		a.close(ctx, resp, known, now)
	}
}

// close ends what may be sent in this window, after a refusal. It ends when
// ECOSIRE says so, by its headers or, where these say nothing, by Retry-After.
func (a *account) close(ctx context.Context, resp *httpx.Response, known bool, now time.Time) {
	a.used = a.limit
	wait := httpx.RetryAfter(resp.Header)
	if wait > maxWait {
		a.disbelieve(ctx, resp, slog.Duration("Retry-After", wait))
		wait = maxWait
	}
	if !known && wait > 0 {
		a.end = now.Add(wait)
	}
	if earliest := now.Add(time.Second); a.end.Before(earliest) {
		a.end = earliest
	}
}

// window returns what an answer calls its window, and when that ends: not
// before ECOSIRE's. A window that ends within second s has certainly ended at
// s+1. The time is counted from the answer's own Date, by ECOSIRE's clock, or,
// if that cannot be, by ours. What is longer than two windows is not believed.
func (a *account) window(ctx context.Context, resp *httpx.Response, now time.Time) (reset int64, end time.Time, ok bool) {
	reset, err := strconv.ParseInt(resp.Header.Get("X-RateLimit-Reset"), 10, 64)
	if err != nil {
		return 0, end, false
	}
	var date time.Time
	if text := resp.Header.Get("Date"); text != "" {
		date, _ = http.ParseTime(text)
	}
	for _, clock := range []time.Time{date, now} {
		if rest := time.Unix(reset+1, 0).Sub(clock); rest >= 0 && rest <= maxWait {
			return reset, now.Add(rest), true
		}
	}
	a.disbelieve(ctx, resp, slog.Int64("X-RateLimit-Reset", reset), slog.Time("date", date))
	return 0, end, false
}

func (a *account) disbelieve(ctx context.Context, resp *httpx.Response, attrs ...slog.Attr) {
	a.odd.once(ctx, slog.LevelError, "ECOSIRE names a time that is not believed; it is asked again within two minutes", strconv.Itoa(resp.Status), attrs...)
}
