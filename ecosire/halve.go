package ecosire

import (
	"context"
	"sync"
	"time"

	"github.com/ecosire/stocksync/channel"
)

// A hunt finds what in a whole makes ECOSIRE refuse it, or fail, by asking for
// parts.
type hunt[P any] struct {
	*Client
	size  func(P) int
	split func(P) []P         // into parts that together are the whole
	join  func(parts []P) []P // into as few as can be asked for
	ask   func(P) error
	alone func(P, error) // is told of each entry that fails by itself
	// patient is whether to wait for the budget of requests.
	patient bool
}

// isolate begins with a whole that failed. It returns the parts for which the
// budget did not suffice. Its error says that nothing is wrong with the whole in
// particular: ECOSIRE fails whatever it is asked.
//
// What is next to a part that fails is set aside until the entry is found that
// makes it fail, and is then asked for together: most often there is only one.
func (h hunt[P]) isolate(ctx context.Context, whole P, failure error) (left []P, err error) {
	var aside []P
	failing := []P{whole} // each fails, or others of its kind do not
	sound := false        // something was answered
	try := func(part P) (failed, ok bool) {
		if ok = h.take(ctx); !ok {
			err = ctx.Err()
			return false, false
		}
		e := h.ask(part)
		switch {
		case e == nil:
			sound = true
			return false, true
		case !partial(e):
			err = e
			return true, false
		}
		failure = e
		if !sound {
			sound, err = h.sound(ctx, failure)
		}
		return true, sound
	}
	for {
		if len(failing) == 0 {
			aside = h.join(aside)
			if len(aside) == 0 {
				return nil, nil
			}
			failed, ok := try(aside[0])
			if !ok {
				return aside, err
			}
			if failed {
				failing = aside[:1:1]
			}
			aside = aside[1:]
			continue
		}
		part := failing[0]
		if h.size(part) == 1 {
			if !sound {
				if sound, err = h.sound(ctx, failure); !sound {
					return append(failing, aside...), err
				}
			}
			h.alone(part, failure)
			failing = nil
			continue
		}
		parts := h.split(part)
		for i, p := range parts {
			failed := i == len(parts)-1 // the others are well, so it must be this one
			if !failed || h.size(p) == 1 {
				var ok bool
				if failed, ok = try(p); !ok {
					return append(parts[i:], aside...), err
				}
			}
			if failing = nil; failed {
				failing = []P{p}
				aside = append(aside, parts[i+1:]...)
				break
			}
		}
	}
}

// sound asks for something simple, to tell trouble with a part from trouble
// with ECOSIRE as a whole, which it returns as an error. It is false if there
// is no budget to find out.
func (h hunt[P]) sound(ctx context.Context, failure error) (bool, error) {
	var err error
	for page := range 2 { // one of them may hold what makes ECOSIRE fail
		if !h.take(ctx) {
			return false, ctx.Err()
		}
		if err = h.products(ctx).page(ctx, h.Client, request{once: true}, page+1, 1).err; err == nil {
			break
		}
	}
	switch e, ok := failure.(*Error); {
	case err == nil:
		return true, nil
	case ctx.Err() != nil:
		return false, ctx.Err()
	case ok && final(failure):
		everything := *e
		everything.kind = channel.ErrUnavailable
		return false, &everything
	}
	return false, failure
}

// take takes a request from the budget.
func (h hunt[P]) take(ctx context.Context) bool {
	for !h.halving.take() {
		if !h.patient || sleep(ctx, h.halving.wait()) != nil {
			return false
		}
	}
	return true
}

// A budget is a number of requests a minute.
type budget struct {
	mu    sync.Mutex
	taken []time.Time // in the last minute, the oldest first
}

// maxHalving is how many requests a minute may go for finding what makes others
// fail.
const maxHalving = 10

// take takes a request, if there is one.
func (b *budget) take() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	for len(b.taken) > 0 && now.Sub(b.taken[0]) >= time.Minute {
		b.taken = b.taken[1:]
	}
	if len(b.taken) >= maxHalving {
		return false
	}
	b.taken = append(b.taken, now)
	return true
}

// wait returns how long it takes until there is a request.
func (b *budget) wait() time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.taken) < maxHalving {
		return 0
	}
	return max(0, time.Minute-time.Since(b.taken[len(b.taken)-maxHalving]))
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
