package syncer_test

import (
	"cmp"
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/internal/racetest"
	"github.com/ecosire/stocksync/syncer"
)

// setAll sets what the source has of every product.
func (s *stock) setAll(available int) {
	for _, id := range s.order {
		s.put(id, s.products[id].SKU, available)
	}
}

// gone counts the SKUs of a catalogue that are not on sale.
func gone(m *channeltest.Memory, products int) (n int) {
	for i := range products {
		if q, _ := m.Quantity(fmt.Sprintf("SKU-%d", i)); q <= 0 {
			n++
		}
	}
	return n
}

// The source says 0 for everything, and nobody looks for a month, or for as long
// as shows what is particular to a shop.
func TestNobodyLooksForAMonth(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long under the race detector")
	}
	t.Parallel()
	hourly := every(time.Hour)
	for _, tt := range []struct {
		name     string
		products int
		days     int
		cfg      syncer.Config
		deploys  time.Duration // how often the process starts anew; 0 means never
		down     bool          // whether another channel is down
	}{
		{name: "nightly", products: 1000, days: 8},
		{name: "nightly, 10 products", products: 10, days: 8},
		{name: "nightly, 20 products", products: 20, days: 30},
		{name: "nightly, 100 products", products: 100, days: 8},
		{name: "hourly", products: 1000, days: 3, cfg: syncer.Config{Schedule: hourly}},
		{name: "hourly, 30 products", products: 30, days: 4, cfg: syncer.Config{Schedule: hourly}},
		{name: "a crash loop that reconciles at each start", products: 300, days: 3, cfg: syncer.Config{ReconcileAtStart: true}, deploys: time.Hour},
		{name: "another channel is down, so that runs are repeated", products: 300, days: 5, down: true},
		{name: "30,000 products", products: 30_000, days: 4, cfg: syncer.Config{Schedule: every(30 * time.Hour)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				source, m := catalogue(tt.products)
				cfg := tt.cfg
				cfg.Source, cfg.Queue = source, syncer.NewMemoryQueue()
				channels := []channel.Channel{m}
				if tt.down {
					channels = append(channels, &channeltest.Intercept{Channel: channeltest.NewMemory("ill"),
						OnLevels: func(context.Context, channel.Reader, []string) ([]channel.Level, error) {
							return nil, channel.ErrUnavailable
						}})
				}
				_, err := configure(t, cfg, m).Reconcile(t.Context()) // a good day
				require.NoError(t, err)
				source.setAll(0)
				long := time.Duration(tt.days) * 24 * time.Hour
				life := cmp.Or(tt.deploys, long)
				for end := time.Now().Add(long); time.Now().Before(end); {
					stop := running(t, configure(t, cfg, channels...))
					pass(life)
					stop()
				}
				assert.Zero(t, gone(m, tt.products), "products that are wrongly off sale")
				held, err := configure(t, cfg, channels...).Held(t.Context())
				require.NoError(t, err)
				require.NotEmpty(t, held)
				assert.Equal(t, tt.products, held[0].Losses)
				assert.Equal(t, min(tt.products, 10_000), len(held[0].Lines))
				assert.Equal(t, held[0].SoldOut, len(held[0].Lines))
				assert.Contains(t, held[0].String(), "Approve(ctx")

				// It is over when the source is mended, without anybody.
				source.setAll(10)
				s := configure(t, cfg, m)
				_, err = s.Reconcile(t.Context())
				require.NoError(t, err)
				held, err = s.Held(t.Context())
				require.NoError(t, err)
				assert.Empty(t, held)
			})
		})
	}
}

type every time.Duration

func (e every) Next(t time.Time) time.Time { return t.Add(time.Duration(e)) }

