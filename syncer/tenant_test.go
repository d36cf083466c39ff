package syncer_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/syncer"
)

// tenants runs a Syncer for each name for so long, and returns when each began its
// reconciliations.
func tenants(t *testing.T, names []string, schedule syncer.Schedule, long time.Duration, source func(i int) channel.Source) map[string][]time.Time {
	t.Helper()
	var mu sync.Mutex
	began := make(map[string][]time.Time)
	for i, name := range names {
		s, err := syncer.New(syncer.Config{
			Tenant: name, Source: source(i), Targets: []syncer.Target{{Channel: shop("a", 1)}}, Schedule: schedule,
			Hooks: syncer.Hooks{Reconciled: func(_ context.Context, r *syncer.Report, _ error) {
				mu.Lock()
				defer mu.Unlock()
				began[name] = append(began[name], r.Started)
			}},
		})
		require.NoError(t, err)
		defer running(t, s)()
	}
	pass(long)
	mu.Lock()
	defer mu.Unlock()
	return began
}

// Merchants begin at their own times, each at the same one every night, in every
// process.
func TestTenantsReconcileAtTheirOwnTimes(t *testing.T) {
	long(t)
	names := make([]string, 50)
	for i := range names {
		names[i] = fmt.Sprintf("merchant-%d", i)
	}
	var first []time.Time
	synctest.Test(t, func(t *testing.T) {
		pass(2*time.Hour - time.Minute)
		began := tenants(t, names, nil, 62*time.Minute, func(int) channel.Source { return newStock(100) })
		for _, name := range names {
			require.Len(t, began[name], 1, name)
			assert.Equal(t, 2, began[name][0].Hour(), "up to an hour after the schedule's time")
			first = append(first, began[name][0])
		}
	})
	synctest.Test(t, func(t *testing.T) {
		for i, times := range tenants(t, names[:2], nil, 51*time.Hour, func(int) channel.Source { return newStock(100) }) {
			want := first[slices.Index(names, i)]
			assert.Equal(t, []time.Time{want, want.AddDate(0, 0, 1), want.AddDate(0, 0, 2)}, times, "the same each night, in any process")
		}
	})
	slices.SortFunc(first, time.Time.Compare)
	assert.Greater(t, first[len(first)-1].Sub(first[0]), 50*time.Minute)
	for i, at := range first {
		in := 0
		for _, other := range first[i:] {
			if other.Sub(at) < time.Minute {
				in++
			}
		}
		assert.LessOrEqual(t, in, 5, "at %v", at)
	}
}

func TestATenantsOwnScheduleIsSpreadToo(t *testing.T) {
	long(t)
	synctest.Test(t, func(t *testing.T) {
		half := scheduleFunc(func(t time.Time) time.Time { return t.Truncate(30 * time.Minute).Add(30 * time.Minute) })
		began := tenants(t, []string{"acme", "emca", ""}, half, 24*time.Hour+time.Minute, func(int) channel.Source { return newStock(100) })
		for name, times := range began {
			assert.InDelta(t, 48, len(times), 1, "no time is lost: %s", name)
			assert.Equal(t, 30*time.Minute, times[1].Sub(times[0]))
		}
		assert.NotEqual(t, began["acme"][0], began["emca"][0])
		assert.Zero(t, began[""][0].Minute()%30, "without a name nothing is delayed")
		assert.Empty(t, tenants(t, []string{"acme"}, syncer.Never(), 24*time.Hour, func(int) channel.Source { return newStock(100) }))
	})
}

type scheduleFunc func(time.Time) time.Time

func (f scheduleFunc) Next(t time.Time) time.Time { return f(t) }

func TestTenantsDoNotWatchInStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sources := make([]*watched, 50)
		names := make([]string, 50)
		for i := range sources {
			sources[i], names[i] = &watched{stock: newStock(100)}, fmt.Sprint("merchant-", i)
		}
		tenants(t, names, syncer.Never(), 65*time.Second, func(i int) channel.Source { return sources[i] })
		beats := make(map[time.Duration]bool)
		for _, s := range sources {
			require.Len(t, s.times, 3)
			beat := s.times[1].Sub(s.times[0])
			beats[beat] = true
			assert.GreaterOrEqual(t, beat, 24*time.Second)
			assert.LessOrEqual(t, beat, 30*time.Second)
			assert.Equal(t, 30*time.Second, s.times[2].Sub(s.times[1]))
		}
		assert.Greater(t, len(beats), 45)
	})
}

func TestLogLinesNameTheTenant(t *testing.T) {
	var b bytes.Buffer
	s, err := syncer.New(syncer.Config{
		Tenant: "acme", Source: newStock(5), Targets: []syncer.Target{{Channel: shop("a", 1)}}, Logger: slog.New(slog.NewTextHandler(&b, nil)),
	})
	require.NoError(t, err)
	_, err = s.SyncProducts(t.Context(), "p0")
	require.NoError(t, err)
	assert.Contains(t, b.String(), "tenant=acme")
}
