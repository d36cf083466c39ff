package channel

import "context"

type runKey struct{}

// WithRun returns a context that carries the name of the run that causes the
// calls made with it. Channels that keep a history of changes write it there.
func WithRun(ctx context.Context, run string) context.Context {
	return context.WithValue(ctx, runKey{}, run)
}

// Run returns the name that [WithRun] put into ctx, or "".
func Run(ctx context.Context) string {
	run, _ := ctx.Value(runKey{}).(string)
	return run
}

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
