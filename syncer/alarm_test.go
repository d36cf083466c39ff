package syncer_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/ecosire"
	"github.com/ecosire/stocksync/internal/racetest"
	"github.com/ecosire/stocksync/syncer"
)

// bell hears alarms.
type bell struct {
	mu  sync.Mutex
	all []syncer.Alarm
}

func (b *bell) hooks() syncer.Hooks {
	return syncer.Hooks{Alarm: func(_ context.Context, a syncer.Alarm) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.all = append(b.all, a)
	}}
}

// heard says what was raised, and after a "-" what is over, and when.
func (b *bell) heard() (all []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, a := range b.all {
		if a.Ended.IsZero() {
			all = append(all, string(a.Class))
		} else {
			all = append(all, "-"+string(a.Class))
		}
	}
	return all
}

func (b *bell) last() syncer.Alarm {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all[len(b.all)-1]
}

// moves is a source that tells what moved.
type moves struct {
	*stock
	mu   sync.Mutex
	ids  []string
	skew atomic.Int64
}

func (m *moves) move(ids ...string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ids = append(m.ids, ids...)
}

func (m *moves) Changes(_ context.Context, cursor string) ([]string, string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	ids := m.ids
	m.ids = nil
	return ids, cursor + "1", nil
}

func (m *moves) Skew() (time.Duration, bool) { return time.Duration(m.skew.Load()), true }

func event(id string) string {
	return fmt.Sprintf(`{"event":"inventory.updated","id":"e-%s","data":{"productId":"%s"}}`, id, id)
}

func TestAlarmWhenEventsStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hooks, err := ecosire.NewWebhooks("s3cret")
		require.NoError(t, err)
		var b bell
		source, q := &moves{stock: newStock(1, 1, 1, 1, 1)}, syncer.NewMemoryQueue()
		cfg := syncer.Config{Source: source, Queue: q, Webhooks: hooks, Hooks: b.hooks(), Schedule: syncer.Never(), Journal: time.Hour * 24}
		s := unguardedly(t, cfg, shop("a", 5))
		stop := running(t, s)
		pass(racetest.Size(48*time.Hour, time.Hour)) // a quiet weekend
		assert.Empty(t, b.heard())

		// Events come, late or early; two changes have none.
		for i := range 40 {
			id := fmt.Sprintf("p%d", i%5)
			if i%2 == 0 {
				source.move(id)
				pass(3 * time.Minute)
			}
			require.Equal(t, http.StatusAccepted, deliver(s.WebhookHandler(), "s3cret", event(id)))
			if i%2 == 1 {
				source.move(id)
			}
			pass(time.Minute)
		}
		pass(20 * time.Minute)
		source.move("p0", "p1")
		pass(racetest.Size(20*time.Hour, time.Hour))
		assert.Empty(t, b.heard())
		began := time.Now()
		source.move("p2")
		pass(6*time.Minute + 30*time.Second)
		require.Equal(t, []string{"events stopped"}, b.heard())
		a := b.last()
		assert.LessOrEqual(t, a.Raised.Sub(began), 6*time.Minute)
		assert.Contains(t, a.Text, "3 products have changed at the source, and no event told of them; the last one came at 2000-01-")

		// It is raised once, whatever restarts, and ended once.
		for range 2 {
			stop()
			s = unguardedly(t, cfg, shop("a", 5))
			stop = running(t, s)
			source.move("p3")
			pass(time.Hour)
		}
		h, err := s.Health(t.Context())
		require.NoError(t, err)
		require.Len(t, h.Alarms, 1)
		assert.Equal(t, a.Raised.UnixNano(), h.Alarms[0].Raised.UnixNano())
		assert.Len(t, b.heard(), 1)
		require.Equal(t, http.StatusAccepted, deliver(s.WebhookHandler(), "s3cret", event("p0")))
		pass(time.Minute)
		assert.Equal(t, []string{"events stopped", "-events stopped"}, b.heard())
		h, err = s.Health(t.Context())
		require.NoError(t, err)
		assert.Empty(t, h.Alarms)
		var what []syncer.EntryKind
		for e, err := range s.Journal(t.Context(), "") {
			require.NoError(t, err)
			what = append(what, e.Kind)
		}
		assert.Subset(t, what, []syncer.EntryKind{syncer.EntryAlarm, syncer.EntryAlarmOver})
	})
}

func TestAlarmWhenASecretFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hooks, err := ecosire.NewWebhooks("s3cret")
		require.NoError(t, err)
		var b bell
		s := configure(t, syncer.Config{Source: newStock(1), Webhooks: hooks, Hooks: b.hooks(), Schedule: syncer.Never()}, shop("a", 1))
		defer running(t, s)()
		send := func(secret string, wait time.Duration) {
			deliver(s.WebhookHandler(), secret, event("p0"))
			pass(wait)
		}
		for range racetest.Size(8, 2) { // a stranger now and then, and genuine ones between
			send("forged", time.Second)
			send("forged", time.Minute)
			send("s3cret", time.Hour)
			send("forged", 2*time.Hour)
		}
		assert.Empty(t, b.heard())
		send("s3cret", time.Hour)
		began := time.Now()
		send("rotated", time.Minute)
		send("rotated", time.Minute)
		assert.Empty(t, b.heard())
		send("rotated", time.Second)
		require.Equal(t, []string{"secret fails"}, b.heard())
		assert.Equal(t, began, b.last().Since)
		send("rotated", time.Hour)
		send("s3cret", time.Second)
		assert.Equal(t, []string{"secret fails", "-secret fails"}, b.heard())
	})
}

// A clerk is a channel that can be asked for its subscription, and may refuse the
// credentials.
type clerk struct {
	*channeltest.Memory
	lost, refuses, down atomic.Bool
	broken              atomic.Bool
}

func (c *clerk) Subscribed(context.Context) error {
	switch {
	case c.broken.Load():
		return errors.New("502")
	case c.lost.Load():
		return fmt.Errorf("topic products: %w", channel.ErrUnsubscribed)
	}
	return nil
}

func (c *clerk) Levels(ctx context.Context, skus []string) ([]channel.Level, error) {
	switch {
	case c.refuses.Load():
		return nil, channel.ErrUnauthorized
	case c.down.Load():
		return nil, channel.ErrUnavailable
	}
	return c.Memory.Levels(ctx, skus)
}

func TestAlarmsOfAChannel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bell
		c := &clerk{Memory: shop("a", 2)}
		cfg := syncer.Config{Source: newStock(1, 1), Queue: syncer.NewMemoryQueue(), Hooks: b.hooks(), Schedule: syncer.Never()}
		s := unguardedly(t, cfg, c)
		stop := running(t, s)
		pass(time.Hour)

		c.lost.Store(true)
		pass(11 * time.Minute)
		require.Equal(t, []string{"subscription lost"}, b.heard())
		assert.Equal(t, "a", b.last().Channel)
		assert.Contains(t, b.last().Text, "topic products")
		c.broken.Store(true)
		stop()
		s = unguardedly(t, cfg, c)
		stop = running(t, s)
		pass(time.Hour)
		assert.Len(t, b.heard(), 1, "what cannot be found out is neither")
		c.broken.Store(false)
		c.lost.Store(false)
		pass(11 * time.Minute)
		require.Equal(t, []string{"subscription lost", "-subscription lost"}, b.heard())

		c.refuses.Store(true)
		require.NoError(t, s.Notify(t.Context(), "p0"))
		pass(time.Minute)
		require.Equal(t, "credentials refused", b.heard()[2])
		stop()
		s = unguardedly(t, cfg, c)
		defer running(t, s)()
		pass(10 * time.Minute)
		assert.Len(t, b.heard(), 3)
		c.refuses.Store(false)
		pass(10 * time.Minute)
		require.Equal(t, "-credentials refused", b.heard()[3])

		began := time.Now()
		c.down.Store(true)
		require.NoError(t, s.Notify(t.Context(), "p0"))
		pass(15 * time.Minute)
		assert.Len(t, b.heard(), 4)
		pass(6 * time.Minute)
		require.Equal(t, "queue old", b.heard()[4])
		assert.WithinDuration(t, began, b.last().Since, time.Second)
		c.down.Store(false)
		pass(2 * time.Minute)
		assert.Equal(t, "-queue old", b.heard()[5])
		assert.Len(t, b.heard(), 6)
	})
}

// A product that fails for a week, and one that needs hours to settle, are no
// old queue.
func TestAProductInTroubleIsNoAlarm(t *testing.T) {
	long(t)
	synctest.Test(t, func(t *testing.T) {
		var b bell
		f := &freight{Memory: shop("a", 1)}
		odd := &channeltest.Intercept{Channel: shop("b", 2), OnPush: func(ctx context.Context, next channel.Channel, updates []channel.Update) error {
			if updates[0].SKU == "SKU-0" {
				return channel.Errors{"SKU-0": channel.ErrNotApplied}
			}
			return next.Push(ctx, updates)
		}}
		s := unguardedly(t, syncer.Config{Source: newStock(5, 5), Hooks: b.hooks(), Schedule: syncer.Never()}, f, odd)
		defer running(t, s)()
		require.NoError(t, s.Notify(t.Context(), "p0"))
		pass(3 * 24 * time.Hour)
		assert.Empty(t, b.heard())
	})
}

// lazy is a channel of which one call does not return.
type lazy struct {
	*channeltest.Memory
	hang chan struct{}
}

