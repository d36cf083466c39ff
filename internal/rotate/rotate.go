// Package rotate asks a host's function for credentials that somebody replaces
// while the process runs. It is the one place that decides how long an answer is
// kept, when the function is asked anew, and what is said when it fails.
package rotate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/logs"
)

const (
	// keep is how long an answer is used before the function is asked again.
	keep = time.Minute
	// keepFailing is the same after the function failed.
	keepFailing = 10 * time.Second
	// patience is how long the function may take.
	patience = 10 * time.Second
	// renewEvery and renewBurst bound how often the function is asked because an
	// answer was refused: anybody can send a forged delivery.
	renewEvery, renewBurst = 5 * time.Second, 5
	// maxPast is how many secrets that were replaced are still kept out of texts.
	maxPast = 16
)

// A Source is a host's function and its latest answer, T. It is safe for
// concurrent use. fmt finds no secret in it.
type Source[T any] struct {
	name    string
	ask     func(context.Context) (T, error)
	secrets func(T) []string
	usable  func(string) bool
	logger  atomic.Pointer[slog.Logger]

	turn    chan struct{} // held by who asks
	latest  atomic.Pointer[answer[T]]
	renewal *rate.Limiter

	mu   sync.Mutex
	past func() []string
}

type answer[T any] struct {
	value  T
	until  time.Time
	failed bool // the function failed since
}

// New returns a source. name says whose function it is, such as "ecosire:
// Config.RotatingKey"; logger may be nil. secrets returns the strings in an answer; each must be
// usable, and there must be one.
func New[T any](name string, logger *slog.Logger, ask func(context.Context) (T, error), secrets func(T) []string, usable func(string) bool) *Source[T] {
	s := &Source[T]{
		name: name, ask: ask, secrets: secrets, usable: usable,
		turn: make(chan struct{}, 1), renewal: rate.NewLimiter(rate.Every(renewEvery), renewBurst),
		past: func() []string { return nil },
	}
	s.LogTo(logger)
	return s
}

// LogTo names the logger of a source that was made without one.
func (s *Source[T]) LogTo(logger *slog.Logger) {
	if logger != nil {
		s.logger.CompareAndSwap(nil, logger)
	}
}

// Latest returns the latest answer, and asks nobody.
func (s *Source[T]) Latest() (value T) {
	if a := s.latest.Load(); a != nil {
		value = a.value
	}
	return value
}

// Get returns the answer that is to be used now. It asks the function if the
// last answer is a minute old; who comes meanwhile uses that one. If the
// function fails the last answer is used on. The error is ctx's, or a
// [*Failure].
func (s *Source[T]) Get(ctx context.Context) (T, error) {
	a := s.latest.Load()
	if a != nil && time.Now().Before(a.until) {
		return a.value, nil
	}
	if a != nil {
		select {
		case s.turn <- struct{}{}:
		default:
			return a.value, nil
		}
	} else if err := s.enter(ctx); err != nil {
		var none T
		return none, err
	}
	defer s.leave()
	if now := s.latest.Load(); now != a {
		return now.value, nil
	}
	fresh, err := s.fetch(ctx)
	switch {
	case err == nil:
		return fresh, nil
	case a == nil || ctx.Err() != nil:
		return fresh, err
	}
	if !a.failed {
		logger := logs.New(s.logger.Load())
		logger.LogAttrs(ctx, slog.LevelWarn, "the function for credentials failed; the last ones are used on", slog.String("op", s.name), slog.Any("err", err))
	}
	s.latest.Store(&answer[T]{value: a.value, until: time.Now().Add(keepFailing), failed: true})
	return a.value, nil
}

