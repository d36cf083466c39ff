package shopify

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/ecosire/stocksync/internal/httpx"
	"github.com/ecosire/stocksync/internal/strictjson"
	"github.com/ecosire/stocksync/internal/text"
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

// redacted is what credentials print as.
const redacted = "[redacted]"

// StaticToken returns a source for a token that does not change, such as that
// of an app made in the shop's admin. Printing it does not show the token.
func StaticToken(token string) TokenSource { return staticToken(func() string { return token }) }

// staticToken is a function, since fmt looks into everything else, also where
// it may not call methods.
type staticToken func() string

func (s staticToken) Token(context.Context, string) (string, error) { return s(), nil }

func (staticToken) String() string                 { return "shopify.StaticToken(" + redacted + ")" }
func (s staticToken) GoString() string             { return s.String() }
func (s staticToken) LogValue() slog.Value         { return slog.StringValue(s.String()) }
func (s staticToken) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// ClientCredentials returns a source that gets its tokens from the shop, by
// the id and the secret of an app of the merchant's own organization. Tokens
// live a day; the source asks for the next one some minutes early, and after a
// 401. It serves only as a [Config]'s Token; one may serve several clients,
// each of which gets its own tokens. Printing it does not show the secret.
func ClientCredentials(id, secret string) TokenSource {
	return credentials(func() (string, string) { return id, secret })
}

// credentials is a function for the same reason as staticToken.
type credentials func() (id, secret string)

func (credentials) Token(context.Context, string) (string, error) {
	return "", errors.New("shopify: ClientCredentials works only as the Token of a Config")
}

func (credentials) String() string                 { return "shopify.ClientCredentials(" + redacted + ")" }
func (c credentials) GoString() string             { return c.String() }
func (c credentials) LogValue() slog.Value         { return slog.StringValue(c.String()) }
func (c credentials) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// A grant is client credentials at work for one shop.
type grant struct {
	credentials credentials
	rotating    *rotatingCredentials // in their place, or nil
	endpoint    *url.URL
	http        *httpx.Client

	turn    chan struct{} // guards what follows; waiting for it looks at ctx
	token   string
	renew   time.Time // when to ask for the next one; zero if the end is not known
	expires time.Time
}

// What is believed of a token's life.
const (
	minTokenLife = 5 * time.Minute
	maxTokenLife = 48 * time.Hour
)

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
	if g.rotating != nil {
		return g.rotating.fetch(ctx, g)
	}
	id, secret := g.credentials()
	return g.trade(ctx, id, secret)
}

// trade gets a token for credentials.
func (g *grant) trade(ctx context.Context, id, secret string) error {
	const op = "access_token"
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {id}, "client_secret": {secret}}
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
	body, err := strictjson.Parse(resp.Body)
	malformed := err != nil
	var row strictjson.Row
	if !malformed {
		row.Read(body)
	}
	switch {
	case resp.Status >= 400:
		fault := &Error{
			Op: op, Status: resp.Status, RequestID: text.Cut(g.http.Message(resp.Header.Get("X-Request-Id")), maxCode), retryAfter: httpx.RetryAfter(resp.Header),
			Message: g.http.Message(strings.TrimSpace(row.Value("error").Name() + " " + row.Value("error_description").Name())),
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
	}
	token := row.Text("access_token")
	if row.Err() != nil || !printable(token) {
		return unusable(op, "the answer has no usable token")
	}
	g.token, g.renew, g.expires = token, time.Time{}, time.Time{}
	if s, err := row.Value("expires_in").Int(); err == nil && s > 0 {
		// A token that is said to live for a moment would be asked for at each
		// request. If it is true a 401 tells.
		life := min(max(time.Duration(min(s, 1<<20))*time.Second, minTokenLife), maxTokenLife)
		g.expires = asked.Add(life)
		g.renew = g.expires.Add(-min(life/4, 5*time.Minute))
	}
	return nil
}
