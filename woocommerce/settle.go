package woocommerce

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/ecosire/stocksync/internal/httpx"
)

// possiblyApplied reports whether a write that ended with err may have been
// done, in part or in whole.
func possiblyApplied(err error) bool {
	if h, ok := errors.AsType[*httpx.Error](err); ok && h.Unsent {
		return false
	}
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return true // there was no answer
	}
	return e.Status < 300 || e.Status >= 500 || e.Status == http.StatusRequestTimeout
}

// settle waits until it is clear what became of writes that were sent at a
// time and ended with cause: PHP goes on for seconds when a proxy has given up.
// It returns those that are not shown, or, with an error, may not be.
func (p *push) settle(ctx context.Context, part []*write, sent time.Time, cause error) (left []*write, err error) {
	const reads = 15
	c := p.ch.client
	c.log.WarnContext(ctx, "outcome of a write is not clear, reading back",
		"channel", p.ch.Name(), "op", "POST "+path(part), "items", len(part), "err", cause)
	wait := time.Second
	var before []figure
	for range reads {
		if err := sleep(ctx, wait); err != nil {
			return part, err
		}
		var now []figure
		now, left, err = c.left(ctx, part)
		switch {
		case ctx.Err() != nil:
			return part, ctx.Err()
		case err != nil:
			return part, fmt.Errorf("not clear whether it was applied: %w; reading back: %w", cause, err)
		case len(left) == 0 || slices.Equal(now, before):
			return left, nil
		}
		before = now
		wait = nextRead(time.Since(sent), len(part)-len(left), len(left))
	}
	return left, fmt.Errorf("the shop is still at work on it: %w", cause)
}

// nextRead is how long to wait for another look at a batch of which so much is
// done after so long: at least the time of two items, since standing still
// means nothing sooner, and half of the time that the rest will take.
func nextRead(elapsed time.Duration, done, left int) time.Duration {
	each := elapsed / time.Duration(max(1, done))
	wait := max(2*time.Second, 2*each)
	if done > 0 {
		wait = max(wait, each*time.Duration(left)/2)
	}
	return min(wait, 10*time.Second)
}

// left reads writes back: the figures that are shown, and what does not show its own.
func (c *Client) left(ctx context.Context, part []*write) (now []figure, left []*write, err error) {
	skus := make([]string, len(part))
	for i, w := range part {
		skus[i] = w.sku
	}
	rows, _, err := c.find(ctx, skus)
	if err != nil {
		return nil, nil, err
	}
	byID := make(map[int64]row, len(rows))
	for _, f := range rows {
		byID[f.row.ID] = f.row
		if f.row.Stock == byParent {
			f.row.Stock = managed // by the parent, and shown by the variation
			byID[f.row.ParentID] = f.row
		}
	}
	for _, w := range part {
		r := byID[w.id]
		now = append(now, r.Quantity)
		if !w.shows(r.Stock, r.Quantity) {
			left = append(left, w)
		}
	}
	return now, left, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
