// Package httpx sends requests to a service's API: the one place where this
// module retries a request, bounds an answer, refuses a redirect and keeps
// credentials out of texts. It decides nothing about what an answer means.
package httpx

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"github.com/ecosire/stocksync/channel"
)

// Config configures a [Client]. Only Service is required.
type Config struct {
	// Service names the service in errors and logs.
	Service string
	// HTTPClient is copied, never changed. Its Timeout bounds one attempt; 0
	// means a minute.
	HTTPClient *http.Client
	// Logger gets a line for each retry; nil means none.
	Logger *slog.Logger
	// Retries is how often a request is repeated at most; 0 means 4.
	Retries int
	// MaxWait is the longest that is waited for a service that names a time.
	// A request that would have to wait longer ends with what it got last. 0
	// means 90 seconds.
	MaxWait time.Duration
	// MaxBody bounds an answer; 0 means 32 MiB.
	MaxBody int64
	// Secrets are strings that must not appear in an error or a log line.
	Secrets []string

	// Before is called before each attempt, outside of its timeout. It may
	// wait, and ends the request by an error.
	Before func(context.Context) error
	// Authorize adds the credentials to an attempt's request. An error ends
	// the request.
	Authorize func(*http.Request) error
	// After is called after each attempt. resp is nil if there was no answer.
	After func(*Response)
}

// A Request is sent by [Client.Do].
type Request struct {
	Method string
	URL    *url.URL
	Header http.Header
	Body   []byte
	// Repeat says that the request may be sent again when it is not clear
	// whether the service did it: after a broken connection, a timeout, a 5xx.
	// A request that was refused for its rate, or could not be sent, is
	// repeated in any case.
	Repeat bool
	// Retry decides for answers that mean "again, later" in a way of the
	// service's own. It is asked first. A wait of 0 leaves the time to the
	// usual backoff.
	Retry func(*Response) (wait time.Duration, again bool)
}

// A Response is an answer with its whole body.
type Response struct {
	Sent   time.Time // when the request was sent that it answers
	Status int
	Header http.Header
	Body   []byte
}

// A Client is safe for concurrent use.
type Client struct {
	cfg  Config
	http *http.Client
	sent *atomic.Int64
}

// Requests is how many requests were sent so far, repeated ones included.
func (c *Client) Requests() int64 { return c.sent.Load() }

// New returns a client.
func New(cfg Config) *Client {
	cfg.Retries = cmp.Or(cfg.Retries, 4)
	cfg.MaxWait = cmp.Or(cfg.MaxWait, 90*time.Second)
	cfg.MaxBody = cmp.Or(cfg.MaxBody, 32<<20)
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.HTTPClient == nil {
		cfg.HTTPClient = &http.Client{}
	}
	hc := *cfg.HTTPClient
	timeout := cmp.Or(hc.Timeout, time.Minute)
	hc.Timeout = 0 // it would count the time spent in Before
	hc.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	sent := new(atomic.Int64)
	hc.Transport = &attempt{next: cmp.Or(hc.Transport, http.DefaultTransport), timeout: timeout, cfg: &cfg, sent: sent}
	return &Client{cfg: cfg, http: &hc, sent: sent}
}

// Do sends a request, again and again while that is allowed and may help, and
// returns the last answer, whatever its status. Its error is ctx's, or of type
// [*Error].
func (c *Client) Do(ctx context.Context, r Request) (*Response, error) {
	req, err := retryablehttp.NewRequestWithContext(ctx, r.Method, r.URL.String(), r.Body)
	if err != nil {
		return nil, c.fail(r, err)
	}
	if r.Header != nil {
		req.Header = r.Header.Clone()
	}
	req.Header.Set("Accept", "application/json")

	var last *Response // the answer to the latest attempt, or nil
	var wait time.Duration
	rc := retryablehttp.Client{
		HTTPClient: c.http,
		RetryMax:   c.cfg.Retries,
		CheckRetry: func(ctx context.Context, resp *http.Response, err error) (again bool, _ error) {
			if ctx.Err() != nil {
				return false, ctx.Err()
			}
			last, wait = nil, 0
			if err == nil {
				last = resp.Body.(*answer).Response
			}
			wait, again = repeatable(r, last, err)
			return again && wait <= c.cfg.MaxWait, nil
		},
		Backoff: func(_, _ time.Duration, attempt int, _ *http.Response) time.Duration {
			if wait == 0 {
				wait = backoff(attempt)
			}
			c.cfg.Logger.LogAttrs(ctx, slog.LevelInfo, "request will be repeated",
				slog.String("service", c.cfg.Service), slog.String("op", r.Method+" "+r.URL.Path),
				slog.Int("attempt", attempt+1), slog.Duration("wait", wait), slog.Int("status", status(last)))
			return wait
		},
		PrepareRetry: func(*http.Request) error { return c.before(ctx) },
		ErrorHandler: retryablehttp.PassthroughErrorHandler,
	}
	if err := c.before(ctx); err != nil {
		return nil, err
	}
	_, err = rc.Do(req)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, c.fail(r, err)
	}
	return last, nil
}

