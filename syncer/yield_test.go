package syncer_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/syncer"
)

// A run over the catalogue reads a thousand products at a time, which takes
// some channels long. A sale must not wait for that, and never be written over.
func TestAnEventDoesNotWaitForAReconciliation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		src := newStock()
		m := channeltest.NewMemory("a")
		for i := range 1000 {
			id := fmt.Sprint(i)
			src.put(id, id, 7)
			m.Set(id, 7)
		}
		m.Set("2", 9) // which the run mends
		slow := &channeltest.Intercept{Channel: m, OnLevels: func(ctx context.Context, next channel.Reader, skus []string) ([]channel.Level, error) {
			levels, err := next.Levels(ctx, skus)
			time.Sleep(time.Duration(len(skus)) * 10 * time.Millisecond)
			return levels, err
		}}
		s, err := syncer.New(syncer.Config{Source: src, Targets: []syncer.Target{{Channel: slow}}, Schedule: syncer.Never()})
		require.NoError(t, err)
		running(t, s)
		var wg sync.WaitGroup
		var report *syncer.Report
		wg.Go(func() { report, err = s.Reconcile(t.Context()) })
		time.Sleep(3 * time.Second) // it reads
		src.put("1", "1", 4)
		require.NoError(t, s.Notify(t.Context(), "1"))
		time.Sleep(1500 * time.Millisecond)
		n, _ := m.Quantity("1")
		assert.Equal(t, 4, n, "the run goes on reading for some seconds more")
		wg.Wait()
		require.NoError(t, err)
		r := report.Channels[0]
		assert.Equal(t, 1000, r.Checked)
		assert.Equal(t, 1000, r.OnSale)
		assert.Equal(t, 1, r.Updated)
		assert.Zero(t, r.Superseded)
		n, _ = m.Quantity("1")
		assert.Equal(t, 4, n)
	})
}
