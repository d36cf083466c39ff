package syncer

import (
	"context"
	"iter"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
)

// yields is a source that says what a function does.
type yields func(ctx context.Context, ids []string, yield func(channel.Stock, error) bool)

func (f yields) Stock(ctx context.Context, ids ...string) iter.Seq2[channel.Stock, error] {
	return func(yield func(channel.Stock, error) bool) { f(ctx, ids, yield) }
}

func readerOf(t *testing.T, source channel.Source) *Syncer {
	t.Helper()
	s, err := New(Config{Source: source, Targets: []Target{{Channel: channeltest.NewMemory("a")}}})
	require.NoError(t, err)
	return s
}

// Each of a product's quantities and names must make sense.
func TestWhatOfAProductMakesSense(t *testing.T) {
	long, longer := strings.Repeat("x", maxID), strings.Repeat("x", maxID+1)
	odd := []channel.Stock{
		{ProductID: longer, SKU: "x"}, {ProductID: "x", SKU: longer}, {ProductID: "\xff", SKU: "x"}, {ProductID: "x", SKU: "\xff"},
	}
	if huge := math.MaxInt; !sound(huge) { // an int of 32 bits holds nothing that is too much
		odd = append(odd, channel.Stock{Available: huge}, channel.Stock{OnHand: huge}, channel.Stock{Reserved: huge},
			channel.Stock{Available: -huge, OnHand: 1, Reserved: 1})
	}
	for _, s := range odd {
		assert.ErrorIs(t, senseOf(&s), channel.ErrInvalid, "%.20q", s)
	}
	for _, s := range []channel.Stock{{ProductID: long, SKU: long}, {Available: -1, OnHand: 1, Reserved: 2}} {
		assert.NoError(t, senseOf(&s))
	}
}

// A quantity is as of the time that the source gives. If it gives none, or one in the
// future, another time counts, whatever the quantity before had.
func TestEachQuantityIsAsOfATimeThatMakesSense(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		past := began.Add(-time.Hour)
		says := []time.Time{past, {}, began.Add(time.Hour), {}, past, past, began.Add(time.Hour)}
		s := readerOf(t, yields(func(_ context.Context, _ []string, yield func(channel.Stock, error) bool) {
			time.Sleep(time.Second)
			for _, at := range says {
				yield(channel.Stock{ProductID: "p", SKU: "SKU", AsOf: at}, nil)
			}
		}))
		var got []time.Duration
		for stock, err := range s.stock(t.Context(), nil) {
			require.NoError(t, err)
			got = append(got, stock.AsOf.Sub(began))
		}
		assert.Equal(t, []time.Duration{-time.Hour, 0, time.Second, 0, -time.Hour, -time.Hour, time.Second}, got)
	})
}

// What a source says is handed on as it comes, though the next takes long.
func TestAProductDoesNotWaitForTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := readerOf(t, yields(func(_ context.Context, _ []string, yield func(channel.Stock, error) bool) {
			for range 3 {
				time.Sleep(time.Minute)
				yield(channel.Stock{ProductID: "p", SKU: "SKU"}, nil)
			}
			time.Sleep(time.Minute)
		}))
		start := time.Now()
		var at []time.Duration
		for range s.stock(t.Context(), nil) {
			at = append(at, time.Since(start))
		}
		assert.Equal(t, []time.Duration{time.Minute, 2 * time.Minute, 3 * time.Minute}, at)
		assert.Equal(t, 4*time.Minute, time.Since(start))
	})
}

// More than a stream holds comes whole, and in its order, however slowly it is taken.
func TestAllOfALongAnswerComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 5*maxCame + 7
		ahead := 0
		s := readerOf(t, yields(func(_ context.Context, _ []string, yield func(channel.Stock, error) bool) {
			for i := range n {
				ahead = i
				yield(channel.Stock{ProductID: "p", SKU: "SKU", Available: i}, nil)
			}
		}))
		next := 0
		for stock, err := range s.stock(t.Context(), nil) {
			require.NoError(t, err)
			require.Equal(t, next, stock.Available)
			if next%50 == 0 {
				time.Sleep(time.Second)
				synctest.Wait()
				require.LessOrEqual(t, ahead-next, 2*maxCame, "it does not run ahead")
			}
			next++
		}
		assert.Equal(t, n, next)
	})
}

