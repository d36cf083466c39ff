package ecosire_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/ecosire/ecosiretest"
)

// What is created while pages travel side by side may come on the last page
// after that was read: the page is read once more.
func TestTheLastPageIsReadOnceMore(t *testing.T) {
	for _, tt := range []struct{ products, created, requests int }{
		{350, 0, 4},
		{350, 1, 5},
		{350, 50, 5},
		{350, 120, 7}, // and the pages that there are by then
	} {
		t.Run(fmt.Sprint(tt.products, "+", tt.created), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, _ := server(tt.products)
				var once sync.Once
				c := client(t, roundTrip(func(r *http.Request) (*http.Response, error) {
					if r.URL.Query().Get("page") == "2" { // it is late, and knows more
						time.Sleep(time.Second)
						once.Do(func() {
							for i := range tt.created {
								s.Add(ecosiretest.Product{SKU: fmt.Sprintf("NEW-%d", i), OnHand: 1})
							}
						})
					}
					return s.RoundTrip(r)
				}), io.Discard)
				got, err := collect(c.Stock(t.Context()))
				require.NoError(t, err)
				assert.Len(t, got, tt.products+tt.created)
				seen := make(map[string]int)
				for _, p := range got {
					seen[p.ProductID]++
				}
				assert.Len(t, seen, tt.products+tt.created, "none comes twice")
				assert.Len(t, s.Requests(), tt.requests)
			})
		})
	}
}

// A total that is one too many is not believed for it.
func TestNothingNewOnTheLastPage(t *testing.T) {
	s, _ := server(350)
	c := client(t, roundTrip(func(r *http.Request) (*http.Response, error) {
		resp, err := s.RoundTrip(r)
		if err != nil {
			return nil, err
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		body = bytes.ReplaceAll(body, []byte(`"total":350`), []byte(`"total":351`))
		resp.Body = io.NopCloser(bytes.NewReader(body))
		return resp, err
	}), io.Discard)
	got, err := collect(c.Stock(t.Context()))
	require.ErrorContains(t, err, "read 350 of 351")
	assert.Len(t, got, 350)
	assert.Len(t, s.Requests(), 5)
}

// Who breaks off does not wait for the pages that are on their way.
func TestBreakingOffEndsWhatIsOnItsWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _ := server(1000)
		given := make(chan struct{}, 10)
		c := client(t, roundTrip(func(r *http.Request) (*http.Response, error) {
			if page := r.URL.Query().Get("page"); page != "1" && page != "2" {
				select {
				case <-time.After(20 * time.Second):
				case <-r.Context().Done():
					given <- struct{}{}
					return nil, r.Context().Err()
				}
			}
			return s.RoundTrip(r)
		}), io.Discard)
		began, n := time.Now(), 0
		for range c.Stock(t.Context()) {
			if n++; n == 150 {
				break
			}
		}
		assert.Less(t, time.Since(began), 5*time.Second)
		assert.NotEmpty(t, given)
	})
}

// A number of pages that is one too many leads behind the end, which contradicts
// nothing.
func TestAPageBehindTheEnd(t *testing.T) {
	s, _ := server(250)
	s.Inject(channeltest.Fault{Times: -1, Rewrite: func(status int, _ http.Header, body []byte) (int, []byte) {
		return status, bytes.ReplaceAll(body, []byte(`"totalPages":3`), []byte(`"totalPages":4`))
	}})
	got, err := collect(client(t, s, io.Discard).Stock(t.Context()))
	require.NoError(t, err)
	assert.Len(t, got, 250)
	assert.Len(t, s.Requests(), 4)
}

// A page that is read in parts keeps its order, whatever part was asked for
// first.
func TestAPageInPartsKeepsItsOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, ids := server(300)
		slices.Sort(ids)
		s.Inject(channeltest.Fault{Times: -1, Status: http.StatusInternalServerError, Match: func(r channeltest.Request) bool {
			q := r.URL.Query()
			page, _ := strconv.Atoi(q.Get("page"))
			limit, _ := strconv.Atoi(q.Get("limit"))
			return page > 0 && (page-1)*limit <= 110 && 110 < page*limit // number 110 is beyond it
		}})
		got, err := collect(client(t, s, io.Discard).Stock(t.Context()))
		require.ErrorIs(t, err, channel.ErrIncomplete, "nobody knows which product that is")
		require.Len(t, got, 300)
		for i, p := range got {
			if i == 110 {
				assert.Error(t, p.Err)
			} else {
				assert.Equal(t, ids[i], p.ProductID)
			}
		}
	})
}

// What fits into a window is asked for at once when its number is known.
func TestPagesThatTravelTogether(t *testing.T) {
	for products, most := range map[int]int{90: 1, 2_000: 19, 6_000: 59} {
		t.Run(fmt.Sprint(products), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, _ := server(products)
				var mu sync.Mutex
				under, together := 0, 0
				start := time.Now()
				c := client(t, roundTrip(func(r *http.Request) (*http.Response, error) {
					mu.Lock()
					under++
					together = max(together, under)
					mu.Unlock()
					time.Sleep(100 * time.Millisecond)
					mu.Lock()
					under--
					mu.Unlock()
					return s.RoundTrip(r)
				}), io.Discard)
				got, err := collect(c.Stock(channel.WithUrgency(t.Context(), channel.Background)))
				require.NoError(t, err)
				assert.Len(t, got, products)
				assert.Equal(t, most, together)
				assert.LessOrEqual(t, time.Since(start), 200*time.Millisecond)
			})
		})
	}
}
