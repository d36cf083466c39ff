package woocommerce

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/ecosire/stocksync/channel"
)

func TestErrorIs(t *testing.T) {
	tests := []struct {
		status int
		code   string
		item   bool
		want   error
	}{
		{status: 401, code: "woocommerce_rest_cannot_view", want: channel.ErrUnauthorized},
		{status: 403, want: channel.ErrUnauthorized},
		{status: 400, code: "woocommerce_rest_product_invalid_id", want: channel.ErrUnknownSKU},
		{status: 404, code: "woocommerce_rest_product_variation_invalid_id", item: true, want: channel.ErrUnknownSKU},
		{status: 404, code: "woocommerce_rest_invalid_product_id", item: true, want: channel.ErrConflict},
		{status: 400, code: "product_external_invalid_manage_stock", item: true, want: channel.ErrNotTracked},
		{status: 400, code: "some_plugin_says_no", item: true, want: channel.ErrInvalid},
		{status: 400, code: "rest_invalid_param", want: nil}, // says nothing of any one product
		{status: 404, code: "rest_no_route", want: channel.ErrUnavailable},
		{status: 404, want: channel.ErrUnavailable},
		{status: 406, want: channel.ErrUnavailable},
		{status: 413, want: channel.ErrUnavailable},
		{status: 429, want: channel.ErrUnavailable},
		{status: 500, code: "internal_server_error", want: channel.ErrUnavailable},
		{status: 301, want: channel.ErrUnavailable},
		{status: 200, want: channel.ErrUnavailable},
	}
	all := []error{channel.ErrUnauthorized, channel.ErrUnknownSKU, channel.ErrConflict, channel.ErrNotTracked,
		channel.ErrInvalid, channel.ErrUnavailable, channel.ErrNotApplied}
	for _, tt := range tests {
		err := &Error{Status: tt.status, Code: tt.code, item: tt.item}
		for _, target := range all {
			assert.Equal(t, target == tt.want, errors.Is(err, target), "%d %s: %v", tt.status, tt.code, target)
		}
	}
}
