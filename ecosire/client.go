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
	"strings"
	"sync"
	"time"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/httpx"
)

// DefaultBaseURL is where ECOSIRE's API is.
const DefaultBaseURL = "https://api.ecosire.com/api"

// Config configures a [Client].
type Config struct {
	// APIKey is an API key ("eco_live_…") or the access token of an OAuth
	// flow. Required.
	APIKey string
	// BaseURL is for a proxy or a test server; "" means [DefaultBaseURL]. It
	// must be https, or http on this machine's loopback.
	BaseURL string
	// HTTPClient is copied, never changed; nil means a plain one. Its Timeout
	// bounds one attempt at a request; 0 means a minute.
	HTTPClient *http.Client
	// Logger gets a line for each repeated request and each thing that ECOSIRE
	// said and that was not believed; nil means none.
	Logger *slog.Logger
	// OnStockChange is called with the products whose stock a successful
	// PostAdjustment or ValidateTransfer of this client changed, since ECOSIRE
	// sends no event for these: most often it calls Notify of a syncer. Its
	// error is logged; the change stands all the same. nil means nothing.
	OnStockChange func(ctx context.Context, productIDs ...string) error
}

// A Client talks to ECOSIRE. It is safe for concurrent use.
type Client struct {
	base   *url.URL
	http   *httpx.Client
	quota  *quota
	logger *slog.Logger
	change func(ctx context.Context, productIDs ...string) error

	mu   sync.Mutex
	odd  map[string]struct{} // products whose odd figures were logged
	once sync.Once           // for the warning that productIds is ignored
}

// New returns a client. It does no I/O: a wrong key shows with the first call.
func New(cfg Config) (*Client, error) {
	key := strings.TrimSpace(cfg.APIKey)
	if key == "" {
		return nil, errors.New("ecosire: Config.APIKey is empty: create an API key in ECOSIRE and pass it")
	}
	base, err := httpx.ParseBase("ecosire: Config.BaseURL", cmp.Or(cfg.BaseURL, DefaultBaseURL))
	if err != nil {
		return nil, err
	}
	c := &Client{
		base:   base,
		quota:  newQuota(),
		logger: cfg.Logger,
		change: cfg.OnStockChange,
		odd:    make(map[string]struct{}),
	}
	if c.logger == nil {
		c.logger = slog.New(slog.DiscardHandler)
	}
	c.http = httpx.New(httpx.Config{
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
	})
	return c, nil
}

// Requests is how many requests the client has sent, repeated ones included.
func (c *Client) Requests() int64 { return c.http.Requests() }

// call sends one request and decodes the answer into into, unless that is nil.
// It returns when the request was sent.
func (c *Client) call(ctx context.Context, method, path string, query url.Values, body, into any) (time.Time, error) {
	for segment := range strings.SplitSeq(path[1:], "/") {
		if segment == "" || segment == "." || segment == ".." {
			return time.Time{}, fmt.Errorf("ecosire: %s %s: %w: not an id", method, path, channel.ErrInvalid)
		}
	}
	req := httpx.Request{
		Method: method,
		URL:    c.base.JoinPath(path),
		Repeat: method == http.MethodGet,
	}
	req.URL.RawQuery = query.Encode()
	if body != nil {
		var err error
		if req.Body, err = json.Marshal(body); err != nil {
			return time.Time{}, fmt.Errorf("ecosire: %s %s: %w", method, path, err)
		}
		req.Header = http.Header{"Content-Type": {"application/json"}}
	}
	resp, err := c.http.Do(ctx, req)
	if err != nil {
		return time.Time{}, err
	}
	op := method + " " + req.URL.Path
	if resp.Status < 200 || resp.Status > 299 {
		return resp.Sent, c.refused(op, resp)
	}
	if into != nil {
		if err := httpx.Decode(resp, into); err != nil {
			return resp.Sent, &Error{Op: op, Status: resp.Status, Message: err.Error(), nonsense: true}
		}
	}
	return resp.Sent, nil
}

// An Error is an answer of ECOSIRE's that is not a success. It matches
// [channel.ErrUnauthorized] (401, 403), [channel.ErrInvalid] (any other 4xx
// but 429) or [channel.ErrUnavailable] (429, 5xx, redirects, and answers that
// are not what the API promises).
type Error struct {
	Op      string // method and path
	Status  int    // HTTP status
	Message string // ECOSIRE's own words; validation messages are joined by "; "

	wait     time.Duration
	nonsense bool // a 2xx that is not to be believed
}

func (e *Error) Error() string {
	return fmt.Sprintf("ecosire: %s: %d %s", e.Op, e.Status, cmp.Or(e.Message, http.StatusText(e.Status)))
}

// Is maps the status onto the sentinels of package channel.
func (e *Error) Is(target error) bool {
	switch {
	case e.Status == http.StatusUnauthorized, e.Status == http.StatusForbidden:
		return target == channel.ErrUnauthorized
	case e.Status >= 400 && e.Status < 500 && e.Status != http.StatusTooManyRequests:
		return target == channel.ErrInvalid
	default:
		return target == channel.ErrUnavailable
	}
}

// RetryAfter returns how long ECOSIRE asked to wait, or 0.
func (e *Error) RetryAfter() time.Duration { return e.wait }

// refused makes an error of an answer that is not 2xx.
func (c *Client) refused(op string, resp *httpx.Response) error {
	e := &Error{Op: op, Status: resp.Status, wait: httpx.RetryAfter(resp.Header)}
	if e.wait == 0 && resp.Status == http.StatusTooManyRequests {
		e.wait = c.quota.untilReset()
	}
	var body struct {
		Message json.RawMessage `json:"message"` // a string, or a list of them after validation
	}
	var one string
	var many []string
	switch {
	case json.Unmarshal(resp.Body, &body) != nil:
		e.Message = httpx.Describe(resp)
	case json.Unmarshal(body.Message, &one) == nil:
		e.Message = c.http.Message(one)
	case json.Unmarshal(body.Message, &many) == nil:
		e.Message = c.http.Message(strings.Join(many, "; "))
	}
	return e
}
