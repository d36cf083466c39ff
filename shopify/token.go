package shopify

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/ecosire/stocksync/internal/httpx"
)

// A TokenSource gives access tokens. It is asked before every attempt of every
// request, by several goroutines at once, so it keeps the token itself.
type TokenSource interface {
	// Token returns a token. refused is "" or a token that the shop has just
	// refused with a 401; a source that still holds this one gets another. If
	// it has no other it returns the same one, and the request fails. A client
	// asks so at most once a request.
	Token(ctx context.Context, refused string) (string, error)
}

// StaticToken returns a source for a token that does not change, such as that
// of an app made in the shop's admin.
func StaticToken(token string) TokenSource { return staticToken{token} }

type staticToken struct{ token string }

func (s staticToken) Token(context.Context, string) (string, error) { return s.token, nil }

// String keeps the token out of printed configurations.
func (staticToken) String() string   { return "shopify.StaticToken([redacted])" }
func (staticToken) GoString() string { return "shopify.StaticToken([redacted])" }

// ClientCredentials returns a source that gets its tokens from the shop, by
// the id and the secret of an app of the merchant's own organization. Tokens
// live a day; the source asks for the next one some minutes early, and after a
// 401. It serves only as a [Config]'s Token; one may serve several clients,
// each of which gets its own tokens.
func ClientCredentials(id, secret string) TokenSource { return credentials{id, secret} }

type credentials struct{ id, secret string }

func (credentials) Token(context.Context, string) (string, error) {
	return "", errors.New("shopify: ClientCredentials works only as the Token of a Config")
}

// String keeps the secret out of printed configurations.
func (credentials) String() string   { return "shopify.ClientCredentials([redacted])" }
func (credentials) GoString() string { return "shopify.ClientCredentials([redacted])" }

// A grant is client credentials at work for one shop.
type grant struct {
	credentials
	endpoint *url.URL
	http     *httpx.Client

	turn    chan struct{} // guards what follows; waiting for it looks at ctx
	token   string
	renew   time.Time // when to ask for the next one; zero if the end is not known
	expires time.Time
}

func newGrant(c credentials, endpoint *url.URL, client *httpx.Client) *grant {
	return &grant{credentials: c, endpoint: endpoint, http: client, turn: make(chan struct{}, 1)}
}

func (g *grant) Token(ctx context.Context, refused string) (string, error) {
	select {
	case g.turn <- struct{}{}:
	case <-ctx.Done():
		return "", ctx.Err()
	}
	defer func() { <-g.turn }()
	good := g.token != "" && g.token != refused
	if good && (g.renew.IsZero() || time.Now().Before(g.renew)) {
		return g.token, nil
	}
	err := g.fetch(ctx)
	if err != nil && ctx.Err() == nil && good && time.Now().Before(g.expires) {
		g.renew = time.Now().Add(min(time.Minute, time.Until(g.expires)))
		return g.token, nil // it was early; the old one is still good
	}
	return g.token, err
}

func (g *grant) fetch(ctx context.Context) error {
	const op = "access_token"
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {g.id}, "client_secret": {g.secret}}
	asked := time.Now()
	resp, err := g.http.Do(ctx, httpx.Request{
		Method: http.MethodPost,
		URL:    g.endpoint,
		Header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}},
		Body:   []byte(form.Encode()),
		Repeat: true, // a token too many does no harm
	})
	if err != nil {
		return err
	}
	var body struct {
		AccessToken string      `json:"access_token"`
		ExpiresIn   json.Number `json:"expires_in"`
		Error       string      `json:"error"`
		Description string      `json:"error_description"`
	}
	malformed := json.Unmarshal(resp.Body, &body) != nil
	switch {
	case resp.Status >= 400:
		fault := &Error{
			Op: op, Status: resp.Status, RequestID: resp.Header.Get("X-Request-Id"), retryAfter: httpx.RetryAfter(resp.Header),
			Message: g.http.Message(strings.TrimSpace(body.Error + " " + body.Description)),
		}
		if fault.Message == "" {
			fault.Message = http.StatusText(resp.Status)
		}
		// The grant's own refusals come with 400.
		if resp.Status == http.StatusBadRequest {
			fault.Codes = []string{"ACCESS_DENIED"}
		}
		return fault
	case malformed || resp.Status != http.StatusOK:
		return unusable(op, "got "+httpx.Describe(resp))
	case !printable(body.AccessToken):
		return unusable(op, "the answer has no usable token")
	}
	g.token, g.renew, g.expires = body.AccessToken, time.Time{}, time.Time{}
	if s, err := body.ExpiresIn.Float64(); err == nil && s > 0 {
		life := seconds(s)
		g.expires = asked.Add(life)
		g.renew = g.expires.Add(-min(life/4, 5*time.Minute))
	}
	return nil
}
