package ecosire

import (
	"context"
	"time"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/httpx"
)

// words are those of the paths of ECOSIRE's API that this package uses.
var words = httpx.Words("inventory products stock locations moves transfers validate cancel adjustments orders lines")

// operation names requests to whoever listens to them.
func operation(base string) func(context.Context, string, string) string {
	return func(_ context.Context, method, path string) string { return httpx.Template(method, base, path, words) }
}

var _ channel.Limited = (*Client)(nil)

// Quota returns how many requests ECOSIRE has left in this window, as far as
// the client knows, and those that the client may use of a window. It
// implements [channel.Limited].
func (c *Client) Quota() (channel.Quota, bool) {
	c.quota.mu.Lock()
	defer c.quota.mu.Unlock()
	left, _ := c.quota.account.left(time.Now())
	return channel.Quota{Left: float64(max(0, left)), Limit: float64(c.quota.account.most()), Unit: "request"}, true
}
