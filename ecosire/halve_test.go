package ecosire_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/ecosire/ecosiretest"
	"github.com/ecosire/stocksync/internal/racetest"
)

// poison makes each request for one of the ids fail.
func poison(status int, ids ...string) channeltest.Fault {
	return channeltest.Fault{Times: -1, Status: status, Body: `{"statusCode":422,"message":["each value in productIds must be a UUID"]}`,
		Match: func(r channeltest.Request) bool {
			asked := strings.Split(r.URL.Query().Get("productIds"), ",")
			return slices.ContainsFunc(ids, func(id string) bool { return slices.Contains(asked, id) })
		}}
}

func good(stocks []channel.Stock) (n int) {
	for _, s := range stocks {
		if s.Err == nil {
			n++
		}
	}
	return n
}

func TestAnIDThatECOSIRERefuses(t *testing.T) {
	for _, status := range []int{400, 404, 409, 422} {
		for _, at := range []int{0, 42, 99} {
			if racetest.Short() && (status != 422 || at != 42) {
				continue // the same, and takes long under the race detector
			}
			synctest.Test(t, func(t *testing.T) {
				s, ids := server(1000)
				c := client(t, s, io.Discard)
				s.Inject(poison(status, ids[at]))
				got, err := collect(c.Stock(t.Context(), ids...))
				require.NoError(t, err)
				require.Len(t, got, 1000)
				assert.Equal(t, 999, good(got))
				for _, p := range got {
					if p.Err != nil {
						assert.Equal(t, ids[at], p.ProductID)
						assert.ErrorIs(t, p.Err, channel.ErrInvalid)
						assert.True(t, channel.Permanent(p.Err))
					}
				}
				assert.LessOrEqual(t, len(s.Requests()), 10+10, "ten of them for halving")

				// It is remembered for a day.
				s.Forget()
				time.Sleep(23 * time.Hour)
				got, err = collect(c.Stock(t.Context(), ids[:200]...))
				require.NoError(t, err)
				assert.Equal(t, 199, good(got))
				assert.Len(t, s.Requests(), 2)
				// Then it is asked for by itself.
				s.Heal()
				s.Forget()
				time.Sleep(2 * time.Hour)
				got, err = collect(c.Stock(t.Context(), ids[:101]...))
				require.NoError(t, err)
				assert.Equal(t, 101, good(got))
				assert.Len(t, s.Requests(), 2, "a hundred, and one")
			})
		}
	}
}

func TestAnIDThatFailsEachTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, ids := server(100)
		c := client(t, s, io.Discard)
		s.Inject(poison(500, ids[7]))
		var last error
		for range 20 {
			got, err := collect(c.Stock(t.Context(), ids...))
			require.NoError(t, err)
			assert.Equal(t, 99, good(got))
			for _, p := range got {
				if p.Err != nil {
					last = p.Err
				}
			}
			time.Sleep(2 * time.Minute)
		}
		assert.ErrorIs(t, last, channel.ErrInvalid, "it fails alone, again and again")

		// One that failed in passing is read soon.
		s2, ids := server(100)
		c2 := client(t, s2, io.Discard)
		s2.Inject(poison(500, ids[7]))
		got, err := collect(c2.Stock(t.Context(), ids...))
		require.NoError(t, err)
		i := slices.IndexFunc(got, func(s channel.Stock) bool { return s.Err != nil })
		assert.ErrorIs(t, got[i].Err, channel.ErrUnavailable)
		assert.False(t, channel.Permanent(got[i].Err))
		s2.Heal()
		time.Sleep(2 * time.Minute)
		got, err = collect(c2.Stock(t.Context(), ids...))
		require.NoError(t, err)
		assert.Equal(t, 100, good(got))
	})
}

// Where ECOSIRE fails whatever it is asked, no product is to blame.
func TestTroubleOfECOSIREsIsNoProducts(t *testing.T) {
	for _, status := range []int{400, 404, 422, 500, 502, 503} {
		synctest.Test(t, func(t *testing.T) {
			s, ids := server(200)
			c := client(t, s, io.Discard)
			s.Inject(channeltest.Fault{Times: -1, Status: status, Body: `{"message":"no"}`})
			for _, some := range [][]string{ids, ids[:1]} {
				got, err := collect(c.Stock(t.Context(), some...))
				require.ErrorIs(t, err, channel.ErrUnavailable)
				assert.NotErrorIs(t, err, channel.ErrInvalid)
				assert.Empty(t, got)
			}
			assert.LessOrEqual(t, len(s.Requests()), 2*8)
			s.Heal()
			got, err := collect(c.Stock(t.Context(), ids...))
			require.NoError(t, err)
			assert.Equal(t, 200, good(got), "and none is remembered for it")
		})
	}
}

