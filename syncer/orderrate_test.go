package syncer

import (
	"bytes"
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
)

// A few orders are as urgent as events, and the rest leave room for these.
func TestAFewOrdersAreUrgent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := New(Config{Source: sevens(1), Targets: []Target{{Channel: channeltest.NewMemory("a")}}})
		require.NoError(t, err)
		urgent := func() (n int) {
			for channel.UrgencyOf(s.urgentOrders(t.Context())) == channel.Urgent && n < 100 {
				n++
			}
			assert.Equal(t, channel.Soon, channel.UrgencyOf(s.urgentOrders(t.Context())))
			return n
		}
		assert.Equal(t, 10, urgent())
		time.Sleep(time.Minute)
		assert.Equal(t, 10, urgent())
		time.Sleep(6 * time.Second)
		assert.Equal(t, 1, urgent())
	})
}

// That something approved could not be done is said, unless it was to end.
func TestWhatWasApprovedAndFailsIsSaid(t *testing.T) {
	q, log := &torn{MemoryQueue: NewMemoryQueue()}, new(bytes.Buffer)
	s, err := New(Config{Source: sevens(1), Queue: q, Targets: []Target{{Channel: channeltest.NewMemory("a")}}, Logger: slog.New(slog.NewTextHandler(log, nil))})
	require.NoError(t, err)
	s.executeNow(t.Context())
	assert.Empty(t, log.String())
	q.tear(storePart{"Records", approvalSet})
	s.executeNow(t.Context())
	assert.Contains(t, log.String(), "what was approved could not be done yet")
	log.Reset()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	s.executeNow(ended)
	assert.Empty(t, log.String())
}
