package ecosire_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

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
