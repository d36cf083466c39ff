package ecosire

import (
	"log/slog"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/httpx"
)

func quota(sole bool) *scheduler {
	return newScheduler(newOddities(slog.New(slog.DiscardHandler)), 0, sole)
}

// What urgent work, and others, are expected to take.
func TestExpected(t *testing.T) {
	at := func(n int, seconds float64) []time.Time { return slices.Repeat([]time.Time{s(seconds)}, n) }
	for _, tt := range []struct {
		name          string
		urgent        []time.Time
		last, starved float64 // seconds
		others        int
		sole          bool
		now           float64
		rest          time.Duration
		want          int
	}{
		{"nothing ever", nil, -9999, -9999, 0, false, 0, window, 0},
		{"a little", at(1, 0), 0, -9999, 0, false, 1, window, 2},
		{"a little, and not much time", at(1, 0), 0, -9999, 0, false, 1, time.Second, 2},
		{"some", at(20, 0), 0, -9999, 0, false, 59, window, 25},
		{"some, for half a window", at(20, 0), 0, -9999, 0, false, 59, window / 2, 13},
		{"a minute ago", at(20, 0), 0, -9999, 0, false, 60, window, 2},
		{"some of it a minute ago", append(at(20, 0), at(12, 30)...), 30, -9999, 0, false, 61, window, 15},
		{"nearly ten minutes ago", at(1, 0), 0, -9999, 0, false, 599, window, 2},
		{"ten minutes ago", at(1, 0), 0, -9999, 0, false, 600, window, 0},
		{"it waited", at(3, 0), 0, 0, 0, false, 59, window, 50},
		{"it waited, for a fifth of a window", at(3, 0), 0, 0, 0, false, 59, window / 5, 10},
		{"it waited a minute ago", at(3, 1), 1, 0, 0, false, 60, window, 4},
		{"others", nil, -9999, -9999, 30, false, 0, window, 30},
		{"others, for a quarter of a window", nil, -9999, -9999, 30, false, 0, window / 4, 8},
		{"no others", nil, -9999, -9999, 30, true, 0, window, 0},
		{"both", at(20, 0), 0, -9999, 7, false, 1, window, 32},
	} {
		q := quota(tt.sole)
		q.urgent, q.last, q.starved, q.account.others = tt.urgent, s(tt.last), s(tt.starved), tt.others
		assert.Equal(t, tt.want, q.expected(s(tt.now), tt.rest), tt.name)
	}
}

// When work that is not urgent may leave.
func TestWhen(t *testing.T) {
	when := func(q *scheduler, urgency channel.Urgency, now float64) float64 {
		return q.when(q.stand(channel.WithUrgency(t.Context(), urgency)), s(now)).Sub(epoch).Seconds()
	}
	for _, tt := range []struct {
		name    string
		urgency channel.Urgency
		used    int
		plans   []int   // beyond the request that is asked about
		last    float64 // when urgent work last had a request
		now     float64 // of a window from 0 to 60 s
		want    float64
	}{
		{"urgent", channel.Urgent, 59, nil, -9, 10, 10},
		{"urgent, and nothing is left", channel.Urgent, 60, nil, -9, 10, 60},
		{"urgent, and the last one left a moment ago", channel.Urgent, 60, nil, 59, 59.5, 60},
		{"soon, and all is left", channel.Soon, 0, nil, -9, 0, 60 - 60*60./57},
		{"soon, and 30 are left", channel.Soon, 30, nil, -9, 0, 60 - 30*60./57},
		{"soon, however little a run needs", channel.Soon, 30, []int{1}, -9, 0, 60 - 30*1.2},
		{"a run that fits", channel.Background, 30, []int{19, 10}, -999, 0, 0},
		{"runs that do not fit", channel.Background, 30, []int{20, 10}, -999, 0, 24},
		{"a run that needs nothing more", channel.Background, 59, []int{0}, -999, 0, 0},
		{"work that does not say", channel.Background, 50, nil, -999, 0, 0},
		{"work that does not say, and nine are left", channel.Background, 51, nil, -999, 0, 60 - 9*1.2},
		{"one is left", channel.Background, 59, []int{5}, -999, 0, 58.8},
		// Beside urgent work that goes on, 1.2 s apart at most.
		{"its gaps up to the end are short enough without it", channel.Background, 30, []int{50}, 24, 24.5, 24},
		{"they are not", channel.Background, 30, []int{50}, 23.9, 24.5, 23.9 + 2.4},
		{"nor is the last gap", channel.Soon, 59, []int{50}, 58, 58.9, 58 + 2.4},
		{"it goes on no more", channel.Background, 30, []int{50}, 20, 24.5, 24},
	} {
		q := quota(false)
		q.account.end, q.account.used, q.last = s(60), tt.used, s(tt.last)
		for i, n := range tt.plans {
			q.plan(i, n)
		}
		assert.InDelta(t, tt.want, when(q, tt.urgency, tt.now), .001, tt.name)
	}
	q := quota(false)
	q.account.limit, q.account.end, q.account.used = 600, s(60), 100
	q.plan(1, 500)
	assert.InDelta(t, 0, when(q, channel.Background, 0), .001, "ten times the limit is ten times as fast")
	q.plan(1, -1)
	assert.Empty(t, q.plans)
	q = quota(false)
	q.account.end, q.account.used = s(60), 30
	q.stand(channel.WithUrgency(t.Context(), channel.Background))
	assert.InDelta(t, 24, when(q, channel.Soon, 0), .001, "soon, beside work in the background that waits behind it")
	assert.InDelta(t, 120, when(q, channel.Background, 0), .001, "behind another, which tells")
	assert.InDelta(t, 0, when(q, channel.Urgent, 0), .001, "it comes first")
	q.waiting = slices.DeleteFunc(q.waiting, func(p *place) bool { return p.urgency == channel.Background })
	q.plan(1, 60)
	assert.InDelta(t, 60-28*1.2, when(q, channel.Background, 0), .001, "behind two more urgent ones")
}

