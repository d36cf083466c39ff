package httpx

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// script answers request after request, the last step for ever.
func script(steps ...roundTrip) (*http.Client, *int) {
	n := new(int)
	return &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		if r.Body != nil {
			io.Copy(io.Discard, r.Body)
		}
		step := steps[min(*n, len(steps)-1)]
		*n++
		return step(r)
	})}, n
}

func answers(status int, body string, header ...string) roundTrip {
	return func(*http.Request) (*http.Response, error) {
		h := http.Header{}
		for i := 0; i < len(header); i += 2 {
			h.Set(header[i], header[i+1])
		}
		return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body))}, nil
	}
}

func fails(err error) roundTrip {
	return func(*http.Request) (*http.Response, error) { return nil, err }
}

// torn is an answer whose connection breaks within the body.
func torn(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(io.MultiReader(
		strings.NewReader(`{"half`), errReader{io.ErrUnexpectedEOF}))}, nil
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }

var errDown = errors.New("down")

var target = &url.URL{Scheme: "https", Host: "api.example", Path: "/v1/things", RawQuery: "sku=secret-sku"}

func TestWhatIsRepeated(t *testing.T) {
	dial := &net.OpError{Op: "dial", Err: errors.New("refused")}
	for _, tt := range []struct {
		name   string
		first  roundTrip
		repeat bool // the request may be repeated
		want   int  // attempts, if the second one succeeds
	}{
		{"ok", answers(200, "{}"), true, 1},
		{"404", answers(404, "{}"), true, 1},
		{"422", answers(422, "{}"), true, 1},
		{"501", answers(501, ""), true, 1},
		{"redirect", answers(302, "", "Location", "https://elsewhere.example"), true, 1},
		{"500", answers(500, ""), true, 2},
		{"502", answers(502, ""), true, 2},
		{"503", answers(503, ""), true, 2},
		{"504", answers(504, ""), true, 2},
		{"504 on a write", answers(504, ""), false, 1},
		{"429 on a write", answers(429, ""), false, 2},
		{"cut", fails(io.EOF), true, 2},
		{"cut on a write", fails(io.EOF), false, 1},
		{"not sent", fails(dial), false, 2},
		{"torn body", torn, true, 2},
		{"torn body on a write", torn, false, 1},
		{"too large", answers(200, strings.Repeat("x", 101)), true, 1},
		{"a wait that is too long", answers(503, "", "Retry-After", "600"), true, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hc, n := script(tt.first, answers(200, "{}"))
				c := New(Config{Service: "test", Kind: errDown, HTTPClient: hc, MaxBody: 100})
				resp, err := c.Do(t.Context(), Request{Method: "POST", URL: target, Body: []byte("x"), Repeat: tt.repeat})
				assert.Equal(t, tt.want, *n)
				assert.EqualValues(t, tt.want, c.Requests())
				if err != nil {
					assert.ErrorIs(t, err, errDown)
					assert.NotContains(t, err.Error(), "secret-sku")
					assert.Nil(t, resp)
				}
			})
		})
	}
}

func TestWaits(t *testing.T) {
	for _, tt := range []struct {
		name      string
		header    string
		low, high time.Duration
	}{
		{"seconds", "7", 7 * time.Second, 7 * time.Second},
		{"decimal seconds", "2.5", 2500 * time.Millisecond, 2500 * time.Millisecond},
		{"a date", "Sat, 01 Jan 2000 00:00:09 GMT", 9 * time.Second, 9 * time.Second},
		{"a date that has passed", "Fri, 31 Dec 1999 00:00:00 GMT", 250 * time.Millisecond, 750 * time.Millisecond},
		{"nonsense", "soon", 250 * time.Millisecond, 750 * time.Millisecond},
		{"none", "", 250 * time.Millisecond, 750 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hc, _ := script(answers(429, "", "Retry-After", tt.header), answers(200, "{}"))
				start := time.Now()
				_, err := New(Config{HTTPClient: hc}).Do(t.Context(), Request{Method: "GET", URL: target})
				require.NoError(t, err)
				assert.GreaterOrEqual(t, time.Since(start), tt.low)
				assert.LessOrEqual(t, time.Since(start), tt.high)
			})
		})
	}
}

func TestGivesUpWithTheLastAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hc, n := script(answers(503, "busy"))
		resp, err := New(Config{HTTPClient: hc}).Do(t.Context(), Request{Method: "GET", URL: target, Repeat: true})
		require.NoError(t, err)
		assert.Equal(t, 503, resp.Status)
		assert.Equal(t, "busy", string(resp.Body))
		assert.Equal(t, 5, *n)
	})
}

func TestRetriesOfARequest(t *testing.T) {
	for status, want := range map[int]int{500: 2, 502: 2, 429: 5, 503: 5} {
		synctest.Test(t, func(t *testing.T) {
			hc, n := script(answers(status, ""))
			_, err := New(Config{HTTPClient: hc}).Do(t.Context(), Request{Method: "GET", URL: target, Repeat: true, Retries: 1})
			require.NoError(t, err)
			assert.Equal(t, want, *n, "%d", status)
		})
	}
}

