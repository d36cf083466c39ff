package ecosire

import (
	"time"

	"github.com/ecosire/stocksync/channel"
)

var _ channel.Clocked = (*Client)(nil)

// Skew implements [channel.Clocked] by the Date headers of the last three answers
// within the hour. It is exact to a second and the time that a request took, and
// errs towards zero.
func (c *Client) Skew() (ahead time.Duration, ok bool) { return c.http.Skew() }
