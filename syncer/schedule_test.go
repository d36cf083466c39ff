package syncer_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"
	_ "time/tzdata" // for the test of daylight saving

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/internal/racetest"
	"github.com/ecosire/stocksync/syncer"
)

// scheduled runs s for so long and returns when it reconciled.
func scheduled(t *testing.T, cfg syncer.Config, source *stock, m channel.Channel, d time.Duration) []time.Time {
	t.Helper()
	var times []time.Time
	cfg.Source = source
	cfg.Hooks.Reconciled = func(_ context.Context, r *syncer.Report, _ error) { times = append(times, r.Started.UTC()) }
	stop := running(t, configure(t, cfg, m))
	pass(d)
	stop()
	return times
}

func TestScheduleIsDailyAtTwo(t *testing.T) {
	long(t)
	synctest.Test(t, func(t *testing.T) {
		source, m := catalogue(1)
		got := scheduled(t, syncer.Config{}, source, m, 72*time.Hour) // from midnight on
		require.Len(t, got, 3)
		for i, at := range got {
			assert.Equal(t, time.Date(2000, 1, 1+i, 2, 0, 0, 0, time.UTC), at)
		}
	})
}

func TestScheduleOffAndAtStart(t *testing.T) {
	long(t)
	synctest.Test(t, func(t *testing.T) {
		source, m := catalogue(1)
		assert.Empty(t, scheduled(t, syncer.Config{Schedule: syncer.Never()}, source, m, 72*time.Hour))
		assert.Len(t, scheduled(t, syncer.Config{Schedule: syncer.Never(), ReconcileAtStart: true}, source, m, 72*time.Hour), 1)
	})
}

func TestAMissedRunIsMadeUpAtStart(t *testing.T) {
	racetest.Long(t)
	synctest.Test(t, func(t *testing.T) {
		source, m := catalogue(1)
		q := syncer.NewMemoryQueue() // stands for one that survives
		require.Len(t, scheduled(t, syncer.Config{Queue: q}, source, m, 24*time.Hour), 1)
		assert.Empty(t, scheduled(t, syncer.Config{Queue: q}, source, m, time.Hour), "nothing was missed")
		time.Sleep(48 * time.Hour) // down over two nights
		start := time.Now().UTC()
		got := scheduled(t, syncer.Config{Queue: q}, source, m, time.Hour+time.Minute)
		require.Len(t, got, 2)
		assert.Equal(t, start, got[0], "at once, and once for both nights")
		assert.Equal(t, 2, got[1].Hour())
	})
}

func TestAFailedRunIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := catalogue(1)
		source.fail = channel.ErrUnavailable
		got := scheduled(t, syncer.Config{}, source, m, 5*time.Hour)
		assert.Len(t, got, 5, "at 2:00, 2:10, 2:30, 3:10 and 4:30")
	})
}

// A run that failed is not tried later than the schedule would have it made anyway.
func TestAFailedRunDelaysNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := catalogue(1)
		source.fail = channel.ErrUnavailable
		assert.Len(t, scheduled(t, syncer.Config{Schedule: often(5 * time.Minute)}, source, m, 31*time.Minute), 6)
	})
}

// A run that is due while a call makes one is tried again when that is over.
func TestARunThatIsDueDuringACallIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := catalogue(1)
		slow := &slowToRead{m, 20 * time.Minute}
		var ended []string
		var log bytes.Buffer
		cfg := syncer.Config{Source: source, Patience: time.Hour, Logger: slog.New(slog.NewTextHandler(&log, nil))}
		cfg.Hooks.Reconciled = func(_ context.Context, r *syncer.Report, err error) {
			ended = append(ended, fmt.Sprint(time.Now().UTC().Format("15:04 "), r != nil, " ", err))
		}
		s := configure(t, cfg, slow)
		stop := running(t, s)
		pass(105 * time.Minute)
		_, err := s.Reconcile(t.Context()) // from 1:45 to 2:05
		require.NoError(t, err)
		pass(time.Hour)
		stop()
		assert.Equal(t, []string{"02:00 false " + syncer.ErrReconciling.Error(), "02:30 true <nil>"}, ended)
		assert.Contains(t, log.String(), "msg=reconciliation err=")
		assert.NotContains(t, log.String(), "rests")
	})
}

func TestARunWithAChannelDownIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := catalogue(1)
		m.Set("SKU-0", 19)
		down := &channeltest.Intercept{Channel: m, OnLevels: func(ctx context.Context, next channel.Reader, skus []string) ([]channel.Level, error) {
			if time.Now().Before(time.Date(2000, 1, 1, 2, 15, 0, 0, time.UTC)) {
				return nil, channel.ErrUnavailable
			}
			return next.Levels(ctx, skus)
		}}
		got := scheduled(t, syncer.Config{}, source, down, 12*time.Hour)
		assert.Len(t, got, 2, "at 2:00, and ten minutes after that gave up at 2:10")
		shows(t, m, 10)
	})
}

func TestARunThatLastsLongerThanADay(t *testing.T) {
	long(t)
	synctest.Test(t, func(t *testing.T) {
		source, m := catalogue(1)
		slow := &channeltest.Intercept{Channel: m, OnLevels: func(ctx context.Context, next channel.Reader, skus []string) ([]channel.Level, error) {
			time.Sleep(30 * time.Hour)
			return next.Levels(ctx, skus)
		}}
		got := scheduled(t, syncer.Config{Patience: 100 * time.Hour}, source, slow, 90*time.Hour)
		require.Len(t, got, 2, "two runs never overlap")
		assert.Equal(t, 2, got[1].Hour())
	})
}

func TestJitter(t *testing.T) {
	base := syncer.Daily(2, 0, time.UTC)
	from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	late := 0
	for range 100 {
		d := syncer.Jitter(base, time.Hour).Next(from).Sub(base.Next(from))
		assert.True(t, d >= 0 && d < time.Hour)
		if d > time.Minute {
			late++
		}
	}
	assert.Greater(t, late, 50)
	assert.True(t, syncer.Jitter(syncer.Never(), time.Hour).Next(from).IsZero())
	for _, none := range []time.Duration{0, -time.Hour} {
		assert.Equal(t, base.Next(from), syncer.Jitter(base, none).Next(from))
	}
}

// often is every so often.
type often time.Duration

func (o often) Next(t time.Time) time.Time { return t.Truncate(time.Duration(o)).Add(time.Duration(o)) }

// Once stands back from a reconciliation that failed, and from no other.
func TestOnceReconcilesAsOftenAsItIsDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := catalogue(1)
		q, runs := syncer.NewMemoryQueue(), 0
		cfg := syncer.Config{Source: source, Queue: q, Schedule: often(5 * time.Minute), Hooks: syncer.Hooks{
			Reconciled: func(context.Context, *syncer.Report, error) { runs++ },
		}}
		for range 3 {
			require.NoError(t, configure(t, cfg, m).Once(t.Context()))
			time.Sleep(6 * time.Minute)
		}
		assert.Equal(t, 2, runs)
	})
}

func TestDaylightSaving(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	require.NoError(t, err)
	for _, at := range []struct{ hour, minute int }{{0, 0}, {1, 59}, {2, 0}, {2, 30}, {3, 0}, {23, 59}} {
		schedule := syncer.Daily(at.hour, at.minute, berlin)
		now := time.Date(2026, 1, 1, 0, 0, 0, 0, berlin).Add(-time.Second)
		days := map[string]int{}
		for {
			next := schedule.Next(now)
			require.True(t, next.After(now))
			if next.Year() > 2026 {
				break
			}
			days[next.In(berlin).Format(time.DateOnly)]++
			now = next
		}
		assert.Len(t, days, 365, "%v", at)
		for day, n := range days {
			assert.Equal(t, 1, n, "%v on %s", at, day)
		}
	}
}