// A bad import reaches the syncer as events. At most a tenth of the shop goes
// off sale, or three tenths come on sale, and after that nothing does.
func TestABadImportByEvents(t *testing.T) {
	for _, tt := range []struct {
		name     string
		before   int
		after    int
		counted  bool // whether a night has counted what is on sale
		most     int
		products int
	}{
		{"to none", 10, 0, true, 100, 1000},
		{"to none, before the first night", 10, 0, false, 50, 1000},
		{"to none in a small shop", 10, 0, true, 5, 20},
		{"from none to a thousand", 0, 1000, true, 5, 1000}, // nothing is on sale
		{"a hundred times as much", 10, 1000, true, 300, 1000},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.products == 1000 && tt.counted {
				racetest.Long(t)
			}
			synctest.Test(t, func(t *testing.T) {
				source, m := catalogue(tt.products)
				for i := range tt.products {
					m.Set(fmt.Sprintf("SKU-%d", i), tt.before)
				}
				source.setAll(tt.before)
				s := configure(t, syncer.Config{Source: source, Schedule: syncer.Never()}, m)
				if tt.counted {
					_, err := s.Reconcile(t.Context())
					require.NoError(t, err)
				}
				defer running(t, s)()
				source.setAll(tt.after)
				for range 3 { // and the same again, an hour later
					for i := range tt.products / 2 {
						require.NoError(t, s.Notify(t.Context(), fmt.Sprintf("p%d", i)))
						time.Sleep(180 * time.Millisecond)
					}
					pass(time.Hour)
				}
				for range 20 { // nor by calls of the host's own
					_, err := s.SyncProducts(t.Context(), "p1", "p2", "p3", fmt.Sprintf("p%d", tt.products-1))
					_ = err
				}
				changed := 0
				for i := range tt.products {
					if n, _ := m.Quantity(fmt.Sprintf("SKU-%d", i)); n != tt.before {
						changed++
					}
				}
				assert.Positive(t, changed)
				assert.LessOrEqual(t, changed, tt.most)
				assert.True(t, drained(t, s), "held is not lost, and does not wait in the queue")
				held, err := s.Held(t.Context())
				require.NoError(t, err)
				require.Len(t, held, 1)
				assert.GreaterOrEqual(t, len(held[0].Lines)+changed, tt.products/2)
			})
		})
	}
}

func TestWhatMustNotTrip(t *testing.T) {
	long(t)
	const n = 1000
	world := func(t *testing.T) (*stock, *channeltest.Memory, *channeltest.Memory, *syncer.Syncer, func()) {
		source, a := catalogue(n)
		b := channeltest.NewMemory("b")
		for i := range n {
			b.Set(fmt.Sprintf("SKU-%d", i), 10)
		}
		s := configure(t, syncer.Config{Source: source}, a, b)
		_, err := s.Reconcile(t.Context())
		require.NoError(t, err)
		return source, a, b, s, running(t, s)
	}
	untouched := func(t *testing.T, s *syncer.Syncer) {
		t.Helper()
		held, err := s.Held(t.Context())
		require.NoError(t, err)
		assert.Empty(t, held)
	}
	t.Run("a flash sale of a fifth in an hour", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			source, a, b, s, stop := world(t)
			defer stop()
			for i := range n / 5 {
				source.put(fmt.Sprintf("p%d", i), fmt.Sprintf("SKU-%d", i), 0)
				require.NoError(t, s.Notify(t.Context(), fmt.Sprintf("p%d", i)))
				pass(18 * time.Second)
			}
			assert.Equal(t, n/5, gone(a, n))
			assert.Equal(t, n/5, gone(b, n))
			untouched(t, s)
		})
	})
	for how, sell := range map[string]func(source *stock, a *channeltest.Memory, i int){
		"orders reserve it": func(source *stock, _ *channeltest.Memory, i int) {
			id := fmt.Sprintf("p%d", i)
			source.mu.Lock()
			p := source.products[id]
			p.OnHand, p.Reserved, p.Available = 10, 10, 0
			source.products[id] = p
			source.mu.Unlock()
		},
		"a channel sold it": func(source *stock, a *channeltest.Memory, i int) {
			a.Set(fmt.Sprintf("SKU-%d", i), 0)
			source.put(fmt.Sprintf("p%d", i), fmt.Sprintf("SKU-%d", i), 0)
		},
	} {
		t.Run("a flash sale while the guard has tripped: "+how, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				source, a, b, s, stop := world(t)
				defer stop()
				for i := 500; i < n; i++ { // a bad import
					source.put(fmt.Sprintf("p%d", i), fmt.Sprintf("SKU-%d", i), 0)
				}
				_, err := s.Reconcile(t.Context())
				require.ErrorIs(t, err, syncer.ErrHeld)
				for i := range n / 5 { // what is sold was known to be shown
					require.NoError(t, s.Notify(t.Context(), fmt.Sprintf("p%d", i)))
				}
				pass(time.Minute)
				for i := range n / 5 {
					sell(source, a, i)
					require.NoError(t, s.Notify(t.Context(), fmt.Sprintf("p%d", i)))
					pass(18 * time.Second)
				}
				pass(time.Minute)
				assert.Equal(t, n/5, gone(a, n))
				assert.Equal(t, n/5, gone(b, n), "a real sell-out passes")
			})
		})
	}
	t.Run("the backlog of a channel that was down for six hours", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			source, a := catalogue(n)
			var down atomic.Bool
			c := &channeltest.Intercept{Channel: a, OnLevels: func(ctx context.Context, next channel.Reader, skus []string) ([]channel.Level, error) {
				if down.Load() {
					return nil, channel.ErrUnavailable
				}
				return next.Levels(ctx, skus)
			}}
			s := configure(t, syncer.Config{Source: source, Schedule: syncer.Never()}, c)
			_, err := s.Reconcile(t.Context())
			require.NoError(t, err)
			defer running(t, s)()
			down.Store(true)
			for i := range 3 * n / 5 { // a hundred in an hour
				source.put(fmt.Sprintf("p%d", i), fmt.Sprintf("SKU-%d", i), 0)
				require.NoError(t, s.Notify(t.Context(), fmt.Sprintf("p%d", i)))
				pass(36 * time.Second)
			}
			down.Store(false)
			pass(time.Minute)
			assert.Equal(t, 3*n/5, gone(a, n))
			untouched(t, s)
		})
	})
	t.Run("an ordinary night, and a restock of a season", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			source, a := catalogue(n)
			for i := range n / 5 { // out of season
				a.Set(fmt.Sprintf("SKU-%d", i), 0)
				source.put(fmt.Sprintf("p%d", i), fmt.Sprintf("SKU-%d", i), 0)
			}
			s := configure(t, syncer.Config{Source: source, Settle: -1}, a)
			_, err := s.Reconcile(t.Context())
			require.NoError(t, err)
			for i := range n / 100 { // drift of a hundredth
				a.Set(fmt.Sprintf("SKU-%d", 500+i), 0)
				source.put(fmt.Sprintf("p%d", 600+i), fmt.Sprintf("SKU-%d", 600+i), 0)
			}
			for i := range n / 5 {
				source.put(fmt.Sprintf("p%d", i), fmt.Sprintf("SKU-%d", i), 40)
			}
			_, err = s.Reconcile(t.Context())
			require.NoError(t, err)
			assert.Equal(t, n/100, gone(a, n))
			untouched(t, s)
		})
	})
}

