package rotate

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
)

// Genuine reports whether one of a webhook's secrets made a signature: signed
// says so of an answer. If none did, the function is asked whether there are
// others by now. The error says that there are no secrets.
func Genuine[T any](ctx context.Context, s *Source[T], signed func(T) bool) (bool, error) {
	secrets, err := s.Get(ctx)
	if err != nil {
		return false, err
	}
	if signed(secrets) {
		return true, nil
	}
	others, better, err := s.Renew(ctx, secrets)
	return err == nil && better && signed(others), nil
}

// A Check reports whether one of some secrets made a signature; signed says so
// of a list of them. It is a function, so that fmt does not find the secrets.
// The nil Check finds nothing genuine.
type Check func(ctx context.Context, signed func(secrets []string) bool) (bool, error)

// CheckOf is a Check by the secrets of a source.
func CheckOf(s *Source[[]string]) Check {
	return func(ctx context.Context, signed func([]string) bool) (bool, error) { return Genuine(ctx, s, signed) }
}

// Fixed is a Check by secrets that stay, of which none may be blank. what is the
// word for one of them.
func Fixed(what string, secrets ...string) (Check, error) {
	if len(secrets) == 0 {
		return nil, fmt.Errorf("no %s: without one anybody could send events", what)
	}
	for _, s := range secrets {
		if strings.TrimSpace(s) == "" {
			return nil, fmt.Errorf("a %s is empty", what)
		}
	}
	secrets = slices.Clone(secrets)
	return func(_ context.Context, signed func([]string) bool) (bool, error) { return signed(secrets), nil }, nil
}

// Signed reports whether one of the secrets made the signature of a message,
// which may come in parts. The error says that there are no secrets.
func (c Check) Signed(ctx context.Context, signature []byte, message ...[]byte) (bool, error) {
	if c == nil {
		return false, nil
	}
	return c(ctx, func(secrets []string) (genuine bool) {
		for _, secret := range secrets { // each is tried, so that the time tells nothing
			genuine = hmac.Equal(Sum(secret, message...), signature) || genuine
		}
		return genuine
	})
}

// Sum is the signature of a message, which may come in parts: its HMAC-SHA256.
func Sum(secret string, message ...[]byte) []byte {
	mac := hmac.New(sha256.New, []byte(secret))
	for _, part := range message {
		mac.Write(part)
	}
	return mac.Sum(nil)
}
