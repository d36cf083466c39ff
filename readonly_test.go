package stocksync

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/ecosire"
	"github.com/ecosire/stocksync/ecosire/ecosiretest"
	"github.com/ecosire/stocksync/syncer"
)

// unsettable is a channel of which every optional interface writes.
type unsettable struct {
	*channeltest.Memory
	channel.Unsetter
}

// A planner cannot write even if it is told to.
func TestAPlannerCannotWrite(t *testing.T) {
	erp := ecosiretest.New(ecosiretest.Config{})
	ids := erp.Add(ecosiretest.Product{SKU: "MUG-1", OnHand: 5})
	source, err := ecosire.New(ecosire.Config{APIKey: "eco_live_test", HTTPClient: erp.Client()})
	require.NoError(t, err)
	shelf := channeltest.NewMemory("shelf")
	shelf.Set("MUG-1", 1)
	services := &Services{Source: source, Targets: []syncer.Target{{Channel: unsettable{Memory: shelf}}}}
	planner, err := services.planner()
	require.NoError(t, err)
	report, err := planner.SyncProducts(t.Context(), ids...)
	require.NoError(t, err)
	assert.ErrorIs(t, report.Err(), ErrReadOnly)
	n, _ := shelf.Quantity("MUG-1")
	assert.Equal(t, 1, n)

	unsetter, ok := channel.As[channel.Unsetter](readOnly{unsettable{Memory: shelf}})
	require.True(t, ok)
	assert.ErrorIs(t, unsetter.Unset(t.Context(), nil), ErrReadOnly)
	_, ok = channel.As[channel.Reader](readOnly{shelf})
	assert.True(t, ok, "reading goes through")
}
