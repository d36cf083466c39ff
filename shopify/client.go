package shopify

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/httpx"
	"github.com/ecosire/stocksync/internal/logs"
	"github.com/ecosire/stocksync/internal/text"
)

// A Client speaks the GraphQL Admin API of one shop. It is safe for concurrent
// use. All users of one shop in a process should share one Client, since they
// share the points that the shop grants, and the map of SKUs.
type Client struct {
	shop     string
	version  string
	endpoint *url.URL
	tokens   TokenSource
	http     *httpx.Client
	download *http.Client
	logger   *slog.Logger
	bucket   *bucket
	items    *index
	load     load
	floods   memory[hardSearch] // SKUs, by hash
	vain     memory[vain]       // SKUs, by hash
	poison   memory[struct{}]   // items that are read alone
	venom    memory[struct{}]   // items that are written alone
	open     openWrites
	names    names
	outdated sync.Once
	oddCosts atomic.Int64 // when odd costs were logged, in Unix seconds
	fromZero atomic.Bool  // see duplicates
}

// New returns a client for one shop. It does no I/O.
func New(cfg Config) (*Client, error) {
	shop, err := cfg.shop()
	if err != nil {
		return nil, err
	}
	if cfg.Token == nil {
		return nil, errors.New("shopify: Config.Token is required: use StaticToken or ClientCredentials")
	}
	version, err := cfg.version()
	if err != nil {
		return nil, err
	}
	base, err := httpx.ParseBase("Config.BaseURL", cmp.Or(cfg.BaseURL, "https://"+shop+".myshopify.com"))
	if err != nil {
		return nil, fmt.Errorf("shopify: %w", err)
	}
	base.Path += "/" // or JoinPath leaves the slash after the host out
	c := &Client{
		shop:     shop,
		version:  version,
		endpoint: base.JoinPath("admin", "api", version, "graphql.json"),
		logger:   logs.New(cfg.Logger),
		bucket:   newBucket(),
		items:    newIndex(),
		load:     load{turn: make(chan struct{}, 1)},
		floods:   memory[hardSearch]{max: 10_000, life: 24 * time.Hour},
		vain:     memory[vain]{max: 50_000, life: 24 * time.Hour},
		poison:   memory[struct{}]{max: 1000, life: 24 * time.Hour},
		venom:    memory[struct{}]{max: 1000, life: 24 * time.Hour},
		names:    names{known: memory[string]{max: 20_000, life: namesLife}},
	}
	transport := httpx.Config{Service: "shopify", HTTPClient: cfg.HTTPClient, Logger: cfg.Logger, Kind: channel.ErrUnavailable}
	c.tokens = cfg.Token
	switch source := cfg.Token.(type) {
	case staticToken:
		if !printable(source()) {
			return nil, errors.New("shopify: Config.Token: the token is empty or has characters that no token has")
		}
		transport.Secrets = []string{source()}
	case *rotatingToken:
		source.LogTo(cfg.Logger)
		transport.Rotating = source.Secrets
	case *rotatingCredentials:
		source.LogTo(cfg.Logger)
		transport.Rotating = source.Secrets
		transport.Op = func(context.Context, string, string) string { return "access_token" }
		g := newGrant(nil, base.JoinPath("admin", "oauth", "access_token"), httpx.New(transport))
		g.rotating = source
		c.tokens = g
	case credentials:
		id, secret := source()
		if id == "" || secret == "" {
			return nil, errors.New("shopify: Config.Token: client credentials need an id and a secret")
		}
		transport.Secrets = []string{secret}
		transport.Op = func(context.Context, string, string) string { return "access_token" }
		c.tokens = newGrant(source, base.JoinPath("admin", "oauth", "access_token"), httpx.New(transport))
	}
	c.download = newDownload(cfg.HTTPClient)
	transport.Before = c.before
	transport.Authorize = authorize
	transport.Op = operationName
	c.http = httpx.New(transport)
	return c, nil
}

// String names the shop.
func (c *Client) String() string { return "shopify.Client{" + c.shop + "}" }

// GoString is [Client.String].
func (c *Client) GoString() string { return c.String() }

// LogValue is [Client.String].
func (c *Client) LogValue() slog.Value { return slog.StringValue(c.String()) }

