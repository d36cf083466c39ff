package amazon

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/httpx"
	"github.com/ecosire/stocksync/internal/logs"
)

// The regions of the Selling Partner API. A store belongs to one of them.
const (
	NorthAmerica = "na" // Canada, United States, Mexico, Brazil
	Europe       = "eu" // Europe, the Middle East, India, and some of Africa
	FarEast      = "fe" // Singapore, Australia, Japan
)

// DefaultAuthURL is where Login with Amazon gives out access tokens.
const DefaultAuthURL = "https://api.amazon.com/auth/o2/token"

const authPath = "/auth/o2/token"

// Config configures a [Client]. SellerID, Region and Credentials are required.
type Config struct {
	// SellerID is the seller's merchant token, such as "A2XXXXXXXXXXXX".
	SellerID string
	// Region is where the seller's stores are: [NorthAmerica], [Europe] or
	// [FarEast].
	Region string
	// Credentials are those of the application and the seller. The application
	// needs the role Product Listing, and no other.
	Credentials *Credentials

	// BaseURL is where the API is, for a proxy or a test server: https, or
	// http on this machine. Empty means the region's own host.
	BaseURL string
	// AuthURL is where access tokens are given out; empty means
	// [DefaultAuthURL]. Without a path it is completed by that one's.
	AuthURL string
	// UserAgent names the application to Amazon, which asks for that; empty
	// means "stocksync (Language=Go)".
	UserAgent string
	// HTTPClient is copied, never changed. Its Timeout bounds one attempt; 0
	// means a minute. Files are carried over its Transport, too, without its
	// cookies. nil means a client of its own.
	HTTPClient *http.Client
	// Logger gets warnings, a line for each repeated request, and what becomes
	// of feeds; nil means none.
	Logger *slog.Logger
}

// A Client calls the Selling Partner API for one seller in one region. It is
// safe for concurrent use. All users of one seller in a process should share
// one Client: they share the quotas.
type Client struct {
	seller    string
	base      *url.URL
	userAgent string
	http      *httpx.Client
	login     *login
	storage   httpx.Config // for files, without credentials
	others    atomic.Int64 // requests for tokens and files
	logger    *slog.Logger
	buckets   map[string]*bucket
}

var sellerName = regexp.MustCompile(`^[A-Za-z0-9]{1,64}$`)

// New returns a client. It does no I/O.
func New(cfg Config) (*Client, error) {
	if !sellerName.MatchString(cfg.SellerID) {
		return nil, errors.New("amazon: Config.SellerID: not a merchant token, which is a word of letters and digits")
	}
	if err := cfg.Credentials.check(); err != nil {
		return nil, err
	}
	if !slices.Contains([]string{NorthAmerica, Europe, FarEast}, cfg.Region) {
		return nil, fmt.Errorf("amazon: Config.Region is none of %q, %q and %q", NorthAmerica, Europe, FarEast)
	}
	base, err := httpx.ParseBase("Config.BaseURL", cmp.Or(cfg.BaseURL, "https://sellingpartnerapi-"+cfg.Region+".amazon.com"))
	if err != nil {
		return nil, fmt.Errorf("amazon: %w", err)
	}
	auth, err := httpx.ParseBase("Config.AuthURL", cmp.Or(cfg.AuthURL, DefaultAuthURL))
	if err != nil {
		return nil, fmt.Errorf("amazon: %w", err)
	}
	if auth.Path == "" {
		auth.Path = authPath
	}
	c := &Client{
		seller: cfg.SellerID, base: base,
		userAgent: cmp.Or(cfg.UserAgent, "stocksync (Language=Go)"),
		logger:    logs.New(cfg.Logger),
		buckets:   newBuckets(),
	}
	plain := &http.Client{}
	if cfg.HTTPClient != nil {
		// No cookies, and nothing else that the host has for its own calls.
		plain = &http.Client{Transport: cfg.HTTPClient.Transport, Timeout: cfg.HTTPClient.Timeout}
	}
	transport := httpx.Config{
		Service: "amazon", HTTPClient: plain, Logger: cfg.Logger, Kind: channel.ErrUnavailable, Retries: maxRepeats,
		Op: func(context.Context, string, string) string { return tokenOp },
	}
	c.login = &login{
		credentials: cfg.Credentials, endpoint: auth, transport: transport, sent: &c.others, turn: make(chan struct{}, 1),
		token: func() string { return "" },
	}
	if source := cfg.Credentials.rotating; source != nil {
		source.LogTo(cfg.Logger)
	}
	c.storage = transport
	c.storage.MaxBody = maxFile
	c.storage.Op = func(context.Context, string, string) string { return "file" }
	if cfg.HTTPClient != nil {
		transport.HTTPClient = cfg.HTTPClient
	}
	transport.Before = c.before
	transport.Authorize = authorize
	transport.Op = operationName
	c.http = httpx.New(transport)
	return c, nil
}

// maxRepeats is how often a request is repeated: over half a minute of an
// exhausted quota, or of a service that is down.
const maxRepeats = 6

