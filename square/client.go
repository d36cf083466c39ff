package square

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/httpx"
	"github.com/ecosire/stocksync/internal/logs"
)

const (
	// defaultVersion is the version of the API that this package is written
	// and checked against.
	defaultVersion = "2025-08-20"
	production     = "https://connect.squareup.com"
)

// Config configures a [Client]. Token is required.
type Config struct {
	// Token gives the access token: [StaticToken], [RotatingToken], or the host's
	// own, which may be a [TokenFunc]. It needs the rights ITEMS_READ, INVENTORY_READ,
	// INVENTORY_WRITE and MERCHANT_PROFILE_READ; a personal access token has
	// all of them.
	Token TokenSource

	// BaseURL is where the API is: "https://connect.squareupsandbox.com" for
	// the sandbox, or a test server; https, or http on this machine. Empty means
	// "https://connect.squareup.com".
	BaseURL string
	// Version is the version of the API that every request names; empty means
	// "2025-08-20", which this package is written against. Without it the
	// version would be what somebody chose for the application in Square's
	// console.
	Version string
	// HTTPClient is copied, never changed. Its Timeout bounds one attempt; 0
	// means a minute. nil means a client of its own.
	HTTPClient *http.Client
	// Logger gets warnings, and a line for each repeated request; nil means
	// none.
	Logger *slog.Logger
	// Parallel is how many requests are under way at once; 0 means 3.
	Parallel int
	// Rate is how many requests are sent in a second, to begin with; 0 means 5.
	// It is halved each time that Square refuses one for the rate, and grows
	// slowly, up to twice what it began with. Square does not publish its
	// limits.
	Rate float64
}

// A Client speaks Square's API for one seller. It is safe for concurrent use.
// All users of one seller's account in a process should share one Client, since
// they share what the account may send, and what is known of the catalog.
type Client struct {
	base    *url.URL
	version string
	tokens  TokenSource
	http    *httpx.Client
	log     *slog.Logger
	gate    gate
	// parallel is how many requests one call has under way at most.
	parallel int
	pace     *pacer
	clock    clock
	catalog  catalog
	limits   limits

	otherVersion, oddDate sync.Once
}

