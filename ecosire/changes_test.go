package ecosire_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/ecosire"
	"github.com/ecosire/stocksync/ecosire/ecosiretest"
)

func TestChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, ids := server(500)
		c := client(t, s, io.Discard)
		s.Return(ids[0], 1) // before anybody watches
		got, cursor, err := c.Changes(t.Context(), "")
		require.NoError(t, err)
		assert.Empty(t, got)

		next := func() []string {
			time.Sleep(30 * time.Second)
			s.Forget()
			got, next, err := c.Changes(t.Context(), cursor)
			require.NoError(t, err)
			assert.LessOrEqual(t, len(s.Requests()), 4)
			cursor = next
			return got
		}
		assert.Empty(t, next(), "what is known is not told again")
		s.Return(ids[1], 1)
		s.Return(ids[1], 1)
		time.Sleep(time.Second)
		s.Sell(ids[2], 1)
		assert.Equal(t, ids[1:3], next())
		assert.Empty(t, next())

		// The same instant, in two looks.
		s.Return(ids[3], 1)
		s.Forget()
		got, cursor, err = c.Changes(t.Context(), cursor)
		require.NoError(t, err)
		assert.Equal(t, []string{ids[3]}, got)
		s.Return(ids[4], 1)
		assert.Equal(t, []string{ids[4]}, next())

		// More than one look can read: the next ones catch up, and what happens
		// meanwhile is not lost either.
		for _, id := range ids[10:460] {
			s.Return(id, 1)
			time.Sleep(time.Millisecond)
		}
		seen := map[string]bool{}
		for i := range 6 {
			for _, id := range next() {
				seen[id] = true
			}
			if i == 1 {
				s.Return(ids[480], 1)
			}
		}
		assert.Len(t, seen, 451)
		assert.Empty(t, next())
	})
}

func TestChangesWhereMovesLookOtherwise(t *testing.T) {
	s, _ := server(1)
	s.Inject(channeltest.Fault{Match: channeltest.On("GET", "/moves"), Status: 200, Times: -1,
		Body: `{"data":[{"uuid":"m","product":"p"}],"meta":{"total":1,"page":1,"limit":100,"totalPages":1}}`})
	_, _, err := client(t, s, io.Discard).Changes(t.Context(), "")
	require.ErrorIs(t, err, channel.ErrUnavailable)
	assert.ErrorContains(t, err, "no id or no createdAt")
	_, _, err = client(t, s, io.Discard).Changes(t.Context(), "nonsense")
	assert.ErrorContains(t, err, "cursor")
}

func TestOnStockChange(t *testing.T) {
	s := ecosiretest.New(ecosiretest.Config{})
	ids := s.Add(ecosiretest.Product{SKU: "a"}, ecosiretest.Product{SKU: "b"})
	var told [][]string
	c, err := ecosire.New(ecosire.Config{APIKey: "eco_live_test", HTTPClient: s.Client(),
		OnStockChange: func(_ context.Context, productIDs ...string) error {
			told = append(told, productIDs)
			return fmt.Errorf("queue full")
		}})
	require.NoError(t, err)
	require.NoError(t, c.PostAdjustment(t.Context(), ecosire.Adjustment{ProductID: ids[0], LocationID: "LOC-WH01-A1", Quantity: 5}))
	tr, err := c.CreateTransfer(t.Context(), ecosire.Transfer{Type: ecosire.TransferReceipt, LineItems: []ecosire.TransferLine{{ProductID: ids[1], Quantity: 4}, {ProductID: ids[0], Quantity: 1}}})
	require.NoError(t, err)
	require.NoError(t, c.ValidateTransfer(t.Context(), tr.ID), "the change stands")
	require.Error(t, c.ValidateTransfer(t.Context(), tr.ID))
	require.Error(t, c.PostAdjustment(t.Context(), ecosire.Adjustment{ProductID: ids[0], LocationID: "nowhere", Quantity: 5}))
	assert.Equal(t, [][]string{{ids[0]}, {ids[1], ids[0]}}, told)
}

// moves is an ECOSIRE with these stock moves, the newest first, and no orders.
// An entry's time is seconds from now.
type moves struct{ entries []string }

func (m *moves) add(id, product string, at time.Duration) {
	m.entries = append([]string{fmt.Sprintf(`{"id":%q,"productId":%q,"createdAt":%q}`, id, product, time.Now().Add(at).UTC().Format(time.RFC3339Nano))}, m.entries...)
}

