package ecosire

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/text"
)

var _ channel.Finder = (*Client)(nil)

// Find returns the products whose SKU is exactly this one, by ECOSIRE's search:
// one request, of the first hundred products that ECOSIRE finds. It implements
// [channel.Finder]. The error matches [channel.ErrInvalid] for an SKU that is
// blank, and [channel.ErrIncomplete] if ECOSIRE finds more than a hundred and the
// SKU is not among these.
//
// What a search looks at is not documented. So an answer without the SKU does
// not prove that no product has it.
func (c *Client) Find(ctx context.Context, sku string) (productIDs []string, err error) {
	if strings.TrimSpace(sku) == "" || len(sku) > maxSKU {
		return nil, fmt.Errorf("ecosire: Find: the SKU %q: %w", text.Cut(sku, 100), channel.ErrInvalid)
	}
	a := c.products(ctx).page(ctx, c, request{query: url.Values{"search": {sku}}}, 1, pageSize)
	if a.err != nil {
		return nil, fmt.Errorf("ecosire: Find: %w", a.err)
	}
	for i := range a.entries {
		if p := &a.entries[i]; p.SKU == sku && p.ProductID != "" {
			productIDs = append(productIDs, p.ProductID)
		}
	}
	slices.Sort(productIDs)
	productIDs = slices.Compact(productIDs)
	if len(productIDs) == 0 && (a.total > pageSize || a.pages > 1) {
		return nil, fmt.Errorf("ecosire: Find: the SKU %q: ECOSIRE's search finds too much: %w", text.Cut(sku, 100), channel.ErrIncomplete)
	}
	return productIDs, nil
}

// maxSKU bounds the SKU of a search, in bytes: it travels in a URL.
const maxSKU = 1000
