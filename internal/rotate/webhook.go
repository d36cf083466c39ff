package rotate

import "context"

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
// of a list of them.
type Check func(ctx context.Context, signed func(secrets []string) bool) (bool, error)

// CheckOf is a Check by the secrets of a source.
func CheckOf(s *Source[[]string]) Check {
	return func(ctx context.Context, signed func([]string) bool) (bool, error) { return Genuine(ctx, s, signed) }
}
