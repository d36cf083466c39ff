package ecosire

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/httpx"
	"github.com/ecosire/stocksync/internal/logs"
	"github.com/ecosire/stocksync/internal/rotate"
	"github.com/ecosire/stocksync/internal/strictjson"
	"github.com/ecosire/stocksync/internal/text"
)

// DefaultBaseURL is where ECOSIRE's API is.
const DefaultBaseURL = "https://api.ecosire.com/api"

// Config configures a [Client].
type Config struct {
	// APIKey is an API key ("eco_live_…") or the access token of an OAuth
	// flow. It or RotatingKey is required. Printing a Config does not show it, but
	// printing a struct that holds one in an unexported field does: pass a Config
	// on to New rather than keep it.
	APIKey string
	// RotatingKey returns the API key, in place of one that stays the same: for a
	// key that somebody replaces while the process runs. What it returns is used
	// for a minute; it is asked at once when ECOSIRE refuses the key, and the
	// request is then made with the new one. If it fails the last key is used on;
	// without one the request fails with [channel.ErrUnauthorized], if its error
	// matches that, or [channel.ErrUnavailable]. Its error's text is not shown,
	// since it may hold the key. It has ten seconds, and is called by one goroutine
	// at a time.
	RotatingKey func(context.Context) (apiKey string, err error)
	// BaseURL is for a proxy or a test server; "" means [DefaultBaseURL]. It
	// must be https, or http on this machine's loopback.
	BaseURL string
	// HTTPClient is copied, never changed; nil means a plain one. Its Timeout
	// bounds one attempt at a request; 0 means a minute.
	HTTPClient *http.Client
	// Logger gets a line for each repeated request, and one for each odd thing
	// that ECOSIRE said, the first time; nil means none.
	Logger *slog.Logger
	// Ceiling is how many of ECOSIRE's requests a minute the client may use at
	// most, where other programs share the key; 0 means as many as ECOSIRE
	// allows. A minute is one of ECOSIRE's windows. One in which its clock is set
	// looks like two.
	Ceiling int
	// Sole says that nothing else uses the key. Otherwise work on the whole
	// catalogue leaves to the others what they were seen to use.
	Sole bool
	// RoundDown takes quantities that are not whole, such as 3.7 kg, for the next
	// smaller whole number, and logs each such product once. Otherwise a product
	// that has one is an error, since channels sell whole units.
	RoundDown bool
	// OnStockChange is called with the products whose stock a successful
	// PostAdjustment or ValidateTransfer of this client changed, since ECOSIRE
	// sends no event for these: most often it calls Notify of a syncer. Its
	// error is logged; the change stands all the same. nil means nothing.
	OnStockChange func(ctx context.Context, productIDs ...string) error
}

// A Client talks to ECOSIRE. It is safe for concurrent use.
type Client struct {
	base    *url.URL
	http    *httpx.Client
	quota   *scheduler
	logger  *slog.Logger
	odd     *oddities
	refusal *refusals
	change  func(ctx context.Context, productIDs ...string) error

	halving  budget
	round    bool         // quantities down
	maxQuery atomic.Int64 // bytes of ids in a URL
	pager    pager

	keys *rotate.Source[string] // nil for a key that stays the same

	orders sync.Map // by a list's path: what ECOSIRE lets it be sorted by
}

// New returns a client. It does no I/O: a wrong key shows with the first call.
func New(cfg Config) (*Client, error) {
	key := strings.TrimSpace(cfg.APIKey)
	switch {
	case key != "" && cfg.RotatingKey != nil:
		return nil, errors.New("ecosire: Config.APIKey and Config.RotatingKey are both set: leave one out")
	case key == "" && cfg.RotatingKey == nil:
		return nil, errors.New("ecosire: Config.APIKey is empty: create an API key in ECOSIRE and pass it")
	}
	if cfg.Ceiling < 0 {
		return nil, errors.New("ecosire: Config.Ceiling is negative: nothing could ever be asked")
	}
	base, err := httpx.ParseBase("ecosire: Config.BaseURL", cmp.Or(cfg.BaseURL, DefaultBaseURL))
	if err != nil {
		return nil, err
	}
	logger := logs.New(cfg.Logger)
	odd := newOddities(logger)
	c := &Client{
		base:    base,
		quota:   newScheduler(odd, cfg.Ceiling, cfg.Sole),
		logger:  logger,
		odd:     odd,
		refusal: newRefusals(),
		change:  cfg.OnStockChange,
		round:   cfg.RoundDown,
	}
	c.maxQuery.Store(maxQuery)
	transport := httpx.Config{
		Service:    "ecosire",
		Kind:       channel.ErrUnavailable,
		HTTPClient: cfg.HTTPClient,
		Logger:     c.logger,
		Secrets:    []string{key},
		Before:     c.quota.wait,
		Authorize: func(req *http.Request) error {
			req.Header.Set("Authorization", "Bearer "+key)
			return nil
		},
		After: c.quota.answered,
		Op:    operation(base.Path),
	}
	if cfg.RotatingKey != nil {
		c.rotate(cfg.RotatingKey, &transport)
	}
	c.http = httpx.New(transport)
	return c, nil
}

