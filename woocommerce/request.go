package woocommerce

import (
	"context"

	"github.com/ecosire/stocksync/internal/httpx"
)

// words are those of the paths of WooCommerce's API that this package uses.
var words = httpx.Words("products variations batch webhooks")

// operation names requests to whoever listens to them.
func operation(base string) func(context.Context, string, string) string {
	return func(_ context.Context, method, path string) string {
		return httpx.Template(method, base+apiPath, path, words)
	}
}