// Whoever has what it wants ends the source's reading at once.
func TestAReadingThatIsNotWantedIsCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := false
		s := readerOf(t, yields(func(ctx context.Context, _ []string, yield func(channel.Stock, error) bool) {
			yield(channel.Stock{ProductID: "p", SKU: "SKU"}, nil)
			<-ctx.Done()
			ended = true
		}))
		start := time.Now()
		for range s.stock(t.Context(), nil) {
			break
		}
		synctest.Wait()
		assert.True(t, ended)
		assert.Zero(t, time.Since(start))
	})
}

// A source that hangs when it is asked about some products is asked about all of them
// all the same, and the other way round.
func TestASourceThatHangsAboutSomeIsAskedAboutAll(t *testing.T) {
	for _, ids := range [][]string{nil, {"p"}} {
		synctest.Test(t, func(t *testing.T) {
			back := make(chan struct{})
			s := readerOf(t, yields(func(_ context.Context, asked []string, yield func(channel.Stock, error) bool) {
				if len(asked) == len(ids) {
					<-back
					return
				}
				yield(channel.Stock{ProductID: "p", SKU: "SKU"}, nil)
			}))
			ask := func(ids []string) (n int, failed error) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				for _, err := range s.stock(ctx, ids) {
					if err != nil {
						return n, err
					}
					n++
				}
				return n, nil
			}
			_, err := ask(ids)
			require.ErrorIs(t, err, context.DeadlineExceeded)
			other := []string{"p"}
			if ids != nil {
				other = nil
			}
			n, err := ask(other)
			require.NoError(t, err)
			assert.Equal(t, 1, n)
			close(back)
		})
	}
}

// Passes that are under way together share no room; one after the other uses it again.
func TestTwoPassesShareNoRoom(t *testing.T) {
	var r rooms
	first := r.get()
	wants := append(first.takeWants(2), want{sku: "1"}, want{sku: "2"})
	more := append(first.takeWants(2), want{sku: "3"}, want{sku: "4"})
	assert.Equal(t, []string{"1", "2", "3", "4"}, append(skusOf(wants), skusOf(more)...), "these are in use")
	results := append(first.takeResults(2), result{}, result{})
	r.put(first, results)

	again, other := r.get(), r.get()
	assert.Same(t, first, again)
	assert.NotSame(t, first, other)
	assert.Same(t, &wants[0], &again.takeWants(2)[:1][0], "it is made use of again")
	assert.Same(t, &results[0], &again.takeResults(2)[:1][0])
	assert.GreaterOrEqual(t, cap(again.takeResults(3)), 3)
	r.put(other, nil)
	assert.GreaterOrEqual(t, cap(r.get().takeWants(3)), 3)
}

// A source may take long over a catalogue as long as it goes on, and whoever reads it
// may take long as well; only one that says nothing is given up.
func TestOnlyASilentSourceIsGivenUp(t *testing.T) {
	for _, tt := range []struct {
		pause, work time.Duration
		products    int
	}{{defaultPatience - time.Second, 0, 5}, {0, 2 * defaultPatience, 5}, {defaultPatience - time.Second, 2 * defaultPatience, 5}, {defaultPatience + time.Second, 0, 0}} {
		synctest.Test(t, func(t *testing.T) {
			s := readerOf(t, yields(func(ctx context.Context, _ []string, yield func(channel.Stock, error) bool) {
				for range 5 {
					select {
					case <-time.After(tt.pause):
					case <-ctx.Done():
						return
					}
					yield(channel.Stock{ProductID: "p", SKU: "SKU"}, nil)
				}
			}))
			products := 0
			var failed error
			for _, err := range s.stock(t.Context(), nil) {
				if failed = err; err == nil {
					products++
				}
				time.Sleep(tt.work)
			}
			assert.Equal(t, tt.products, products)
			if tt.products == 5 {
				assert.NoError(t, failed)
			} else {
				assert.ErrorIs(t, failed, channel.ErrIncomplete)
			}
		})
	}
}

// A source that heeds no context is done with the next thing that it yields, and can be
// asked again.
func TestASourceEndsWithWhatItYieldsTooLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		yielded := 0
		s := readerOf(t, yields(func(_ context.Context, _ []string, yield func(channel.Stock, error) bool) {
			for more := true; more && yielded < maxCame; yielded++ {
				time.Sleep(20 * time.Second)
				more = yield(channel.Stock{ProductID: "p", SKU: "SKU"}, nil)
			}
		}))
		for range s.stock(t.Context(), nil) {
			break
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		assert.Equal(t, 2, yielded)
		assert.NoError(t, s.free(t.Context(), allStock))
	})
}
