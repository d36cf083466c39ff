package syncer

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
)

// A lasting queue in memory counts as one that outlives the process.
type lasting struct{ *MemoryQueue }

func clockless(t *testing.T, s Schedule) *Syncer {
	t.Helper()
	synced, err := New(Config{
		Source: &onward{}, Queue: lasting{NewMemoryQueue()}, Schedule: s,
		Targets: []Target{{Channel: channeltest.NewMemory("a")}},
	})
	require.NoError(t, err)
	return synced
}

// What was worked out by a clock that was years ahead is worked out anew when it
// is right again, and otherwise stays.
func TestADueRunOutlivesNoClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, now := clockless(t, Daily(2, 0, time.UTC)), time.Now().Round(0)
		tomorrow := time.Date(now.Year(), now.Month(), now.Day(), 2, 0, 0, 0, time.UTC)
		if !tomorrow.After(now) {
			tomorrow = tomorrow.AddDate(0, 0, 1)
		}
		ahead := now.AddDate(4, 0, 0)
		retried := now.Add(10 * time.Minute)
		for name, x := range map[string]struct{ due, looked, want time.Time }{
			"four years ahead":  {ahead.Add(time.Hour), ahead, tomorrow},
			"not set":           {ahead, now.Add(-time.Minute), ahead},
			"a little set back": {retried, now.Add(time.Second), retried},
			"never":             {time.Time{}, ahead, time.Time{}},
		} {
			assert.True(t, s.sooner(t.Context(), x.due, x.looked, now).Equal(x.want), name)
		}
	})
}

// measured reports whether a time keeps its distance from others of this process
// when the clock is set.
func measured(at time.Time) bool { return strings.Contains(at.String(), " m=") }

// A source that knows no more than the time of day would be older than all that
// was dealt with for as long as the clock was set back.
//
// It has no bubble: those have no clock but the time of day.
func TestTimesOfOthersAreReckonedFromNow(t *testing.T) {
	s, now := clockless(t, Never()), time.Now()
	ago := now.Add(-time.Minute)
	for name, at := range map[string]time.Time{"of the day": ago.Round(0), "elsewhere": ago.Round(0).In(time.FixedZone("", 3600)), "ours": ago} {
		sane := s.sane(t.Context(), channel.Stock{AsOf: at}, now)
		assert.WithinDuration(t, ago, sane, 10*time.Millisecond, name)
		assert.True(t, measured(sane), name)
	}

	began := now.Add(-time.Second)
	assert.False(t, s.sane(t.Context(), channel.Stock{AsOf: began.Round(0)}, began).Before(began), "not before its own reading")

	l := s.ledger
	entry := flight{Entries: []sale{{Channel: "a", Units: 1, Since: ago.Round(0)}}, Edits: []edit{{Channel: "a", SKU: "SKU-1", Till: now.Round(0)}}}
	value, err := json.Marshal(entry)
	require.NoError(t, err)
	l.restore(Record{aloftPrefix + "p1", value}, 0, nil)
	require.NotNil(t, l.flights["p1"])
	assert.True(t, measured(l.flights["p1"].Entries[0].Since), "what is in flight")
	assert.True(t, measured(l.flights["p1"].Edits[0].Till), "what was edited")

	target := s.targets[0]
	target.lag = time.Hour
	value, err = json.Marshal(pendingWrite{ProductID: "p1", Quantity: 3, Wrote: ago.Round(0), Lag: time.Hour})
	require.NoError(t, err)
	require.NoError(t, s.queue.Save(t.Context(), pendingSet+"a", Record{"SKU-1", value}))
	require.NoError(t, s.recallPending(t.Context()))
	kept, ok := target.memory.get("SKU-1")
	require.True(t, ok)
	assert.True(t, measured(kept.wrote), "what is pending")
}
