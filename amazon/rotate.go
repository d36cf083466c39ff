package amazon

import (
	"context"
	"errors"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/rotate"
)

// RotatingCredentials is [NewCredentials] for credentials that somebody
// replaces while the process runs, such as a client secret that Amazon retires
// after 180 days. What the function returns is used for a minute; it is asked
// before an access token is fetched, and at once if Amazon refuses what it
// returned. If it fails the last credentials are used on; without any the request
// fails with [channel.ErrUnauthorized], if its error matches that, or
// [channel.ErrUnavailable]. Its error's text is not shown, since it may hold a
// secret. It has ten seconds, and is called by one goroutine at a time. An access
// token that was fetched stays good for its hour. Rotate does nothing to these.
func RotatingCredentials(credentials func(context.Context) (clientID, clientSecret, refreshToken string, err error)) *Credentials {
	ask := func(ctx context.Context) (secrets, error) {
		id, secret, token, err := credentials(ctx)
		return secrets{id, secret, token}, err
	}
	if credentials == nil {
		ask = nil
	}
	return &Credentials{rotating: rotate.New("amazon: RotatingCredentials", nil, ask, secrets.all, printable)}
}

func (s secrets) all() []string { return []string{s.clientSecret, s.refreshToken, s.clientID} }

// rotated fetches a token, with other credentials if Amazon refuses the last
// ones.
func (l *login) rotated(ctx context.Context) error {
	source := l.credentials.rotating
	s, err := source.Get(ctx)
	if err != nil {
		return err
	}
	err = l.ask(ctx, &s)
	if !errors.Is(err, channel.ErrUnauthorized) {
		return err
	}
	s, better, failed := source.Renew(ctx, s)
	if failed != nil || !better {
		return err
	}
	return l.ask(ctx, &s)
}
