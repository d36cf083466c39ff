package ecosire_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/ecosire"
)

// answering is an ECOSIRE that answers every request with the same page.
type answering struct {
	rows []string
	meta string
	n    int
}

func (a *answering) RoundTrip(*http.Request) (*http.Response, error) {
	a.n++
	meta := a.meta
	if meta == "" {
		meta = fmt.Sprintf(`{"total":%d,"page":1,"limit":100,"totalPages":1}`, len(a.rows))
	}
	body := fmt.Sprintf(`{"data":[%s],"meta":%s}`, strings.Join(a.rows, ","), meta)
	return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body))}, nil
}

// breaks are ways in which one entry of an answer can make no sense. named is
// whether it still says which product it is about.
var breaks = []struct {
	row   string
	named bool
}{
	{`{"productId":"p5","sku":4006381333931,"onHand":5,"reserved":0,"available":5}`, true},
	{`{"productId":"p5","sku":null,"onHand":5,"reserved":0,"available":5}`, true},
	{`{"productId":"p5","sku":{"a":1},"onHand":5,"reserved":0,"available":5}`, true},
	{`{"productId":"p5","sku":["S5"],"onHand":5,"reserved":0,"available":5}`, true},
	{`{"productId":"p5","sku":true,"onHand":5,"reserved":0,"available":5}`, true},
	{`{"productId":"p5","onHand":5,"reserved":0,"available":5}`, true},
	{`{"productId":"p5","SKU":"S5","onHand":5,"reserved":0,"available":5}`, true},
	{`{"productId":"p5","sku":"S5","sku":"S6","onHand":5,"reserved":0,"available":5}`, false},
	{`{"productId":"p5","sku":"\ud800","onHand":5,"reserved":0,"available":5}`, true},
	{"{\"productId\":\"p5\",\"sku\":\"\xff\",\"onHand\":5,\"reserved\":0,\"available\":5}", true},
	{`{"productId":"p5","sku":"` + strings.Repeat("S", 5000) + `","onHand":5,"reserved":0,"available":5}`, true},
	{`{"productId":"p5","sku":"S5","onHand":5,"reserved":0}`, true},
	{`{"productId":"p5","sku":"S5","onHand":5,"reserved":0,"available":null}`, true},
	{`{"productId":"p5","sku":"S5","onHand":5,"reserved":0,"available":"5"}`, true},
	{`{"productId":"p5","sku":"S5","onHand":5,"reserved":0,"available":""}`, true},
	{`{"productId":"p5","sku":"S5","onHand":5,"reserved":0,"available":2.5}`, true},
	{`{"productId":"p5","sku":"S5","onHand":5,"reserved":0,"available":1e-400}`, true},
	{`{"productId":"p5","sku":"S5","onHand":5,"reserved":0,"available":4.99999999999999999999}`, true},
	{`{"productId":"p5","sku":"S5","onHand":5,"reserved":0,"available":1e30}`, true},
	{`{"productId":"p5","sku":"S5","onHand":5,"reserved":0,"available":9007199254740993}`, true},
	{`{"productId":"p5","sku":"S5","onHand":5,"reserved":0,"available":18446744073709551621}`, true},
	{`{"productId":"p5","sku":"S5","onHand":5,"reserved":0,"available":{"value":5}}`, true},
	{`{"productId":"p5","sku":"S5","onHand":5,"reserved":0,"available":[5]}`, true},
	{`{"productId":"p5","sku":"S5","onHand":5,"reserved":0,"available":true}`, true},
	{`{"productId":"p5","sku":"S5","onHand":5,"reserved":0,"available":5,"available":0}`, true},
	{`{"productId":"p5","sku":"S5","onHand":5,"reserved":0,"available":5,"AVAILABLE":0}`, true},
	{`{"productId":"p5","sku":"S5","onHand":5,"reserved":0,"available":5,"avail\u0061ble":0}`, true},
	{`{"productId":"p5","sku":"S5","onHand":null,"reserved":0,"available":5}`, true},
	{`{"productId":"p5","sku":"S5","onHand":"5","reserved":0,"available":5}`, true},
	{`{"productId":"p5","sku":"S5","reserved":0,"available":5}`, true},
	{`{"productId":"p5","sku":"S5","onHand":5,"reserved":{},"available":5}`, true},
	{`{"productId":"p5","sku":"S5","onHand":5,"reserved":0.5,"available":5}`, true},
	{`{"productId":"p5","sku":"S5","onHand":5,"available":5}`, true},
	{`{"productId":"p5","sku":"S5","ONHAND":5,"reserved":0,"available":5}`, true},
	{`{"productId":5,"sku":"S5","onHand":5,"reserved":0,"available":5}`, false},
	{`{"productId":null,"sku":"S5","onHand":5,"reserved":0,"available":5}`, false},
	{`{"productId":"","sku":"S5","onHand":5,"reserved":0,"available":5}`, false},
	{`{"productId":{"id":"p5"},"sku":"S5","onHand":5,"reserved":0,"available":5}`, false},
	{`{"productID":"p5","sku":"S5","onHand":5,"reserved":0,"available":5}`, false},
	{`{"productId":"p5","productId":"p6","sku":"S5","onHand":5,"reserved":0,"available":5}`, false},
	{`{"sku":"S5","onHand":5,"reserved":0,"available":5}`, false},
	{`{"productId":"` + strings.Repeat("p", 5000) + `","sku":"S5","onHand":5,"reserved":0,"available":5}`, false},
	{`{}`, false},
	{`null`, false},
	{`7`, false},
	{`"p5"`, false},
	{`[]`, false},
	{`["p5","S5",5,0,5]`, false},
}

