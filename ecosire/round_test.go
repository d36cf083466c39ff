package ecosire_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/ecosire"
)

func TestRoundDown(t *testing.T) {
	rows := &answering{rows: []string{
		`{"productId":"p1","sku":"HOSE","onHand":3.7,"reserved":0.2,"available":3.5,"uom":"m"}`,
		`{"productId":"p2","sku":"TEA","onHand":3.1,"reserved":0.9,"available":2.2}`,
		`{"productId":"p3","sku":"OWED","onHand":1.5,"reserved":2,"available":-0.5}`,
		`{"productId":"p4","sku":"ODD","onHand":9.5,"reserved":0,"available":"9.5"}`,
		`{"productId":"p5","sku":"MUG","onHand":4,"reserved":1,"available":3.0}`,
	}}
	var logs bytes.Buffer
	c, err := ecosire.New(ecosire.Config{APIKey: "eco_live_test", RoundDown: true, HTTPClient: &http.Client{Transport: rows},
		Logger: slog.New(slog.NewTextHandler(&logs, nil))})
	require.NoError(t, err)
	for range 2 {
		got, err := collect(c.Stock(t.Context()))
		require.NoError(t, err)
		want := map[string]int{"HOSE": 3, "TEA": 2, "OWED": -1, "MUG": 3}
		for _, s := range got {
			if n, ok := want[s.SKU]; assert.Equal(t, ok, s.Err == nil, s.SKU) && ok {
				assert.Equal(t, n, s.Available, s.SKU)
			}
		}
	}
	assert.Equal(t, 3, strings.Count(logs.String(), "is not whole, and is rounded down"), "each product once: %s", &logs)
	assert.NotContains(t, logs.String(), "is not onHand less reserved")

	got, err := collect(client(t, rows, &logs).Stock(t.Context()))
	require.NoError(t, err)
	for _, s := range got {
		assert.Equal(t, s.SKU != "MUG", s.Err != nil, "without the option %s is an error", s.SKU)
	}
}
