package woocommerce

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/ecosire/stocksync/channel"
)

// loose knows the batches whose outcome nobody waited for. The shop may still
// be at work on them.
type loose struct {
	mu      sync.Mutex
	batches []*looseBatch
}

type looseBatch struct {
	writes []*write
	sent   time.Time
}

const (
	// looseFor is how long a shop may go on with a batch.
	looseFor = 10 * time.Minute
	maxLoose = 1000
)

func (l *loose) add(writes []*write, sent time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.batches) >= maxLoose {
		l.batches = l.batches[1:]
	}
	l.batches = append(l.batches, &looseBatch{slices.Clone(writes), sent})
}

func (l *loose) remove(b *looseBatch) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.batches = slices.DeleteFunc(l.batches, func(other *looseBatch) bool { return other == b })
}

// touching returns the batches that may still change one of the products.
func (l *loose) touching(writes []*write) (found []*looseBatch) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.batches = slices.DeleteFunc(l.batches, func(b *looseBatch) bool { return time.Since(b.sent) >= looseFor })
	if len(l.batches) == 0 {
		return nil
	}
	roots := make(map[int64]bool, len(writes))
	for _, w := range writes {
		roots[w.root()] = true
	}
	for _, b := range l.batches {
		if slices.ContainsFunc(b.writes, func(w *write) bool { return roots[w.root()] }) {
			found = append(found, b)
		}
	}
	return found
}

// hold takes the products of a batch, as soon as nobody else writes them and it
// is known what became of earlier writes to them.
func (p *push) hold(ctx context.Context, batch []*write) (release func(), err error) {
	c := p.ch.client
	if release, err = c.busy.hold(ctx, batch); err != nil {
		return nil, err
	}
	for _, b := range c.loose.touching(batch) {
		if err := p.settleLoose(ctx, b); err != nil {
			release()
			return nil, fmt.Errorf("not written, since an earlier write may not be over: %w", err)
		}
		c.loose.remove(b)
	}
	return release, nil
}

// settleLoose waits until a batch that nobody waited for is over: all of it is
// shown, or what is shown stands still.
func (p *push) settleLoose(ctx context.Context, b *looseBatch) error {
	c := p.ch.client
	c.log.InfoContext(ctx, "an earlier write was abandoned, reading back what became of it",
		"channel", p.ch.Name(), "op", "POST "+path(b.writes), "items", len(b.writes), "age", time.Since(b.sent).Round(time.Second))
	var before []quantity
	for range maxReads {
		now, left, err := c.left(ctx, b.writes)
		switch {
		case err != nil:
			return err
		case len(left) == 0:
			return nil
		case slices.Equal(now, before) && (len(left) < len(b.writes) || time.Since(b.sent) >= stillFor):
			return nil
		}
		before = now
		if err := sleep(ctx, max(nextRead(time.Since(b.sent), len(b.writes)-len(left), len(left)), 5*time.Second)); err != nil {
			return err
		}
	}
	return fmt.Errorf("%w: the shop is still at work on it", channel.ErrUnavailable)
}

// stillFor is how long after it was sent a batch of which nothing is shown may
// still be waiting for its turn.
const stillFor = 15 * time.Second
