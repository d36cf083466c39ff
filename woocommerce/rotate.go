package woocommerce

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/ecosire/stocksync/internal/httpx"
	"github.com/ecosire/stocksync/internal/rotate"
)

// A pair is a REST API key.
type pair struct{ key, secret string }

// secrets are all that must not be printed: the token of both, too.
func (p pair) secrets() []string { return []string{p.secret, p.key, basicToken(p.key, p.secret)} }

// An exchange is a request, with all its attempts, whose key may be replaced.
type exchange struct {
	pair    pair
	renewed bool
}

type exchangeKey struct{}

// rotate makes the client ask for its key.
func (c *Client) rotate(ask func(context.Context) (string, string, error), transport *httpx.Config) {
	c.keys = rotate.New("woocommerce: Config.RotatingKey", c.log, func(ctx context.Context) (pair, error) {
		key, secret, err := ask(ctx)
		return pair{key, secret}, err
	}, pair.secrets, func(text string) bool { return rotate.Usable(text) && !strings.Contains(text, ":") })
	transport.Secrets, transport.Rotating = nil, c.keys.Secrets
	limit := transport.Before
	transport.Before = func(ctx context.Context) error {
		if _, err := c.keys.Get(ctx); err != nil {
			return err
		}
		return limit(ctx)
	}
}

// credentials are those of an attempt.
func (c *Client) credentials(req *http.Request) (key, secret string) {
	if c.keys == nil {
		return c.key()
	}
	p := c.keys.Latest()
	if x, ok := req.Context().Value(exchangeKey{}).(*exchange); ok {
		x.pair = p
	}
	return p.key, p.secret
}

// replaceable lets a request be made once more with another key if the shop
// refuses the one that it had.
func (c *Client) replaceable(ctx context.Context, r *httpx.Request) context.Context {
	x, usual := &exchange{}, r.Retry
	r.Retry = func(resp *httpx.Response) (time.Duration, bool) {
		if resp.Status != http.StatusUnauthorized || x.renewed {
			if usual != nil {
				return usual(resp)
			}
			return 0, false
		}
		_, better, err := c.keys.Renew(ctx, x.pair)
		x.renewed = better
		return time.Nanosecond, better && err == nil
	}
	return context.WithValue(ctx, exchangeKey{}, x)
}

// RotatingWebhooks is Webhooks for secrets that somebody replaces while the
// process runs. secrets returns those that are good, such as the current one and
// during a rotation the next or the previous one too. What it returns is used
// for a minute; it is asked at once about a delivery that none of them signed,
// at most five times, and then once in five seconds. If it fails the last secrets
// are used on; without any, Receive fails with [channel.ErrUnauthorized], if its
// error matches that, or [channel.ErrUnavailable]. It has ten seconds, and is
// called by one goroutine at a time.
func (ch *Channel) RotatingWebhooks(secrets func(context.Context) ([]string, error)) (*Webhooks, error) {
	if secrets == nil {
		return nil, errors.New("woocommerce: RotatingWebhooks: no function")
	}
	return ch.receiver(rotate.CheckOf(rotate.New("woocommerce: RotatingWebhooks", ch.client.log, secrets, rotate.All, rotate.NotBlank))), nil
}
