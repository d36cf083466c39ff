package httpx

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// An endless body comes byte by byte, whatever becomes of the request.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	time.Sleep(time.Second)
	p[0] = ' '
	return 1, nil
}

// What a host's transport answers that net/http's own does not.
func TestOddTransports(t *testing.T) {
	odd := errors.New("both")
	for name, x := range map[string]struct {
		step roundTrip
		says string // the error, or "" if there is an answer
	}{
		"neither answer nor error": {func(*http.Request) (*http.Response, error) { return nil, nil }, "neither an answer nor an error"},
		"answer and error": {func(*http.Request) (*http.Response, error) {
			resp, _ := answers(200, "{}")(nil)
			return resp, odd
		}, "both"},
		"no body": {func(*http.Request) (*http.Response, error) { return &http.Response{StatusCode: 204}, nil }, ""},
		"no end": {func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Body: io.NopCloser(endless{})}, nil
		}, "deadline exceeded"},
		"no status": {func(*http.Request) (*http.Response, error) { return &http.Response{}, nil }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hc, n := script(x.step)
				hc.Timeout = time.Minute
				c := New(Config{Service: "svc", HTTPClient: hc})
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				resp, err := c.Do(ctx, Request{Method: http.MethodGet, URL: target, Repeat: true})
				require.NoError(t, ctx.Err())
				if x.says == "" {
					require.NoError(t, err)
					assert.Empty(t, resp.Body)
					return
				}
				require.ErrorContains(t, err, x.says)
				assert.Equal(t, 5, *n, "it may be a broken connection")
			})
		})
	}
}

// The host's code panics in a goroutine of a client's own, where nobody recovers: its
// transport, the body that it answers, what gives credentials, and what hears of
// requests. What it says may hold credentials.
func TestAPanicIsAnError(t *testing.T) {
	const key, token = "key-0123456789", "token-0123456789"
	says := func(r *http.Request) string { return fmt.Sprint("oh no: ", key, r.Header) }
	var log bytes.Buffer
	for name, cfg := range map[string]Config{
		"transport": {HTTPClient: &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) { panic(says(r)) })}},
		"body": {HTTPClient: &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Body: io.NopCloser(panicReader(says(r)))}, nil
		})}},
		"before":    {Before: func(context.Context) error { panic("oh no: " + key) }},
		"authorize": {Authorize: func(r *http.Request) error { r.Header.Set("Token", token); panic("oh no: " + key) }},
		"after":     {HTTPClient: &http.Client{Transport: answers(200, "{}")}, After: func(context.Context, *Response) { panic("oh no: " + key) }},
	} {
		t.Run(name, func(t *testing.T) {
			log.Reset()
			cfg.Service, cfg.Kind, cfg.Secrets, cfg.Logger = "svc", errDown, []string{key}, slog.New(slog.NewTextHandler(&log, nil))
			if cfg.Authorize == nil {
				cfg.Authorize = func(r *http.Request) error { r.Header.Set("Token", token); return nil }
			}
			done := make(chan error)
			go func() {
				_, err := New(cfg).Do(t.Context(), Request{Method: http.MethodGet, URL: target, Repeat: true})
				done <- err
			}()
			err := <-done
			require.ErrorIs(t, err, errDown)
			assert.ErrorContains(t, err, "panicked: oh no")
			assert.Contains(t, log.String(), "recovered from a panic")
			assert.Contains(t, log.String(), "odd_test.go", "the stack")
			for _, text := range []string{err.Error(), fmt.Sprintf("%+v", err), log.String()} {
				assert.NotContains(t, text, key)
				assert.NotContains(t, text, token)
			}
		})
	}
}

// A host's transport hangs, whatever becomes of the request: before the answer, in it,
// or after it. An attempt ends all the same, and others go on. Only so many may hang.
func TestATransportThatHangs(t *testing.T) {
	for name, step := range map[string]func(<-chan struct{}) (*http.Response, error){
		"before": func(wait <-chan struct{}) (*http.Response, error) { <-wait; return nil, errDown },
		"in": func(wait <-chan struct{}) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Body: io.NopCloser(hanging{wait})}, nil
		},
		"after": func(wait <-chan struct{}) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Body: struct {
				io.Reader
				io.Closer
			}{strings.NewReader("{}"), hanging{wait}}}, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				wait := make(chan struct{})
				afters := 0
				var hangs atomic.Bool
				hangs.Store(true)
				c := New(Config{Service: "svc", Kind: errDown, After: func(context.Context, *Response) { afters++ }, HTTPClient: &http.Client{Timeout: time.Minute, Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
					if hangs.Load() {
						return step(wait)
					}
					return answers(200, "{}")(r)
				})}})
				start := time.Now()
				_, err := c.Do(t.Context(), Request{Method: http.MethodGet, URL: target})
				require.ErrorIs(t, err, errDown)
				require.ErrorIs(t, err, context.DeadlineExceeded)
				assert.LessOrEqual(t, time.Since(start), 2*time.Minute)
				var failed *Error
				require.ErrorAs(t, err, &failed)
				assert.False(t, failed.Unsent, "it may be done")
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				for range maxHung + 10 {
					_, err = c.Do(ctx, Request{Method: http.MethodGet, URL: target})
				}
				require.ErrorIs(t, err, context.DeadlineExceeded)
				assert.Less(t, c.Requests(), int64(maxHung))

				hangs.Store(false)
				_, err = c.Do(t.Context(), Request{Method: http.MethodGet, URL: target})
				require.NoError(t, err)
				c.hung.Add(maxHung)
				_, err = c.Do(t.Context(), Request{Method: http.MethodGet, URL: target})
				require.ErrorContains(t, err, "have not returned")
				require.ErrorAs(t, err, &failed)
				assert.True(t, failed.Unsent)
				c.hung.Add(-maxHung)
				close(wait)
				synctest.Wait()
				assert.Zero(t, c.hung.Load())
				assert.EqualValues(t, c.Requests(), afters)
			})
		})
	}
}

type hanging struct{ wait <-chan struct{} }

func (h hanging) Read([]byte) (int, error) { <-h.wait; return 0, io.EOF }
func (h hanging) Close() error             { <-h.wait; return nil }

type panicReader string

func (r panicReader) Read([]byte) (int, error) { panic(string(r)) }

// A date is reckoned by the clock of whoever wrote it.
func TestRetryAfterADateByAnotherClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, skew := range []time.Duration{0, -50 * time.Hour, 50 * time.Hour} {
			theirs := time.Now().Add(skew).UTC()
			h := http.Header{"Date": {theirs.Format(http.TimeFormat)}, "Retry-After": {theirs.Add(7 * time.Second).Format(http.TimeFormat)}}
			assert.Equal(t, 7*time.Second, RetryAfter(h), "%v", skew)
		}
	})
}
