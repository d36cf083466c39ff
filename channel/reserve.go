package channel

import "context"

type reserveKey struct{}

// WithReserve returns a context for work that can wait: a source with a quota
// leaves this share of it, from 0 to 1, to calls without a reserve, for as long
// as these can still use it.
func WithReserve(ctx context.Context, share float64) context.Context {
	return context.WithValue(ctx, reserveKey{}, min(max(share, 0), 1))
}

// Reserve returns the share that [WithReserve] put into ctx, or 0.
func Reserve(ctx context.Context) float64 {
	share, _ := ctx.Value(reserveKey{}).(float64)
	return share
}