// How long urgent work pauses.
func TestPause(t *testing.T) {
	for _, tt := range []struct {
		name     string
		used     int
		now      float64 // of a window from 0 to 60 s; the last read was at let
		let      float64
		requests int
		want     float64
	}{
		{"nothing is used", 0, 0, 0, 1, 0},
		{"enough", 2, 0, 0, 1, 0},
		{"too little", 4, 0, 0, 1, 60. / 57},
		{"enough for the time that is left", 31, 30, 30, 1, 0},
		{"half is left", 31, 0, 0, 1, 2},
		{"since the last read", 32, 30, 28, 1, 32. / 29},
		{"nothing is left", 60, 10, 5, 1, 55},
		{"one is left", 59, 10, 10, 1, 25},
		{"reads of four requests", 4, 0, 0, 4, 60. / 15},
		{"not enough for a read", 57, 10, 10, 4, 50},
		{"a read long ago", 60, 0, -9999, 1, 120},
	} {
		q := quota(false)
		q.account.end, q.account.used, q.let = s(60), tt.used, s(tt.let)
		assert.InDelta(t, tt.want, q.pause(s(tt.now), tt.requests).Seconds(), .001, tt.name)
	}
}

// What pace remembers of when urgent work had to wait.
func TestPaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := quota(false)
		began := time.Now()
		q.account.end, q.account.used = began.Add(60*time.Second), 3
		require.NoError(t, q.pace(t.Context()))
		assert.Equal(t, began, q.let, "there is enough")
		// What comes with it waits for nothing, whatever is left.
		q.account.used = 60
		time.Sleep(company)
		require.NoError(t, q.pace(t.Context()))
		assert.Equal(t, company, time.Since(began))
		assert.Zero(t, q.starved)
		// As far apart as beside a run is not yet a lack.
		q.account.end, q.account.used = q.let.Add(60*time.Second), 11
		time.Sleep(60 * time.Millisecond)
		require.NoError(t, q.pace(t.Context()))
		assert.Equal(t, 1200*time.Millisecond, time.Since(began))
		assert.Zero(t, q.starved)
		// Where nothing is left it waits, and that is noted.
		now := time.Now()
		q.account.end, q.account.used = now.Add(5*time.Second), 60
		time.Sleep(time.Second)
		require.NoError(t, q.pace(t.Context()))
		assert.Equal(t, 5*time.Second, time.Since(now))
		assert.Equal(t, time.Now(), q.starved)
	})
}

// Plenty is left of a window as long as it lasts at a request for each 1.05 s.
func TestPauseBeginsWhenLessThanPlentyIsLeft(t *testing.T) {
	q := quota(true)
	q.account.used = defaultLimit - 10
	q.let = s(0)
	q.account.end = s(0).Add(10 * q.apart(alone))
	assert.Zero(t, q.pause(s(0), 1))
	q.account.end = q.account.end.Add(1)
	assert.NotZero(t, q.pause(s(0), 1))
}

// Urgent work is starved if it waits for longer than it is promised.
func TestStarved(t *testing.T) {
	for longer, starved := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			q := quota(true)
			now := time.Now()
			q.let = now.Add(-time.Second)
			q.account.used, q.account.end = defaultLimit, now.Add(q.apart(beside)+time.Duration(longer))
			require.NoError(t, q.pace(t.Context()))
			assert.Equal(t, starved, !q.starved.IsZero())
		})
	}
}

// Whoever waits leaves when an answer tells that there is more.
func TestAnAnswerLetsTheNextOneLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := quota(true)
		q.account.limit = 1
		require.NoError(t, q.wait(t.Context()))
		sent, left := time.Now(), make(chan time.Time, 1)
		go func() {
			if q.wait(t.Context()) == nil {
				left <- time.Now()
			}
		}()
		time.Sleep(time.Second)
		q.answered(t.Context(), &httpx.Response{Sent: sent, Header: http.Header{"X-Ratelimit-Limit": {"60"}}})
		assert.Equal(t, time.Second, (<-left).Sub(sent))
	})
}

// What is remembered of urgent requests is forgotten after a minute, also where
// nothing ever waits in the background.
func TestUrgentRequestsAreRememberedForAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := quota(true)
		for range 300 {
			require.NoError(t, q.wait(t.Context()))
			q.answered(t.Context(), nil)
			time.Sleep(2 * time.Second)
		}
		assert.LessOrEqual(t, len(q.urgent), 31)
	})
}
