// Package httpx sends requests to a service's API: the one place where this
// module retries a request, bounds an answer, refuses a redirect, skips noise
// around JSON, caps the waits that a service asks for, and cleans what it says.
// It decides nothing about what an answer means.
package httpx

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"github.com/ecosire/stocksync/internal/logs"
)

// Config configures a [Client]. Only Service is required.
type Config struct {
	// Service names the service in errors and logs.
	Service string
	// HTTPClient is copied, never changed. Its Timeout bounds one attempt; 0
	// means a minute.
	HTTPClient *http.Client
	// Logger gets a line for each repeated request, one for each wait that is
	// longer than MaxWait, and one for the first answer with noise around its
	// JSON; nil means none.
	Logger *slog.Logger
	// Kind is what every [Error] of the client matches, such as the caller's
	// own error for a service that cannot be reached; nil means nothing.
	Kind error
	// Retries is how often a request is repeated at most; 0 means 4.
	Retries int
	// MaxWait is the longest that is waited for a service that names a time.
	// A request that would have to wait longer ends with what it got last, and
	// that is logged. 0 means 90 seconds.
	MaxWait time.Duration
	// MaxBody bounds an answer; 0 means 32 MiB.
	MaxBody int64
	// Secrets are strings that must not appear in an error or a log line. The
	// client keeps them where fmt does not reach them.
	Secrets []string
	// Rotating returns further ones, which change; nil means that there are none.
	Rotating func() []string

	// Before is called before each attempt, outside of its timeout. It may
	// wait, and ends the request by an error, which then is an [Error]'s Err.
	Before func(context.Context) error
	// Authorize adds the credentials to an attempt's request. An error ends
	// the request.
	Authorize func(*http.Request) error
	// After is called after each attempt. resp is nil if there was no answer.
	After func(context.Context, *Response)
	// Op names what a request asks for, to those who listen by
	// [channel.WithRequests]; nil means its method.
	Op func(ctx context.Context, method, path string) string
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
	// Retries bounds how often the request is repeated after failures that it
	// may cause itself, such as a 500 or a broken connection, below what the
	// client's Retries say; 0 means no bound of its own.
	Retries int
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
	Body   []byte // without noise around its JSON

	message func(string) string
}

// A Client is safe for concurrent use. It holds no secret that fmt could print.
type Client struct {
	cfg    Config // without its Secrets
	http   *http.Client
	sent   *atomic.Int64
	redact func(string) string
	noisy  atomic.Bool  // noise was logged
	hung   atomic.Int32 // attempts that were left behind
	clock  clock
}

// Requests is how many requests were sent so far, repeated ones included.
func (c *Client) Requests() int64 { return c.sent.Load() }

// New returns a client.
func New(cfg Config) *Client {
	cfg.Retries = cmp.Or(cfg.Retries, 4)
	cfg.MaxWait = cmp.Or(cfg.MaxWait, 90*time.Second)
	cfg.MaxBody = cmp.Or(cfg.MaxBody, 32<<20)
	cfg.Logger = logs.New(cfg.Logger)
	if cfg.HTTPClient == nil {
		cfg.HTTPClient = &http.Client{}
	}
	hc := *cfg.HTTPClient
	timeout := cmp.Or(hc.Timeout, time.Minute)
	hc.Timeout = 0 // it would count the time spent in Before
	hc.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c := &Client{http: &hc, sent: new(atomic.Int64), redact: redactor(cfg.Secrets)}
	cfg.Secrets = nil
	if cfg.Rotating != nil {
		fixed := c.redact
		c.redact = func(text string) string { return redactor(cfg.Rotating())(fixed(text)) }
	}
	c.cfg = cfg
	next := cmp.Or(hc.Transport, http.DefaultTransport)
	_, own := next.(*http.Transport)
	hc.Transport = &attempt{next: next, host: !own, timeout: timeout, client: c}
	return c
}

// userAgent is sent with each request: some firewalls refuse Go's own.
const userAgent = "stocksync"

// Do sends a request, again and again while that is allowed and may help, and
// returns the last answer, whatever its status. Its error is ctx's, or of type
// [*Error]. A panic of the host's code, such as its transport, is such an error:
// Do may be called in a goroutine in which nobody else recovers.
func (c *Client) Do(ctx context.Context, r Request) (_ *Response, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = c.fail(r, c.panicked(ctx, r.Method, r.URL, p, c.Message))
		}
	}()
	return c.do(ctx, r)
}

func (c *Client) do(ctx context.Context, r Request) (*Response, error) {
	req, err := retryablehttp.NewRequestWithContext(heard(ctx), r.Method, r.URL.String(), r.Body)
	if err != nil {
		return nil, c.fail(r, err)
	}
	if r.Header != nil {
		req.Header = r.Header.Clone()
	}
	req.Header.Set("Accept", "application/json")
	if req.Header.Get("User-Agent") == "" {
		req.Header.Set("User-Agent", userAgent)
	}
	if r.Method == http.MethodGet {
		req.Header.Set("Cache-Control", "no-cache")
		req.Header.Set("Pragma", "no-cache")
	}

	var last *Response // the answer to the latest attempt, or nil
	var failed error   // what the latest attempt ended with, or nil
	var wait time.Duration
	tries := 0
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
			failed = err
			tries++
			wait, again = repeatable(r, last, err)
			if own := last == nil || last.Status != http.StatusTooManyRequests && last.Status != http.StatusServiceUnavailable; own && r.Retries > 0 && tries > r.Retries {
				again = false
			}
			if again && wait > c.cfg.MaxWait {
				c.log(ctx, slog.LevelWarn, "the service asks for a wait that is too long, giving the request up", r, last, err,
					slog.Duration("wait", wait), slog.Duration("accepted", c.cfg.MaxWait))
				return false, nil
			}
			return again, nil
		},
		Backoff: func(_, _ time.Duration, attempt int, _ *http.Response) time.Duration {
			if wait == 0 {
				wait = backoff(attempt)
			}
			c.log(ctx, slog.LevelInfo, "request will be repeated", r, last, failed,
				slog.Int("attempt", attempt+1), slog.Duration("wait", wait))
			return wait
		},
		PrepareRetry: func(*http.Request) error { return c.before(ctx) },
		ErrorHandler: retryablehttp.PassthroughErrorHandler,
	}
	if err = c.before(ctx); err == nil {
		_, err = rc.Do(req)
	}
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, c.fail(r, err)
	}
	return last, nil
}

