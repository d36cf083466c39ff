package syncer

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

// A clock that is set, or a machine that was asleep, is noticed within a
// minute.
func TestANapIsShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for due, want := range map[time.Duration]time.Duration{
			24 * time.Hour:   time.Minute,
			time.Minute:      time.Minute,
			30 * time.Second: 30 * time.Second,
			0:                0,
			-time.Hour:       -time.Hour,
		} {
			assert.Equal(t, want, nap(time.Now().Add(due)))
		}
	})
}
