//go:build !unix

package bench

import "time"

var started = time.Now()

// cpuTime is how long the process runs, where nobody tells how long it computed.
func cpuTime() time.Duration { return time.Since(started) }
