package ecosire

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/ecosire/stocksync/internal/httpx"
	"github.com/ecosire/stocksync/internal/rotate"
)

// An exchange is a request, with all its attempts, whose key may be replaced.
type exchange struct {
	key     string
	renewed bool
}

type exchangeKey struct{}

// rotate makes the client ask for its key.
func (c *Client) rotate(ask func(context.Context) (string, error), transport *httpx.Config) {
	c.keys = rotate.New("ecosire: Config.RotatingKey", c.logger, ask, rotate.One, rotate.Usable)
	transport.Secrets, transport.Rotating = nil, c.keys.Secrets
	transport.Before = func(ctx context.Context) error {
		if _, err := c.keys.Get(ctx); err != nil {
			return err
		}
		return c.quota.wait(ctx)
	}
	transport.Authorize = func(req *http.Request) error {
		key := c.keys.Latest()
		if x, ok := req.Context().Value(exchangeKey{}).(*exchange); ok {
			x.key = key
		}
		req.Header.Set("Authorization", "Bearer "+key)
		return nil
	}
}

// replaceable lets a request be made once more with another key if ECOSIRE
// refuses the one that it had.
func (c *Client) replaceable(ctx context.Context, r *httpx.Request) context.Context {
	x := &exchange{}
	r.Retry = func(resp *httpx.Response) (time.Duration, bool) {
		if resp.Status != http.StatusUnauthorized || x.renewed {
			return 0, false
		}
		x.renewed = true
		_, better, err := c.keys.Renew(ctx, x.key)
		return time.Nanosecond, better && err == nil
	}
	return context.WithValue(ctx, exchangeKey{}, x)
}

// NewRotatingWebhooks is NewWebhooks for secrets that somebody replaces while
// the process runs. secrets returns those that are good, such as the current one
// and during a rotation the next or the previous one too. What it returns is
// used for a minute; it is asked at once about a delivery that none of them
// signed, at most five times, and then once in five seconds. If it fails the last
// secrets are used on; without any, Receive fails with [channel.ErrUnauthorized],
// if its error matches that, or [channel.ErrUnavailable]. It has ten seconds, and
// is called by one goroutine at a time.
func NewRotatingWebhooks(secrets func(context.Context) ([]string, error)) (*Webhooks, error) {
	if secrets == nil {
		return nil, errors.New("ecosire: NewRotatingWebhooks: no function")
	}
	source := rotate.New("ecosire: NewRotatingWebhooks", nil, secrets, rotate.All, rotate.NotBlank)
	return &Webhooks{rotate.CheckOf(source)}, nil
}
