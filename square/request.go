package square

import (
	"context"

	"github.com/ecosire/stocksync/internal/httpx"
)

// words are those of the paths of Square's API that this package uses.
var words = httpx.Words("v2 locations inventory changes counts catalog search batch-create batch-retrieve")

// operation names requests to whoever listens to them.
func operation(base string) func(context.Context, string, string) string {
	return func(_ context.Context, method, path string) string { return httpx.Template(method, base, path, words) }
}
