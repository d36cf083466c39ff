package syncer_test

import (
	"encoding/json"
	"errors"
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

// Whatever channels are called, what is kept for one is not another's.
func TestChannelsOfAnyNameKeepTheirOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &watched{stock: newStock(5, 6)}
		var channels []channel.Channel
		var shops []*channeltest.Memory
		for _, name := range []string{"a", "a (watched)", "watched/a", "channel/a", "inbox", "a/b", "orders"} {
			m := shop(name, 2)
			shops, channels = append(shops, m), append(channels, m)
		}
		s := configure(t, syncer.Config{Source: source}, channels...)
		defer running(t, s)()
		require.NoError(t, s.Notify(t.Context(), "p0"))
		pass(time.Minute)
		for _, m := range shops {
			shows(t, m, 5)
			n, _ := m.Quantity("SKU-1")
			reads, writes := m.Calls()
			assert.LessOrEqual(t, writes, 2, "%s: %d, %d reads", m.Name(), n, reads)
		}
		pass(5 * time.Second)
		assert.True(t, drained(t, s))
	})
}

// SKUs that two products claim are remembered for their own channel, also when
// the names run into one another.
func TestDoubledSKUsAreTheirChannelsOwn(t *testing.T) {
	q := syncer.NewMemoryQueue()
	source := newStock()
	for i, sku := range []string{"X", "X", "-1-X", "-1-X", "OK"} {
		source.put(fmt.Sprintf("p%d", i), sku, 5)
	}
	short, long := channeltest.NewMemory("shop"), channeltest.NewMemory("shop-1-")
	for _, m := range []*channeltest.Memory{short, long} {
		for _, sku := range []string{"X", "-1-X", "OK"} {
			m.Set(sku, 9)
		}
	}
	build := func() *syncer.Syncer {
		return configure(t, syncer.Config{Source: source, Queue: q, Schedule: syncer.Never()}, short, long)
	}
	_, err := build().Reconcile(t.Context())
	require.ErrorIs(t, err, channel.ErrAmbiguousSKU)
	for _, id := range []string{"p0", "p2"} { // after a restart, one by one
		r, err := build().SyncProducts(t.Context(), id)
		require.Error(t, err)
		for _, c := range r.Channels {
			assert.Equal(t, 1, c.Failed, "%s on %s", id, c.Channel)
		}
	}
}

// What hooks and calls hand out goes through JSON with its errors.
func TestErrorsGoThroughJSON(t *testing.T) {
	m := channeltest.NewMemory("a")
	m.Add(channel.Level{SKU: "SKU-0", Err: channel.ErrNotTracked})
	source := newStock(5)
	r, err := build(t, source, m).SyncProducts(t.Context(), "p0", "none")
	require.Error(t, err)
	text, err := json.Marshal(r)
	require.NoError(t, err)
	assert.NotContains(t, string(text), "{}")
	var back syncer.Report
	require.NoError(t, json.Unmarshal(text, &back))
	assert.Equal(t, r.Err().Error(), back.Err().Error())
	require.ErrorIs(t, back.Channels[0].Problems[0].Err, channel.ErrNotTracked)
	require.Len(t, back.Problems, 1)

	down := fmt.Errorf("502: %w", channel.ErrUnavailable)
	for _, v := range []any{
		syncer.Retry{Channel: "a", Products: 2, Err: down},
		syncer.WorkDone{Report: r, Err: down},
		syncer.Pushed{ChannelReport: syncer.ChannelReport{Channel: "a", Err: down}, Delay: time.Second},
		syncer.Health{QueueErr: down}, syncer.ChannelHealth{Err: down}, syncer.Problem{Err: down},
	} {
		text, err := json.Marshal(v)
		require.NoError(t, err)
		assert.Contains(t, string(text), `"error":"502: `, "%T", v)
		assert.Contains(t, string(text), `"class":"unavailable"`, "%T", v)
	}
	text, err = json.Marshal(syncer.Pushed{Delay: time.Second, ChannelReport: syncer.ChannelReport{Err: errors.New("odd")}})
	require.NoError(t, err)
	assert.Contains(t, string(text), `"delay":1000000000`)
}
