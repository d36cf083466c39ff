package rotate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
)

// A vault is a host's function.
type vault struct {
	mu    sync.Mutex
	asked int
	value string
	err   error
	slow  time.Duration
}

func (v *vault) set(value string, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.value, v.err = value, err
}

func (v *vault) ask(context.Context) (string, error) {
	time.Sleep(v.slow)
	v.mu.Lock()
	defer v.mu.Unlock()
	v.asked++
	return v.value, v.err
}

func (v *vault) source(logger *slog.Logger) *Source[string] {
	return New("shop: Token", logger, v.ask, One, Usable)
}

func TestAnAnswerIsKeptForAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &vault{value: "one"}
		s := v.source(nil)
		for range 59 {
			value, err := s.Get(t.Context())
			require.NoError(t, err)
			assert.Equal(t, "one", value)
			time.Sleep(time.Second)
		}
		assert.Equal(t, 1, v.asked)
		v.set("two", nil)
		time.Sleep(time.Second)
		value, err := s.Get(t.Context())
		require.NoError(t, err)
		assert.Equal(t, "two", value)
		assert.ElementsMatch(t, []string{"one", "two"}, s.Secrets(), "the old one is kept out of texts as well")
	})
}

func TestWhatIsRefusedIsAskedForAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &vault{value: "one"}
		s := v.source(nil)
		one, err := s.Get(t.Context())
		require.NoError(t, err)
		v.set("two", nil)
		var wg sync.WaitGroup
		for range 20 { // requests that were refused at the same time
			wg.Go(func() {
				value, better, err := s.Renew(t.Context(), one)
				assert.NoError(t, err)
				assert.True(t, better)
				assert.Equal(t, "two", value)
			})
		}
		wg.Wait()
		assert.Equal(t, 2, v.asked)
		for range 100 {
			_, better, err := s.Renew(t.Context(), "two")
			require.NoError(t, err)
			assert.False(t, better)
		}
		assert.Equal(t, 2+renewBurst-1, v.asked, "whoever is refused again and again does not ask each time")
	})
}

func TestTheLastAnswerOutlivesTheFunction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bytes.Buffer
		v := &vault{value: "one"}
		s := v.source(slog.New(slog.NewTextHandler(&b, nil)))
		_, err := s.Get(t.Context())
		require.NoError(t, err)
		v.set("", errors.New("cannot parse HUSH"))
		for range 60 {
			time.Sleep(10 * time.Second)
			value, err := s.Get(t.Context())
			require.NoError(t, err)
			assert.Equal(t, "one", value)
		}
		assert.LessOrEqual(t, v.asked, 57)
		assert.Equal(t, 1, bytes.Count(b.Bytes(), []byte("the function for credentials failed")), "told once")
		assert.NotContains(t, b.String(), "HUSH")
		v.set("two", nil)
		time.Sleep(10 * time.Second)
		value, err := s.Get(t.Context())
		require.NoError(t, err)
		assert.Equal(t, "two", value)
	})
}

func TestWhoComesMeanwhileUsesTheLastAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &vault{value: "one"}
		s := v.source(nil)
		_, err := s.Get(t.Context())
		require.NoError(t, err)
		time.Sleep(keep)
		v.slow = 5 * time.Second
		go func() { _, _ = s.Get(t.Context()) }()
		synctest.Wait()
		began := time.Now()
		_, err = s.Get(t.Context())
		require.NoError(t, err)
		assert.Zero(t, time.Since(began))
		time.Sleep(time.Minute)
	})
}

func TestAFailureHasNoSecretInIt(t *testing.T) {
	cause := fmt.Errorf("vault: HUSH: %w", context.DeadlineExceeded)
	for _, tt := range []struct {
		value string
		err   error
		want  error
	}{
		{"", cause, channel.ErrUnavailable},
		{"", fmt.Errorf("HUSH: %w", channel.ErrUnauthorized), channel.ErrUnauthorized},
		{"", nil, channel.ErrUnauthorized},
		{"HUSH HUSH\n", nil, channel.ErrUnauthorized},
	} {
		v := &vault{value: tt.value, err: tt.err}
		s := v.source(nil)
		_, err := s.Get(t.Context())
		require.ErrorIs(t, err, tt.want)
		assert.Equal(t, tt.want == channel.ErrUnavailable, errors.Is(err, channel.ErrUnavailable))
		type host struct{ kept any }
		for _, text := range []string{err.Error(), fmt.Sprintf("%+v %#v", err, err), fmt.Sprintf("%+v %#v", host{err}, host{err}), fmt.Sprintf("%+v", s)} {
			assert.NotContains(t, text, "HUSH")
		}
		if tt.err != nil {
			assert.Equal(t, errors.Is(tt.err, context.DeadlineExceeded), errors.Is(err, context.DeadlineExceeded))
		}
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := (&vault{err: context.Canceled}).source(nil).Get(canceled)
	assert.Equal(t, context.Canceled, err, "the caller's own")
}

func TestTwoSecretsAreGoodAtATime(t *testing.T) {
	given := []string{"old"}
	s := New("hooks", nil, func(context.Context) ([]string, error) { return given, nil }, All, NotBlank)
	signed := func(by string) bool {
		ok, err := Genuine(t.Context(), s, func(secrets []string) bool {
			for _, secret := range secrets {
				if secret == by {
					return true
				}
			}
			return false
		})
		require.NoError(t, err)
		return ok
	}
	assert.True(t, signed("old"))
	given = []string{"old", "new"}
	assert.True(t, signed("new"), "at once")
	assert.True(t, signed("old"))
	given = []string{"new"}
	assert.False(t, signed("forged"), "asks, and finds that the old one is gone")
	assert.False(t, signed("old"))
	assert.True(t, signed("new"))
}

// A panic of the function is an error, in whichever goroutine it is asked.
func TestAFunctionThatPanics(t *testing.T) {
	const secret = "secret-0123456789"
	var log bytes.Buffer
	s := New("shop: Token", slog.New(slog.NewTextHandler(&log, nil)), func(context.Context) (string, error) { panic(secret) }, One, Usable)
	done := make(chan error)
	go func() {
		_, err := s.Get(t.Context())
		done <- err
	}()
	err := <-done
	require.ErrorIs(t, err, channel.ErrUnavailable)
	assert.Contains(t, log.String(), "recovered from a panic")
	assert.NotContains(t, err.Error()+log.String(), secret)
}
