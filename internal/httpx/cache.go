package httpx

import (
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

var served = regexp.MustCompile(`(?i)\b(?:hit|stale|updating)\b`)

// other headers speak of caches, and not of where the answer is from.
var other = regexp.MustCompile(`-control$|tag|key|object|opcache`)

// Cached says by which header an answer shows that a cache gave it and not the
// service, or "". Age: 0 is also what caches put on an answer that they have
// just fetched.
func Cached(h http.Header) string {
	if age, err := strconv.Atoi(strings.TrimSpace(h.Get("Age"))); err == nil && age > 0 {
		return "Age: " + strconv.Itoa(age)
	}
	for name, values := range h {
		lower := strings.ToLower(name)
		if !strings.Contains(lower, "cache") || other.MatchString(lower) {
			continue
		}
		for _, v := range values {
			hits, err := strconv.Atoi(strings.TrimSpace(v))
			if served.MatchString(v) || err == nil && hits > 0 && strings.HasSuffix(lower, "hits") {
				return name + ": " + v
			}
		}
	}
	return ""
}
