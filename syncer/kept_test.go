package syncer_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/syncer/boltqueue"
)

// A knower is a channel that knows something, and learns it in a run.
type knower struct {
	*channeltest.Memory
	knows, learns, restored []byte
	keepErr                 error
}

func (k *knower) Preload(context.Context) error {
	if k.learns != nil {
		k.knows = k.learns
	}
	return nil
}

func (k *knower) Keep(w io.Writer) error {
	for some := range slices.Chunk(k.knows, 300_001) {
		if _, err := w.Write(some); err != nil {
			return err
		}
	}
	return k.keepErr
}

func (k *knower) Restore(r io.Reader) (err error) {
	k.restored, err = io.ReadAll(r)
	k.knows = k.restored
	return err
}

func TestWhatAChannelKnowsSurvivesARestart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "queue.db")
	first := bytes.Repeat([]byte("all SKUs "), 100_000) // several records
	second := []byte("fewer")
	broken := errors.New("it broke off")
	for _, run := range []struct {
		learns, restores []byte
		keepErr          error
	}{
		{learns: first},
		{restores: first, learns: second, keepErr: broken},
		{restores: first, learns: second},
		{restores: second, learns: first},
		{restores: first},
	} {
		q, err := boltqueue.Open(file)
		require.NoError(t, err)
		k := &knower{Memory: shop("a", 2), learns: run.learns, keepErr: run.keepErr}
		s := configure(t, syncer.Config{Source: newStock(100, 100), Queue: q}, k)
		_, err = s.Reconcile(t.Context())
		require.NoError(t, err)
		assert.Equal(t, run.restores, k.restored)
		records := 0
		for _, err := range q.Records(t.Context(), "kept/a", "") {
			require.NoError(t, err)
			records++
		}
		if run.keepErr == nil {
			assert.Equal(t, 1+(len(k.knows)+256<<10-1)/(256<<10), records, "nothing of an earlier time is left")
		}
		k.restored = nil
		_, err = s.Reconcile(t.Context())
		require.NoError(t, err)
		assert.Nil(t, k.restored, "once is enough")
		require.NoError(t, q.Close())
	}
}

func TestWhatAChannelKnowsIsRestoredBeforeRunWorks(t *testing.T) {
	file := filepath.Join(t.TempDir(), "queue.db")
	q, err := boltqueue.Open(file)
	require.NoError(t, err)
	defer q.Close()
	_, err = configure(t, syncer.Config{Source: newStock(100), Queue: q}, &knower{Memory: shop("a", 1), learns: []byte("it")}).Reconcile(t.Context())
	require.NoError(t, err)
	k := &knower{Memory: shop("a", 1)}
	s := configure(t, syncer.Config{Source: newStock(7), Queue: q, Schedule: syncer.Never()}, k)
	stop := running(t, s)
	require.NoError(t, s.Notify(t.Context(), "p0"))
	assert.Eventually(t, func() bool { n, _ := k.Quantity("SKU-0"); return n == 7 }, 5*time.Second, 10*time.Millisecond)
	stop()
	assert.Equal(t, "it", string(k.restored))
}

func TestNothingIsKeptInMemory(t *testing.T) {
	k := &knower{Memory: shop("a", 1), learns: []byte("it")}
	q := syncer.NewMemoryQueue()
	_, err := configure(t, syncer.Config{Source: newStock(100), Queue: q}, k).Reconcile(t.Context())
	require.NoError(t, err)
	for range q.Records(t.Context(), "kept/a", "") {
		t.Error("it ends with the process")
	}
}