// Do calls any operation of the Selling Partner API, for whatever this package
// has no method for. path is escaped and begins with the API's name, such as
// "/sellers/v1/marketplaceParticipations"; use [url.PathEscape] for what is put
// into it. A body that is not nil is sent as JSON; the answer is decoded into
// what into points to, unless that is nil.
//
// An operation that this package uses itself is paced with its own calls; any
// other is only repeated when it was refused for its rate. GET is sent again
// after a broken connection, a timeout or a 5xx; a write never is. The error is
// ctx's, or an [*Error].
func (c *Client) Do(ctx context.Context, method, path string, query url.Values, body, into any) error {
	op := method + " " + c.message(path)
	if !strings.HasPrefix(path, "/") || slices.ContainsFunc(strings.Split(path, "/"), func(s string) bool { return s == ".." || s == "." }) {
		return fmt.Errorf("amazon: %s: a path begins with a slash, and has no dots for segments", op)
	}
	if method == http.MethodGet && body != nil {
		return fmt.Errorf("amazon: %s: Amazon refuses a GET with a body", op)
	}
	var data []byte
	if body != nil {
		var err error
		if data, err = json.Marshal(body); err != nil {
			return fmt.Errorf("amazon: %s: %w", op, err)
		}
	}
	resp, err := c.send(ctx, request{
		op: op, bucket: c.buckets[operationOf(method, path)], method: method, path: path, query: query, body: data,
		repeat: method == http.MethodGet || method == http.MethodHead, write: method != http.MethodGet && method != http.MethodHead,
	})
	switch {
	case err != nil:
		return err
	case resp.Status < 200 || resp.Status > 299:
		return c.refusal(op, resp, method != http.MethodGet && method != http.MethodHead)
	case into == nil:
		return nil
	}
	if err := json.Unmarshal(resp.Body, into); err != nil {
		return nonsense(op, resp, "got "+httpx.Describe(resp)+", which is not the JSON that was expected")
	}
	return nil
}

// A request is one for the API, with all its attempts.
type request struct {
	op     string
	bucket *bucket // nil means that it is not paced
	method string
	path   string // escaped
	query  url.Values
	body   []byte
	repeat bool // may be sent again when its outcome is unclear
	write  bool // may change something

	// What becomes of it. The attempts come one after the other.
	token   string
	renewed bool  // a refused token has been replaced
	sent    bool  // an attempt has been sent
	err     error // what ended it from this side
}

type requestKey struct{}

// send sends a request, and returns the answer, whatever its status.
func (c *Client) send(ctx context.Context, r request) (*httpx.Response, error) {
	u := *c.base
	u.RawPath = u.EscapedPath() + r.path
	path, err := url.PathUnescape(u.RawPath)
	if err != nil {
		return nil, fmt.Errorf("amazon: %s: the path is not escaped", r.op)
	}
	u.Path, u.RawQuery = path, r.query.Encode()
	header := http.Header{"User-Agent": {c.userAgent}}
	if r.body != nil {
		header.Set("Content-Type", "application/json")
	}
	ctx = context.WithValue(ctx, requestKey{}, &r)
	resp, err := c.http.Do(ctx, httpx.Request{
		Method: r.method, URL: &u, Header: header, Body: r.body, Repeat: r.repeat,
		Retry: func(resp *httpx.Response) (time.Duration, bool) { return c.hear(ctx, &r, resp) },
	})
	if err == nil && r.err == nil {
		return resp, nil
	}
	h, ok := errors.AsType[*httpx.Error](err)
	unclear := r.write && r.sent && !(ok && h.Unsent)
	switch {
	case ctx.Err() != nil && unclear:
		// The caller left before the answer came.
		return nil, &Error{Op: r.op, Message: "no answer was waited for", unclear: true, kind: channel.ErrUnavailable, cause: ctx.Err()}
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case r.err != nil:
		return nil, r.err
	}
	err = failure(ctx, r.op, err)
	if e, ok := errors.AsType[*Error](err); ok && unclear {
		e.unclear = true
	}
	return nil, err
}

// before runs before each attempt: it gets a token and waits for the quota, in
// this order: Amazon counts a request when it arrives.
func (c *Client) before(ctx context.Context) error {
	r := ctx.Value(requestKey{}).(*request)
	if r.token, r.err = c.login.access(ctx, ""); r.err != nil {
		return r.err
	}
	if r.bucket == nil {
		return nil
	}
	return r.bucket.take(ctx)
}

func authorize(req *http.Request) error {
	r := req.Context().Value(requestKey{}).(*request)
	r.sent = true
	req.Header.Set("x-amz-access-token", r.token)
	return nil
}

// hear takes in what an answer tells, and decides whether to ask again.
func (c *Client) hear(ctx context.Context, r *request, resp *httpx.Response) (wait time.Duration, again bool) {
	r.bucket.hear(resp)
	switch resp.Status {
	case http.StatusTooManyRequests:
		if r.bucket == nil || httpx.RetryAfter(resp.Header) > 0 {
			return 0, false // the usual rules
		}
		// The bucket makes the next attempt wait. For an operation of which
		// there are few it waits long, and the caller comes back.
		return max(time.Nanosecond, r.bucket.until()), true
	case http.StatusForbidden, http.StatusUnauthorized:
		if r.renewed || !aboutToken(resp) {
			return 0, false
		}
		r.renewed = true
		token, err := c.login.access(ctx, r.token)
		if err != nil {
			r.err = err
			return 0, false
		}
		return time.Nanosecond, token != r.token // a new token is tried without delay
	}
	return 0, false
}

// aboutToken reports whether a refusal is about the access token: it is told
// from others by its details alone.
func aboutToken(resp *httpx.Response) bool {
	var body struct{ Errors []struct{ Details string } }
	if json.Unmarshal(resp.Body, &body) != nil || len(body.Errors) == 0 {
		return resp.Status == http.StatusUnauthorized
	}
	details := strings.ToLower(body.Errors[0].Details)
	return strings.Contains(details, "token") || strings.Contains(details, "expired")
}

// Requests is how many requests were sent so far, repeated ones and those for
// tokens and files included.
func (c *Client) Requests() int64 { return c.http.Requests() + c.others.Load() }
