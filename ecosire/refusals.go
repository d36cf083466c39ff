package ecosire

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/text"
)

const (
	// refusedFor is how long a product id that ECOSIRE refuses is not asked for.
	refusedFor = 24 * time.Hour
	// maxAlone is how often an id may fail by itself, while others do not, until
	// that counts as a refusal.
	maxAlone = 3
	// maxRefusals bounds what is remembered.
	maxRefusals = 10_000
)

// refusals remembers the product ids with which ECOSIRE's answers fail, so that
// they do not spoil the reading of others.
type refusals struct {
	mu   sync.Mutex
	byID map[string]refusal
}

// A refusal is what is known of one id.
type refusal struct {
	err   error     // what it failed with by itself; nil for a suspect
	until time.Time // it is not asked for before that, and then by itself
	times int       // that it failed by itself
	group *[]string // the suspects that it is asked for with
}

func newRefusals() *refusals { return &refusals{byID: make(map[string]refusal)} }

// plan splits ids into those that may be asked for together, those to ask for
// apart from them and from one another, and those not to ask for now, for which
// it yields what is known.
func (r *refusals) plan(ids []string, yield func(channel.Stock)) (together []string, apart [][]string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.byID) == 0 {
		return ids, nil
	}
	groups := make(map[*[]string]int)
	now := time.Now()
	for _, id := range ids {
		known, ok := r.byID[id]
		switch {
		case !ok:
			together = append(together, id)
		case now.Before(known.until):
			yield(channel.Stock{ProductID: id, Err: known.err})
		case known.group == nil:
			apart = append(apart, []string{id})
		default:
			at, ok := groups[known.group]
			if !ok {
				at = len(apart)
				groups[known.group] = at
				apart = append(apart, nil)
			}
			apart[at] = append(apart[at], id)
		}
	}
	return together, apart
}

// suspect remembers ids one of which makes ECOSIRE fail.
func (r *refusals) suspect(ids []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range ids {
		if len(r.byID) < maxRefusals {
			r.byID[id] = refusal{group: &ids}
		}
	}
}

// alone remembers that an id failed by itself while ECOSIRE answered others. It
// returns what that means for the product.
func (r *refusals) alone(ctx context.Context, id string, err error, logger *slog.Logger) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	known := r.byID[id]
	known.times++
	known.group = nil
	known.until = time.Now().Add(time.Minute << (2 * (known.times - 1)))
	known.err = fmt.Errorf("ecosire: product id %q fails alone while others do not: %w", text.Clean(id), err)
	if final(err) || known.times >= maxAlone {
		known.until = time.Now().Add(refusedFor)
		known.err = fmt.Errorf("ecosire: product id %q is refused, and not asked for again for a day: %w: %w", text.Clean(id), channel.ErrInvalid, err)
		logger.LogAttrs(ctx, slog.LevelWarn, "ECOSIRE refuses a product id", slog.String("product", text.Clean(id)), slog.Any("err", err))
	}
	if _, ok := r.byID[id]; ok || len(r.byID) < maxRefusals {
		r.byID[id] = known
	}
	return known.err
}

// well forgets ids that were asked for and did not make ECOSIRE fail.
func (r *refusals) well(ids []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.byID) == 0 {
		return
	}
	for _, id := range ids {
		delete(r.byID, id)
	}
}

// laterError says that a product was not read for now, and when to try again.
type laterError struct {
	what string
	wait time.Duration
}

func (e *laterError) Error() string             { return e.what }
func (e *laterError) Is(target error) bool      { return target == channel.ErrUnavailable }
func (e *laterError) RetryAfter() time.Duration { return e.wait }
