package httpx

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestNoiseAroundJSON(t *testing.T) {
	const warning = "<br />\n<b>Warning</b>:  Undefined array key \"x\" in <b>/srv/wp/y.php</b> on line <b>12</b><br />\n"
	for _, tt := range []struct{ name, body, want, noise string }{
		{"nothing", `{"a":1}`, `{"a":1}`, ""},
		{"blanks", "\n [1]\r\n", "\n [1]\r\n", ""},
		{"a byte order mark", "\ufeff[1]", `[1]`, "a byte order mark"},
		{"two of them", "\ufeff\ufeff [1]\n", `[1]`, "a byte order mark"},
		{"a comment after it", `{"a":"-->"}` + "\n<!-- Cached by Boxcar -->\n", `{"a":"-->"}`, "an HTML comment: Cached by Boxcar"},
		{"comments on both sides", "<!-- 1 -->[2]<!-- 3 --><!-- 4 -->", `[2]`, "an HTML comment: 1"},
		{"a warning", warning + `[1]`, `[1]`, `Warning: Undefined array key "x" in /srv/wp/y.php on line 12`},
		{"warnings in plain text", "\nDeprecated: f() is old in /a.php on line 3\n\nPHP Notice:  g in /b.php on line 4\n{}\n", `{}`, "Deprecated: f() is old in /a.php on line 3"},
		{"a warning after it", `[1]` + warning, `[1]`, "Warning"},
		{"all of it", "\ufeff" + warning + "[1]\n<!-- x -->\ufeff", `[1]`, "a byte order mark"},

		{"a script after it", `[1]<script src="x.js"></script>` + "\n<SCRIPT>var a=[2];</SCRIPT>", `[1]`, "a script or style of HTML"},
		{"a style before it", `<style type="text/css">a{b:c}</style>{"a":1}<noscript><img></noscript>`, `{"a":1}`, "a script or style of HTML"},

		{"a script without an end", `[1]<script>var a=[2];`, "", ""},
		{"a script and a page", `[1]<script></script><html></html>`, "", ""},
		{"an error", strings.Replace(warning, "Warning", "Fatal error", 1) + `[1]`, "", ""},
		{"a warning of no known form", "<b>Warning</b>: x[1]", "", ""},
		{"words", "hello [1]", "", ""},
		{"a second value", "[1] [2]", "", ""},
		{"a page after it", `[1]<html></html>`, "", ""},
		{"a cut value", "\ufeff[1", "", ""},
		{"a comment without an end", "[1]<!-- x", "", ""},
		{"a comment alone", "<!-- x -->", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.want == "" {
				tt.want = tt.body
			}
			var logs bytes.Buffer
			hc, _ := script(answers(200, tt.body))
			c := New(Config{HTTPClient: hc, Logger: slog.New(slog.NewTextHandler(&logs, nil))})
			for range 3 {
				resp, err := c.Do(t.Context(), Request{Method: "GET", URL: target})
				require.NoError(t, err)
				assert.Equal(t, tt.want, string(resp.Body))
			}
			if tt.noise == "" {
				assert.Empty(t, logs.String())
				return
			}
			assert.Equal(t, 1, strings.Count(logs.String(), "\n"), "it is logged once: %s", &logs)
			assert.Contains(t, logs.String(), strings.ReplaceAll(tt.noise, `"`, `\"`))
			assert.Contains(t, logs.String(), "host=api.example")
		})
	}
}

func TestMessage(t *testing.T) {
	c := New(Config{Secrets: []string{"hush"}})
	for in, want := range map[string]string{
		"<p>There has been a <b>critical</b> error.</p><p><a href=\"https://x.example\">Learn more</a></p>": "There has been a critical error. Learn more",
		"Argument must be of type array<int>, <anonymous> given":                                            "Argument must be of type array<int>, <anonymous> given",
		"5 < 6 and 7 > 6": "5 < 6 and 7 > 6",
		"use /products/&lt;product_id&gt;/variations": "use /products/<product_id>/variations",
		"say hu<b>sh</b>, hush":                       "say [redacted], [redacted]",
		"h&#117;sh":                                   "[redacted]",
		"a\x1b[31m\nlevel=ERROR":                      "a\ufffd[31m level=ERROR",
	} {
		assert.Equal(t, want, c.Message(in), in)
	}
	assert.Less(t, len(c.Message(strings.Repeat("x", 2<<20))), 310)
	assert.NotContains(t, c.Message(strings.Repeat("x", 298)+"hush"), "hu", "a secret is not cut before it is found")
}

