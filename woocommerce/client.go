package woocommerce

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/httpx"
	"github.com/ecosire/stocksync/internal/logs"
	"github.com/ecosire/stocksync/internal/rotate"
)

// Config configures a [Client].
type Config struct {
	// URL is the shop's address, such as "https://shop.example"; it has a path
	// where WordPress lives in a folder. Required. It is https, or http on this
	// machine's loopback.
	URL string
	// ConsumerKey and ConsumerSecret are a REST API key of the shop (WooCommerce >
	// Settings > Advanced > REST API). Reading needs a key that may read,
	// pushing one with Read/Write permission. They or RotatingKey are required.
	ConsumerKey, ConsumerSecret string
	// RotatingKey returns the two, in place of ones that stay the same: for a key
	// that somebody replaces while the process runs. What it returns is used for a
	// minute; it is asked at once when the shop answers 401, and the request is then
	// made with the new key, which is safe for a write, too. If it fails the last
	// key is used on; without one the request fails with
	// [channel.ErrUnauthorized], if its error matches that, or
	// [channel.ErrUnavailable]. Its error's text is not shown, since it may hold
	// the key. It has ten seconds, and is called by one goroutine at a time.
	RotatingKey func(context.Context) (consumerKey, consumerSecret string, err error)

	// HTTPClient sends the requests; nil means one of its own. It is copied. Its
	// Timeout bounds one request and is a minute where it is 0; redirects are
	// not followed, whatever its CheckRedirect says.
	HTTPClient *http.Client
	// Logger gets a line for each request that is repeated, for each write whose
	// outcome is not clear, and for what the client learns of the shop's limits;
	// nil means none.
	Logger *slog.Logger
	// Parallel is how many requests the shop has to bear at once. 0 means that
	// the client finds out, beginning with 2, up to 8: it sends more as long as
	// that makes none of them slower, which is where the shop's cores are all
	// busy and its customers begin to wait, and fewer when they get slower.
	Parallel int
	// Rate is how many requests a second the shop gets at most, for a host or a
	// firewall in front of it that counts them; WooCommerce itself does not. 0
	// means no limit.
	Rate float64
}

// A Client calls the REST API of one shop. It is safe for concurrent use.
type Client struct {
	base *url.URL
	key  func() (key, secret string) // where fmt does not reach them
	keys *rotate.Source[pair]        // nil for a key that stays the same
	http *httpx.Client
	log  *slog.Logger
	load *load

	busy     busy
	loose    loose                    // batches whose outcome is not known
	written  written                  // what was written lately
	siblings siblings                 // what is wanted of variations with one stock
	suspects memory[string, struct{}] // SKUs that broke a question when they were asked for alone
	broken   memory[int64, struct{}]  // products that broke a batch when they were written alone
	tracked  memory[int64, bool]      // products whose stock this client began to manage: whether they were out of stock

	signs  atomic.Bool  // sign requests, because the shop ignored Basic authentication
	single atomic.Bool  // the shop takes variations of one parent a batch
	uncut  atomic.Bool  // the shop is not asked for parts of its answers
	walled atomic.Bool  // the latest batches ended without a clear outcome, and nothing was done
	limit  atomic.Int64 // items a batch
	maxURL atomic.Int64 // bytes of an address
}

const (
	apiPath  = "/wp-json/wc/v3/"
	pageSize = 100 // rows of a page and items of a batch, at most
)

// New returns a client. It does no I/O.
func New(cfg Config) (*Client, error) {
	base, err := httpx.ParseBase("woocommerce: URL", cfg.URL)
	if err != nil {
		return nil, err
	}
	if strings.Contains(base.Path+"/", "/wp-json/") {
		return nil, errors.New("woocommerce: URL: give the shop's address, without /wp-json")
	}
	for name, value := range map[string]string{"ConsumerKey": cfg.ConsumerKey, "ConsumerSecret": cfg.ConsumerSecret} {
		switch {
		case cfg.RotatingKey != nil && value != "":
			return nil, fmt.Errorf("woocommerce: %s and RotatingKey are both set: leave one out", name)
		case cfg.RotatingKey != nil:
		case value == "":
			return nil, fmt.Errorf("woocommerce: %s is required", name)
		case strings.ContainsAny(value, " \t\r\n:"):
			return nil, fmt.Errorf("woocommerce: %s has a blank, a line break or a colon in it", name)
		}
	}
	if cfg.Parallel < 0 || cfg.Rate < 0 {
		return nil, errors.New("woocommerce: Parallel and Rate must not be negative")
	}
	limiter := rate.NewLimiter(rate.Inf, 0)
	if cfg.Rate > 0 {
		limiter = rate.NewLimiter(rate.Limit(cfg.Rate), 1)
	}
	c := &Client{
		base: base,
		key:  func() (key, secret string) { return cfg.ConsumerKey, cfg.ConsumerSecret },
		log:  logs.New(cfg.Logger),
		load: newLoad(cfg.Parallel),
	}
	c.limit.Store(pageSize)
	c.maxURL.Store(maxURL)
	transport := httpx.Config{
		Service: "woocommerce", HTTPClient: cfg.HTTPClient, Logger: cfg.Logger, Kind: channel.ErrUnavailable,
		Secrets:   []string{basicToken(c.key()), cfg.ConsumerSecret, cfg.ConsumerKey},
		Before:    limiter.Wait,
		Authorize: c.authorize,
		Op:        operation(base.Path),
	}
	if cfg.RotatingKey != nil {
		c.rotate(cfg.RotatingKey, &transport)
	}
	c.http = httpx.New(transport)
	return c, nil
}