func (m *moves) RoundTrip(r *http.Request) (*http.Response, error) {
	number := 0
	fmt.Sscan(r.URL.Query().Get("page"), &number)
	rows := m.entries
	if r.URL.Path != "/api/inventory/moves" {
		rows = nil
	}
	from := min(len(rows), (number-1)*100)
	body := fmt.Sprintf(`{"data":[%s],"meta":{"total":%d}}`, strings.Join(rows[from:min(len(rows), from+100)], ","), len(rows))
	h := http.Header{"Date": {time.Now().UTC().Format(http.TimeFormat)}}
	return &http.Response{StatusCode: 200, Header: h, Body: io.NopCloser(strings.NewReader(body))}, nil
}

// What is dated in the future is told of once, and hides nothing.
func TestMovesOfTheFuture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &moves{}
		var logs bytes.Buffer
		c := client(t, m, &logs)
		m.add("m0", "p0", 0)
		_, cursor, err := c.Changes(t.Context(), "")
		require.NoError(t, err)
		look := func() []string {
			time.Sleep(30 * time.Second)
			got, next, err := c.Changes(t.Context(), cursor)
			require.NoError(t, err)
			cursor = next
			return got
		}
		assert.Empty(t, look())
		m.add("m1", "next-year", 365*24*time.Hour)
		assert.Equal(t, []string{"next-year"}, look())
		assert.Empty(t, look())
		m.entries = m.entries[1:] // it stays the newest
		future := fmt.Sprintf(`{"id":"m1","productId":"next-year","createdAt":%q}`, time.Now().Add(365*24*time.Hour).UTC().Format(time.RFC3339))
		for i := range 5 {
			m.add(fmt.Sprint("n", i), fmt.Sprint("p", i), 0)
			m.entries = append([]string{future}, m.entries...)
			assert.Equal(t, []string{fmt.Sprint("p", i)}, look())
			assert.Empty(t, look())
			m.entries = m.entries[1:]
		}
		assert.Contains(t, logs.String(), "level=ERROR")
		assert.Equal(t, 1, strings.Count(logs.String(), "in the future"))

		// One that is ten minutes ahead is told of once, too, when its time comes.
		m.entries = nil
		m.add("soon", "early", 10*time.Minute)
		assert.Equal(t, []string{"early"}, look())
		for range 30 {
			assert.Empty(t, look())
		}
		m.add("m9", "p9", 0)
		assert.Equal(t, []string{"p9"}, look())

		// A cursor that was left in the future is mended.
		cursor = strings.ReplaceAll(cursor, `"Since":"2000-`, `"Since":"2099-`)
		require.Contains(t, cursor, "2099")
		m.add("m10", "p10", 0)
		assert.Contains(t, look(), "p10")
		m.add("m11", "p11", 0)
		assert.Equal(t, []string{"p11"}, look())
	})
}

// What makes no sense in a feed is left out, and everything else is told.
func TestOddMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &moves{}
		m.add("m0", "p0", 0)
		var logs bytes.Buffer
		c := client(t, m, &logs)
		_, cursor, err := c.Changes(t.Context(), "")
		require.NoError(t, err)
		time.Sleep(time.Minute)
		m.add("m1", "p1", 0)
		m.entries = append([]string{
			`{"id":7,"productId":"no-id","createdAt":"1999-01-01T00:00:00Z"}`, `null`, `7`, `{"id":"odd","productId":"no-date","createdAt":"yesterday"}`,
			`{"id":"m2","productId":8,"createdAt":"2000-01-01T00:01:00Z"}`, `{"id":"m3","productId":"p3","createdAt":"2000-01-01T00:01:00Z","extra":{}}`,
		}, m.entries...)
		for _, want := range [][]string{{"no-date", "p1", "p3"}, nil, nil} {
			got, next, err := c.Changes(t.Context(), cursor)
			require.NoError(t, err)
			assert.Equal(t, want, slices.Clip(got))
			cursor = next
			time.Sleep(time.Minute)
		}
		assert.Contains(t, logs.String(), "8, not text")

		m.entries = []string{`{"id":"a","productId":"b"}`, `{"id":"c"}`}
		_, _, err = c.Changes(t.Context(), cursor)
		require.ErrorIs(t, err, channel.ErrUnavailable, "none of them has a date: moves look otherwise")
	})
}

// A thousand moves of one moment are told of once.
func TestManyMovesOfOneMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &moves{}
		c := client(t, m, io.Discard)
		_, cursor, err := c.Changes(t.Context(), "")
		require.NoError(t, err)
		time.Sleep(time.Minute)
		for i := range 1000 {
			m.add(fmt.Sprint("m", i), fmt.Sprint("p", i), 0)
		}
		told := map[string]int{}
		for range 12 {
			got, next, err := c.Changes(t.Context(), cursor)
			require.NoError(t, err)
			for _, id := range got {
				told[id]++
			}
			cursor = next
			time.Sleep(time.Minute)
		}
		assert.Len(t, told, 1000)
		for id, n := range told {
			assert.Equal(t, 1, n, id)
		}
	})
}
