package ecosire_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/ecosire"
)

// What ECOSIRE says about its quota has caps.
func TestQuotaIsBelievedWithinLimits(t *testing.T) {
	for name, tell := range map[string]func(int, http.Header){
		"a day":                       func(_ int, h http.Header) { h.Set("Retry-After", "86400") },
		"two minutes":                 func(_ int, h http.Header) { h.Set("Retry-After", "120") },
		"a day, and nothing else":     func(_ int, h http.Header) { clear(h); h.Set("Retry-After", "86400") },
		"a date":                      func(_ int, h http.Header) { clear(h); h.Set("Retry-After", "Fri, 01 Jan 2100 00:00:00 GMT") },
		"a reset in 2100":             func(_ int, h http.Header) { h.Set("X-RateLimit-Reset", "4102444800") },
		"a reset in milliseconds":     func(_ int, h http.Header) { h.Set("X-RateLimit-Reset", h.Get("X-RateLimit-Reset")+"000") },
		"a reset in 1970":             func(_ int, h http.Header) { h.Set("X-RateLimit-Reset", "1") },
		"a date in 2100":              func(_ int, h http.Header) { h.Set("Date", "Fri, 01 Jan 2100 00:00:00 GMT") },
		"nothing":                     func(_ int, h http.Header) { clear(h) },
		"nonsense":                    func(_ int, h http.Header) { h.Set("X-RateLimit-Reset", "soon"); h.Set("X-RateLimit-Remaining", "-") },
		"a limit of none":             func(_ int, h http.Header) { h.Set("X-RateLimit-Limit", "0") },
		"less than nothing is left":   func(_ int, h http.Header) { h.Set("X-RateLimit-Remaining", "-999999999") },
		"more than the limit is left": func(_ int, h http.Header) { h.Set("X-RateLimit-Remaining", "999999999") },
	} {
		for _, status := range []int{200, 429} {
			t.Run(fmt.Sprint(name, " ", status), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					m := &minute{}
					odd := 5 // the fifth answer is odd, and those after it are well again
					m.tell = func(n int, h http.Header) {
						if n == odd {
							tell(n, h)
						}
					}
					m.answer = func(n int) (int, string, bool) { return status, emptyPage, n == odd }
					var logs bytes.Buffer
					c := scheduled(t, m, func(cfg *ecosire.Config) { cfg.Logger = slog.New(slog.NewTextHandler(&logs, nil)) })
					start := time.Now()
					for range 5 {
						_ = ask(t.Context(), c) // the odd one may give up
					}
					require.NoError(t, ask(t.Context(), c))
					assert.LessOrEqual(t, time.Since(start), 2*time.Minute+time.Second)
					if strings.HasPrefix(name, "a day") && status == 429 || strings.HasPrefix(name, "a reset") {
						assert.Contains(t, logs.String(), "level=ERROR")
						assert.Contains(t, logs.String(), "not believed")
					}
					if name == "two minutes" || name == "nothing" {
						assert.NotContains(t, logs.String(), "not believed")
					}
					// And it goes on at full speed.
					for range 59 {
						require.NoError(t, ask(t.Context(), c))
					}
					assert.LessOrEqual(t, time.Since(start), 3*time.Minute+5*time.Second)
					assert.Zero(t, m.over)
				})
			})
		}
	}
}

// After a refusal nothing is sent until the window is over.
func TestARefusalClosesTheWindow(t *testing.T) {
	for name, tt := range map[string]struct {
		tell func(int, http.Header)
		wait time.Duration
	}{
		"headers":     {func(_ int, h http.Header) {}, 40 * time.Second},
		"Retry-After": {func(_ int, h http.Header) { clear(h); h.Set("Retry-After", "7") }, 7 * time.Second},
		"nothing":     {func(_ int, h http.Header) { clear(h) }, 40 * time.Second},
		"left":        {func(_ int, h http.Header) { h.Set("X-RateLimit-Remaining", "50") }, 40 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := &minute{}
				m.answer = func(n int) (int, string, bool) { return 429, `{"message":"slow"}`, n == 10 }
				m.tell = func(n int, h http.Header) {
					if n == 10 {
						tt.tell(n, h)
					}
				}
				c := scheduled(t, m, nil)
				for range 9 {
					require.NoError(t, ask(t.Context(), c))
				}
				time.Sleep(20 * time.Second)
				start := time.Now()
				var wg sync.WaitGroup
				for range 20 {
					wg.Go(func() {
						time.Sleep(time.Millisecond)
						assert.NoError(t, ask(t.Context(), c))
					})
				}
				require.NoError(t, ask(t.Context(), c))
				assert.InDelta(t, tt.wait.Seconds(), time.Since(start).Seconds(), 1.1)
				assert.Equal(t, 10, m.within(start, tt.wait-time.Second))
				wg.Wait()
			})
		})
	}
}

// A refusal that comes late is of a window that is over.
func TestALateRefusalIsNoNews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &minute{}
		m.after = func(n int) time.Duration {
			if n == 2 {
				return 70 * time.Second
			}
			return 0
		}
		m.answer = func(n int) (int, string, bool) { return 429, `{}`, n == 2 }
		c := scheduled(t, m, func(cfg *ecosire.Config) { cfg.HTTPClient.Timeout = 2 * time.Minute })
		require.NoError(t, ask(t.Context(), c))
		go ask(t.Context(), c)
		time.Sleep(65 * time.Second)
		for range 20 {
			require.NoError(t, ask(t.Context(), c))
		}
		time.Sleep(10 * time.Second)
		start := time.Now()
		require.NoError(t, ask(t.Context(), c))
		assert.Zero(t, time.Since(start))
	})
}

// Where ECOSIRE's clock is set back its windows are other ones, and time passes
// all the same.
func TestAClockSetBack(t *testing.T) {
	for _, by := range []time.Duration{-time.Hour, time.Hour, -20 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			m := &minute{}
			m.tell = func(n int, h http.Header) {
				if n <= 30 {
					return
				}
				reset, _ := strconv.ParseInt(h.Get("X-RateLimit-Reset"), 10, 64)
				h.Set("X-RateLimit-Reset", strconv.FormatInt(reset+int64(by.Seconds()), 10))
				date, _ := http.ParseTime(h.Get("Date"))
				h.Set("Date", date.Add(by).Format(http.TimeFormat))
			}
			c := scheduled(t, m, nil)
			start := time.Now()
			for range 150 {
				require.NoError(t, ask(t.Context(), c))
			}
			assert.InDelta(t, 122, time.Since(start).Seconds(), 6, by)
			assert.Zero(t, m.over)
		})
	}
}
