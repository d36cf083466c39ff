package syncer_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/syncer/boltqueue"
)

func entries(t *testing.T, s *syncer.Syncer, productID string) []syncer.Entry {
	t.Helper()
	var all []syncer.Entry
	for e, err := range s.Journal(t.Context(), productID) {
		require.NoError(t, err)
		all = append(all, e)
	}
	return all
}

func TestDriftHasACulprit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := newStock(50, 50, 50, 50, 50, 50), shop("a", 6)
		s := configure(t, syncer.Config{Source: source, Schedule: syncer.Never(), Settle: -1, Journal: time.Hour * 48}, m)
		r, err := s.Reconcile(t.Context())
		require.NoError(t, err)
		assert.Equal(t, map[syncer.Culprit]int{syncer.NeverWritten: 6}, r.Channels[0].Culprits)
		pass(time.Hour)
		m.Set("SKU-0", 48)                       // sold there
		m.Set("SKU-1", 60)                       // edited there
		m.Set("SKU-2", 100)                      // as before our write
		source.put("p3", "SKU-3", 45)            // no event told
		m.Remove("SKU-4")                        // gone, which is no drift
		source.put("p5", "SKU-5", 51)            // told by an event:
		_, _ = s.SyncProducts(t.Context(), "p5") // it is right before the run
		r, err = s.Reconcile(t.Context())
		require.NoError(t, err)
		assert.Equal(t, map[syncer.Culprit]int{syncer.SoldSince: 1, syncer.EditedThere: 1, syncer.NotKept: 1, syncer.NoEvent: 1}, r.Channels[0].Culprits)
		by := make(map[string]syncer.Culprit)
		for _, c := range r.Channels[0].Changes {
			by[c.SKU] = c.Culprit
		}
		assert.Equal(t, map[string]syncer.Culprit{
			"SKU-0": syncer.SoldSince, "SKU-1": syncer.EditedThere, "SKU-2": syncer.NotKept, "SKU-3": syncer.NoEvent,
		}, by)
	})
}

// For a week things happen: events, changes without one, sales, edits, lost
// writes, an outage, approvals. Then the explanation of any product names the
// true cause of what was done last.
func TestExplanationsNameTheTrueCause(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long under the race detector")
	}
	t.Parallel()
	for seed := range uint64(2) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { story(t, seed) })
		})
	}
}

