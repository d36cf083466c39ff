package httpx

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// dated answers with a Date that is so far ahead.
func dated(ahead *time.Duration, took time.Duration, header ...string) roundTrip {
	return func(r *http.Request) (*http.Response, error) {
		time.Sleep(took)
		date := time.Now().Add(*ahead).UTC().Format(http.TimeFormat)
		return answers(500, "", append([]string{"Date", date}, header...)...)(r)
	}
}

func TestSkew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ahead time.Duration
		hc, _ := script(dated(&ahead, 300*time.Millisecond))
		c := New(Config{HTTPClient: hc})
		ask := func() {
			_, err := c.Do(t.Context(), Request{Method: "GET", URL: target})
			require.NoError(t, err)
		}
		is := func(want time.Duration) {
			t.Helper()
			got, ok := c.Skew()
			assert.True(t, ok)
			assert.InDelta(t, want, got, float64(1500*time.Millisecond))
		}
		_, ok := c.Skew()
		assert.False(t, ok, "before the first answer")
		for _, ahead = range []time.Duration{0, 10 * time.Minute, -10 * time.Minute} {
			for range 2 {
				ask()
			}
			is(ahead)
			if ahead == 0 {
				got, _ := c.Skew()
				assert.Zero(t, got, "what a slow answer and a cut second explain is none")
			}
		}
		ahead = 100 * 365 * 24 * time.Hour
		ask()
		is(-10 * time.Minute) // a single odd answer
		ask()
		is(ahead)
		time.Sleep(clockFor + time.Second)
		_, ok = c.Skew()
		assert.False(t, ok, "that was long ago")
	})
}

func TestAnswersThatTellNoTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wrong := time.Hour
		for _, step := range []roundTrip{
			answers(200, "{}"),
			answers(200, "{}", "Date", "yesterday"),
			answers(200, "{}", "Date", ""),
			dated(&wrong, 0, "Age", "0"), // a cache's
		} {
			hc, _ := script(step)
			c := New(Config{HTTPClient: hc})
			_, err := c.Do(t.Context(), Request{Method: "GET", URL: target})
			require.NoError(t, err)
			_, ok := c.Skew()
			assert.False(t, ok)
		}
	})
}

// TestASlowAnswerIsNoSkew: its Date may be of any moment since the request.
func TestASlowAnswerIsNoSkew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := new(clock)
		sent := time.Now()
		time.Sleep(5 * time.Minute)
		c.note(http.Header{"Date": {sent.UTC().Format(http.TimeFormat)}}, sent, time.Now())
		got, ok := c.skew()
		assert.True(t, ok)
		assert.Zero(t, got)
	})
}

func TestNotingTheTimeAllocatesNothing(t *testing.T) {
	c, now := new(clock), time.Now()
	h := http.Header{"Date": {now.UTC().Format(http.TimeFormat)}}
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		c.note(h, now, now)
		c.skew()
	}))
}