// MarshalJSON is [Client.String].
func (c *Client) MarshalJSON() ([]byte, error) { return json.Marshal(c.String()) }

// Query sends any GraphQL query or mutation and decodes its data into into, a
// pointer, or nil. It is the escape hatch for calls that this package does not
// wrap.
//
// It waits until the shop's points suffice, and repeats what the shop refused
// for its rate. After an unclear outcome, such as a broken connection or a
// 5xx, a query is sent again; a mutation is only if it carries the directive
// @idempotent, and then with the identical body. So write a mutation of
// several fields with the directive on each, or not at all.
//
// Data that came together with errors counts as an error, of type [*Error].
func (c *Client) Query(ctx context.Context, query string, variables, into any) error {
	op := describe(query)
	a, err := c.do(ctx, op, variables)
	if u, ok := errors.AsType[*unsure](err); ok {
		err = u.error
	}
	if err != nil || into == nil {
		return err
	}
	if json.Unmarshal(a.data.JSON(), into) != nil {
		return unusable(op.name, "the data does not have the form that was asked for")
	}
	return nil
}

// An operation is a GraphQL document and what is known of it.
type operation struct {
	name  string
	query string
	guess float64 // points it may cost, until the shop has told
	// document identifies the operation where its cost is kept; "" means query.
	document string
	repeat   bool // may be sent again when its outcome is unclear
	// grace is how long an attempt under way goes on after its caller has left:
	// the sooner a write's outcome is known the better.
	grace time.Duration
	// again finds an answer that asks for the identical request once more; it
	// may be nil.
	again func(*answer) bool
}

// once returns the operation without repetitions after an unclear outcome.
func (op operation) once() operation {
	op.repeat = false
	return op
}

// An exchange is one request with all its attempts. httpx makes them one
// after the other, so it needs no lock.
type exchange struct {
	ctx     context.Context // the caller's
	op      operation
	token   string
	renewed bool // a refused token has been replaced
	debit   *debit
	waiting bool    // an attempt was sent and has no answer
	unclear bool    // an attempt may have been done, and no later one tells
	answer  *answer // of the latest attempt that got one
	err     error   // what ended it from this side
}

type exchangeKey struct{}

// An unsure is an error of a request that may have been done all the same.
type unsure struct{ error }

func (e *unsure) Unwrap() error { return e.error }

// do sends a request, and returns a good answer and nil, or an error. The error
// is an *unsure if the request may have been done. The answer beside an error,
// which may be nil, tells what the error is about; see answer.parts.
func (c *Client) do(ctx context.Context, op operation, variables any) (*answer, error) {
	body, err := json.Marshal(struct {
		Query     string `json:"query"`
		Variables any    `json:"variables,omitempty"`
	}{op.query, variables})
	if err != nil {
		return nil, fmt.Errorf("shopify: %s: variables: %w", op.name, err)
	}
	x := &exchange{ctx: ctx, op: op}
	under := context.WithValue(ctx, exchangeKey{}, x)
	if op.grace > 0 {
		var cancel context.CancelFunc
		under, cancel = outlive(under, op.grace)
		defer cancel()
	}
	_, err = c.http.Do(under, httpx.Request{
		Method: http.MethodPost,
		URL:    c.endpoint,
		Header: http.Header{"Content-Type": {"application/json"}},
		Body:   body,
		Repeat: op.repeat,
		Retry:  func(resp *httpx.Response) (time.Duration, bool) { return c.hear(x, resp) },
	})
	c.bucket.settle(x.debit, nil)
	if failed, ok := errors.AsType[*httpx.Error](err); x.waiting && !(ok && failed.Unsent) {
		x.unclear = true
	}
	switch {
	case err == nil && x.answer != nil && x.answer.fault == nil:
		return x.answer, nil // perhaps after the caller has left
	case ctx.Err() != nil:
		err = ctx.Err()
	case x.err != nil:
		err = x.err
	case err != nil:
		err = c.conceal(op, err, x.token)
	default:
		err = x.answer.fault
	}
	if x.unclear {
		err = &unsure{err}
	}
	return x.answer, err
}

