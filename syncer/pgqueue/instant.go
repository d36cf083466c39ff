package pgqueue

import "time"

// An instant is a moment to measure from, by clocks that nobody sets.
type instant struct {
	mono time.Time
	boot time.Duration // since the machine started, with the time for which it was suspended; 0 if unknown
}

func now() instant { return instant{time.Now(), sinceBoot()} }

// elapsed is how long ago i was. Where the system tells, it includes time for
// which the machine was suspended: a leader that slept has to know.
func (i instant) elapsed() time.Duration {
	d := time.Since(i.mono)
	if boot := sinceBoot(); i.boot != 0 && boot != 0 {
		d = max(d, boot-i.boot)
	}
	return d
}
