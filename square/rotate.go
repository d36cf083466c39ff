package square

import (
	"context"
	"errors"
	"net/url"

	"github.com/ecosire/stocksync/internal/rotate"
)

// RotatingToken returns a source for a token that somebody replaces while the
// process runs, such as one in a file or a vault. What the function returns is
// used for a minute; it is asked at once when Square refuses the token, and the
// request is then made with the new one. If it fails the last token is used on;
// without one the request fails with [channel.ErrUnauthorized], if its error
// matches that, or [channel.ErrUnavailable]. Its error's text is not shown, since
// it may hold the token. It has ten seconds, and is called by one goroutine at a
// time. Printing the source shows no token.
//
// A [TokenFunc] in its place is asked before every attempt, and keeps the token
// itself.
func RotatingToken(token func(context.Context) (string, error)) TokenSource {
	return &rotatingToken{rotate.New("square: RotatingToken", nil, token, rotate.One, rotate.Usable)}
}

type rotatingToken struct{ *rotate.Source[string] }

func (r *rotatingToken) Token(ctx context.Context, refused string) (string, error) {
	if refused == "" {
		return r.Get(ctx)
	}
	token, _, err := r.Renew(ctx, refused)
	if err != nil && ctx.Err() == nil {
		return refused, nil // Square's refusal stands
	}
	return token, err
}

func (*rotatingToken) String() string { return "square.RotatingToken([redacted])" }

// RotatingWebhooks is Webhooks for keys that somebody replaces while the process
// runs. keys returns those that are good, such as the current one and during a
// rotation the next or the previous one too. What it returns is used for a
// minute; it is asked at once about a delivery that none of them signed, at most
// five times, and then once in five seconds. If it fails the last keys are used
// on; without any, Receive fails with [channel.ErrUnauthorized], if its error
// matches that, or [channel.ErrUnavailable]. It has ten seconds, and is called by
// one goroutine at a time.
func (ch *Channel) RotatingWebhooks(address string, keys func(context.Context) ([]string, error)) (*Webhooks, error) {
	if u, err := url.Parse(address); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return nil, errors.New("square: RotatingWebhooks: the address is not the URL of the subscription")
	}
	if keys == nil {
		return nil, errors.New("square: RotatingWebhooks: no function")
	}
	source := rotate.New("square: RotatingWebhooks", ch.client.log, keys, rotate.All, rotate.NotBlank)
	return &Webhooks{ch, address, rotate.CheckOf(source)}, nil
}
