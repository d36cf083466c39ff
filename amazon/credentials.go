package amazon

import (
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"

	"github.com/ecosire/stocksync/internal/rotate"
)

// Credentials are what Login with Amazon gives access tokens for: the
// application's client id and client secret, and the refresh token by which
// the seller has authorized it. They are safe for concurrent use.
//
// None of fmt, log/slog and encoding/json prints what is in them, wherever
// they are kept.
type Credentials struct {
	// fmt prints no more of an atomic.Pointer than an address, in a struct's
	// unexported field too, where it calls no methods.
	p        atomic.Pointer[secrets]
	rotating *rotate.Source[secrets] // in its place, or nil
}

type secrets struct{ clientID, clientSecret, refreshToken string }

// NewCredentials returns credentials. refreshToken begins with "Atzr|".
func NewCredentials(clientID, clientSecret, refreshToken string) *Credentials {
	c := new(Credentials)
	c.p.Store(&secrets{clientID, clientSecret, refreshToken})
	return c
}

// Rotate replaces the client secret, which Amazon forces every 180 days. The
// next access token is asked for with the new one; the present one stays good.
// Clients that use the credentials go on without a restart.
func (c *Credentials) Rotate(clientSecret string) {
	for {
		old := c.p.Load()
		if old == nil {
			return
		}
		next := *old
		next.clientSecret = clientSecret
		if c.p.CompareAndSwap(old, &next) {
			return
		}
	}
}

func (c *Credentials) check() error {
	if c != nil && c.rotating != nil {
		return nil
	}
	if c == nil || c.p.Load() == nil {
		return errors.New("amazon: Config.Credentials is required: use NewCredentials")
	}
	s := c.p.Load()
	for _, part := range []struct{ name, value string }{
		{"client id", s.clientID}, {"client secret", s.clientSecret}, {"refresh token", s.refreshToken},
	} {
		switch {
		case part.value == "":
			return errors.New("amazon: Config.Credentials: the " + part.name + " is empty")
		case !printable(part.value):
			return errors.New("amazon: Config.Credentials: the " + part.name + " has characters that none has, such as a blank or a line break")
		}
	}
	if strings.HasPrefix(s.refreshToken, "Atza|") {
		return errors.New("amazon: Config.Credentials: the refresh token is an access token: a refresh token begins with Atzr|")
	}
	return nil
}

const redacted = "amazon.Credentials([redacted])"

// String keeps the credentials out of printed configurations.
func (c *Credentials) String() string { return redacted }

// GoString is String.
func (c *Credentials) GoString() string { return redacted }

// LogValue is String for log/slog.
func (c *Credentials) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText is String for encoding/json and the like.
func (c *Credentials) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// printable reports whether a credential can be sent in a header.
func printable(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}
