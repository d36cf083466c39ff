package woocommercetest

import (
	"context"
	"time"
)

// Visit is a customer who asks the shop for a page that takes d of a core's
// time, and returns when the page is there. It competes for Config.Cores with
// what the API does.
func (s *Server) Visit(ctx context.Context, d time.Duration) { s.compute(ctx, d) }