func story(t *testing.T, seed uint64) {
	rnd := rand.New(rand.NewPCG(seed, 1))
	const products = 60
	source, m := newStock(), &sulky{Memory: shop("a", products)}
	available := make([]int, products)
	for i := range available {
		available[i] = 50 + rnd.IntN(10)
		source.put(fmt.Sprintf("p%d", i), fmt.Sprintf("SKU-%d", i), available[i])
	}
	s := configure(t, syncer.Config{Source: source, Journal: 8 * 24 * time.Hour, WatchEvery: -1, Settle: -1}, m)
	defer running(t, s)()
	_, err := s.Reconcile(t.Context())
	require.NoError(t, err)

	type cause struct {
		why     string
		culprit syncer.Culprit
	}
	truth := make(map[int]cause)
	before := make(map[int]int) // what the shop showed before the last write
	wrote := make(map[int]int)  // the day of the last write
	for i := range products {
		truth[i], before[i], wrote[i] = cause{"reconcile", syncer.NeverWritten}, 100, -1
	}
	checked := 0
	for day := range 7 {
		pass(time.Duration(1+rnd.IntN(60)) * time.Minute)
		if day == 3 { // half of the catalogue is called sold out; somebody looks and agrees
			for i := range products / 2 {
				source.put(fmt.Sprintf("p%d", i), fmt.Sprintf("SKU-%d", i), 0)
				truth[i] = cause{"approved by Ada", ""}
				before[i], available[i] = available[i], 0
			}
			_, err := s.Reconcile(t.Context())
			require.ErrorIs(t, err, syncer.ErrHeld)
			held, err := s.Held(t.Context())
			require.NoError(t, err)
			require.NoError(t, s.Approve(t.Context(), syncer.Approval{Channel: "a", Who: "Ada", Hash: held[0].Hash}))
			pass(time.Hour)
		}
		for _, i := range rnd.Perm(products)[:12] {
			if available[i] == 0 {
				continue
			}
			id, sku := fmt.Sprintf("p%d", i), fmt.Sprintf("SKU-%d", i)
			change := 1 + rnd.IntN(5)
			was := truth[i]
			switch rnd.IntN(6) {
			case 0: // an event, perhaps while the channel is down
				if rnd.IntN(2) == 0 {
					m.mood(channel.ErrUnavailable)
				}
				source.put(id, sku, available[i]+change)
				require.NoError(t, s.Notify(t.Context(), id))
				pass(5 * time.Minute)
				m.mood(nil)
				pass(5 * time.Minute)
				truth[i], before[i], available[i] = cause{"notify", ""}, available[i], available[i]+change
			case 1: // a change that nobody tells of
				source.put(id, sku, available[i]-change)
				truth[i], before[i], available[i] = cause{"reconcile", syncer.NoEvent}, available[i], available[i]-change
			case 2, 3: // sales that the source does not book
				if n := available[i] - change; n != before[i] {
					m.Set(sku, n)
					truth[i], before[i] = cause{"reconcile", syncer.SoldSince}, n
				}
			case 4: // an edit
				if n := available[i] + change; n != before[i] {
					m.Set(sku, n)
					truth[i], before[i] = cause{"reconcile", syncer.EditedThere}, n
				}
			case 5: // the last write is undone
				if before[i] != available[i] && wrote[i] >= day-1 {
					m.Set(sku, before[i])
					truth[i] = cause{"reconcile", syncer.NotKept}
				}
			}
			if truth[i] != was {
				wrote[i] = day
			}
		}
		pass(24*time.Hour - time.Since(time.Now().Truncate(24*time.Hour)) + 3*time.Hour) // past the night
		if day == 3 {
			continue
		}
		for _, i := range rnd.Perm(products)[:10] {
			x, err := s.Explain(t.Context(), syncer.Question{ProductID: fmt.Sprintf("p%d", i)})
			require.NoError(t, err)
			var last syncer.Entry
			for _, e := range x.Channels[0].History {
				if e.Kind == syncer.EntryWrote {
					last = e
					break
				}
			}
			told := cause{last.Why, last.Culprit}
			assert.Equal(t, truth[i], told, "seed %d, day %d:\n%s", seed, day, x)
			if last.Culprit != "" {
				assert.Contains(t, x.String(), string(last.Culprit))
			}
			checked++
		}
	}
	assert.GreaterOrEqual(t, checked, 50)
}

// fullDisk refuses to save what is for people.
type fullDisk struct {
	*syncer.MemoryQueue
	full atomic.Bool
}

func (q *fullDisk) Save(ctx context.Context, set string, records ...syncer.Record) error {
	if q.full.Load() && (set == "journal" || strings.HasPrefix(set, "troubles/")) {
		return errors.New("no space left on device")
	}
	return q.MemoryQueue.Save(ctx, set, records...)
}

func TestTheJournalStopsNoWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := newStock(5, 6), shop("a", 1)
		q := &fullDisk{MemoryQueue: syncer.NewMemoryQueue()}
		q.full.Store(true)
		s := configure(t, syncer.Config{Source: source, Queue: q, Schedule: syncer.Never(), Journal: time.Hour}, m)
		defer running(t, s)()
		require.NoError(t, s.Notify(t.Context(), "p0", "p1"))
		pass(time.Second)
		shows(t, m, 5)
		assert.Empty(t, entries(t, s, "p0"))
		q.full.Store(false)
		source.put("p0", "SKU-0", 4)
		require.NoError(t, s.Notify(t.Context(), "p0", "p1"))
		pass(time.Second)
		assert.Len(t, entries(t, s, "p0"), 1)
		assert.Len(t, entries(t, s, "p1"), 1, "it was given up")
	})
}

