package amazon

import (
	"context"
	"time"

	"github.com/ecosire/stocksync/channel"
)

// operationName names requests to whoever listens to them, as Amazon does.
func operationName(ctx context.Context, _, _ string) string {
	if r, ok := ctx.Value(requestKey{}).(*request); ok {
		if op := operationOf(r.method, r.path); op != "" {
			return op
		}
	}
	return "other"
}

var _ channel.Limited = (*Channel)(nil)

// Quota returns how many listings may be written at once now, of Amazon's
// quotas the one that a day with many sales exhausts first. It implements
// [channel.Limited].
func (ch *Channel) Quota() (channel.Quota, bool) {
	b := ch.client.buckets[patchListing]
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fill()
	q := channel.Quota{Left: max(0, b.tokens), Limit: b.burst, Unit: "request"}
	if time.Now().Before(b.blocked) {
		q.Left = 0
	}
	return q, true
}
