package logs

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"testing"
	"testing/slogtest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
)

func plain(b *bytes.Buffer) *slog.Logger {
	return slog.New(slog.NewTextHandler(b, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
}

func TestLinesSayWhatTheirContextSays(t *testing.T) {
	var b bytes.Buffer
	log := New(plain(&b))
	ctx := With(With(channel.WithRun(t.Context(), "sync-1"), Channel, "shop"), SKU, "A")
	for _, tt := range []struct {
		ctx  context.Context
		log  func(ctx context.Context)
		want string
	}{
		{t.Context(), func(ctx context.Context) { log.InfoContext(ctx, "hello") }, "level=INFO msg=hello\n"},
		{ctx, func(ctx context.Context) { log.InfoContext(ctx, "hello", "n", 1) }, "level=INFO msg=hello n=1 run=sync-1 sku=A channel=shop\n"},
		{ctx, func(ctx context.Context) { log.InfoContext(ctx, "hello", "sku", "B", "run", "x") }, "level=INFO msg=hello sku=B run=x channel=shop\n"},
		{With(ctx, SKU, "C"), func(ctx context.Context) { log.InfoContext(ctx, "hello") }, "level=INFO msg=hello run=sync-1 sku=C channel=shop\n"},
		{With(ctx, SKU, ""), func(ctx context.Context) { log.InfoContext(ctx, "hello") }, "level=INFO msg=hello run=sync-1 sku=A channel=shop\n"},
		{ctx, func(ctx context.Context) { log.With("channel", "mine").InfoContext(ctx, "hello") }, "level=INFO msg=hello channel=mine run=sync-1 sku=A\n"},
		{ctx, func(ctx context.Context) { New(log).InfoContext(ctx, "hello") }, "level=INFO msg=hello run=sync-1 sku=A channel=shop\n"},
		{ctx, func(ctx context.Context) { log.DebugContext(ctx, "hello") }, ""},
		{ctx, func(ctx context.Context) { New(nil).ErrorContext(ctx, "hello") }, ""},
	} {
		b.Reset()
		tt.log(tt.ctx)
		assert.Equal(t, tt.want, b.String())
	}
}

func TestTheHandlerIsAHandler(t *testing.T) {
	var b bytes.Buffer
	slogtest.Run(t, func(*testing.T) slog.Handler {
		b.Reset()
		return New(slog.New(slog.NewJSONHandler(&b, nil))).Handler()
	}, func(t *testing.T) map[string]any {
		line := make(map[string]any)
		require.NoError(t, json.Unmarshal(b.Bytes(), &line))
		return line
	})
}
