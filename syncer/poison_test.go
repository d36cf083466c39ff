package syncer_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/syncer"
)

// One product that breaks its batch (a 500 for the whole call) on a channel.
func TestAnUpdateThatBreaksItsBatchSpoilsNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := newStock(), channeltest.NewMemory("a")
		var ids []string
		for i := range 1000 {
			id := fmt.Sprintf("p%d", i)
			source.put(id, id, 5)
			m.Set(id, 7)
			ids = append(ids, id)
		}
		pushes := 0
		c := &channeltest.Intercept{Channel: m, OnPush: func(ctx context.Context, next channel.Channel, u []channel.Update) error {
			pushes++
			for _, u := range u {
				if u.SKU == "p0" {
					return fmt.Errorf("500: %w", channel.ErrUnavailable)
				}
			}
			return next.Push(ctx, u)
		}}
		s := configure(t, syncer.Config{Source: source, Schedule: syncer.Never()}, c)
		defer running(t, s)()
		require.NoError(t, s.Notify(t.Context(), ids...))
		for range 12 {
			pass(10 * time.Minute)
			wrong := 0
			for _, id := range ids {
				if n, _ := m.Quantity(id); n != 5 {
					wrong++
				}
			}
			t.Log("wrong", wrong, "pushes", pushes)
			if wrong == 1 {
				break
			}
		}
		n, _ := m.Quantity("p999")
		assert.Equal(t, 5, n)
	})
}