func TestAnErrorNamesItsCause(t *testing.T) {
	for want, resp := range map[string]*Response{
		`a page of HTML titled "Just a moment…" (status 403, text/html)`: {
			Status: 403, Header: http.Header{"Content-Type": {"text/html"}}, Body: []byte("<!DOCTYPE html><html><head><title>\nJust a moment&hellip;</title>")},
		`an answer that begins with PHP's "Fatal error: Uncaught Error: f() in /x.php:3 Stack in /x.php on line 3" (status 500, text/html)`: {
			Status: 500, Header: http.Header{"Content-Type": {"text/html"}}, Body: []byte("<br />\n<b>Fatal error</b>:  Uncaught Error: f() in /x.php:3\nStack in <b>/x.php</b> on line <b>3</b><br />")},
	} {
		assert.Equal(t, want, Describe(resp))
	}
}

func TestALineForARepeatedRequestNamesWhoAndWhy(t *testing.T) {
	for _, tt := range []struct {
		name  string
		first roundTrip
		cause string
	}{
		{"an answer", answers(502, "<html><title>Bad Gateway</title>", "Content-Type", "text/html"), `a page of HTML titled \"Bad Gateway\" (status 502, text/html)`},
		{"a broken connection", fails(errors.New("reset\nlevel=ERROR")), "reset level=ERROR"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var logs bytes.Buffer
				hc, _ := script(tt.first, answers(200, "{}"))
				c := New(Config{Service: "test", HTTPClient: hc, Logger: slog.New(slog.NewTextHandler(&logs, nil))})
				_, err := c.Do(t.Context(), Request{Method: "GET", URL: target, Repeat: true})
				require.NoError(t, err)
				for _, part := range []string{"request will be repeated", "service=test", "host=api.example", `op="GET /v1/things"`, tt.cause} {
					assert.Contains(t, logs.String(), part)
				}
				assert.Equal(t, 1, strings.Count(logs.String(), "\n"))
				assert.NotContains(t, logs.String(), "secret-sku")
			})
		})
	}
}

func TestAWaitThatIsTooLongIsLogged(t *testing.T) {
	for _, header := range []string{"86400", "1e300", "Inf", "Fri, 01 Jan 2100 00:00:00 GMT"} {
		synctest.Test(t, func(t *testing.T) {
			var logs bytes.Buffer
			hc, n := script(answers(429, "", "Retry-After", header))
			start := time.Now()
			resp, err := New(Config{Service: "test", HTTPClient: hc, Logger: slog.New(slog.NewTextHandler(&logs, nil))}).Do(t.Context(), Request{Method: "GET", URL: target})
			require.NoError(t, err)
			assert.Equal(t, 1, *n)
			assert.Zero(t, time.Since(start))
			assert.Equal(t, MaxRetryAfter, RetryAfter(resp.Header), header)
			assert.Contains(t, logs.String(), "level=WARN")
			assert.Contains(t, logs.String(), "wait=15m0s accepted=1m30s")
		})
	}
	for _, header := range []string{"NaN", "-1", "", "0"} {
		assert.Zero(t, RetryAfter(http.Header{"Retry-After": {header}}), header)
	}
}

