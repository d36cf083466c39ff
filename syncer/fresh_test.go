package syncer

import (
	"context"
	"iter"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
)

// one is a source with one product.
type one struct{}

func (one) Stock(context.Context, ...string) iter.Seq2[channel.Stock, error] {
	return func(yield func(channel.Stock, error) bool) {
		yield(channel.Stock{ProductID: "p", SKU: "A", Available: 1, AsOf: time.Now()}, nil)
	}
}

// While Run is idle its last read must not make the lanes remember all that
// other runs do, such as a reconciliation of a million products.
func TestAnIdleRunLetsTheLanesForget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := channeltest.NewMemory("a")
		m.Set("A", 5)
		s, err := New(Config{Source: one{}, Targets: []Target{{Channel: m}}})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- s.Run(ctx) }()
		require.NoError(t, s.Notify(ctx, "p"))
		time.Sleep(time.Second)
		synctest.Wait()
		sizes := func() (open, done int) {
			l := s.targets[0].lane
			l.mu.Lock()
			defer l.mu.Unlock()
			return len(l.open), len(l.done)
		}
		open, _ := sizes()
		assert.Equal(t, 1, open, "the read may serve others for a moment")
		time.Sleep(2 * freshFor)
		synctest.Wait()
		open, remembered := sizes()
		assert.Zero(t, open)
		assert.Zero(t, remembered)
		cancel()
		require.NoError(t, <-ended)
	})
}
