//go:build !linux

package pgqueue

import "time"

func sinceBoot() time.Duration { return 0 }