var versionName = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}$`)

// New returns a client. It does no I/O.
func New(cfg Config) (*Client, error) {
	if cfg.Token == nil {
		return nil, errors.New("square: Config.Token is required: use StaticToken")
	}
	if s, ok := cfg.Token.(staticToken); ok && !printable(s.reveal()) {
		return nil, errors.New("square: Config.Token: the token is empty or has characters that no token has")
	}
	version := cmp.Or(cfg.Version, defaultVersion)
	if !versionName.MatchString(version) {
		return nil, fmt.Errorf("square: Config.Version: not a version like %q", defaultVersion)
	}
	base, err := httpx.ParseBase("Config.BaseURL", cmp.Or(cfg.BaseURL, production))
	if err != nil {
		return nil, fmt.Errorf("square: %w", err)
	}
	if strings.HasSuffix(base.Path, "/v2") {
		return nil, errors.New("square: Config.BaseURL: give the address without /v2")
	}
	if cfg.Parallel < 0 || cfg.Rate < 0 {
		return nil, errors.New("square: Config.Parallel and Config.Rate must not be negative")
	}
	var rotating func() []string
	if source, ok := cfg.Token.(*rotatingToken); ok {
		source.LogTo(cfg.Logger)
		rotating = source.Secrets
	}
	parallel := cmp.Or(cfg.Parallel, 3)
	c := &Client{
		base: base, version: version, tokens: cfg.Token,
		log:  logs.New(cfg.Logger),
		gate: gate{free: parallel}, parallel: parallel,
		pace:    newPacer(cmp.Or(cfg.Rate, 5), parallel),
		catalog: newCatalog(),
	}
	c.limits.changes.Store(maxChanges)
	c.limits.ids.Store(maxIDs)
	c.http = httpx.New(httpx.Config{
		Service: "square", HTTPClient: cfg.HTTPClient, Logger: cfg.Logger, Kind: channel.ErrUnavailable,
		Before: c.before, Authorize: authorize, After: c.after, Op: operation(base.Path), Rotating: rotating,
	})
	return c, nil
}

// Do calls an endpoint, for whatever this package has no method for. path
// begins with /v2/. A body that is not nil is sent as JSON; the answer is
// decoded into what into points to, unless that is nil.
//
// Requests that read, and those whose body has an "idempotency_key", are sent
// again after a broken connection, a timeout or a 5xx, with the same body;
// others are not, because Square may have done them. What was refused for the
// rate is repeated in any case.
//
// The error is ctx's, or an [*Error], or matches [channel.ErrUnavailable]:
// Square could not be reached. Errors in an answer with status 200 are an
// [*Error], too.
func (c *Client) Do(ctx context.Context, method, path string, query url.Values, body, into any) error {
	if !strings.HasPrefix(path, "/v2/") || slices.Contains(strings.Split(path, "/"), "..") {
		return fmt.Errorf("square: path %q is not one of the API, which begin with /v2/", path)
	}
	r := request{method: method, path: path, query: query, repeat: method == http.MethodGet || method == http.MethodHead || reads(path)}
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return fmt.Errorf("square: %s %s: %w", method, path, err)
		}
		var keyed struct {
			Key string `json:"idempotency_key"`
		}
		r.repeat = r.repeat || json.Unmarshal(data, &keyed) == nil && keyed.Key != ""
		r.body = func() []byte { return data }
	}
	resp, a, err := c.send(ctx, r)
	switch {
	case err != nil:
		return err
	case len(a.details) > 0:
		return &Error{Op: a.op, Status: resp.Status, Details: a.details}
	case into == nil:
		return nil
	}
	if err := httpx.Decode(resp, into); err != nil {
		return unusable(a.op, resp.Status, err.Error())
	}
	return nil
}

// reads reports whether a POST only reads.
func reads(path string) bool {
	return strings.HasSuffix(path, "/search") || strings.HasSuffix(path, "/batch-retrieve")
}

// A request is one call of the API.
type request struct {
	method, path string
	query        url.Values
	body         func() []byte // asked for each attempt; nil means none
	repeat       bool          // may be sent again when its outcome is not clear
}

// post is a request with a body that stays the same.
func post(path string, body any) (request, error) {
	data, err := json.Marshal(body)
	return request{method: http.MethodPost, path: path, body: func() []byte { return data }, repeat: true}, err
}

// An exchange is a request with all its attempts. httpx makes them one after
// the other, so it needs no lock.
type exchange struct {
	body    func() []byte
	token   string
	sent    bool  // an attempt may have reached Square
	renewed bool  // a refused token has been replaced
	err     error // what ended it from this side
}

type exchangeKey struct{}

// send sends a request and returns the answer if its status is 2xx.
func (c *Client) send(ctx context.Context, r request) (*httpx.Response, *answer, error) {
	if err := c.gate.enter(ctx); err != nil {
		return nil, nil, err
	}
	defer c.gate.leave()
	u := *c.base
	u.Path += r.path
	u.RawQuery = r.query.Encode()
	x := &exchange{body: r.body}
	out := httpx.Request{
		Method: r.method, URL: &u, Repeat: r.repeat,
		Header: http.Header{"Square-Version": {c.version}},
		Retry:  func(resp *httpx.Response) (time.Duration, bool) { return c.hear(ctx, x, resp) },
	}
	if r.body != nil {
		out.Header.Set("Content-Type", "application/json")
		out.Body = []byte("{}") // each attempt has its own
	}
	resp, err := c.http.Do(context.WithValue(ctx, exchangeKey{}, x), out)
	switch {
	case err == nil && x.err == nil: // an answer counts, whoever still waits for it
	case ctx.Err() != nil && x.sent:
		return nil, nil, &unanswered{ctx.Err()}
	case ctx.Err() != nil:
		return nil, nil, ctx.Err()
	case x.err != nil:
		return nil, nil, x.err
	case err != nil:
		return nil, nil, err
	}
	told := *resp
	if len(x.token) >= minSecret && bytes.Contains(resp.Body, []byte(x.token)) {
		// Ids, SKUs and quantities are quoted in errors.
		told.Body = bytes.ReplaceAll(resp.Body, []byte(x.token), []byte(redacted))
	}
	a, err := read(r.method+" "+httpx.Endpoint(&u), &told, func(s string) string { return c.plain(x, s) })
	return resp, a, err
}

const (
	redacted = "[redacted]"
	// minSecret is the length of a token that no data contains by chance.
	minSecret = 8
)

// plain cleans a text of Square's. It may repeat the token, which changes, and
// which may come about only when tags and entities are gone.
func (c *Client) plain(x *exchange, s string) string {
	s = c.http.Message(strings.ReplaceAll(s, x.token, redacted))
	return strings.ReplaceAll(s, x.token, redacted)
}

// before runs before each attempt: it waits for its turn and gets the token.
func (c *Client) before(ctx context.Context) error {
	x := ctx.Value(exchangeKey{}).(*exchange)
	if err := c.pace.wait(ctx); err != nil {
		return err
	}
	var err error
	if x.token, err = c.tokens.Token(ctx, ""); err != nil {
		x.err = tokenError(err)
		return x.err
	}
	if !printable(x.token) {
		x.err = &Error{Op: "token", Status: http.StatusUnauthorized, Message: "the token source gave no usable token"}
		return x.err
	}
	return nil
}

// authorize adds what is each attempt's own: the token, and the body.
func authorize(req *http.Request) error {
	x := req.Context().Value(exchangeKey{}).(*exchange)
	x.sent = true
	req.Header.Set("Authorization", "Bearer "+x.token)
	if x.body != nil {
		data := x.body()
		req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(data)), int64(len(data))
		req.GetBody = nil
	}
	return nil
}

// after learns from each answer.
func (c *Client) after(ctx context.Context, resp *httpx.Response) {
	switch {
	case resp == nil:
		return
	case resp.Status == http.StatusTooManyRequests:
		c.pace.refused(resp.Sent)
	case resp.Status < 500:
		c.pace.passed()
	}
	if resp.Status < 500 && !c.clock.observe(resp.Header, resp.Sent, time.Now()) {
		c.oddDate.Do(func() {
			c.log.LogAttrs(ctx, slog.LevelWarn, "the date of Square's answers is far from this machine's and is not believed; counts would be refused if it were right",
				slog.Time("now", time.Now()))
		})
	}
}

// hear decides whether an answer asks for another attempt in Square's own way.
func (c *Client) hear(ctx context.Context, x *exchange, resp *httpx.Response) (wait time.Duration, again bool) {
	if served := resp.Header.Get("Square-Version"); served != "" && served != c.version {
		c.otherVersion.Do(func() {
			c.log.LogAttrs(ctx, slog.LevelWarn, "Square answers with another version of its API than the one asked for",
				slog.String("asked", c.version), slog.String("served", c.plain(x, served)))
		})
	}
	if resp.Status != http.StatusUnauthorized || x.renewed {
		return 0, false
	}
	x.renewed = true
	token, err := c.tokens.Token(ctx, x.token)
	if err != nil {
		x.err = tokenError(err)
		return 0, false
	}
	return time.Nanosecond, token != x.token // a new token is tried without delay
}
