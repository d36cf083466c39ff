package pgqueue_test

import (
	"context"
	"iter"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/syncer/pgqueue"
	"github.com/ecosire/stocksync/syncer/pgqueue/internal/pgtest"
)

// nothing is a source without products.
type nothing struct{}

func (nothing) Stock(context.Context, ...string) iter.Seq2[channel.Stock, error] {
	return func(func(channel.Stock, error) bool) {}
}

// The leader's way to the server is cut, again and again, and mended when another
// replica leads. It is no longer each time until one does.
func TestLeadersAreCutOffInTurn(t *testing.T) {
	t.Parallel()
	s := server(t)
	o := pgqueue.Options{Queue: name(), Lease: lease}
	proxies := make(map[string]*pgtest.Proxy)
	eye := open(t, pool(t, s, ""), o)
	for _, name := range []string{"a", "b"} {
		proxy, err := pgtest.NewProxy(s.Addr())
		require.NoError(t, err)
		t.Cleanup(proxy.Close)
		proxies[name] = proxy
		r, err := syncer.New(syncer.Config{Source: nothing{}, Queue: open(t, pool(t, s, proxy.Addr()), o), Name: name, Grace: time.Second,
			Schedule: syncer.Never(), Targets: []syncer.Target{{Channel: channeltest.NewMemory("shop")}}})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- r.Run(ctx) }()
		t.Cleanup(func() {
			cancel()
			require.NoError(t, <-done)
		})
	}
	after := func(term uint64, within time.Duration) (info syncer.LeaderInfo) {
		t.Helper()
		require.Eventually(t, func() (ok bool) {
			var err error
			info, err = eye.Leader(t.Context())
			return err == nil && info.Number > term
		}, within, poll, "nobody leads after term %d", term)
		return info
	}
	info := after(0, 10*time.Second)
	for range 6 {
		time.Sleep(lease / 2) // it works, and the other one stands by
		mend := proxies[info.Name].Cut(pgtest.ToServer)
		cut := time.Now()
		next := after(info.Number, 2*lease)
		t.Logf("of a lease of %v: %s leads %v after %s was cut off", lease, next.Name, time.Since(cut).Round(time.Millisecond), info.Name)
		assert.NotEqual(t, info.Name, next.Name)
		mend()
		info = next
	}
}