// before runs before each attempt: it fetches the token and the points.
func (c *Client) before(ctx context.Context) (err error) {
	x := ctx.Value(exchangeKey{}).(*exchange)
	c.bucket.settle(x.debit, nil) // an attempt that got no answer
	x.unclear = x.unclear || x.waiting
	x.debit, x.answer, x.waiting = nil, nil, false
	if x.err = x.ctx.Err(); x.err != nil {
		return x.err
	}
	if x.token, x.err = c.tokens.Token(x.ctx, ""); x.err != nil {
		return x.err
	}
	if !printable(x.token) {
		x.err = &Error{Op: x.op.name, Status: http.StatusUnauthorized, Message: "the token source gave no usable token"}
		return x.err
	}
	x.debit, err = c.bucket.take(x.ctx, cmp.Or(x.op.document, x.op.query), x.op.guess)
	return err
}

func authorize(req *http.Request) error {
	x := req.Context().Value(exchangeKey{}).(*exchange)
	req.Header.Set("X-Shopify-Access-Token", x.token)
	x.waiting = true
	return nil
}

// hear takes in what an answer tells, and decides whether to ask again.
func (c *Client) hear(x *exchange, resp *httpx.Response) (wait time.Duration, again bool) {
	x.waiting = false
	x.answer = c.read(x.op.name, resp, x.token)
	c.bucket.settle(x.debit, x.answer.cost)
	x.debit = nil
	c.notice(x, resp)
	fault := x.answer.fault
	switch {
	case fault == nil:
		again = x.op.again != nil && x.op.again(x.answer)
		x.unclear = again // the identical request is being worked on, or this is its outcome
		return 0, again
	case fault.Status == http.StatusUnauthorized && !x.renewed:
		x.renewed = true
		token, err := c.tokens.Token(x.ctx, x.token)
		if err != nil {
			x.err = err
			return 0, false
		}
		return time.Nanosecond, token != x.token // a new token is tried without delay
	case fault.Status != http.StatusOK || fault.nonsense:
		x.unclear = x.unclear || fault.nonsense || fault.Status >= 500
		return 0, false // the usual rules
	case fault.has("THROTTLED"):
		return fault.retryAfter, true
	case fault.has("INTERNAL_SERVER_ERROR"), fault.has("TIMEOUT"), fault.has("IDEMPOTENCY_CONCURRENT_REQUEST"):
		x.unclear = true
		return 0, x.op.repeat
	}
	x.unclear = false // refused for good, and not done by an earlier attempt
	return 0, false
}

// notice logs what is odd about an answer.
func (c *Client) notice(x *exchange, resp *httpx.Response) {
	if served := resp.Header.Get("X-Shopify-API-Version"); served != "" && served != c.version {
		c.outdated.Do(func() {
			c.logger.LogAttrs(x.ctx, slog.LevelWarn, "Shopify answers with another version of its API than the one asked for, most likely because that one is retired",
				slog.String("shop", c.shop), slog.String("asked", c.version), slog.String("served", text.Cut(c.said(served, x.token), maxCode)))
		})
	}
	if k := x.answer.cost; k != nil && k.odd {
		now, last := time.Now().Unix(), c.oddCosts.Load()
		if (last == 0 || now-last >= 60) && c.oddCosts.CompareAndSwap(last, now) {
			c.logger.LogAttrs(x.ctx, slog.LevelWarn, "what Shopify says of its points cannot be, and is believed up to a bound only",
				slog.String("shop", c.shop), slog.String("op", x.op.name),
				slog.Float64("available", k.available), slog.Float64("maximum", k.maximum), slog.Float64("rate", k.rate), slog.Float64("cost", k.requested))
		}
	}
}

// conceal keeps the token out of an error of the transport. The static
// secrets of httpx cannot: tokens change.
func (c *Client) conceal(op operation, err error, token string) error {
	if token != "" && strings.Contains(err.Error(), token) {
		return unusable(op.name, c.said(err.Error(), token))
	}
	return err
}

// printable reports whether a token can be sent in a header.
func printable(token string) bool {
	return token != "" && !strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' })
}

// outlive returns a context that is done some time after ctx is.
func outlive(ctx context.Context, grace time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		timer := time.NewTimer(grace)
		defer timer.Stop()
		select {
		case <-timer.C:
			cancel()
		case <-longer.Done():
		}
	})
	return longer, func() { stop(); cancel() }
}
