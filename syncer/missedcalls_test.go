package syncer_test

import (
	"bytes"
	"context"
	"log/slog"
	"regexp"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/syncer"
)

// Of a hook that hangs in several calls at once each missed call is told of once.
func TestMissedCallsOfAHookAreToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		returns := map[string]chan bool{"p0": make(chan bool), "p1": make(chan bool)}
		s := unguardedly(t, syncer.Config{
			Source: newStock(1, 2), Schedule: syncer.Never(), Logger: slog.New(slog.NewTextHandler(&log, nil)),
			Hooks: syncer.Hooks{Marked: func(_ context.Context, ids []string) { <-returns[ids[0]] }},
		}, shop("a", 2))
		notify := func(id string) { require.NoError(t, s.Notify(t.Context(), id)) }
		for _, id := range []string{"p0", "p1"} {
			go func() { assert.NoError(t, s.Notify(t.Context(), id)) }()
			pass(time.Second)
		}
		pass(2 * time.Minute)
		for i, id := range []string{"p0", "p1"} {
			for range 3 - i {
				notify(id)
			}
			close(returns[id])
			pass(time.Second)
		}
		var missed []string
		for _, m := range regexp.MustCompile(`missed=(\d+)`).FindAllStringSubmatch(log.String(), -1) {
			missed = append(missed, m[1])
		}
		assert.ElementsMatch(t, []string{"3", "2"}, missed, log.String())
	})
}