// Renew returns what to use in place of an answer that was refused. better is
// false if there is nothing else. It asks the function, unless that was done
// since, or too often.
func (s *Source[T]) Renew(ctx context.Context, refused T) (value T, better bool, err error) {
	if err := s.enter(ctx); err != nil {
		return refused, false, err
	}
	defer s.leave()
	if a := s.latest.Load(); a != nil && !s.same(a.value, refused) {
		return a.value, true, nil
	}
	if !s.renewal.Allow() {
		return refused, false, nil
	}
	value, err = s.fetch(ctx)
	if err != nil {
		return refused, false, err
	}
	return value, !s.same(value, refused), nil
}

func (s *Source[T]) same(a, b T) bool { return slices.Equal(s.secrets(a), s.secrets(b)) }

func (s *Source[T]) enter(ctx context.Context) error {
	select {
	case s.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Source[T]) leave() { <-s.turn }

// fetch asks the function, and keeps its answer.
func (s *Source[T]) fetch(ctx context.Context) (none T, _ error) {
	if s.ask == nil {
		return none, s.failure("there is no function", channel.ErrUnauthorized, nil)
	}
	inner, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	value, err := s.asked(inner)
	switch {
	case ctx.Err() != nil:
		return none, ctx.Err()
	case err != nil:
		kind := channel.ErrUnavailable
		if errors.Is(err, channel.ErrUnauthorized) {
			kind = channel.ErrUnauthorized
		}
		return none, s.failure(fmt.Sprintf("the function failed with an error of type %T, whose text may hold a secret", err), kind, err)
	}
	secrets := s.secrets(value)
	if len(secrets) == 0 || slices.ContainsFunc(secrets, func(text string) bool { return !s.usable(text) }) {
		return none, s.failure("the function gave none that can be used", channel.ErrUnauthorized, nil)
	}
	s.remember(secrets)
	s.latest.Store(&answer[T]{value: value, until: time.Now().Add(keep)})
	return value, nil
}

// asked asks the function. A panic is an error like any other: whoever asks may be a
// goroutine in which nobody else recovers. What it says may be a secret.
func (s *Source[T]) asked(ctx context.Context) (value T, err error) {
	defer func() {
		if p := recover(); p != nil {
			logger := logs.New(s.logger.Load())
			logger.LogAttrs(ctx, slog.LevelError, "recovered from a panic", slog.String("op", s.name), slog.String("stack", string(debug.Stack())))
			err = panicked{}
		}
	}()
	return s.ask(ctx)
}

type panicked struct{}

func (panicked) Error() string { return "the function panicked" }

// remember keeps secrets out of texts from now on.
func (s *Source[T]) remember(secrets []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.past()
	for _, text := range secrets {
		if !slices.Contains(all, text) {
			all = append(slices.Clone(all), text)
		}
	}
	all = all[max(0, len(all)-maxPast):]
	s.past = func() []string { return all }
}

// Secrets returns the latest secrets, and those that they replaced.
func (s *Source[T]) Secrets() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.past()
}

// Usable reports whether a text can be a credential in a header.
func Usable(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' })
}

// NotBlank reports whether a text can be a webhook's secret.
func NotBlank(text string) bool { return strings.TrimSpace(text) != "" }

// One is the secrets of an answer that is one.
func One(secret string) []string { return []string{secret} }

// All is the secrets of an answer that is several.
func All(secrets []string) []string { return secrets }

// A Failure says that a function gave no credentials. It matches
// channel.ErrUnauthorized or channel.ErrUnavailable, and what the function's own
// error matches; that error itself is out of reach, since it may hold a secret.
type Failure struct {
	text string
	kind error
	is   func(error) bool
}

func (s *Source[T]) failure(why string, kind, cause error) *Failure {
	return &Failure{s.name + ": " + why, kind, func(target error) bool { return errors.Is(cause, target) }}
}

func (f *Failure) Error() string { return f.text + ": " + f.kind.Error() }

// Is implements the rule of package errors.
func (f *Failure) Is(target error) bool {
	switch target {
	case channel.ErrUnauthorized, channel.ErrUnavailable:
		return target == f.kind
	}
	return f.is(target)
}
