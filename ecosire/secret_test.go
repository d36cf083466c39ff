package ecosire_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/ecosire"
)

// Nothing that prints, logs or encodes our values shows what they keep.
func TestSecretsAreNotPrinted(t *testing.T) {
	const secret = "eco_live_verysecret"
	cfg := ecosire.Config{APIKey: secret, BaseURL: "https://erp.example/api"}
	c, err := ecosire.New(cfg)
	require.NoError(t, err)
	w, err := ecosire.NewWebhooks(secret)
	require.NoError(t, err)
	type host struct {
		client   *ecosire.Client
		webhooks *ecosire.Webhooks
		byValue  ecosire.Webhooks
		any      []any
	}
	for _, v := range []any{
		cfg, &cfg, c, *w, w, host{c, w, *w, []any{c, w}}, &host{c, w, *w, []any{c, w}}, map[string]any{"a": cfg, "b": c, "c": w},
		struct{ Config ecosire.Config }{cfg}, struct{ Config *ecosire.Config }{&cfg},
	} {
		var logs bytes.Buffer
		slog.New(slog.NewTextHandler(&logs, nil)).Info("it", slog.Any("v", v))
		slog.New(slog.NewJSONHandler(&logs, nil)).Info("it", slog.Any("v", v))
		encoded, _ := json.Marshal(v)
		for _, text := range []string{fmt.Sprintf("%v %+v %#v %s %q %x", v, v, v, v, v, v), logs.String(), string(encoded)} {
			assert.NotContains(t, text, secret, "%T", v)
			assert.NotContains(t, text, fmt.Sprint([]byte(secret))[1:40], "%T", v)
			assert.NotContains(t, text, fmt.Sprintf("%x", secret), "%T", v)
		}
	}
	assert.Contains(t, fmt.Sprintf("%+v", cfg), "erp.example")
	assert.Equal(t, "ecosire.Client(erp.example)", c.String())
}
