package syncer

import (
	"hash/fnv"
	"log/slog"
	"time"
)

// spreadOver bounds the delay of a tenant's schedule.
const spreadOver = time.Hour

// A spread schedule is delayed by a duration that is always the same.
type spread struct {
	Schedule
	by time.Duration
}

func (s spread) Next(t time.Time) time.Time {
	next := s.Schedule.Next(t.Add(-s.by))
	if next.IsZero() {
		return next
	}
	return next.Add(s.by)
}

// portion is a part of d that depends on a name alone: at least 0, and less than d;
// 0 without a name.
func portion(name string, d time.Duration) time.Duration {
	if d <= 0 || name == "" {
		return 0
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(name))
	mixed := h.Sum64() // whose upper bits hardly depend on the last characters
	mixed ^= mixed >> 32
	mixed *= 0x9e3779b97f4a7c15
	mixed ^= mixed >> 29
	return time.Duration(mixed % uint64(d))
}

// setTenant keeps the work of a merchant out of step with that of others.
func (s *Syncer) setTenant(name string, logger *slog.Logger) *slog.Logger {
	s.tenant = name
	if name == "" {
		return logger
	}
	s.schedule = spread{s.schedule, portion(name, spreadOver)}
	if logger != nil {
		logger = logger.With(slog.String("tenant", name))
	}
	return logger
}

// firstWait is how long the watch waits after its first question: less than later
// on, so that it is not in step with that of other merchants.
func (s *Syncer) firstWait() time.Duration {
	least := max(minWatchWait, s.watchEvery/2)
	return s.watchEvery - portion(s.tenant, s.watchEvery-least)
}