// A first sync with the key of another warehouse looks ordinary: half of the
// products are sold out.
func TestAFirstSyncWithTheWrongWarehouseIsHeld(t *testing.T) {
	source, m := catalogue(100)
	for i := 0; i < 100; i += 2 {
		source.put(fmt.Sprintf("p%d", i), fmt.Sprintf("SKU-%d", i), 0)
	}
	r, err := build(t, source, m).Reconcile(t.Context())
	require.ErrorIs(t, err, syncer.ErrHeld)
	assert.Equal(t, 50, r.Channels[0].Held)
	assert.Zero(t, r.Channels[0].Updated)
}

// What is sold without a quantity is on sale: taking it off is a loss.
func TestSoldWithoutAQuantityIsOnSale(t *testing.T) {
	source, m := newStock(), channeltest.NewMemory("a")
	for i := range 300 {
		source.put(fmt.Sprintf("p%d", i), fmt.Sprintf("SKU-%d", i), 0)
		m.Add(channel.Level{SKU: fmt.Sprintf("SKU-%d", i), Unset: true})
	}
	m.Add(channel.Level{SKU: "OFF", Unset: true, OffSale: true})
	source.put("off", "OFF", 0)
	r, err := build(t, source, m).Reconcile(t.Context())
	require.ErrorIs(t, err, syncer.ErrHeld)
	assert.Equal(t, 300, r.Channels[0].Held)
	assert.Equal(t, 1, r.Channels[0].Updated, "what nobody can buy loses nothing")
	assert.Equal(t, 300, r.Channels[0].OnSale)
}

// What a channel refuses to show is no loss, and does not keep others from
// being written.
func TestRefusedProductsUseNothingUp(t *testing.T) {
	source, m := newStock(), channeltest.NewMemory("a")
	for i := range 100 {
		source.put(fmt.Sprintf("p%d", i), fmt.Sprintf("SKU-%d", i), 10)
		m.Set(fmt.Sprintf("SKU-%d", i), 10)
	}
	for i := range 25 {
		source.put(fmt.Sprintf("bundle%d", i), fmt.Sprintf("BUNDLE-%d", i), 0)
		m.Add(channel.Level{SKU: fmt.Sprintf("BUNDLE-%d", i), Quantity: 7, Err: channel.ErrShared})
	}
	source.put("p0", "SKU-0", 0)
	r, err := build(t, source, m).Reconcile(t.Context())
	require.ErrorIs(t, err, channel.ErrShared)
	assert.NotErrorIs(t, err, syncer.ErrHeld)
	assert.Equal(t, 1, r.Channels[0].Updated)
	shows(t, m, 0)
	p, err := build(t, source, m).Plan(t.Context())
	require.NoError(t, err)
	assert.Zero(t, p.Drift(), "what the channel refuses is no drift")
}

