package pgqueue

import (
	"context"
	"sync"
	"time"
)

const (
	// syncSamples is how often the server's clock is read to find the reading
	// that took the least time.
	syncSamples = 3
	// grain is the unit in which the difference between the clocks is known. So
	// replicas whose clocks are right give a mark exactly the same times, and
	// ages are wrong by half a grain at most.
	grain = 20 * time.Millisecond
	// maxSkew is how far the server's clock may move against ours before it is
	// read anew. Until then a time of the server is the same local time at each
	// conversion, so marks that are moved keep theirs.
	maxSkew = time.Second
)

// anchor is a local time, with its monotonic reading. Local times are reckoned
// from it, so that they keep their distance whatever is done to the time of day.
var anchor = time.Now().Truncate(time.Microsecond)

// A clock converts between the server's times and local ones.
type clock struct {
	mu     sync.Mutex
	known  bool
	offset time.Duration // a local time minus the server's of that moment
}

// local returns when the server's clock showed t.
func (c *clock) local(t time.Time) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return anchor.Add(t.Add(c.offset).Sub(anchor.Round(0)))
}

// remote returns what the server's clock shows at a local time.
func (c *clock) remote(t time.Time) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return anchor.Round(0).Add(t.Sub(anchor)).Add(-c.offset)
}

// observe learns that the server's clock showed a time when it was asked, which
// took a while from sent on. If it has been set since it was read last, that
// counts from now on. The times of marks stay in order all the same, as the
// server itself sees to that. A clock that is not known is left to sync, which asks
// several times.
func (c *clock) observe(sent, server time.Time, took time.Duration) {
	offset := offsetOf(sent, server, took)
	c.mu.Lock()
	defer c.mu.Unlock()
	if skew := (offset - c.offset).Abs(); c.known && skew > maxSkew+took {
		c.offset = offset.Round(grain)
	}
}

// learn is observe for a clock that is not known yet.
func (c *clock) learn(sent, server time.Time, took time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.known, c.offset = true, offsetOf(sent, server, took).Round(grain)
}

// offsetOf is a local time minus the server's, as far as one answer tells.
func offsetOf(sent, server time.Time, took time.Duration) time.Duration {
	return anchor.Round(0).Add(sent.Add(took / 2).Sub(anchor)).Sub(server)
}

// sync reads the server's clock, unless it is known.
func (q *Queue) sync(ctx context.Context, db querier) error {
	q.clock.mu.Lock()
	known := q.clock.known
	q.clock.mu.Unlock()
	if known {
		return nil
	}
	var best struct{ sent, server time.Time }
	least := time.Duration(1<<63 - 1)
	for range syncSamples {
		sent := time.Now()
		var server time.Time
		if err := db.QueryRow(ctx, "SELECT clock_timestamp()").Scan(&server); err != nil {
			return err
		}
		if took := time.Since(sent); took < least {
			least, best.sent, best.server = took, sent, server
		}
	}
	q.clock.learn(best.sent, best.server, least)
	return nil
}
