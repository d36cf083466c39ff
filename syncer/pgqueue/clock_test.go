package pgqueue_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/ecosire/stocksync/syncer/pgqueue"
)

// stamp is a time as PostgreSQL gives it.
func stamp(t time.Time) time.Time { return t.Round(0).Truncate(time.Microsecond) }

func TestTimesSurviveTheWayThereAndBack(t *testing.T) {
	for _, skew := range []time.Duration{0, 3 * time.Millisecond, -time.Hour, 5*time.Second + 123457*time.Microsecond} {
		var c pgqueue.Clock
		sent := time.Now()
		c.Learn(sent, stamp(sent.Add(skew)), 0)
		for _, ago := range []time.Duration{0, time.Microsecond, time.Minute, -time.Hour, 1000 * time.Hour} {
			server := stamp(sent.Add(skew - ago))
			local := c.Local(server)
			assert.True(t, c.Remote(local).Equal(server), "skew %v: %v became %v", skew, server, c.Remote(local))
			assert.True(t, c.Remote(local.Round(0)).Equal(server), "skew %v: without the monotonic reading", skew)
			assert.InDelta(t, ago, sent.Sub(local), float64(11*time.Millisecond), "skew %v: the age is kept", skew)
		}
	}
}

func TestReplicasGiveOneTime(t *testing.T) {
	at := stamp(time.Now())
	var here, there pgqueue.Clock
	here.Learn(time.Now(), stamp(time.Now().Add(2*time.Millisecond)), 0)
	there.Learn(time.Now(), stamp(time.Now().Add(-2*time.Millisecond)), 3*time.Millisecond)
	assert.True(t, here.Local(at).Equal(there.Local(at)), "clocks that are right to within milliseconds are the same clock")
	assert.True(t, here.Local(at).Equal(at), "and that is the server's")
}

func TestAServersClockThatIsSet(t *testing.T) {
	var c pgqueue.Clock
	sent := time.Now()
	at := stamp(sent)
	before := c.Local(at)
	c.Observe(sent, at.Add(time.Hour), 0)
	assert.Equal(t, before, c.Local(at), "a clock that is not known is asked several times")
	c.Learn(sent, at, 0)
	before = c.Local(at)
	for _, skew := range []time.Duration{time.Millisecond, -900 * time.Millisecond, 900 * time.Millisecond} {
		c.Observe(sent, at.Add(skew), 0)
		assert.Equal(t, before, c.Local(at), "%v is no reason to give marks other times", skew)
	}
	c.Observe(sent, at.Add(20*time.Second), 30*time.Second)
	assert.Equal(t, before, c.Local(at), "an answer that took long says little")
	for _, skew := range []time.Duration{time.Hour, -time.Hour} {
		c.Observe(sent, at.Add(skew), 0)
		assert.WithinDuration(t, sent, c.Local(at.Add(skew)), 11*time.Millisecond, "what the server calls now is now")
	}
}
