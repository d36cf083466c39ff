package shopify

import (
	"context"
	"time"

	"github.com/ecosire/stocksync/channel"
)

// operationName names requests to whoever listens to them.
func operationName(ctx context.Context, _, _ string) string {
	if x, ok := ctx.Value(exchangeKey{}).(*exchange); ok {
		return x.op.name
	}
	return "other"
}

var (
	_ channel.Limited = (*Client)(nil)
	_ channel.Limited = (*Channel)(nil)
)

// Quota returns how many points the shop has left, as far as the client knows.
// ok is false before the first answer. It implements [channel.Limited].
func (c *Client) Quota() (q channel.Quota, ok bool) {
	b := c.bucket
	b.mu.Lock()
	defer b.mu.Unlock()
	points := min(b.maximum, b.points+b.rate*time.Since(b.at).Seconds()) - b.held
	return channel.Quota{Left: max(0, points), Limit: b.maximum, Unit: "point"}, !b.at.IsZero()
}

// Quota is [Client.Quota].
func (ch *Channel) Quota() (channel.Quota, bool) { return ch.client.Quota() }
