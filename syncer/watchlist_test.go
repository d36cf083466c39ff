package syncer

import (
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/ecosire/stocksync/channel"
)

func TestAWatchlistIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		heap := func() uint64 {
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			return m.HeapAlloc
		}
		before := heap()
		l := new(watchlist)
		for i := range 3 * maxWatchlist {
			l.learn(fmt.Sprintf("SKU-%d", i), testID(i), 100, 0)
		}
		assert.Len(t, l.skus, maxWatchlist)
		assert.Less(t, float64(heap()-before)/maxWatchlist, 350.0)
		l.learn("few", "p", 2, 0)
		assert.Contains(t, l.skus, "few", "what is scarce finds a place")
		assert.LessOrEqual(t, len(l.skus), maxWatchlist)
		time.Sleep(time.Second)
		assert.Equal(t, "few", l.choose(1)[0])
		changed, unknown := l.compare([]channel.Level{{SKU: "few", Quantity: 1}, {SKU: "new", Quantity: 1}}, time.Now())
		assert.Equal(t, map[string]string{"few": "p"}, changed)
		assert.Equal(t, []channel.Level{{SKU: "new", Quantity: 1}}, unknown)
		changed, _ = l.compare([]channel.Level{{SKU: "few", Quantity: 1}}, time.Now())
		assert.Empty(t, changed, "once")
	})
}

// TestAWatchDoesNotMistakeAWrite: what was read before a write, or before it
// shows, is no sale.
func TestAWatchDoesNotMistakeAWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := new(watchlist)
		l.learn("A", "p", 9, 0)
		time.Sleep(time.Second)
		asked := time.Now()
		time.Sleep(time.Second)
		l.learn("A", "p", 7, time.Minute)
		changed, _ := l.compare([]channel.Level{{SKU: "A", Quantity: 9}}, asked)
		assert.Empty(t, changed, "read before it was written")
		time.Sleep(30 * time.Second)
		changed, _ = l.compare([]channel.Level{{SKU: "A", Quantity: 9}}, time.Now())
		assert.Empty(t, changed, "it may not show yet")
		time.Sleep(time.Minute)
		changed, _ = l.compare([]channel.Level{{SKU: "A", Quantity: 6}}, time.Now())
		assert.Len(t, changed, 1)
	})
}
