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

// A schedule that would panic, or never be due, is refused, inside of others too.
func TestASchedulesFaultsAreFound(t *testing.T) {
	for _, s := range []Schedule{
		Daily(2, 0, nil), Daily(-1, 0, time.UTC), Daily(24, 0, time.UTC), Daily(2, -1, time.UTC), Daily(2, 60, time.UTC),
		Jitter(Daily(2, 0, nil), time.Hour), Jitter(nil, time.Hour), Jitter(Jitter(Daily(24, 0, time.UTC), 1), 1), Between(Daily(2, 60, time.UTC), 1, 2, time.UTC),
	} {
		assert.Error(t, checkSchedule(s), "%#v", s)
	}
	for _, s := range []Schedule{Daily(0, 0, time.UTC), Daily(23, 59, time.UTC), Jitter(Daily(2, 0, time.UTC), time.Hour), Never()} {
		assert.NoError(t, checkSchedule(s))
	}
}