func TestAnAttemptHasATimeoutAndTheWaitBeforeItHasNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hc, n := script(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}, answers(200, "{}"))
		hc.Timeout = 3 * time.Second
		start := time.Now()
		c := New(Config{HTTPClient: hc, Before: func(context.Context) error { time.Sleep(time.Hour); return nil }})
		_, err := c.Do(t.Context(), Request{Method: "GET", URL: target, Repeat: true})
		require.NoError(t, err, "an attempt's timeout is not the caller's")
		assert.Equal(t, 2, *n)
		assert.Equal(t, 2*time.Hour+3*time.Second, time.Since(start).Truncate(time.Second))
		assert.Equal(t, 3*time.Second, hc.Timeout, "the host's client is not changed")
		assert.Nil(t, hc.CheckRedirect)
	})
}

func TestTheContextEndsEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hc, _ := script(answers(503, ""))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		_, err := New(Config{HTTPClient: hc, Retries: 100}).Do(ctx, Request{Method: "GET", URL: target, Repeat: true})
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, time.Second, time.Since(start))
	})
}

func TestSecretsAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logs bytes.Buffer
		hc, _ := script(fails(errors.New("proxy says: Bearer hush is wrong")))
		c := New(Config{Service: "test", HTTPClient: hc, Secrets: []string{"hush", ""}, Logger: slog.New(slog.NewTextHandler(&logs, nil)),
			Authorize: func(r *http.Request) error { r.Header.Set("Authorization", "Bearer hush"); return nil }})
		_, err := c.Do(t.Context(), Request{Method: "GET", URL: target, Repeat: true})
		require.Error(t, err)
		for _, text := range []string{err.Error(), logs.String(), c.Message("<b>hush</b>\n  now")} {
			assert.NotContains(t, text, "hush")
			assert.NotContains(t, text, "secret-sku")
			assert.NotContains(t, text, "<b>")
		}
		assert.Contains(t, err.Error(), "test: GET https://api.example/v1/things: ")
	})
}

func TestParseBase(t *testing.T) {
	for raw, want := range map[string]string{
		"https://shop.example/":    "",
		"https://shop.example/wp/": "",
		"http://localhost:8080":    "",
		"http://127.0.0.1":         "",
		"http://[::1]:80":          "",
		"http://shop.example":      "use https",
		"http://127.0.0.1.example": "use https",
		"ftp://shop.example":       "use https",
		"https://a:b@shop.example": "credentials",
		"https://shop.example?a=b": "no query",
		"shop.example":             "not a URL",
		"":                         "not a URL",
		"https://":                 "not a URL",
		"https:shop.example":       "not a URL",
	} {
		u, err := ParseBase("field", raw)
		if want == "" {
			require.NoError(t, err, raw)
			assert.False(t, strings.HasSuffix(u.Path, "/"))
		} else {
			assert.ErrorContains(t, err, want, raw)
			assert.NotContains(t, err.Error(), "a:b")
		}
	}
}

func TestDescribe(t *testing.T) {
	for want, r := range map[string]*Response{
		"an empty answer (status 200)":                        {Status: 200, Body: []byte(" \n")},
		"a page of HTML (status 200, text/html)":              {Status: 200, Body: []byte("<html>"), Header: http.Header{"Content-Type": {"text/html; charset=x"}}},
		"an answer of 3 bytes (status 201, application/json)": {Status: 201, Body: []byte("abc"), Header: http.Header{"Content-Type": {"application/json"}}},
		"an answer of 3 bytes (status 500, untyped)":          {Status: 500, Body: []byte("abc")},
		"a redirect (status 301)":                             {Status: 301, Body: []byte("moved")},
	} {
		assert.Equal(t, want, Describe(r))
		var v struct{}
		if err := Decode(r, &v); assert.Error(t, err) {
			assert.Contains(t, err.Error(), want)
		}
	}
}

// What Before has reserved for an attempt is given back, whatever comes of it.
func TestEachAttemptIsToldOfOnce(t *testing.T) {
	panics := func(*http.Request) (*http.Response, error) { panic("the host's transport") }
	for name, step := range map[string]roundTrip{"an answer": answers(200, "{}"), "none": fails(errDown), "a torn one": torn, "a panic": panics} {
		t.Run(name, func(t *testing.T) {
			hc, _ := script(step)
			before, after := 0, 0
			c := New(Config{Service: "test", Kind: errDown, HTTPClient: hc,
				Before: func(context.Context) error { before++; return nil },
				After:  func(context.Context, *Response) { after++ }})
			func() {
				defer func() { _ = recover() }()
				_, _ = c.Do(t.Context(), Request{Method: http.MethodGet, URL: target})
			}()
			assert.Equal(t, 1, before)
			assert.Equal(t, 1, after)
		})
	}
}
