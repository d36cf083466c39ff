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
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/httpx"
)

// defaultVersion is the version of the Admin API that this package is written
// against.
const defaultVersion = "2026-10"

// Config configures a [Client]. Shop and Token are required.
type Config struct {
	// Shop is the shop's name at Shopify, "acme" or "acme.myshopify.com", in
	// small letters. It is never a URL and never the shop's own domain: the
	// credentials go to this host and to no other.
	Shop string
	// Token gives the access token: [StaticToken], [ClientCredentials], or the
	// host's own. The app needs the scopes read_inventory and write_inventory.
	Token TokenSource

	// BaseURL is where the API is, for a proxy or a test server: https, or
	// http on this machine. Empty means https://{shop}.myshopify.com.
	BaseURL string
	// Version is the version of the API; empty means "2026-10", which this
	// package is written against.
	Version string
	// HTTPClient is copied, never changed. Its Timeout bounds one attempt; 0
	// means a minute. nil means a client of its own.
	HTTPClient *http.Client
	// Logger gets warnings, and a line for each repeated request; nil means
	// none.
	Logger *slog.Logger
}

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
	loading  chan struct{} // held by the one Preload that runs
	outdated sync.Once
	fromZero atomic.Bool // see duplicates
}

var (
	shopName    = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,98}[a-z0-9])?$`)
	versionName = regexp.MustCompile(`^(\d{4}-\d{2}|unstable)$`)
)

// New returns a client for one shop. It does no I/O.
func New(cfg Config) (*Client, error) {
	shop := strings.TrimSuffix(cfg.Shop, ".myshopify.com")
	if !shopName.MatchString(shop) {
		// The value is not repeated: people paste URLs with credentials.
		return nil, errors.New(`shopify: Config.Shop: not a shop's name: use "acme" or "acme.myshopify.com", in small letters and without https://`)
	}
	if cfg.Token == nil {
		return nil, errors.New("shopify: Config.Token is required: use StaticToken or ClientCredentials")
	}
	version := cmp.Or(cfg.Version, defaultVersion)
	if !versionName.MatchString(version) {
		return nil, fmt.Errorf("shopify: Config.Version: not a version like %q", defaultVersion)
	}
	base, err := httpx.ParseBase("Config.BaseURL", cmp.Or(cfg.BaseURL, "https://"+shop+".myshopify.com"))
	if err != nil {
		return nil, fmt.Errorf("shopify: %w", err)
	}
	c := &Client{
		shop:     shop,
		version:  version,
		endpoint: base.JoinPath("admin", "api", version, "graphql.json"),
		logger:   cfg.Logger,
		bucket:   newBucket(),
		items:    newIndex(),
		loading:  make(chan struct{}, 1),
	}
	if c.logger == nil {
		c.logger = slog.New(slog.DiscardHandler)
	}
	transport := httpx.Config{Service: "shopify", HTTPClient: cfg.HTTPClient, Logger: cfg.Logger, Kind: channel.ErrUnavailable}
	c.tokens = cfg.Token
	switch source := cfg.Token.(type) {
	case staticToken:
		if !printable(source.token) {
			return nil, errors.New("shopify: Config.Token: the token is empty or has characters that no token has")
		}
	case credentials:
		if source.id == "" || source.secret == "" {
			return nil, errors.New("shopify: Config.Token: client credentials need an id and a secret")
		}
		own := transport
		own.Secrets = []string{source.secret}
		c.tokens = newGrant(source, base.JoinPath("admin", "oauth", "access_token"), httpx.New(own))
	}
	c.download = newDownload(cfg.HTTPClient)
	transport.Before = c.before
	transport.Authorize = authorize
	c.http = httpx.New(transport)
	return c, nil
}

// Query sends any GraphQL query or mutation and decodes its data into into, a
// pointer, or nil. It is the way out, for what this package does not offer.
//
// It waits until the shop's points suffice, and repeats what the shop refused
// for its rate. After an unclear outcome, such as a broken connection or a
// 5xx, a query is sent again; a mutation is only if it carries the directive
// @idempotent, and then with the identical body. So write a mutation of
// several fields with the directive on each, or not at all.
//
// Data that came together with errors counts as an error, of type [*Error].
func (c *Client) Query(ctx context.Context, query string, variables, into any) error {
	return c.do(ctx, describe(query), variables, into)
}