// Do calls an endpoint, for whatever this package has no method for. path is
// what follows /wp-json/wc/v3/, such as "products/11". A body that is not nil
// is sent as JSON; the answer is decoded into what into points to, unless that
// is nil.
//
// GET and HEAD are sent again after a broken connection, a timeout or a 5xx;
// a write never is, because WooCommerce may have done it: read before you
// repeat it. The error is ctx's, or an [*Error], or matches
// channel.ErrUnavailable: the shop could not be reached.
func (c *Client) Do(ctx context.Context, method, path string, query url.Values, body, into any) error {
	if slices.Contains(strings.Split(path, "/"), "..") {
		return fmt.Errorf("woocommerce: path %q leaves the API", path)
	}
	var data []byte
	if body != nil {
		var err error
		if data, err = json.Marshal(body); err != nil {
			return fmt.Errorf("woocommerce: %s %s: %w", method, path, err)
		}
	}
	r := request{method: method, path: path, query: query, body: data}
	resp, err := c.send(ctx, r)
	if err != nil || into == nil {
		return err
	}
	if err := httpx.Decode(resp, into); err != nil {
		return c.nonsense(r, resp, err.Error())
	}
	return nil
}

// A request is one to an endpoint of the API.
type request struct {
	method, path string
	query        url.Values
	body         []byte
	once         bool // a read that is not repeated
	items        int  // of a batch
	retries      int  // how often a read is repeated that may break the shop itself; 0 means as often as any
}

func (r request) reads() bool { return r.method == http.MethodGet || r.method == http.MethodHead }

// send sends a request and returns the answer if its status is 2xx. What is
// read comes from the shop: an answer of a cache is refused.
func (c *Client) send(ctx context.Context, r request) (*httpx.Response, error) {
	resp, err := c.exchange(ctx, r)
	if err != nil || !r.reads() {
		return resp, err
	}
	by := httpx.Cached(resp.Header)
	if by == "" {
		return resp, nil
	}
	if resp, err = c.exchange(ctx, r); err != nil || httpx.Cached(resp.Header) == "" {
		return resp, err
	}
	e := c.nonsense(r, resp, "a cache answered in place of the shop ("+by+")")
	e.hint, e.whole = "exclude "+apiPath+" from whatever caches pages, whether a plugin or the host's", true
	return nil, e
}

// exchange is send without the look at caches.
func (c *Client) exchange(ctx context.Context, r request) (*httpx.Response, error) {
	flight, err := c.load.take(ctx)
	if err != nil {
		return nil, err
	}
	defer c.load.give()
	h := httpx.Request{Method: r.method, URL: c.endpoint(r.path, r.query), Body: r.body, Retries: r.retries}
	if r.reads() && !r.once {
		h.Repeat, h.Retry = true, maintenance
	}
	if r.body != nil {
		// With any other type WooCommerce answers 200 and ignores the body.
		h.Header = http.Header{"Content-Type": {"application/json"}}
	}
	if c.keys != nil {
		ctx = c.replaceable(ctx, &h)
	}
	signed := c.signs.Load()
	resp, err := c.http.Do(ctx, h)
	if err == nil && !signed && c.base.Scheme == "http" && anonymous(resp) {
		c.signs.Store(true)
		resp, err = c.http.Do(ctx, h)
	}
	if failed, ok := errors.AsType[*rotate.Failure](err); ok {
		return nil, failed
	}
	switch {
	case err != nil:
		return nil, err
	case resp.Status < 200 || resp.Status > 299:
		return nil, c.refusal(r, resp)
	}
	if took := time.Since(resp.Sent); r.reads() {
		total, _ := strconv.Atoi(resp.Header.Get("X-WP-Total"))
		c.load.learn(flight, 0, min(total, pageSize), took)
	} else {
		c.load.learn(flight, 1, r.items, took)
	}
	return resp, nil
}

func (c *Client) endpoint(path string, query url.Values) *url.URL {
	u := *c.base
	u.Path += apiPath + strings.Trim(path, "/")
	u.RawQuery = query.Encode()
	return &u
}

// maintenance keeps a request from giving up when WordPress is being updated:
// it then asks for ten minutes, always, and is back within seconds.
func maintenance(resp *httpx.Response) (time.Duration, bool) {
	return 0, resp.Status == http.StatusServiceUnavailable && httpx.RetryAfter(resp.Header) == maintenanceWait
}

const maintenanceWait = 10 * time.Minute
