package square

import (
	"bytes"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/square/squaretest"
)

func TestTrapCountsAreInSquaresClock(t *testing.T) {
	for _, skew := range []time.Duration{0, 2 * time.Second, -2 * time.Second, 7 * time.Minute, -7 * time.Minute, 59 * time.Minute, -59 * time.Minute} {
		for _, bookingLag := range []time.Duration{0, 15 * time.Minute} {
			t.Run(fmt.Sprint(skew, " ", bookingLag), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					till := squaretest.New(squaretest.Config{ClockSkew: skew, Latency: 150 * time.Millisecond})
					till.Add(squaretest.Variation{SKU: "A", Quantity: 20})
					ch := open(t, till, lag(bookingLag))
					for i := range 5 {
						time.Sleep(time.Minute + 730*time.Millisecond)
						u := update("A", 10+i)
						time.Sleep(3 * time.Second) // from the source to Square
						require.NoError(t, ch.Push(t.Context(), []channel.Update{u}))
						last := till.History()[i]
						early := u.AsOf.Add(skew - bookingLag).Sub(last.OccurredAt)
						assert.GreaterOrEqual(t, early, time.Duration(0), "never of a moment after the source was read")
						assert.Less(t, early, clockMargin)
						assert.True(t, last.Effective)
						assert.Equal(t, 10+i, shown(t, till, "A"))
					}
				})
			})
		}
	}
}

func TestTrapATimeThatSquareDoesNotTakeIsTriedOnceMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		till := squaretest.New(squaretest.Config{ClockSkew: -20 * time.Second})
		till.Add(squaretest.Variation{SKU: "A", Quantity: 20})
		// A proxy whose clock is ahead of Square's.
		client := till.Client()
		client.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
			resp, err := till.RoundTrip(r)
			if err == nil {
				resp.Header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
			}
			return resp, err
		})
		ch := open(t, till, func(c *Config, _ *ChannelConfig) { c.HTTPClient = client })
		for range 2 {
			require.NoError(t, ch.Push(t.Context(), []channel.Update{update("A", 5)}))
			time.Sleep(10 * time.Minute)
		}
		assert.Len(t, written(t, till), 3, "which is remembered")

		till.Inject(answering(changesPath, 400, `{"errors":[{"category":"INVALID_REQUEST_ERROR","code":"INVALID_TIME","field":"changes[0].physical_count.occurred_at"}]}`))
		till.Forget()
		err := ch.Push(t.Context(), []channel.Update{update("A", 6)})
		assert.ErrorIs(t, err, channel.ErrUnavailable)
		assert.False(t, channel.Permanent(err))
		assert.ErrorContains(t, err, "is this machine's clock right?")
		assert.Len(t, written(t, till), 2)
	})
}

func TestADateThatCannotBeIsNotBelieved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logs bytes.Buffer
		till := squaretest.New(squaretest.Config{})
		till.Add(squaretest.Variation{SKU: "A", Quantity: 20})
		client := till.Client()
		client.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
			resp, err := till.RoundTrip(r)
			if err == nil {
				resp.Header.Set("Date", "Fri, 01 Jan 2100 00:00:00 GMT")
			}
			return resp, err
		})
		ch := open(t, till, func(c *Config, _ *ChannelConfig) { c.HTTPClient, c.Logger = client, logger(&logs) })
		require.NoError(t, ch.Push(t.Context(), []channel.Update{update("A", 5)}))
		assert.Equal(t, 1, bytes.Count(logs.Bytes(), []byte("is not believed")))
	})
}

