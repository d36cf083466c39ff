package square

import (
	"net/http"
	"sync"
	"time"
)

// maxSkew is the largest difference between the two clocks that is believed.
// Beyond it the header is taken for a proxy's that is wrong.
const maxSkew = time.Hour

// A clock knows Square's time from the Date headers of its answers, which are
// cut to the second. It errs to the early side: a count must not be of a time
// that is Square's future, and one that is of a moment too early only deducts
// a sale too many.
type clock struct {
	mu        sync.Mutex
	known     bool
	low, high time.Duration // bounds of how far Square's clock is ahead of ours
}

// observe takes in the answer to a request. It reports whether the date in it
// can be believed.
func (c *clock) observe(header http.Header, sent, received time.Time) bool {
	date, err := http.ParseTime(header.Get("Date"))
	if err != nil || header.Get("Age") != "" {
		return true // there is nothing to believe
	}
	low, high := date.Sub(received.Round(0)), date.Add(time.Second).Sub(sent.Round(0))
	if low > maxSkew || high < -maxSkew {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if narrow, wide := max(c.low, low), min(c.high, high); c.known && narrow <= wide {
		c.low, c.high = narrow, wide
	} else { // one of the clocks was set
		c.low, c.high, c.known = low, high, true
	}
	return true
}

// at is a time of ours by Square's clock, or somewhat before it.
func (c *clock) at(t time.Time) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return t.Round(0).Add(c.low)
}
