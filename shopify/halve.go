package shopify

import (
	"context"
	"errors"
	"math/bits"
	"slices"
	"time"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/httpx"
)

const (
	// maxTries bounds the requests that find out what a batch failed for.
	maxTries = 64
	// maxBlameTime is how long a request may have failed for until nobody looks
	// for the entry that it failed for: then the service is slow, not an entry.
	maxBlameTime = 45 * time.Second
)

// halve finds the entries of a batch that a request fails for, after it failed
// for all of them: it tries halves, and halves of those that fail too. try
// returns which of its entries it failed for. blame gets each entry that fails
// alone while others do not.
//
// If everything fails, or it would take too many tries, or an error is not
// about entries at all, halve returns what is left and the error.
func halve[T any](entries []T, try func([]T) (left []T, err error), blame func(T, error), about func(error) bool) (left []T, _ error) {
	if len(entries) < 2 {
		panic("shopify: nothing to halve")
	}
	type suspect struct {
		entry T
		err   error
	}
	var suspects []suspect // that failed alone before anything worked
	worked, failures := false, 0
	open := [][]T{entries[len(entries)/2:], entries[:len(entries)/2]}
	rest := func() (all []T) {
		for _, s := range suspects {
			all = append(all, s.entry)
		}
		for _, some := range open {
			all = append(all, some...)
		}
		return all
	}
	for tries := 1; len(open) > 0; tries++ {
		some := open[len(open)-1]
		open = open[:len(open)-1]
		failed, err := try(some)
		switch {
		case err == nil:
			worked = true
			for _, s := range suspects {
				blame(s.entry, s.err)
			}
			suspects = nil
			continue
		case len(failed) < len(some):
			worked = true // some of it went well
		}
		failures++
		switch {
		case len(failed) == 0:
		case !about(err), tries >= maxTries, !worked && failures > bits.Len(uint(len(entries)))+1:
			return append(slices.Clone(failed), rest()...), err
		case len(failed) > 1:
			open = append(open, failed[len(failed)/2:], failed[:len(failed)/2])
		case worked, byUser(err):
			blame(failed[0], err)
		default:
			suspects = append(suspects, suspect{failed[0], err})
		}
	}
	if len(suspects) > 0 {
		return rest(), suspects[0].err
	}
	return nil, nil
}

// blameable reports whether an error that came for a batch may be about one of
// its entries: the shop refused it, or fails each time although it is there.
// since is when the batch was sent first.
func (c *Client) blameable(ctx context.Context, err error, since time.Time) bool {
	if ctx.Err() != nil || !aboutEntries(err) || time.Since(since) > maxBlameTime {
		return false
	}
	if refused(err) {
		return true
	}
	_, failed := c.do(ctx, ping, nil)
	return failed == nil
}

// aboutEntries reports whether another request, for other entries, might go
// better.
func aboutEntries(err error) bool {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	if fault, ok := errors.AsType[*Error](err); ok {
		return !fault.fatal()
	}
	_, ok := errors.AsType[*httpx.Error](err)
	return ok || refused(err)
}

// byUser reports whether an error is made of user errors: the shop understood
// the request, and says no to what is in it.
func byUser(err error) bool {
	fault, ok := errors.AsType[*Error](err)
	return ok && fault.user && !fault.fatal()
}

// refused reports whether the shop says no for a reason of the request's own,
// and will again.
func refused(err error) bool {
	if errors.Is(err, errFlood) {
		return true
	}
	fault, ok := errors.AsType[*Error](err)
	return ok && !fault.fatal() && !fault.Is(channel.ErrUnavailable)
}
