package stocksync_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync"
	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/woocommerce"
)

// TestWebhooksOfShopsFromTheEnvironment: with its secret a channel's deliveries
// have a handler, and without there is none to mount.
func TestWebhooksOfShopsFromTheEnvironment(t *testing.T) {
	for _, tt := range []struct {
		name  string
		env   []map[string]string
		hears bool
		wrong string
	}{
		{"WooCommerce", []map[string]string{envWoo, {"WC_WEBHOOK_SECRET": "s"}}, true, ""},
		{"a rotation", []map[string]string{envWoo, {"WC_WEBHOOK_SECRET": "s", "WC_WEBHOOK_SECRET_NEXT": "t"}}, true, ""},
		{"no secret", []map[string]string{envWoo}, false, ""},
		{"Square", []map[string]string{envSquare, {"SQUARE_WEBHOOK_KEY": "k", "SQUARE_WEBHOOK_URL": "https://stock.example/hooks"}}, true, ""},
		{"Square without an address", []map[string]string{envSquare, {"SQUARE_WEBHOOK_KEY": "k"}}, false, "webhooks"},
		{"Square without a key", []map[string]string{envSquare, {"SQUARE_WEBHOOK_URL": "https://stock.example/hooks"}}, false, "no key"},
		{"a secret alone", []map[string]string{{"WC_WEBHOOK_SECRET": "s"}}, false, "WooCommerce is configured in part"},
		{"a watch that is none", []map[string]string{envWoo, {"WC_WATCH": "often"}}, false, "WC_WATCH"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := stocksync.FromEnv(stocksync.Config{Getenv: lookup(append(tt.env, envECOSIRE)...)})
			if tt.wrong != "" {
				require.ErrorContains(t, err, tt.wrong)
				return
			}
			require.NoError(t, err)
			w, err := s.Writer(syncer.Config{})
			require.NoError(t, err)
			_, err = w.ChannelHandler(s.Targets[0].Channel.Name())
			assert.Equal(t, tt.hears, err == nil, "%v", err)
		})
	}
	s, err := stocksync.FromEnv(stocksync.Config{Getenv: lookup(envECOSIRE, envWoo, map[string]string{"WC_WATCH": "15s", "WC_WEBHOOK_SECRET": "s", "WC_WEBHOOK_SECRET_NEXT": "t"})})
	require.NoError(t, err)
	assert.Equal(t, "15s", s.Targets[0].Watch.Every.String())
	for _, secret := range []string{"s", "t"} {
		_, err := s.Targets[0].Webhooks.Receive(t.Context(), map[string][]string{"X-Wc-Webhook-Signature": {woocommerce.SignWebhook(secret, []byte("{}"))}}, []byte("{}"))
		require.NoError(t, err)
	}
}
