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
// or a date. It returns 0 if there is none, and [MaxRetryAfter] for whatever is
// longer.
func RetryAfter(h http.Header) time.Duration {
	v := strings.TrimSpace(h.Get("Retry-After"))
	if seconds, err := strconv.ParseFloat(v, 64); (err == nil || math.IsInf(seconds, 1)) && seconds > 0 {
		return time.Duration(min(seconds, MaxRetryAfter.Seconds()) * float64(time.Second))
	}
	if at, err := http.ParseTime(v); err == nil {
		return min(max(0, time.Until(at)), MaxRetryAfter)
	}
	return 0
}