func TestTheJournalSurvivesWithTheQueue(t *testing.T) {
	path := filepath.Join(t.TempDir(), "queue.db")
	source, m := newStock(5, 6), shop("a", 1)
	open := func() (*syncer.Syncer, *boltqueue.Queue) {
		q, err := boltqueue.Open(path)
		require.NoError(t, err)
		return configure(t, syncer.Config{Source: source, Queue: q, Schedule: syncer.Never(), Journal: time.Hour}, m), q
	}
	s, q := open()
	_, err := s.Reconcile(t.Context())
	require.NoError(t, err)
	before, runs := entries(t, s, "p0"), entries(t, s, "")
	require.Len(t, before, 1)
	require.Len(t, runs, 1)
	assert.Equal(t, syncer.EntryRun, runs[0].Kind)
	assert.Equal(t, 2, runs[0].Report.Read)
	require.NoError(t, q.Close())

	s, q = open()
	defer q.Close()
	assert.Equal(t, before, entries(t, s, "p0"))
	for x, err := range s.Troubles(t.Context()) {
		require.NoError(t, err)
		assert.Equal(t, "p1", x.ProductID)
		assert.True(t, x.GivenUp)
		assert.ErrorIs(t, x.Err, channel.ErrUnknownSKU)
		m.Set("SKU-1", 1)
	}
	_, err = s.Reconcile(t.Context())
	require.NoError(t, err)
	for x := range s.Troubles(t.Context()) {
		t.Error("the channel has it now", x)
	}
}

func TestTheJournalIsBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long under the race detector")
	}
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const products = 1000
		source, m := newStock(make([]int, products)...), shop("a", products)
		q := syncer.NewMemoryQueue()
		s := configure(t, syncer.Config{
			Source: source, Queue: q, Journal: 24 * time.Hour,
			Targets: []syncer.Target{{Channel: m, Guard: syncer.Guard{Losses: -1, Gains: -1}}},
		})
		count := func() (n int) {
			for _, err := range q.Records(t.Context(), "journal", "") {
				require.NoError(t, err)
				n++
			}
			return n
		}
		for n := range 30 {
			for i := range products {
				source.put(fmt.Sprintf("p%d", i), fmt.Sprintf("SKU-%d", i), 10+n)
			}
			_, err := s.Reconcile(t.Context())
			require.NoError(t, err)
			pass(time.Minute)
		}
		assert.InDelta(t, 22_500, count(), 2500)
		assert.Equal(t, 39, entries(t, s, "p7")[0].Wanted, "the newest stay")
		pass(25 * time.Hour)
		assert.Empty(t, entries(t, s, "p7"), "what is too old is not told")
		_, err := s.Reconcile(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 1, count(), "and is removed by the next night")
	})
}

// What is too old for the journal is gone after the next run, though nothing new came.
func TestARunForgetsOldEntries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := syncer.NewMemoryQueue()
		s := configure(t, syncer.Config{Source: newStock(5), Queue: q, Schedule: syncer.Never(), Journal: time.Hour}, shop("a", 1))
		entries := func() (keys []string) {
			for rec, err := range q.Records(t.Context(), "journal", "") {
				require.NoError(t, err)
				keys = append(keys, rec.Key)
			}
			return keys
		}
		_, err := s.SyncProducts(t.Context(), "p0")
		require.NoError(t, err)
		old := entries()
		require.NotEmpty(t, old)
		time.Sleep(2 * time.Hour)
		_, err = s.Reconcile(t.Context())
		require.NoError(t, err)
		for _, key := range entries() {
			assert.NotContains(t, old, key)
		}
	})
}

func TestTroublesAreListedByReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := newStock(5, 6, 7, 8), shop("a", 2)
		m.Add(channel.Level{SKU: "SKU-1", Quantity: 3, Ref: "draft"})
		p := source.products["p3"]
		p.Err = errors.New("not a number")
		source.products["p3"] = p
		s := configure(t, syncer.Config{Source: source, Schedule: syncer.Never()}, m) // also without a journal
		defer running(t, s)()
		require.NoError(t, s.Notify(t.Context(), "p0", "p1", "p2", "p3"))
		pass(time.Minute)
		by := make(map[string]string)
		for x, err := range s.Troubles(t.Context()) {
			require.NoError(t, err)
			by[x.ProductID] = channel.Class(x.Err)
			assert.Equal(t, x.ProductID != "p3", x.GivenUp, x.ProductID)
			assert.Equal(t, !x.GivenUp, x.Next.After(time.Now()), x.ProductID)
		}
		assert.Equal(t, map[string]string{"p1": channel.Class(channel.ErrAmbiguousSKU), "p2": channel.Class(channel.ErrUnknownSKU), "p3": channel.Class(errors.New("x"))}, by)
	})
}

func TestExplainBySKUAndFromMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := newStock(5), shop("a", 1)
		s := configure(t, syncer.Config{Source: source, Schedule: syncer.Never()}, m)
		_, err := s.Explain(t.Context(), syncer.Question{SKU: "SKU-0"})
		require.ErrorIs(t, err, syncer.ErrNoProduct)
		_, err = s.SyncProducts(t.Context(), "p0")
		require.NoError(t, err)
		pass(time.Hour)
		m.Set("SKU-0", 9)
		reads, _ := m.Calls()
		x, err := s.Explain(t.Context(), syncer.Question{SKU: "SKU-0", Remembered: true})
		require.NoError(t, err)
		after, _ := m.Calls()
		assert.Equal(t, reads, after)
		assert.Equal(t, "p0", x.ProductID)
		l := x.Channels[0].Listings[0]
		assert.Equal(t, 5, *l.Shows)
		assert.Equal(t, time.Hour, x.At.Sub(l.SeenAt))
		x, err = s.Explain(t.Context(), syncer.Question{SKU: "SKU-0"})
		require.NoError(t, err)
		assert.Equal(t, 9, *x.Channels[0].Listings[0].Shows)
	})
}

// BenchmarkJournal is what an entry costs.
func BenchmarkJournal(b *testing.B) {
	run := func(b *testing.B, q syncer.Queue, keep time.Duration) {
		const products = 1000
		source, m := newStock(make([]int, products)...), channeltest.NewMemory("a")
		for i := range products {
			m.Set(fmt.Sprintf("SKU-%d", i), 50)
		}
		s, err := syncer.New(syncer.Config{
			Source: source, Queue: q, Journal: keep,
			Targets: []syncer.Target{{Channel: m, Guard: syncer.Guard{Losses: -1, Gains: -1}}},
		})
		require.NoError(b, err)
		ids := make([]string, products)
		for n := 0; b.Loop(); n++ {
			for i := range products {
				ids[i] = fmt.Sprintf("p%d", i)
				source.put(ids[i], fmt.Sprintf("SKU-%d", i), 50+n%2)
			}
			if _, err := s.SyncProducts(b.Context(), ids...); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/products, "ns/change")
	}
	b.Run("none", func(b *testing.B) { run(b, syncer.NewMemoryQueue(), 0) })
	b.Run("memory", func(b *testing.B) { run(b, syncer.NewMemoryQueue(), time.Hour) })
	b.Run("bolt", func(b *testing.B) {
		q, err := boltqueue.Open(filepath.Join(b.TempDir(), "queue.db"))
		require.NoError(b, err)
		defer q.Close()
		run(b, q, time.Hour)
	})
}

// A write of which nobody knows whether it was applied is in the journal as that.
func TestTheJournalHasWritesInDoubt(t *testing.T) {
	source, m := newStock(5), shop("a", 1)
	doubtful := &channeltest.Intercept{Channel: m, OnPush: func(context.Context, channel.Channel, []channel.Update) error {
		return channel.ErrUnclear
	}}
	s := configure(t, syncer.Config{Source: source, Schedule: syncer.Never(), Journal: time.Hour}, doubtful)
	_, err := s.Reconcile(t.Context())
	require.Error(t, err)
	got := entries(t, s, "p0")
	require.Len(t, got, 1)
	assert.Equal(t, syncer.EntryUnclear, got[0].Kind)
}