func page(n int) *answering {
	a := &answering{}
	for i := range n {
		a.rows = append(a.rows, fmt.Sprintf(`{"productId":"p%d","productName":"Product %d","sku":"S%d","onHand":%d,"reserved":1,"available":%d,"reorderPoint":50,"uom":"units"}`, i, i, i, i+1, i))
	}
	return a
}

// One bad row of a good page is the error of that product and of no other.
func TestOneBadRowIsOneProductsError(t *testing.T) {
	for _, b := range breaks {
		t.Run(b.row[:min(len(b.row), 100)], func(t *testing.T) {
			var asked []string
			a := page(9)
			a.rows[5] = b.row
			for i := range 9 {
				asked = append(asked, fmt.Sprintf("p%d", i))
			}
			for name, ids := range map[string][]string{"named": asked, "catalogue": nil} {
				got, err := collect(client(t, a, io.Discard).Stock(t.Context(), ids...))
				failed := 0
				for _, s := range got {
					if s.Err != nil {
						failed++
						assert.Less(t, len(s.Err.Error()), 1000)
						if ids != nil || b.named {
							assert.Equal(t, "p5", s.ProductID, "%s: %v", name, s.Err)
						}
						assert.NotContains(t, []string{"p4", "p6"}, s.ProductID, name)
						assert.Zero(t, s.Available)
						continue
					}
					assert.Equal(t, fmt.Sprintf("S%d", s.Available), s.SKU)
					assert.Equal(t, "p"+s.SKU[1:], s.ProductID)
				}
				assert.Len(t, got, 9, name)
				assert.Equal(t, 1, failed, name)
				if ids != nil || b.named {
					assert.NoError(t, err, name)
				} else if err != nil { // something of the catalogue has no name at all
					assert.ErrorIs(t, err, channel.ErrIncomplete)
					assert.ErrorContains(t, err, "no name")
				}
			}
		})
	}
}

func TestBadRowsAreLoggedOnceAndBounded(t *testing.T) {
	a := page(9)
	a.rows[5] = `{"productId":"p5","sku":"S\n5","onHand":"` + strings.Repeat("<script>\\u001b[31m", 10_000) + `","reserved":1,"available":1}`
	var logs bytes.Buffer
	c := client(t, a, &logs)
	for range 3 {
		got, err := collect(c.Stock(t.Context()))
		require.NoError(t, err)
		assert.Less(t, len(got[5].Err.Error()), 500)
		assert.NotContains(t, got[5].Err.Error(), "\x1b")
	}
	assert.Equal(t, 1, strings.Count(logs.String(), "product=p5"))
	assert.Less(t, logs.Len(), 1000)
}

func TestWhatIsForPeopleOnlyCannotFail(t *testing.T) {
	a := page(2)
	a.rows[1] = `{"productId":"p1","productName":7,"sku":"S1","onHand":2,"reserved":1,"available":1,"reorderPoint":2.5,"uom":null}`
	got, err := collect(client(t, a, io.Discard).Stock(t.Context()))
	require.NoError(t, err)
	assert.Equal(t, "Product 0", got[0].Name)
	assert.Equal(t, "units", got[0].Unit)
	assert.Equal(t, 50, got[0].ReorderPoint)
	assert.NoError(t, got[1].Err)
	assert.Empty(t, got[1].Name+got[1].Unit)
	assert.Zero(t, got[1].ReorderPoint)
}

func TestAProductTwiceOnAPage(t *testing.T) {
	a := page(3)
	a.rows = append(a.rows, a.rows[1], `{"productId":"p2","sku":"S2","onHand":9,"reserved":0,"available":9}`)
	a.meta = `{"total":3,"page":1,"limit":100,"totalPages":1}`
	for _, ids := range [][]string{nil, {"p0", "p1", "p2"}} {
		got, _ := collect(client(t, a, io.Discard).Stock(t.Context(), ids...))
		require.Len(t, got, 3)
		assert.NoError(t, got[1].Err, "the same twice does no harm")
		assert.ErrorContains(t, got[2].Err, "twice")
	}
}