func (c *Client) before(ctx context.Context) error {
	if c.cfg.Before == nil {
		return ctx.Err()
	}
	return c.cfg.Before(ctx)
}

// repeatable is the rule for what is repeated. A wait of 0 means the usual backoff.
func repeatable(r Request, resp *Response, err error) (wait time.Duration, again bool) {
	if err != nil {
		if _, fatal := errors.AsType[*fatalError](err); fatal {
			return 0, false
		}
		op, ok := errors.AsType[*net.OpError](err)
		return 0, r.Repeat || ok && op.Op == "dial"
	}
	if r.Retry != nil {
		if wait, again = r.Retry(resp); again {
			return wait, true
		}
	}
	switch resp.Status {
	case http.StatusTooManyRequests:
		return RetryAfter(resp.Header), true
	case http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return RetryAfter(resp.Header), r.Repeat
	}
	return 0, false
}

// backoff doubles from half a second to 30, and spreads by a half, so that
// many clients do not come back together.
func backoff(attempt int) time.Duration {
	d := min(500*time.Millisecond<<min(attempt, 10), 30*time.Second)
	return d/2 + rand.N(d)
}

// RetryAfter reads a Retry-After header: seconds, with or without a fraction,
// or a date. It returns 0 if there is none.
func RetryAfter(h http.Header) time.Duration {
	v := strings.TrimSpace(h.Get("Retry-After"))
	if seconds, err := strconv.ParseFloat(v, 64); err == nil && seconds > 0 && seconds < 1e6 {
		return time.Duration(seconds * float64(time.Second))
	}
	if at, err := http.ParseTime(v); err == nil {
		return max(0, time.Until(at))
	}
	return 0
}

// attempt is the transport of one attempt: it adds the credentials, bounds
// time and size, and reads the answer to its end, so that a broken body is a
// failed attempt like a broken connection.
type attempt struct {
	next    http.RoundTripper
	timeout time.Duration
	cfg     *Config
	sent    *atomic.Int64
}

// answer is a response's body that has been read already.
type answer struct {
	*bytes.Reader
	*Response
}

func (*answer) Close() error { return nil }

// fatalError is one that another attempt cannot mend.
type fatalError struct{ error }

func (e *fatalError) Unwrap() error { return e.error }

func (a *attempt) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithTimeout(req.Context(), a.timeout)
	defer cancel()
	req = req.Clone(ctx)
	if a.cfg.Authorize != nil {
		if err := a.cfg.Authorize(req); err != nil {
			return nil, &fatalError{err}
		}
	}
	a.sent.Add(1)
	sent := time.Now()
	resp, err := a.next.RoundTrip(req)
	if err != nil {
		a.after(nil)
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, a.cfg.MaxBody+1))
	resp.Body.Close()
	if err == nil && int64(len(body)) > a.cfg.MaxBody {
		err = &fatalError{fmt.Errorf("the answer is larger than %d bytes", a.cfg.MaxBody)}
	}
	if err != nil {
		a.after(nil)
		return nil, err
	}
	r := &Response{Sent: sent, Status: resp.StatusCode, Header: resp.Header, Body: body}
	a.after(r)
	resp.Body = &answer{bytes.NewReader(body), r}
	return resp, nil
}

