package httpx

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
)

func TestEachAttemptIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hc, _ := script(answers(503, ""), fails(errors.New("broken by key-of-the-shop")), torn, answers(200, "{}"))
		c := New(Config{
			Service: "svc", HTTPClient: hc, Secrets: []string{"key-of-the-shop"},
			Op: func(_ context.Context, method, path string) string {
				return Template(method, "/v1", path, Words("things"))
			},
		})
		var told []channel.Request
		ctx := channel.WithRequests(t.Context(), func(_ context.Context, r channel.Request) { told = append(told, r) })
		_, err := c.Do(ctx, Request{Method: http.MethodGet, URL: target, Repeat: true})
		require.NoError(t, err)
		require.Len(t, told, 4)
		for i, status := range []int{503, 0, 0, 200} {
			r := told[i]
			assert.Equal(t, []any{"svc", "GET /things", "GET", "api.example", i + 1, status}, []any{r.Service, r.Op, r.Method, r.Host, r.Attempt, r.Status})
			assert.Equal(t, status == 0, r.Err != nil)
			assert.False(t, r.Sent.IsZero())
		}
		assert.EqualError(t, told[1].Err, "broken by [redacted]")

		told = nil
		_, err = c.Do(t.Context(), Request{Method: http.MethodGet, URL: target})
		require.NoError(t, err)
		assert.Empty(t, told, "of another context")
	})
}

func TestTemplate(t *testing.T) {
	words := Words("inventory products stock")
	for path, want := range map[string]string{
		"/api/inventory/products":                   "GET /inventory/products",
		"/api/inventory/products/018e-5678/stock":   "GET /inventory/products/{id}/stock",
		"/api/inventory/products/../../etc":         "GET /inventory/products/{id}/{id}/{id}",
		"/api/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q/r/": "GET /{id}/{id}/{id}/{id}/{id}/{id}/{id}/{id}",
	} {
		assert.Equal(t, want, Template("GET", "/api", path, words))
	}
}

func TestWhoDoesNotListenPaysNothing(t *testing.T) {
	c := New(Config{Service: "svc"})
	ctx, req := t.Context(), &http.Request{}
	assert.Zero(t, testing.AllocsPerRun(100, func() { c.observe(heard(ctx), req, time.Time{}, nil, nil) }))
}
