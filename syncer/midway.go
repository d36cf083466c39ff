package syncer

import (
	"context"
	"errors"
	"time"
)

// errMidway: work was called for in a hook, in the middle of other work, which does
// not end before the hook returns.
var errMidway = errors.New("called in a hook that work waits for: call it in a goroutine of its own, and let the hook return")

// hookReturns is how long such a call waits for the hook to return, since it may be
// in a goroutine of its own already.
const hookReturns = time.Second

type (
	passKey   struct{}
	midwayKey struct{}
)

// A midway is a call of a hook in the middle of a pass.
type midway struct {
	s        *Syncer
	returned chan struct{} // closed when it returns
}

// inPass returns the context of a pass that has SKUs to itself.
func (s *Syncer) inPass(ctx context.Context) context.Context {
	return context.WithValue(ctx, passKey{}, s)
}

// midwayHook is hook for those that may be called in the middle of a pass.
func (s *Syncer) midwayHook(ctx context.Context, what, name, productID, sku string, f func(context.Context)) {
	if ctx.Value(passKey{}) == s {
		m := &midway{s, make(chan struct{})}
		defer close(m.returned)
		ctx = context.WithValue(ctx, midwayKey{}, m)
	}
	s.hook(ctx, what, name, productID, sku, func() { f(ctx) })
}

// notMidway returns an error if ctx is that of a hook that a pass waits for: what
// waits for passes would wait for itself.
func (s *Syncer) notMidway(ctx context.Context) error {
	m, _ := ctx.Value(midwayKey{}).(*midway)
	if m == nil || m.s != s {
		return nil
	}
	timer := time.NewTimer(hookReturns)
	defer timer.Stop()
	select {
	case <-m.returned:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return errMidway
	}
}