func TestHalvingHasABudget(t *testing.T) {
	if testing.Short() {
		t.Skip("many requests of one goroutine")
	}
	synctest.Test(t, func(t *testing.T) {
		s, ids := server(300)
		c := client(t, s, io.Discard)
		var bad []string
		for i := 0; i < 100; i += 5 {
			bad = append(bad, ids[i])
		}
		s.Inject(poison(422, bad...))
		read := map[string]bool{}
		for minute := range 60 {
			s.Forget()
			for range 6 { // whoever asks asks again
				got, err := collect(c.Stock(t.Context(), ids...))
				require.NoError(t, err)
				for _, p := range got {
					if p.Err == nil {
						read[p.ProductID] = true
						continue
					}
					if wait, ok := channel.RetryAfter(p.Err); ok {
						assert.LessOrEqual(t, wait, time.Minute)
					}
				}
				time.Sleep(10 * time.Second)
			}
			ordinary := 6 * 3
			assert.LessOrEqual(t, len(s.Requests()), 10+ordinary, "minute %d", minute)
			if minute == 0 {
				for _, id := range ids[100:] {
					assert.True(t, read[id], "those that were asked for in other requests are read at once")
				}
			}
		}
		assert.Len(t, read, 280)
	})
}

func TestLongIDsAreBoundedByTheURL(t *testing.T) {
	s := ecosiretest.New(ecosiretest.Config{})
	var ids []string
	for i := range 100 {
		ids = append(ids, s.Add(ecosiretest.Product{ID: fmt.Sprintf("%s-%d", strings.Repeat("日本", 20), i), SKU: fmt.Sprint(i)})...)
	}
	got, err := collect(client(t, s, io.Discard).Stock(t.Context(), ids...))
	require.NoError(t, err)
	assert.Equal(t, 100, good(got))
	for _, r := range s.Requests() {
		assert.Less(t, len(r.URL.String()), 8000)
	}
	got, err = collect(client(t, s, io.Discard).Stock(t.Context(), strings.Repeat("x", 100_000)))
	require.NoError(t, err)
	assert.ErrorIs(t, got[0].Err, channel.ErrInvalid)
	assert.Less(t, len(got[0].Err.Error()), 1000)
}

// Where a gateway refuses long URLs, shorter ones are asked from then on.
func TestALimitOfTheURLIsLearned(t *testing.T) {
	for _, status := range []int{400, 403, 404, 413, 414, 431} {
		synctest.Test(t, func(t *testing.T) {
			s, ids := server(200)
			var logs bytes.Buffer
			c := client(t, s, &logs)
			s.Inject(channeltest.Fault{Times: -1, Status: status, Body: "<html><title>Too long</title></html>",
				Match: func(r channeltest.Request) bool { return len(r.URL.RawQuery) > 2048 }})
			got, err := collect(c.Stock(t.Context(), ids...))
			require.NoError(t, err, status)
			assert.Equal(t, 200, good(got), status)
			assert.Contains(t, logs.String(), "long URL")
			s.Forget()
			time.Sleep(time.Minute)
			got, err = collect(c.Stock(t.Context(), ids...))
			require.NoError(t, err)
			assert.Equal(t, 200, good(got))
			assert.LessOrEqual(t, len(s.Requests()), 5)
		})
	}
}

func TestARefusedKeyIsNotHalved(t *testing.T) {
	for _, status := range []int{401, 403, 429} {
		synctest.Test(t, func(t *testing.T) {
			s, ids := server(20)
			s.Inject(channeltest.Fault{Times: -1, Status: status})
			_, err := collect(client(t, s, io.Discard).Stock(t.Context(), ids...))
			require.Error(t, err)
			assert.LessOrEqual(t, len(s.Requests()), 5)
			assert.Equal(t, status != 429, errors.Is(err, channel.ErrUnauthorized))
		})
	}
}

func TestBreakingOffWhileHalving(t *testing.T) {
	s, ids := server(100)
	s.Inject(poison(422, ids[99]))
	n := 0
	for range client(t, s, io.Discard).Stock(t.Context(), ids...) {
		if n++; n == 3 {
			break
		}
	}
	assert.LessOrEqual(t, len(s.Requests()), 12)
}
