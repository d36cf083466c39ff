package pgqueue_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/syncer/pgqueue"
	"github.com/ecosire/stocksync/syncer/queuetest"
)

func TestDumper(t *testing.T) {
	t.Parallel()
	s := server(t)
	queuetest.TestDumper(t, func(t *testing.T) (queue, worked syncer.Queue) {
		q := open(t, pool(t, s, ""), pgqueue.Options{Queue: name()})
		return q, lead(t, q)
	}, queuetest.Live(unit))
}

// Queues of one schema have nothing in common, when one of them is copied either.
func TestOnlyOneQueueIsCopied(t *testing.T) {
	t.Parallel()
	p := pool(t, server(t), "")
	ours, theirs := open(t, p, pgqueue.Options{Queue: name()}), open(t, p, pgqueue.Options{Queue: name()})
	require.NoError(t, theirs.Mark(t.Context(), mark("a")))
	require.NoError(t, theirs.Save(t.Context(), "set", syncer.Record{Key: "a", Value: []byte("b")}))
	copied, err := syncer.CopyQueue(t.Context(), syncer.NewMemoryQueue(), ours)
	require.NoError(t, err)
	assert.Zero(t, copied)
}