// Requests is how many requests the client has sent, repeated ones included.
func (c *Client) Requests() int64 { return c.http.Requests() }

// A request is one of ECOSIRE's API.
type request struct {
	method, path string
	query        url.Values
	body         any  // sent as JSON; nil means none
	once         bool // a failure is not repeated
}

// A reply is what came of a request.
type reply struct {
	*httpx.Response
	op   string
	hint string
}

// call sends a request. Its error is ctx's, an [*Error], or says that no answer
// came.
func (c *Client) call(ctx context.Context, r request) (reply, error) {
	for segment := range strings.SplitSeq(r.path[1:], "/") {
		if segment == "" || segment == "." || segment == ".." {
			return reply{}, fmt.Errorf("ecosire: %s %s: %w: not an id", r.method, text.Clean(r.path), channel.ErrInvalid)
		}
	}
	req := httpx.Request{
		Method: r.method,
		URL:    c.base.JoinPath(r.path),
		Repeat: r.method == http.MethodGet && !r.once,
	}
	req.URL.RawQuery = r.query.Encode()
	if r.body != nil {
		var err error
		if req.Body, err = json.Marshal(r.body); err != nil {
			return reply{}, fmt.Errorf("ecosire: %s %s: %w", r.method, text.Clean(r.path), err)
		}
		req.Header = http.Header{"Content-Type": {"application/json"}}
	}
	if c.keys != nil {
		ctx = c.replaceable(ctx, &req)
	}
	resp, err := c.http.Do(ctx, req)
	if failed, ok := errors.AsType[*rotate.Failure](err); ok {
		return reply{}, failed
	}
	if err != nil {
		return reply{}, err
	}
	op := c.http.Message(r.method + " " + req.URL.Path)
	if resp.Status < 200 || resp.Status > 299 {
		return reply{}, c.refused(op, resp)
	}
	return reply{resp, op, c.hint()}, nil
}

// hint is what may be wrong with the base URL where ECOSIRE is not found.
func (c *Client) hint() string {
	if strings.HasSuffix(c.base.Path, "/api") {
		return ""
	}
	return " (Config.BaseURL does not end in /api: is that missing?)"
}

// get sends a GET request and reads the JSON of its answer.
func (c *Client) get(ctx context.Context, path string, query url.Values) (strictjson.Value, reply, error) {
	r, err := c.call(ctx, request{method: http.MethodGet, path: path, query: query})
	if err != nil {
		return strictjson.Value{}, r, err
	}
	v, err := r.json()
	return v, r, err
}

// json reads the JSON of an answer.
func (r reply) json() (strictjson.Value, error) {
	v, err := strictjson.Parse(r.Body)
	if err != nil {
		return v, r.nonsense(httpx.Describe(r.Response) + " is not the JSON that was expected: " + text.Clean(err.Error()) + r.hint)
	}
	return v, nil
}

// asOf is what an answer's quantities are at least as new as: when it was asked
// for, or, if a cache says that it kept the answer, so much earlier.
func (r reply) asOf(ctx context.Context, odd *oddities) time.Time {
	cached := httpx.Cached(r.Header)
	if cached == "" {
		return r.Sent
	}
	odd.once(ctx, slog.LevelError, "ECOSIRE's answers come from a cache, and may be old", r.op, slog.String("op", r.op), slog.String("header", text.Clean(cached)))
	age, err := strconv.Atoi(strings.TrimSpace(r.Header.Get("Age")))
	if err != nil || age < 0 {
		return r.Sent
	}
	return r.Sent.Add(-time.Duration(min(age, maxAge)) * time.Second)
}

// maxAge caps the age that a cache names, in seconds.
const maxAge = 30 * 24 * 60 * 60

// nonsense is the error of an answer that claims success and is none.
func (r reply) nonsense(what string) error { return nonsense(r.op, r.Response, what) }
