package syncer_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/syncer"
)

// A service that is deployed in the middle of every night comes to an end of the
// first one, too.
func TestTheFirstNightIsMadeUpForToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := newStock(5), shop("a", 1)
		slow := &channeltest.Intercept{Channel: m, OnLevels: func(ctx context.Context, next channel.Reader, skus []string) ([]channel.Level, error) {
			select {
			case <-ctx.Done():
				return nil, ctx.Err()
			case <-time.After(6 * time.Minute):
				return next.Levels(ctx, skus)
			}
		}}
		q := lasting{syncer.NewMemoryQueue()}
		start := func() (stop func()) {
			return running(t, configure(t, syncer.Config{Source: source, Queue: q, Schedule: syncer.Daily(2, 0, time.UTC)}, slow))
		}
		stop := start()
		pass(time.Hour)
		shows(t, m, 100)
		stop() // an ordinary deploy begins nothing
		stop = start()
		pass(time.Hour + 5*time.Minute)
		assert.Equal(t, 1, source.asked())
		stop() // in the middle of the first night
		stop = start()
		pass(30 * time.Minute)
		shows(t, m, 5)
		stop()
	})
}