func TestClock(t *testing.T) {
	now := time.Date(2026, 11, 26, 9, 0, 0, 0, time.UTC)
	at := func(d time.Duration) time.Time { return now.Add(d) }
	header := func(d time.Duration) http.Header { return http.Header{"Date": {at(d).Format(http.TimeFormat)}} }
	var c clock
	assert.Equal(t, now, c.at(now), "nothing is known yet")
	assert.True(t, c.observe(http.Header{}, now, now))
	assert.True(t, c.observe(http.Header{"Date": {"yesterday"}}, now, now))
	assert.Equal(t, now, c.at(now))
	// Ten seconds ahead, to the second, and half a second under way.
	assert.True(t, c.observe(header(10*time.Second), at(0), at(500*time.Millisecond)))
	assert.Equal(t, at(9500*time.Millisecond), c.at(now), "at least that far")
	// An answer at another part of the second narrows it.
	assert.True(t, c.observe(header(20*time.Second), at(10*time.Second), at(10100*time.Millisecond)))
	assert.Equal(t, at(9900*time.Millisecond), c.at(now))
	// One that knows less changes nothing, one from a cache neither.
	assert.True(t, c.observe(header(20*time.Second), at(10*time.Second), at(13*time.Second)))
	assert.True(t, c.observe(http.Header{"Date": header(0)["Date"], "Age": {"600"}}, at(10*time.Minute), at(10*time.Minute)))
	assert.Equal(t, at(9900*time.Millisecond), c.at(now))
	// A clock was set.
	assert.True(t, c.observe(header(-5*time.Second), at(0), at(0)))
	assert.Equal(t, at(-5*time.Second), c.at(now))
	for _, odd := range []time.Duration{2 * time.Hour, -2 * time.Hour, 1e6 * time.Hour} {
		assert.False(t, c.observe(header(odd), at(0), at(0)))
		assert.Equal(t, at(-5*time.Second), c.at(now))
	}
}

func TestTimes(t *testing.T) {
	now := time.Date(2026, 11, 26, 9, 0, 0, 0, time.UTC)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	ts := &times{last: map[string]mark{}}
	assert.Equal(t, ago(time.Minute), ts.next("a", ago(time.Minute), now, 0))
	assert.Equal(t, ago(time.Minute-tick), ts.next("a", ago(time.Minute), now, 0), "later than the last one")
	assert.Equal(t, ago(time.Minute-2*tick), ts.next("a", ago(time.Hour), now, 0))
	assert.Equal(t, ago(time.Second), ts.next("b", now, now, 0), "out of Square's future")
	assert.Equal(t, ago(time.Second), ts.next("c", now.Add(time.Hour), now, 0), "also if the source's clock is ahead")
	assert.Equal(t, ago(16*time.Minute), ts.next("d", ago(time.Minute), now, 15*time.Minute))
	assert.Equal(t, ago(23*time.Hour), ts.next("e", ago(1000*time.Hour), now, 0), "not too old")
	assert.Equal(t, ago(23*time.Hour), ts.next("f", time.Time{}, now, 0))

	ts.settled("d", false, now)
	assert.Equal(t, now, ts.next("d", ago(time.Minute), now, 15*time.Minute), "something was later")
	ts.settled("d", true, now)
	assert.Equal(t, now.Add(tick), ts.next("d", ago(time.Minute), now, 15*time.Minute), "but still later than the last one")

	ts.next("b", ago(0), now, 0)
	ts.refused([]row{{id: "b"}})
	assert.Equal(t, ago(time.Second-tick), ts.next("b", now, now, 0), "only counts that were taken count")
	assert.Equal(t, ago(time.Minute), ts.next("g", now, now, 0))

	// A clock that was set back by an hour.
	assert.Equal(t, ago(time.Hour+time.Minute), ts.next("g", ago(time.Hour), ago(time.Hour), 0))

	later := now.Add(3 * time.Hour)
	ts.settled("d", false, now)
	ts.next("h", later, later, 15*time.Minute)
	assert.Len(t, ts.last, 2, "what cannot matter any more is forgotten: only d and h are left")
}

func TestTrapACountIsLaterThanTheLast(t *testing.T) {
	doubtful(t, func(d *squaretest.Doubts) { d.LaterCountWinsTie = true }, func(t *testing.T, cfg squaretest.Config) {
		till := squaretest.New(cfg)
		till.Add(squaretest.Variation{SKU: "A", Quantity: 20})
		ch := open(t, till)
		seen := level(t, ch, "A")
		for i := range 1500 { // at one and the same moment
			require.NoError(t, ch.Push(t.Context(), []channel.Update{{SKU: "A", Quantity: i, Seen: &seen, AsOf: time.Now()}}))
			require.Equal(t, i, shown(t, till, "A"))
			require.LessOrEqual(t, till.Count(on(changesPath)), 1, "none is refused for its time")
			till.Forget()
		}
		for _, c := range till.History() {
			assert.False(t, c.OccurredAt.After(c.ReceivedAt))
		}
	})
}

func TestAnUpdateWithoutATimeIsOfNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		till := squaretest.New(squaretest.Config{})
		till.Add(squaretest.Variation{SKU: "A", Quantity: 20})
		ch := open(t, till)
		till.Set("A", 30)
		time.Sleep(time.Minute)
		require.NoError(t, ch.Push(t.Context(), []channel.Update{{SKU: "A", Quantity: 7}}))
		assert.Equal(t, 7, shown(t, till, "A"))
	})
}

func TestPacer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPacer(5, 3)
		start := time.Now()
		for range 13 {
			require.NoError(t, p.wait(t.Context()))
		}
		assert.InDelta(t, 2, time.Since(start).Seconds(), 0.01, "three at once, and then five a second")

		sent := time.Now()
		time.Sleep(time.Millisecond)
		p.refused(time.Now())
		assert.InDelta(t, 2.5, p.rate, 0.001)
		p.refused(sent)
		assert.InDelta(t, 2.5, p.rate, 0.001, "those that were under way tell nothing new")
		for range 20 {
			time.Sleep(time.Second)
			p.refused(time.Now())
		}
		assert.InDelta(t, minRate, p.rate, 0.001)
		for range 100 {
			p.passed()
		}
		assert.InDelta(t, minRate+2, p.rate, 0.001)
		for range 10_000 {
			p.passed()
		}
		assert.InDelta(t, 10, p.rate, 0.001, "up to twice what it began with")
	})
}

func TestThePaceFollowsTheAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		till := squaretest.New(squaretest.Config{})
		skus := stock(till, 1)
		ch := open(t, till, func(c *Config, _ *ChannelConfig) { c.Rate = 0 })
		level(t, ch, skus[0])
		assert.InDelta(t, 5+3*growth, ch.client.pace.rate, 1e-9)
		till.Inject(channeltest.Fault{Match: on(countsPath), Status: 429})
		level(t, ch, skus[0])
		assert.InDelta(t, (5+4*growth)/2+growth, ch.client.pace.rate, 1e-9)
	})
}

func TestTrapThePaceFitsTheAccount(t *testing.T) {
	if testing.Short() {
		t.Skip("250 large requests take long under the race detector")
	}
	synctest.Test(t, func(t *testing.T) {
		// Square gives three requests a second, of which another application
		// takes one.
		till := squaretest.New(squaretest.Config{Rate: 3, Burst: 5})
		skus := stock(till, 5000)
		ch := open(t, till, func(c *Config, _ *ChannelConfig) { c.Rate = 0 })
		stop := make(chan struct{})
		go func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(time.Second):
					till.Drain(1)
				}
			}
		}()
		seen := levels(t, ch, skus...)
		start := time.Now()
		for range 5 {
			require.NoError(t, ch.Push(t.Context(), updates(seen, 1)))
		}
		close(stop)
		refused := till.Count(on(changesPath)) - 250
		assert.Less(t, refused, 50, "of 250 writes")
		assert.Less(t, time.Since(start), 3*time.Minute, "two a second would be 125 s")
		t.Logf("%d of 250 writes were refused, and all took %v", refused, time.Since(start))
	})
}

func TestRetryAfterIsObeyedUpToACap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		till := squaretest.New(squaretest.Config{})
		skus := stock(till, 1)
		ch := open(t, till)
		level(t, ch, skus[0])
		till.Inject(channeltest.Fault{Match: on(changesPath), Status: 429, Header: http.Header{"Retry-After": {"30"}}})
		start := time.Now()
		require.NoError(t, ch.Push(t.Context(), []channel.Update{update(skus[0], 5)}))
		assert.GreaterOrEqual(t, time.Since(start), 30*time.Second)
		till.Inject(channeltest.Fault{Match: on(changesPath), Times: -1, Status: 429, Header: http.Header{"Retry-After": {"86400"}}})
		start = time.Now()
		err := ch.Push(t.Context(), []channel.Update{update(skus[0], 6)})
		assert.Less(t, time.Since(start), 2*time.Minute)
		wait, ok := channel.RetryAfter(err)
		assert.True(t, ok)
		assert.Equal(t, 15*time.Minute, wait)
	})
}
