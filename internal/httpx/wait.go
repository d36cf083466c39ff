package httpx

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// MaxRetryAfter caps what [RetryAfter] believes.
const MaxRetryAfter = 15 * time.Minute

// RetryAfter reads a Retry-After header: seconds, with or without a fraction,
// or a date, which is reckoned from that of the answer, if it has one: our clock may
// be another. It returns 0 if there is none, and [MaxRetryAfter] for whatever is
// longer.
func RetryAfter(h http.Header) time.Duration {
	v := strings.TrimSpace(h.Get("Retry-After"))
	if seconds, err := strconv.ParseFloat(v, 64); (err == nil || math.IsInf(seconds, 1)) && seconds > 0 {
		return time.Duration(min(seconds, MaxRetryAfter.Seconds()) * float64(time.Second))
	}
	if at, err := http.ParseTime(v); err == nil {
		now := time.Now()
		if date, err := http.ParseTime(h.Get("Date")); err == nil && h.Get("Age") == "" {
			now = date
		}
		return min(max(0, at.Sub(now)), MaxRetryAfter)
	}
	return 0
}