// before runs what precedes an attempt. Its errors are fatal: nothing was sent.
func (c *Client) before(ctx context.Context) error {
	if c.cfg.Before == nil {
		return ctx.Err()
	}
	if err := c.cfg.Before(ctx); err != nil {
		return &fatalError{error: err, unsent: true}
	}
	return nil
}

// log writes a line about a request that got an answer or ended with err.
func (c *Client) log(ctx context.Context, level slog.Level, msg string, r Request, resp *Response, err error, more ...slog.Attr) {
	cause := ""
	switch {
	case err != nil:
		cause = c.Message(explain(err).Error())
	case resp != nil:
		cause = Describe(resp)
	}
	attrs := append([]slog.Attr{
		slog.String("service", c.cfg.Service), slog.String("host", r.URL.Host), slog.String("op", c.Message(r.Method+" "+path(r.URL))),
	}, more...)
	c.cfg.Logger.LogAttrs(ctx, level, msg, append(attrs, slog.Int("status", status(resp)), slog.String("cause", cause))...)
}

// repeatable is the rule for what is repeated. A wait of 0 means the usual backoff.
func repeatable(r Request, resp *Response, err error) (wait time.Duration, again bool) {
	if err != nil {
		if _, fatal := errors.AsType[*fatalError](err); fatal {
			return 0, false
		}
		return 0, r.Repeat || unsent(err)
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

// attempt is the transport of one attempt: it adds the credentials, bounds
// time and size, and reads the answer to its end, so that a broken body is a
// failed attempt like a broken connection.
type attempt struct {
	next    http.RoundTripper
	host    bool // next is the host's, and may not end with its context
	timeout time.Duration
	client  *Client
}

// answer is a response's body that has been read already.
type answer struct {
	*bytes.Reader
	*Response
}

func (*answer) Close() error { return nil }

// fatalError is one that another attempt cannot mend.
type fatalError struct {
	error
	unsent bool
}

func (e *fatalError) Unwrap() error { return e.error }

func (a *attempt) RoundTrip(req *http.Request) (resp *http.Response, err error) {
	ctx, cancel := context.WithTimeout(req.Context(), a.timeout)
	defer cancel()
	req = req.Clone(ctx)
	message := a.client.Message
	defer func() { // here, where the attempt's own credentials are known
		if p := recover(); p != nil {
			resp, err = nil, a.client.panicked(ctx, req.Method, req.URL, p, message)
		}
	}()
	if a.client.cfg.Authorize != nil {
		plain := req.Header.Clone()
		if err := a.client.cfg.Authorize(req); err != nil {
			return nil, &fatalError{error: err, unsent: true}
		}
		message = func(s string) string { return a.client.Message(redactor(added(plain, req.Header))(s)) }
	}
	a.client.sent.Add(1)
	sent := time.Now()
	told := false
	after := func(resp *Response) {
		told = true
		if a.client.cfg.After != nil {
			a.client.cfg.After(ctx, resp)
		}
	}
	defer func() {
		if !told { // the host's transport, or its answer's body, panics
			after(nil)
		}
	}()
	got, err := a.exchange(ctx, req, message)
	if err != nil {
		after(nil)
		a.client.observe(ctx, req, sent, nil, err)
		return nil, err
	}
	resp = got.resp
	a.client.clock.note(resp.Header, sent, got.received)
	body, noise := skipNoise(got.body)
	if noise != "" && !a.client.noisy.Swap(true) {
		a.client.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "noise around the service's JSON is skipped, here and from now on",
			slog.String("service", a.client.cfg.Service), slog.String("host", req.URL.Host),
			slog.String("op", a.client.Message(req.Method+" "+path(req.URL))), slog.String("noise", message(noise)))
	}
	r := &Response{Sent: sent, Status: resp.StatusCode, Header: resp.Header, Body: body, message: message}
	after(r)
	a.client.observe(ctx, req, sent, r, nil)
	resp.Body = &answer{bytes.NewReader(body), r}
	return resp, nil
}

// added returns the values of the headers that were added: they are
// credentials.
func added(before, after http.Header) (secrets []string) {
	for name, values := range after {
		if _, known := before[name]; known {
			continue
		}
		for _, v := range values {
			secrets = append(secrets, v)
			if _, token, ok := strings.Cut(v, " "); ok {
				secrets = append(secrets, token)
			}
		}
	}
	return secrets
}

func status(resp *Response) int {
	if resp == nil {
		return 0
	}
	return resp.Status
}
