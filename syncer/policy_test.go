package syncer_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/syncer"
)

func TestPolicyAndFilter(t *testing.T) {
	m := shop("a", 4)
	s, err := syncer.New(syncer.Config{Source: newStock(9, 1000, 3, 50), Targets: []syncer.Target{{
		Channel: m,
		Policy:  syncer.Available().Share(50).Buffer(2).Cap(20),
		Filter:  func(s channel.Stock) bool { return s.SKU != "SKU-3" },
	}}})
	require.NoError(t, err)
	_, err = s.SyncProducts(t.Context(), "p0", "p1", "p2", "p3")
	require.NoError(t, err)
	shows(t, m, 2, 20, 0, 100)
}

func TestPolicies(t *testing.T) {
	for _, tt := range []struct {
		name   string
		policy syncer.Policy
		in     int
		want   int
	}{
		{"available", syncer.Available(), 5, 5},
		{"oversold", syncer.Available(), -5, 0},
		{"buffer", syncer.Available().Buffer(2), 5, 3},
		{"buffer larger than stock", syncer.Available().Buffer(9), 5, 0},
		{"cap", syncer.Available().Cap(3), 5, 3},
		{"share rounds down", syncer.Available().Share(33), 5, 1},
		{"share of much", syncer.Available().Share(50), large, large / 2},
		{"order matters", syncer.Available().Buffer(1).Share(50), 5, 2},
		{"share of nothing", syncer.Available().Share(0), 5, 0},
		{"share of all", syncer.Available().Share(100), 5, 5},
		{"cap at nothing", syncer.Available().Cap(0), 5, 0},
		{"then, of the zero policy", syncer.Policy{}.Then("less one", func(_ channel.Stock, n int) (int, error) { return n - 1, nil }), 5, 4},
		{"own", syncer.Custom("less ten", func(s channel.Stock) (int, error) { return s.Available - 10, nil }), 5, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.policy.Quantity(channel.Stock{Available: tt.in})
			require.NoError(t, err)
			assert.Equal(t, tt.want, got)
		})
	}
}

// Explain tells how far a policy knows the way to a quantity.
func TestPolicyExplainsUpToWhatItDoesNotKnow(t *testing.T) {
	p := syncer.Available().Buffer(2).Then("bundles", func(channel.Stock, int) (int, error) { return 0, channel.ErrUnavailable })
	steps, err := p.Explain(channel.Stock{Available: 5})
	require.ErrorIs(t, err, channel.ErrUnavailable)
	require.ErrorContains(t, err, "bundles")
	assert.Equal(t, []syncer.Step{{Name: "available", Quantity: 5}, {Name: "buffer 2", Quantity: 3}}, steps)
	_, err = syncer.Available().Buffer(-1).Explain(channel.Stock{Available: 5})
	assert.ErrorContains(t, err, "more than there is")
}
