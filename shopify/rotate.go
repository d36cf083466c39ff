package shopify

import (
	"context"
	"errors"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/rotate"
)

// RotatingToken returns a source for a token that somebody replaces while the
// process runs, such as one in a file or a vault. What the function returns is
// used for a minute; it is asked at once when the shop refuses the token, and the
// request is then made with the new one. If it fails the last token is used on;
// without one the request fails with [channel.ErrUnauthorized], if its error
// matches that, or [channel.ErrUnavailable]. Its error's text is not shown, since
// it may hold the token. It has ten seconds, and is called by one goroutine at a
// time. Printing the source shows no token.
func RotatingToken(token func(context.Context) (string, error)) TokenSource {
	return &rotatingToken{rotate.New("shopify: RotatingToken", nil, token, rotate.One, rotate.Usable)}
}

type rotatingToken struct{ *rotate.Source[string] }

func (r *rotatingToken) Token(ctx context.Context, refused string) (string, error) {
	if refused == "" {
		return r.Get(ctx)
	}
	token, _, err := r.Renew(ctx, refused)
	if err != nil && ctx.Err() == nil {
		return refused, nil // the shop's refusal stands
	}
	return token, err
}

func (*rotatingToken) String() string { return "shopify.RotatingToken(" + redacted + ")" }

// RotatingCredentials is [ClientCredentials] for an id and a secret that
// somebody replaces while the process runs. The function is asked as that of
// [RotatingToken] is: before a token is fetched, if its last answer is a minute
// old, and at once if the shop refuses that.
func RotatingCredentials(credentials func(context.Context) (id, secret string, err error)) TokenSource {
	ask := func(ctx context.Context) (application, error) {
		id, secret, err := credentials(ctx)
		return application{id, secret}, err
	}
	if credentials == nil {
		ask = nil
	}
	return &rotatingCredentials{rotate.New("shopify: RotatingCredentials", nil, ask, application.secrets, rotate.Usable)}
}

// An application is the credentials of an app.
type application struct{ id, secret string }

func (a application) secrets() []string { return []string{a.secret, a.id} }

type rotatingCredentials struct{ *rotate.Source[application] }

func (*rotatingCredentials) Token(context.Context, string) (string, error) {
	return "", errors.New("shopify: RotatingCredentials works only as the Token of a Config")
}

func (*rotatingCredentials) String() string {
	return "shopify.RotatingCredentials(" + redacted + ")"
}

// fetch gets a token, with other credentials if the shop refuses the last ones.
func (r *rotatingCredentials) fetch(ctx context.Context, g *grant) error {
	a, err := r.Get(ctx)
	if err != nil {
		return err
	}
	err = g.trade(ctx, a.id, a.secret)
	if !errors.Is(err, channel.ErrUnauthorized) {
		return err
	}
	a, better, failed := r.Renew(ctx, a)
	if failed != nil || !better {
		return err
	}
	return g.trade(ctx, a.id, a.secret)
}

// check reports whether the app's secret signed a delivery.
func (r *rotatingCredentials) check(ctx context.Context, signed func([]string) bool) (bool, error) {
	return rotate.Genuine(ctx, r.Source, func(a application) bool { return signed([]string{a.secret}) })
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
		return nil, errors.New("shopify: RotatingWebhooks: no function")
	}
	source := rotate.New("shopify: RotatingWebhooks", ch.client.logger, secrets, rotate.All, rotate.NotBlank)
	return ch.receiver(rotate.CheckOf(source)), nil
}
