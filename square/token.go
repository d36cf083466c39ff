package square

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/rotate"
)

// A TokenSource gives access tokens. It is asked before every attempt of every
// request, by several goroutines at once, so it keeps the token itself.
type TokenSource interface {
	// Token returns a token. refused is "" or a token that Square has just
	// refused with a 401; a source that still holds this one gets another. If
	// it has no other it returns the same one, and the request fails. A client
	// asks so at most once a request.
	Token(ctx context.Context, refused string) (string, error)
}

// A TokenFunc is a function that is a [TokenSource], for a host that renews its
// tokens itself. Square's OAuth tokens live 30 days and their answer says so by
// a date, "expires_at", and not by the "expires_in" of the standard: a library
// that looks for that takes them for tokens that never end.
type TokenFunc func(ctx context.Context, refused string) (string, error)

// Token calls f.
func (f TokenFunc) Token(ctx context.Context, refused string) (string, error) {
	return f(ctx, refused)
}

// StaticToken returns a source for a token that does not change: the personal
// access token of the seller's own application.
func StaticToken(token string) TokenSource {
	return staticToken{func() string { return token }}
}

// staticToken keeps the token in a function: fmt cannot look into one.
type staticToken struct{ reveal func() string }

func (s staticToken) Token(context.Context, string) (string, error) { return s.reveal(), nil }

func (staticToken) String() string               { return "square.StaticToken([redacted])" }
func (s staticToken) GoString() string           { return s.String() }
func (staticToken) MarshalText() ([]byte, error) { return []byte("[redacted]"), nil }

// printable reports whether a token can be sent in a header.
func printable(token string) bool {
	return token != "" && !strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' })
}

// tokenError is that of a call for which the host's source gave no token.
func tokenError(err error) error {
	if failed, ok := errors.AsType[*rotate.Failure](err); ok {
		return failed
	}
	if errors.Is(err, channel.ErrUnauthorized) {
		return fmt.Errorf("square: the token source: %w", err)
	}
	return fmt.Errorf("square: the token source: %w: %w", channel.ErrUnavailable, err)
}