func TestAConflictCountsOnce(t *testing.T) {
	source, m := newStock(), channeltest.NewMemory("a")
	for i := range 300 {
		source.put(fmt.Sprintf("p%d", i), fmt.Sprintf("SKU-%d", i), 7)
		m.Set(fmt.Sprintf("SKU-%d", i), 7)
	}
	for i := range 30 {
		source.put(fmt.Sprintf("p%d", i), fmt.Sprintf("SKU-%d", i), 0)
	}
	first := true
	c := &channeltest.Intercept{Channel: m, OnPush: func(ctx context.Context, next channel.Channel, updates []channel.Update) error {
		if first { // somebody saved the shop's products meanwhile
			first = false
			errs := channel.Errors{}
			for _, u := range updates {
				errs[u.SKU] = channel.ErrConflict
			}
			return errs
		}
		return next.Push(ctx, updates)
	}}
	r, err := build(t, source, c).Reconcile(t.Context())
	require.NoError(t, err)
	assert.Zero(t, r.Channels[0].Held)
	assert.Equal(t, 30, r.Channels[0].Updated)
}

// A first quantity is put back to none, where the channel can do that.
func TestUndoOfAFirstQuantity(t *testing.T) {
	for _, can := range []bool{true, false} {
		source, m := newStock(5), channeltest.NewMemory("a")
		m.Add(channel.Level{SKU: "SKU-0", Unset: true})
		var c channel.Channel = m
		if !can {
			c = plainReader{m}
		}
		s := build(t, source, c)
		r, err := s.SyncProducts(t.Context(), "p0")
		require.NoError(t, err)
		shows(t, m, 5)
		undo, err := r.Undo()
		require.NoError(t, err)
		require.Len(t, undo.Lines, 1)
		assert.Equal(t, syncer.ReasonPutBack, undo.Lines[0].Reason)
		r, err = s.Apply(t.Context(), undo)
		levels, _ := m.Levels(t.Context(), []string{"SKU-0"})
		if can {
			require.NoError(t, err)
			assert.True(t, levels[0].Unset)
		} else {
			require.ErrorIs(t, err, channel.ErrInvalid)
			assert.ErrorContains(t, r.Err(), "cannot go back")
			assert.Equal(t, 5, levels[0].Quantity)
		}
	}
}

// plainReader hides all that a channel can do beside reading.
type plainReader struct{ m *channeltest.Memory }

func (p plainReader) Name() string { return p.m.Name() }
func (p plainReader) Push(ctx context.Context, u []channel.Update) error {
	return p.m.Push(ctx, u)
}
func (p plainReader) Levels(ctx context.Context, skus []string) ([]channel.Level, error) {
	return p.m.Levels(ctx, skus)
}

// A sale explains as many units as were sold, however often the channel is
// looked at while the guard holds the rest.
func TestASaleIsCountedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m := catalogue(100)
		s := configure(t, syncer.Config{Source: source, Schedule: syncer.Never()}, m)
		_, err := s.Reconcile(t.Context())
		require.NoError(t, err)
		defer running(t, s)()
		require.NoError(t, s.Notify(t.Context(), "p0"))
		pass(time.Minute)
		was, _ := m.Quantity("SKU-0")
		m.Set("SKU-0", was-2) // two are sold
		var ids []string
		for i := range 50 { // a bad import
			ids = append(ids, fmt.Sprintf("p%d", i))
			source.put(ids[i], fmt.Sprintf("SKU-%d", i), 0)
		}
		for range 10 {
			_, _ = s.PlanProducts(t.Context(), "p0")
		}
		require.NoError(t, s.Notify(t.Context(), ids[1:]...))
		pass(time.Minute)
		for range 10 {
			require.NoError(t, s.Notify(t.Context(), "p0"))
			pass(time.Minute)
		}
		n, _ := m.Quantity("SKU-0")
		assert.Equal(t, was-2, n, "the guard holds it: two sales do not explain the loss of %d", was)
	})
}
