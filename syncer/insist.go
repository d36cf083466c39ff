package syncer

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"
)

// trouble is the queue's, as Health tells it.
type trouble struct {
	mu    sync.Mutex
	since time.Time
	err   error
}

func (t *trouble) set(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err == nil {
		t.since, t.err = time.Time{}, nil
		return
	}
	if t.since.IsZero() {
		t.since = time.Now()
	}
	t.err = err
}

func (t *trouble) get() (since time.Time, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.since, t.err
}

// insist does something with the queue until it succeeds, or ctx is done: a
// queue's trouble passes, as a full disk does. It returns ctx's error, or that
// the term is over in which the work was to be done.
func (s *Syncer) insist(ctx context.Context, op string, do func() error) error {
	for failures := 0; ; failures++ {
		err := do()
		if err == nil {
			if failures > 0 {
				s.trouble.set(nil)
				s.logger.LogAttrs(ctx, slog.LevelInfo, "the queue works again", slog.String("op", op))
			}
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if t := tenureOf(ctx); t != nil && t.shared && errors.Is(err, ErrDeposed) {
			t.deposed.Store(true)
			t.over()
			return ErrDeposed
		}
		s.trouble.set(err)
		wait := backoff(nil, failures, maxQueueBackoff)
		s.logger.LogAttrs(ctx, slog.LevelError, "the queue failed, and is tried again", slog.String("op", op),
			slog.Duration("wait", wait), slog.Any("err", err))
		if err := sleep(ctx, wait); err != nil {
			return err
		}
	}
}

// maxQueueBackoff caps the wait between attempts at a queue that fails.
const maxQueueBackoff = 30 * time.Second