// An operation is a GraphQL document and what is known of it.
type operation struct {
	name   string
	query  string
	guess  float64 // points it may cost, until the shop has told
	repeat bool    // may be sent again when its outcome is unclear
	// again finds an answer that asks for the identical request once more; it
	// may be nil.
	again func(data json.RawMessage) bool
}

// An exchange is one request with all its attempts. httpx makes them one
// after the other, so it needs no lock.
type exchange struct {
	op      operation
	token   string
	renewed bool // a refused token has been replaced
	debit   *debit
	answer  *answer // of the latest attempt that got one
	err     error   // what ended it from this side
}

type exchangeKey struct{}

func (c *Client) do(ctx context.Context, op operation, variables, into any) error {
	body, err := json.Marshal(struct {
		Query     string `json:"query"`
		Variables any    `json:"variables,omitempty"`
	}{op.query, variables})
	if err != nil {
		return fmt.Errorf("shopify: %s: variables: %w", op.name, err)
	}
	x := &exchange{op: op}
	_, err = c.http.Do(context.WithValue(ctx, exchangeKey{}, x), httpx.Request{
		Method: http.MethodPost,
		URL:    c.endpoint,
		Header: http.Header{"Content-Type": {"application/json"}},
		Body:   body,
		Repeat: op.repeat,
		Retry:  func(resp *httpx.Response) (time.Duration, bool) { return c.hear(ctx, x, resp) },
	})
	c.bucket.settle(x.debit, nil)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case x.err != nil:
		return x.err
	case err != nil:
		return c.conceal(op, err, x.token)
	case x.answer.fault != nil:
		return x.answer.fault
	case into == nil:
		return nil
	}
	if json.Unmarshal(x.answer.data, into) != nil {
		return unusable(op.name, "the data has not the form that was asked for")
	}
	return nil
}

// before runs before each attempt: it fetches the token and the points.
func (c *Client) before(ctx context.Context) (err error) {
	x := ctx.Value(exchangeKey{}).(*exchange)
	c.bucket.settle(x.debit, nil) // an attempt that got no answer
	x.debit = nil
	if x.token, x.err = c.tokens.Token(ctx, ""); x.err != nil {
		return x.err
	}
	if !printable(x.token) {
		x.err = &Error{Op: x.op.name, Status: http.StatusUnauthorized, Message: "the token source gave no usable token"}
		return x.err
	}
	x.debit, err = c.bucket.take(ctx, x.op.query, x.op.guess)
	return err
}

func authorize(req *http.Request) error {
	req.Header.Set("X-Shopify-Access-Token", req.Context().Value(exchangeKey{}).(*exchange).token)
	return nil
}

// hear takes in what an answer tells, and decides whether to ask again.
func (c *Client) hear(ctx context.Context, x *exchange, resp *httpx.Response) (wait time.Duration, again bool) {
	x.answer = c.read(x.op.name, resp, x.token)
	c.bucket.settle(x.debit, x.answer.cost)
	x.debit = nil
	if served := resp.Header.Get("X-Shopify-API-Version"); served != "" && served != c.version {
		c.outdated.Do(func() {
			c.logger.LogAttrs(ctx, slog.LevelWarn, "Shopify answers with another version of its API than the one asked for, most likely because that one is retired",
				slog.String("shop", c.shop), slog.String("asked", c.version), slog.String("served", served))
		})
	}
	fault := x.answer.fault
	switch {
	case fault == nil:
		return 0, x.op.again != nil && x.op.again(x.answer.data)
	case fault.Status == http.StatusUnauthorized && !x.renewed:
		x.renewed = true
		token, err := c.tokens.Token(ctx, x.token)
		if err != nil {
			x.err = err
			return 0, false
		}
		return time.Nanosecond, token != x.token // a new token is tried without delay
	case fault.Status != http.StatusOK:
		return 0, false // the usual rules
	case fault.has("THROTTLED"):
		return fault.retryAfter, true
	case fault.has("INTERNAL_SERVER_ERROR"), fault.has("IDEMPOTENCY_CONCURRENT_REQUEST"):
		return 0, x.op.repeat
	}
	return 0, false
}

// conceal keeps the token out of an error of the transport. The static
// secrets of httpx cannot: tokens change.
func (c *Client) conceal(op operation, err error, token string) error {
	if token != "" && strings.Contains(err.Error(), token) {
		return unusable(op.name, strings.ReplaceAll(err.Error(), token, "[redacted]"))
	}
	return err
}

// printable reports whether a token can be sent in a header.
func printable(token string) bool {
	return token != "" && !strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' })
}
