package woocommerce

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// settle waits until it is clear what became of writes that were sent at a
// time and ended with cause: PHP goes on for seconds when a proxy has given up.
// It returns those that are not shown, or, with an error, may not be.
func (p *push) settle(ctx context.Context, part []*write, sent time.Time, cause error) (left []*write, err error) {
	c := p.ch.client
	if e, ok := errors.AsType[*Error](cause); ok && e.Code == "internal_server_error" {
		// PHP said so itself when it ended: nothing goes on.
		_, left, err := c.left(ctx, part)
		if err != nil {
			return part, cmp.Or(ctx.Err(), fmt.Errorf("it could not be read back: %w; %w", err, cause))
		}
		return left, nil
	}
	c.log.WarnContext(ctx, "outcome of a write is not clear, reading back",
		"channel", p.ch.Name(), "op", "POST "+path(part), "items", len(part), "err", cause)
	wait := time.Second
	var before []quantity
	for range maxReads {
		if err := sleep(ctx, wait); err != nil {
			return part, err
		}
		var now []quantity
		now, left, err = c.left(ctx, part)
		switch {
		case ctx.Err() != nil:
			return part, ctx.Err()
		case err != nil:
			return part, fmt.Errorf("it could not be read back: %w; %w", err, cause)
		case len(left) == 0 || slices.Equal(now, before):
			return left, nil
		}
		before = now
		wait = nextRead(time.Since(sent), len(part)-len(left), len(left))
	}
	return left, fmt.Errorf("the shop is still at work on it: %w", cause)
}

// maxReads is how often a batch is looked at until it is over.
const maxReads = 15

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

// left reads writes back: the quantities that are shown, and what does not show
// its own. What cannot be read does not.
func (c *Client) left(ctx context.Context, part []*write) (now []quantity, left []*write, err error) {
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
		if f.row.err != nil {
			continue
		}
		r := *f.row
		byID[r.id] = r
		if r.stock == byParent {
			r.stock = managed // by the parent, and shown by the variation
			byID[r.parent] = r
		}
	}
	for _, w := range part {
		r := byID[w.id]
		if r.stock == unmanaged {
			r.quantity = quantity{none: true}
		}
		now = append(now, r.quantity)
		if !w.shows(r.stock, r.quantity) {
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
