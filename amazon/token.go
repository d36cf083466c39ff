package amazon

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/httpx"
)

// login gets access tokens from Login with Amazon, and keeps the latest.
type login struct {
	credentials *Credentials
	endpoint    *url.URL
	transport   httpx.Config
	sent        *atomic.Int64

	turn    chan struct{} // guards what follows; waiting for it looks at ctx
	token   func() string // "" before the first one; a func, since fmt cannot look into it
	fetched time.Time
	renew   time.Time // when to ask for the next one
	expires time.Time
}

const (
	renewEarly = 5 * time.Minute
	// minTokenAge is how old a token must be to be replaced because it was
	// refused: Amazon refuses good ones, too, on bad days.
	minTokenAge = time.Minute
)

// access returns an access token. refused is "" or one that has just been
// refused; if there is no better one it is returned again.
func (l *login) access(ctx context.Context, refused string) (string, error) {
	select {
	case l.turn <- struct{}{}:
	case <-ctx.Done():
		return "", ctx.Err()
	}
	defer func() { <-l.turn }()
	now := time.Now()
	token := l.token()
	good := token != "" && now.Before(l.expires)
	switch {
	case good && token == refused && now.Sub(l.fetched) < minTokenAge:
		return token, nil
	case good && token != refused && now.Before(l.renew):
		return token, nil
	}
	err := l.fetch(ctx)
	if err != nil && ctx.Err() == nil && good && token != refused {
		l.renew = now.Add(time.Minute)
		return token, nil // it was early; the old one is still good
	}
	if err != nil {
		return "", err
	}
	return l.token(), nil
}

const tokenOp = "token"

func (l *login) fetch(ctx context.Context) error {
	if l.credentials.rotating != nil {
		return l.rotated(ctx)
	}
	for {
		s := l.credentials.p.Load()
		err := l.ask(ctx, s)
		if err == nil || s == l.credentials.p.Load() {
			return err
		}
		// The secret was replaced meanwhile.
	}
}

func (l *login) ask(ctx context.Context, s *secrets) error {
	transport := l.transport
	transport.Secrets = []string{s.clientSecret, s.refreshToken, url.QueryEscape(s.clientSecret), url.QueryEscape(s.refreshToken)}
	client := httpx.New(transport)
	defer func() { l.sent.Add(client.Requests()) }()
	form := url.Values{
		"grant_type": {"refresh_token"}, "refresh_token": {s.refreshToken},
		"client_id": {s.clientID}, "client_secret": {s.clientSecret},
	}
	asked := time.Now()
	resp, err := client.Do(ctx, httpx.Request{
		Method: http.MethodPost,
		URL:    l.endpoint,
		Header: http.Header{"Content-Type": {"application/x-www-form-urlencoded;charset=UTF-8"}},
		Body:   []byte(form.Encode()),
		Repeat: true, // a token too many does no harm
	})
	if err != nil {
		return failure(ctx, tokenOp, err)
	}
	var body struct {
		AccessToken string      `json:"access_token"`
		ExpiresIn   json.Number `json:"expires_in"`
		Error       string      `json:"error"`
		Description string      `json:"error_description"`
	}
	malformed := json.Unmarshal(resp.Body, &body) != nil
	message := func(s string) string { return conceal(client.Message(s)) }
	switch {
	case resp.Status >= 400:
		e := &Error{Op: tokenOp, Status: resp.Status, Code: message(body.Error), Message: message(body.Description)}
		if malformed || body.Error == "" {
			e.Message = httpx.Describe(resp)
		}
		switch body.Error {
		case "invalid_grant":
			e.hint = "the seller has revoked the authorization, or the refresh token is another application's: have the seller authorize it anew"
		case "invalid_client":
			e.hint = "the client id or the client secret is wrong; Amazon retires a secret after 180 days"
		}
		if body.Error != "" && resp.Status < 500 && resp.Status != http.StatusTooManyRequests {
			e.kind = channel.ErrUnauthorized
		} else if resp.Status != http.StatusUnauthorized && resp.Status != http.StatusForbidden {
			e.kind = channel.ErrUnavailable
		}
		e.wait = httpx.RetryAfter(resp.Header)
		return e
	case malformed || resp.Status != http.StatusOK:
		return nonsense(tokenOp, resp, "got "+httpx.Describe(resp))
	case !printable(body.AccessToken):
		return nonsense(tokenOp, resp, "the answer has no usable token")
	}
	life := time.Hour
	if n, err := body.ExpiresIn.Float64(); err == nil && n > 0 {
		life = min(seconds(n), 24*time.Hour)
	}
	token := body.AccessToken
	l.token, l.fetched, l.expires = func() string { return token }, asked, asked.Add(life)
	l.renew = l.expires.Add(-min(life/4, renewEarly))
	return nil
}
