package queuetest

import "time"

// LiveInBubbles is Live by the clocks of bubbles.
func LiveInBubbles(unit time.Duration) Option {
	return func(k *kit) { k.live, k.unit = true, unit }
}
