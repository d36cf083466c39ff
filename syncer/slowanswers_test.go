package syncer_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/syncer"
)

func idsUpTo(n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf("p%d", i)
	}
	return ids
}

// takingTime is a target's policy that takes its time.
func takingTime(takes func(id string) time.Duration) syncer.Policy {
	return syncer.Custom("slow", func(s channel.Stock) (int, error) {
		time.Sleep(takes(s.ProductID))
		return s.Available, nil
	})
}

// An answer that comes late, and not too late, makes none of the others late.
func TestALateAnswerMakesNoOthersLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 300
		var log bytes.Buffer
		a := shop("a", n)
		policy := takingTime(func(id string) time.Duration {
			if id == "p0" {
				return 10*time.Second + 500*time.Millisecond
			}
			return 10 * time.Millisecond
		})
		s := unguardedly(t, syncer.Config{
			Source: newStock(make([]int, n)...), Schedule: syncer.Never(), Logger: slog.New(slog.NewTextHandler(&log, nil)),
			Targets: []syncer.Target{{Channel: a, Guard: unguarded, Policy: policy}},
		})
		r, err := s.SyncProducts(t.Context(), idsUpTo(n)...)
		require.NoError(t, err)
		assert.Equal(t, n, r.Channels[0].Updated)
		assert.NotContains(t, log.String(), "left behind")
	})
}

// Functions that answer, but not soon, keep nobody who has no time left, and count as
// none that hangs.
func TestSlowAnswersEndWithTheirContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 1000
		var log bytes.Buffer
		var asked atomic.Int32
		policy := takingTime(func(string) time.Duration { asked.Add(1); return 20 * time.Millisecond })
		s := unguardedly(t, syncer.Config{
			Source: newStock(make([]int, n)...), Schedule: syncer.Never(), Logger: slog.New(slog.NewTextHandler(&log, nil)),
			Targets: []syncer.Target{{Channel: shop("a", n), Guard: unguarded, Policy: policy}},
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		_, err := s.SyncProducts(ctx, idsUpTo(n)...)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Less(t, time.Since(began), 2*time.Second)
		assert.Less(t, asked.Load(), int32(60))
		pass(time.Minute)
		assert.NotContains(t, log.String(), "left behind")
	})
}