func (a *attempt) after(resp *Response) {
	if a.cfg.After != nil {
		a.cfg.After(resp)
	}
}

func status(resp *Response) int {
	if resp == nil {
		return 0
	}
	return resp.Status
}

// An Error says that a request got no usable answer. It names the method, the
// host and the path, never the query. It matches [channel.ErrUnavailable].
type Error struct {
	Service string
	Op      string // "GET https://host/path"
	Err     error
}

func (e *Error) Error() string        { return e.Service + ": " + e.Op + ": " + e.Err.Error() }
func (e *Error) Unwrap() error        { return e.Err }
func (e *Error) Is(target error) bool { return target == channel.ErrUnavailable }

func (c *Client) fail(r Request, err error) error {
	// net/http puts the whole URL, query included, into its errors.
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	if f, ok := errors.AsType[*fatalError](err); ok {
		err = f.error
	}
	if text := err.Error(); c.Redact(text) != text {
		err = errors.New(c.Redact(text))
	}
	return &Error{Service: c.cfg.Service, Op: r.Method + " " + Endpoint(r.URL), Err: err}
}

// Endpoint is a URL as it may be printed: without user, query and fragment.
func Endpoint(u *url.URL) string { return u.Scheme + "://" + u.Host + u.Path }

// Redact takes the client's secrets out of a text.
func (c *Client) Redact(text string) string {
	for _, s := range c.cfg.Secrets {
		if s != "" {
			text = strings.ReplaceAll(text, s, "[redacted]")
		}
	}
	return text
}

// Message prepares a text that a service sent for an error: one line, no
// markup, no secrets, of bounded length.
func (c *Client) Message(text string) string {
	var b strings.Builder
	tag := false
	for _, r := range text {
		switch {
		case r == '<':
			tag = true
		case r == '>' && tag:
			tag = false
		case !tag:
			b.WriteRune(r)
		}
	}
	text = c.Redact(strings.Join(strings.Fields(b.String()), " "))
	if runes := []rune(text); len(runes) > 200 {
		text = string(runes[:200]) + "…"
	}
	return text
}

// Decode reads a JSON body into v. Its error describes the answer rather than
// quoting it.
func Decode(resp *Response, v any) error {
	if err := json.Unmarshal(resp.Body, v); err != nil {
		return fmt.Errorf("%s is not the JSON that was expected: %w", Describe(resp), err)
	}
	return nil
}

// Describe says what kind of thing an answer is, without quoting it.
func Describe(resp *Response) string {
	kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil {
		kind = "untyped"
	}
	body := bytes.TrimSpace(resp.Body)
	switch {
	case len(body) == 0:
		return fmt.Sprintf("an empty answer (status %d)", resp.Status)
	case resp.Status >= 300 && resp.Status < 400:
		return fmt.Sprintf("a redirect (status %d)", resp.Status)
	case body[0] == '<':
		return fmt.Sprintf("a page of HTML (status %d, %s)", resp.Status, kind)
	}
	return fmt.Sprintf("an answer of %d bytes (status %d, %s)", len(resp.Body), resp.Status, kind)
}

// ParseBase checks the base URL of a service: https, or http on this machine,
// and nothing but a host and a path. field names it in the error. The result
// has no trailing slash.
func ParseBase(field, raw string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimSpace(raw))
	switch {
	case err != nil || u.Hostname() == "" || u.Opaque != "":
		// The text of err may hold a password.
		return nil, fmt.Errorf("%s: not a URL like https://example.com", field)
	case u.User != nil:
		return nil, fmt.Errorf("%s: credentials do not belong in the URL", field)
	case u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("%s: a base URL has no query and no fragment", field)
	case u.Scheme == "https", u.Scheme == "http" && Loopback(u):
	default:
		return nil, fmt.Errorf("%s: %s://%s: use https; http would show the credentials to the network, and is accepted on this machine's loopback only", field, u.Scheme, u.Host)
	}
	u.Path = strings.TrimRight(u.Path, "/")
	u.RawPath = ""
	return u, nil
}

// Loopback reports whether a URL's host is this machine.
func Loopback(u *url.URL) bool {
	host := u.Hostname()
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