func (l *lazy) Levels(ctx context.Context, skus []string) ([]channel.Level, error) {
	<-l.hang
	return l.Memory.Levels(ctx, skus)
}

func TestAlarmWhenNobodyWorks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bell
		c := &lazy{Memory: shop("a", 2), hang: make(chan struct{})}
		s := unguardedly(t, syncer.Config{Source: newStock(1, 1), Hooks: b.hooks(), Schedule: syncer.Never(), Patience: 24 * time.Hour}, c)
		stop := running(t, s)
		require.NoError(t, s.Notify(t.Context(), "p0"))
		pass(time.Second)
		require.NoError(t, s.Notify(t.Context(), "p1"))
		pass(15 * time.Minute)
		assert.Empty(t, b.heard())
		pass(6 * time.Minute)
		require.Equal(t, []string{"queue old"}, b.heard())
		assert.Contains(t, b.last().Text, "nobody works on it")
		close(c.hang)
		pass(2 * time.Minute)
		assert.Equal(t, []string{"queue old", "-queue old"}, b.heard())
		stop()
	})
}

func TestAlarmWhenClocksDisagree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bell
		source := &moves{stock: newStock(1)}
		defer running(t, configure(t, syncer.Config{Source: source, Hooks: b.hooks(), Schedule: syncer.Never()}, shop("a", 1)))()
		source.skew.Store(int64(-time.Minute))
		pass(time.Hour)
		source.skew.Store(int64(time.Hour))
		pass(time.Minute) // one odd answer
		source.skew.Store(0)
		pass(time.Hour)
		assert.Empty(t, b.heard())
		source.skew.Store(int64(-3 * time.Minute))
		pass(6 * time.Minute)
		assert.Equal(t, []string{"clocks disagree"}, b.heard())
		source.skew.Store(0)
		pass(time.Minute)
		assert.Equal(t, []string{"clocks disagree", "-clocks disagree"}, b.heard())
	})
}

// rarely is a schedule.
type rarely struct{}

func (rarely) Next(t time.Time) time.Time {
	return t.Truncate(3 * 24 * time.Hour).Add(3 * 24 * time.Hour)
}

func TestAlarmWhenNotReconciled(t *testing.T) {
	long(t)
	t.Parallel()
	for name, schedule := range map[string]syncer.Schedule{"daily": syncer.Daily(2, 0, time.UTC), "every three days": rarely{}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			soon := 4 * 24 * time.Hour // the next run is over by then
			if name == "daily" {
				soon = 24 * time.Hour
			}
			synctest.Test(t, func(t *testing.T) {
				var b bell
				source := newStock(1)
				defer running(t, configure(t, syncer.Config{Source: source, Hooks: b.hooks(), Schedule: schedule}, shop("a", 1)))()
				pass(soon - 21*time.Hour) // 03:00
				assert.Empty(t, b.heard(), "well")
				source.mu.Lock()
				source.fail = channel.ErrUnavailable
				source.mu.Unlock()
				began := time.Now()
				pass(24 * time.Hour)
				assert.Empty(t, b.heard())
				pass(soon)
				require.Equal(t, []string{"not reconciled"}, b.heard())
				if name == "daily" {
					assert.WithinDuration(t, began.Add(25*time.Hour), b.last().Raised, 6*time.Minute)
				}
				source.mu.Lock()
				source.fail = nil
				source.mu.Unlock()
				pass(soon)
				assert.Equal(t, []string{"not reconciled", "-not reconciled"}, b.heard())
			})
		})
	}
}

// full is a queue whose disk may be full.
type full struct {
	*syncer.MemoryQueue
	now atomic.Bool
}

func (q *full) Lease(ctx context.Context, lane string, n int) ([]syncer.Task, error) {
	if q.now.Load() {
		return nil, errors.New("no space left")
	}
	return q.MemoryQueue.Lease(ctx, lane, n)
}

func TestAlarmWhenTheQueueFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b bell
		q := &full{MemoryQueue: syncer.NewMemoryQueue()}
		s := configure(t, syncer.Config{Source: newStock(1), Queue: q, Hooks: b.hooks(), Schedule: syncer.Never()}, shop("a", 1))
		defer running(t, s)()
		pass(time.Minute)
		q.now.Store(true)
		require.NoError(t, s.Notify(t.Context(), "p0"))
		pass(50 * time.Second)
		assert.Empty(t, b.heard())
		pass(time.Minute)
		require.Equal(t, []string{"queue fails"}, b.heard())
		assert.Contains(t, b.last().Text, "no space left")
		h, err := s.Health(t.Context())
		require.NoError(t, err)
		require.Len(t, h.Alarms, 1)
		q.now.Store(false)
		pass(2 * time.Minute)
		assert.Equal(t, []string{"queue fails", "-queue fails"}, b.heard())
	})
}
