package syncer

import (
	"context"
	"iter"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
)

// refusing is a source that refuses a call with the first of its ids that it knows an
// error for.
type refusing map[string]error

func (r refusing) Stock(_ context.Context, ids ...string) iter.Seq2[channel.Stock, error] {
	return func(yield func(channel.Stock, error) bool) {
		for _, id := range ids {
			if err := r[id]; err != nil {
				yield(channel.Stock{}, err)
				return
			}
		}
		for _, id := range ids {
			if !yield(channel.Stock{ProductID: id, SKU: id, Available: 5, AsOf: time.Now()}, nil) {
				return
			}
		}
	}
}

// What the source refuses for one product is that product's error. Where the source
// fails as a whole none is blamed for it.
func TestWhomASourcesErrorIsAbout(t *testing.T) {
	for name, tt := range map[string]struct {
		source refusing
		want   map[string]error // and for all others none
		read   int
		err    error
	}{
		"nobody":        {source: refusing{}, read: 4},
		"one":           {source: refusing{"2": channel.ErrInvalid}, want: map[string]error{"2": channel.ErrInvalid}, read: 4},
		"the whole":     {source: refusing{"1": channel.ErrUnauthorized, "2": channel.ErrUnauthorized, "3": channel.ErrUnauthorized, "4": channel.ErrUnauthorized}, err: channel.ErrUnauthorized},
		"one, and then": {source: refusing{"1": channel.ErrInvalid, "2": channel.ErrUnauthorized, "3": channel.ErrUnauthorized}, err: channel.ErrUnauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := New(Config{Source: tt.source, Targets: []Target{{Channel: channeltest.NewMemory("a")}}})
			require.NoError(t, err)
			found, err := s.fetchOnly(t.Context(), []string{"1", "2", "3", "4"})
			require.ErrorIs(t, err, tt.err)
			assert.Len(t, found, tt.read)
			for id, stock := range found {
				require.ErrorIs(t, stock.Err, tt.want[id], id)
			}
		})
	}
}