func TestACredentialOfOneAttemptIsKeptOutOfTexts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logs bytes.Buffer
		n := 0
		hc, _ := script(func(r *http.Request) (*http.Response, error) {
			if n == 1 {
				return nil, fmt.Errorf("cannot send %v: %w", r.Header, net.ErrClosed)
			}
			return answers(200, "<title>you sent "+r.Header.Get("X-Token")+"</title>")(r)
		})
		c := New(Config{Service: "test", HTTPClient: hc, Logger: slog.New(slog.NewTextHandler(&logs, nil)),
			Authorize: func(r *http.Request) error { n++; r.Header.Set("X-Token", fmt.Sprint("hush", n)); return nil }})
		resp, err := c.Do(t.Context(), Request{Method: "GET", URL: target, Repeat: true})
		require.NoError(t, err)
		assert.Contains(t, logs.String(), "cannot send")
		assert.NotContains(t, logs.String()+Describe(resp), "hush")

		n = 0
		_, err = c.Do(t.Context(), Request{Method: "GET", URL: target})
		assert.NotContains(t, fmt.Sprintf("%v %+v %#v", err, err, errors.Unwrap(err)), "hush")
		assert.ErrorIs(t, err, net.ErrClosed, "the cause is kept")
	})
}

func TestAClientShowsNoSecret(t *testing.T) {
	c := New(Config{Secrets: []string{"hush"}})
	data, err := json.Marshal(c)
	require.NoError(t, err)
	var logs bytes.Buffer
	slog.New(slog.NewTextHandler(&logs, nil)).Info("x", slog.Any("c", c), slog.Any("host", struct{ c *Client }{c}))
	for _, text := range []string{fmt.Sprintf("%v %+v %#v", c, c, c), fmt.Sprintf("%+v %#v", &c.cfg, c.cfg), string(data), logs.String()} {
		assert.NotContains(t, text, "hush")
	}
	assert.Equal(t, "[redacted]", c.Redact("hush"))
}

func TestWhatIsAskedForComesFromTheService(t *testing.T) {
	var got http.Header
	hc, _ := script(func(r *http.Request) (*http.Response, error) { got = r.Header; return answers(200, "{}")(r) })
	_, err := New(Config{HTTPClient: hc}).Do(t.Context(), Request{Method: "GET", URL: target})
	require.NoError(t, err)
	assert.Equal(t, "no-cache", got.Get("Cache-Control"))
	assert.Equal(t, "stocksync", got.Get("User-Agent"), "some firewalls refuse Go's own")

	for header, want := range map[string]string{
		"Age: 17": "Age: 17", "Age: 0": "", "Age: old": "", "X-Cache: HIT": "X-Cache: HIT", "X-Cache: Miss from edge": "",
		"X-Boxcar-Cache: hit,private": "X-Boxcar-Cache: hit,private", "X-Cache: MISS, HIT": "X-Cache: MISS, HIT",
		"Cf-Cache-Status: STALE": "Cf-Cache-Status: STALE", "Cf-Cache-Status: DYNAMIC": "", "X-Cache-Hits: 0": "", "X-Cache-Hits: 2": "X-Cache-Hits: 2",
		"Cache-Control: max-age=0, stale-while-revalidate=30": "", "X-Cache-Tags: hit": "", "X-Shop: hit": "",
	} {
		name, value, _ := strings.Cut(header, ": ")
		assert.Equal(t, want, Cached(http.Header{name: {value}}), header)
	}
}

func TestAnErrorBeforeTheRequestIsAnError(t *testing.T) {
	hc, n := script(answers(200, "{}"))
	soon := errors.New("rate: would exceed the deadline")
	_, err := New(Config{Kind: errDown, HTTPClient: hc, Before: func(context.Context) error { return soon }}).Do(t.Context(), Request{Method: "POST", URL: target})
	assert.ErrorIs(t, err, soon)
	assert.ErrorIs(t, err, errDown)
	if e, ok := errors.AsType[*Error](err); assert.True(t, ok) {
		assert.True(t, e.Unsent)
	}
	assert.Zero(t, *n)
}

func TestACertificateOfAnUnknownAuthority(t *testing.T) {
	hc, _ := script(fails(fmt.Errorf("tls: %w", x509.UnknownAuthorityError{})))
	_, err := New(Config{HTTPClient: hc}).Do(t.Context(), Request{Method: "POST", URL: target})
	assert.ErrorContains(t, err, "SSL_CERT_FILE")
}
