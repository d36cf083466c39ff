package syncer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/ecosire/stocksync/channel"
)

const (
	// firstBackoff doubles with each failure.
	firstBackoff = time.Second
	// maxChannelBackoff caps the wait between probes of a channel that is down,
	// and so how late it may be found up again.
	maxChannelBackoff = 15 * time.Second
	// maxRefusedBackoff caps it where the channel refuses the credentials,
	// which only a person can mend.
	maxRefusedBackoff = 5 * time.Minute
	// maxProductBackoff caps the wait between attempts at a single product.
	maxProductBackoff = 5 * time.Minute
	// maxAsked caps how long a service may ask to be left alone, by a Retry-After
	// or the like. Clients have caps of their own before that: within a request
	// internal/httpx waits at most 90 seconds.
	maxAsked = 5 * time.Minute
)

// A breaker knows whether a channel is down, since when and why. A pass that
// finds it down, or up again, says so (failed, worked). A pass begins with one
// product then (probing). What works by itself leaves the channel alone for a
// while before that (wait): the queue's workers (target.open) and runs over the
// catalogue. Somebody's call does not, since it may be up again; but if the service
// has asked for a rest nobody is let through (leftAlone, see called).
type breaker struct {
	mu       sync.Mutex
	since    time.Time // when the channel went down; zero while it is up
	failures int
	err      error
	writing  bool          // it was a write that failed: reading proves nothing
	next     time.Time     // until then it is left alone
	up       chan struct{} // closed when it is up again; nil while it is up
	asked    time.Time     // until then since it has asked for it
}

// leftAlone is why a channel is not called: it has asked to be left alone.
type leftAlone struct {
	err  error // in which it did
	left time.Duration
}

func (e *leftAlone) Error() string {
	return fmt.Sprintf("left alone for %s more, as it has asked: %v", e.left.Round(time.Second), e.err)
}
func (e *leftAlone) Unwrap() error             { return e.err }
func (e *leftAlone) RetryAfter() time.Duration { return e.left }

// leftAlone returns an error as long as the channel is to be left alone since it
// has asked for it.
func (b *breaker) leftAlone() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if left := time.Until(b.asked); left > 0 {
		return &leftAlone{b.err, left}
	}
	return nil
}

// open waits until the channel may be asked by what works by itself: it is not
// paused, and not to be left alone. Somebody's call may find it up before.
func (t *target) open(ctx context.Context) error {
	for {
		if err := t.pause.wait(ctx); err != nil {
			return err
		}
		wait, up := t.state.rest()
		if wait == 0 {
			return nil
		}
		if err := sleepOr(ctx, wait, up); err != nil {
			return err
		}
	}
}

// down tells since when the channel is down and why, or a zero time.
func (b *breaker) down() (since time.Time, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.since, b.err
}

// probing reports whether a pass begins reading, or writing, with one product,
// and goes on with the rest only if that works. Whether it is time yet is wait's
// to say.
func (b *breaker) probing(writing bool) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.since.IsZero() && b.writing == writing
}

// wait is how long the channel is to be left alone.
func (b *breaker) wait() time.Duration {
	wait, _ := b.rest()
	return wait
}

// rest is wait, and what is closed when the channel is found up before.
func (b *breaker) rest() (wait time.Duration, up <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.since.IsZero() {
		return 0, nil
	}
	return max(0, time.Until(b.next)), b.up
}

// failed records that the channel as a whole failed.
func (t *target) failed(ctx context.Context, s *Syncer, err error, writing bool) {
	b := &t.state
	b.mu.Lock()
	first := b.since.IsZero()
	if first {
		b.since, b.up = time.Now(), make(chan struct{})
	}
	limit := maxChannelBackoff
	if errors.Is(err, channel.ErrUnauthorized) {
		limit = maxRefusedBackoff
	}
	// What was under way together fails together, and counts as one failure. A read
	// that fails beside a write says nothing of writes.
	now, failures := time.Now(), b.failures
	together := now.Before(b.next)
	if together {
		failures--
	}
	b.err, b.writing = err, writing || together && b.writing
	if next := now.Add(backoff(err, failures, limit)); next.After(b.next) {
		b.next = next
	}
	b.failures = failures + 1
	if asked, ok := channel.RetryAfter(err); ok {
		if until := now.Add(min(asked, maxAsked)); until.After(b.asked) {
			b.asked = until
		}
	}
	b.mu.Unlock()
	if first {
		s.logger.LogAttrs(ctx, slog.LevelWarn, "channel down", slog.String("channel", t.name), slog.Any("err", err))
		s.journal.write(ctx, Entry{Kind: EntryDown, Run: channel.Run(ctx), Channel: t.name, Err: err})
		s.hooks.down(ctx, s, t.name, err)
	}
}

// worked records that the channel answered: a read, or a write as well.
func (t *target) worked(ctx context.Context, s *Syncer, wrote bool) {
	t.took.Store(true)
	b := &t.state
	b.mu.Lock()
	since := b.since
	if since.IsZero() || b.writing && !wrote {
		b.mu.Unlock()
		return
	}
	close(b.up)
	b.since, b.failures, b.err, b.next, b.asked, b.up = time.Time{}, 0, nil, time.Time{}, time.Time{}, nil
	b.mu.Unlock()
	s.logger.LogAttrs(ctx, slog.LevelInfo, "channel up", slog.String("channel", t.name), slog.Duration("after", time.Since(since)))
	s.journal.write(ctx, Entry{Kind: EntryUp, Run: channel.Run(ctx), Channel: t.name})
	s.hooks.up(ctx, s, t.name, time.Since(since))
}

// backoff is how long to wait after a failure that a number of failures came before:
// a second, doubled for each of these, at most limit, and less by up to a quarter, so
// that not all come back at once. A service that asks for longer gets up to maxAsked.
func backoff(err error, failures int, limit time.Duration) time.Duration {
	wait := min(firstBackoff<<min(failures, 20), limit)
	wait -= rand.N(wait / 4)
	if asked, ok := channel.RetryAfter(err); ok {
		wait = max(wait, min(asked, maxAsked))
	}
	return wait
}

func sleep(ctx context.Context, d time.Duration) error { return sleepOr(ctx, d, nil) }

// sleepOr is sleep, unless something comes or is closed before.
func sleepOr(ctx context.Context, d time.Duration, sooner <-chan struct{}) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	case <-sooner:
		return nil
	}
}