func TestOtherListsKeepTheirGoodEntries(t *testing.T) {
	s, ids := server(2)
	for range 5 {
		s.Sell(ids[0], 1)
	}
	s.Inject(channeltest.Fault{Times: -1, Rewrite: func(status int, _ http.Header, body []byte) (int, []byte) {
		return status, bytes.Replace(body, []byte(`"quantity":1`), []byte(`"quantity":1.5`), 1)
	}})
	got, err := collect(client(t, s, io.Discard).Orders(t.Context(), ecosire.OrderFilter{}))
	assert.Len(t, got, 4)
	require.ErrorIs(t, err, channel.ErrIncomplete)
	assert.ErrorContains(t, err, `"quantity" is 1.5`)
	ids, err = client(t, s, io.Discard).OrderProducts(t.Context(), got[0].ID)
	require.NoError(t, err, "a product is a product, whatever its quantity")
	assert.Len(t, ids, 1)
}

// Totals that are missing or contradict their own answer vouch for nothing.
func TestTotalsAreNotBelieved(t *testing.T) {
	for meta, whole := range map[string]bool{
		`{}`: false, `{"count":500}`: false, `{"page":1,"limit":100}`: false, `{"total":250}`: true, `{"totalPages":3}`: false,
		`{"total":0}`: false, `{"total":0,"totalPages":0}`: false, `{"total":99,"totalPages":1}`: false, `{"total":-1,"totalPages":3}`: false,
		`{"total":"250","totalPages":"3"}`: false, `{"total":250,"totalPages":1}`: true, `{"total":250.0,"totalPages":3}`: true,
		`{"total":null}`: false, `{"total":250,"TOTAL":100,"totalPages":3}`: false, `{"total":1e30}`: false, `{"total":251,"totalPages":3}`: false,
		`{"total":250,"totalPages":3}`: true,
	} {
		t.Run(meta, func(t *testing.T) {
			hc := roundTrip(func(r *http.Request) (*http.Response, error) {
				number := 0
				fmt.Sscan(r.URL.Query().Get("page"), &number)
				var rows []string
				for i := (number - 1) * 100; i < min(number*100, 250); i++ {
					rows = append(rows, fmt.Sprintf(`{"productId":"p%04d","sku":"s%d","onHand":1,"reserved":0,"available":1}`, i, i))
				}
				return (&answering{rows: rows, meta: meta}).RoundTrip(r)
			})
			got, err := collect(client(t, hc, io.Discard).Stock(t.Context()))
			assert.Len(t, got, 250)
			if whole {
				assert.NoError(t, err)
			} else {
				assert.ErrorIs(t, err, channel.ErrIncomplete)
			}
		})
	}
	for _, meta := range []string{`{}`, `{"total":-1}`, `{"total":0}`, `{"total":"9"}`} {
		a := page(1)
		a.meta = meta
		_, err := client(t, a, io.Discard).Count(t.Context())
		assert.ErrorIs(t, err, channel.ErrUnavailable, meta)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A page that fails because of one of its entries is read around it.
func TestAPageWithAPoisonedEntry(t *testing.T) {
	for _, at := range []int{0, 137, 249} {
		t.Run(fmt.Sprint(at), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, ids := server(250)
				s.Inject(channeltest.Fault{Times: -1, Rewrite: func(status int, _ http.Header, body []byte) (int, []byte) {
					if bytes.Contains(body, []byte(ids[at])) {
						return 500, []byte(`{"statusCode":500,"message":"Internal server error"}`)
					}
					return status, body
				}})
				got, err := collect(client(t, s, io.Discard).Stock(t.Context()))
				require.ErrorIs(t, err, channel.ErrIncomplete, "nobody knows which one is missing")
				good := 0
				for _, p := range got {
					if p.Err == nil {
						good++
					} else {
						assert.ErrorContains(t, p.Err, fmt.Sprintf("number %d of", at+1))
					}
				}
				assert.Equal(t, 249, good)
				assert.Len(t, got, 250)
			})
		})
	}
}

// What a cache kept is as old as it says.
func TestAnswersOfACache(t *testing.T) {
	for _, tt := range []struct {
		header http.Header
		age    time.Duration
		logged bool
	}{
		{http.Header{}, 0, false}, {http.Header{"Age": {"0"}}, 0, false}, {http.Header{"Age": {"90"}}, 90 * time.Second, true},
		{http.Header{"X-Cache": {"HIT"}}, 0, true}, {http.Header{"Age": {"99999999999"}}, 30 * 24 * time.Hour, true},
	} {
		a := page(2)
		var logs bytes.Buffer
		c := client(t, roundTrip(func(r *http.Request) (*http.Response, error) {
			resp, err := a.RoundTrip(r)
			for k, v := range tt.header {
				resp.Header[k] = v
			}
			return resp, err
		}), &logs)
		for _, ids := range [][]string{nil, {"p0", "p1"}} {
			got, err := collect(c.Stock(t.Context(), ids...))
			require.NoError(t, err)
			assert.WithinDuration(t, time.Now().Add(-tt.age), got[0].AsOf, 10*time.Second)
		}
		assert.Equal(t, tt.logged, strings.Contains(logs.String(), "cache"))
	}
}
