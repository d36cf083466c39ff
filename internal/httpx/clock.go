package httpx

import (
	"cmp"
	"net/http"
	"slices"
	"sync"
	"time"
)

// clockFor is how long an answer tells of a service's clock: ours may be set.
const clockFor = time.Hour

// A clock knows how far a service's clock is ahead of ours, from the Date headers
// of its last three answers: a single odd one, of a proxy, says nothing.
type clock struct {
	mu    sync.Mutex
	ahead [3]time.Duration
	n     int // answers so far
	at    time.Time
}

// note takes in the headers of an answer. Of the differences that its Date allows,
// which is cut to the second and was written between sent and received, it is the
// smallest.
func (c *clock) note(h http.Header, sent, received time.Time) {
	dates := h["Date"]
	if len(dates) == 0 || len(h["Age"]) > 0 { // with an age it is a cache's
		return
	}
	date, err := time.Parse(http.TimeFormat, dates[0])
	if err != nil {
		return
	}
	low, high := date.Sub(received.Round(0)), date.Add(time.Second).Sub(sent.Round(0))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead[c.n%len(c.ahead)] = max(low, min(high, 0))
	c.n++
	c.at = received
}

func (c *clock) skew() (ahead time.Duration, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == 0 || time.Since(c.at) > clockFor {
		return 0, false
	}
	last := c.ahead // a copy
	if c.n >= len(last) {
		slices.Sort(last[:])
		return last[len(last)/2], true
	}
	return slices.MinFunc(last[:c.n], func(a, b time.Duration) int { return cmp.Compare(a.Abs(), b.Abs()) }), true
}

// Skew is how far the service's clock is ahead of this machine's, by the Date
// headers of its last three answers, and whether one came within the hour. It is
// exact to a second and the time that a request took, and errs towards zero.
func (c *Client) Skew() (ahead time.Duration, ok bool) { return c.clock.skew() }
