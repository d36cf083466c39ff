package square

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/square/squaretest"
)

const address = "https://host.example/hooks/square?shop=1"

func receiver(t testing.TB, till *squaretest.Server, keys ...string) (*Channel, *Webhooks) {
	ch := open(t, till)
	w, err := ch.Webhooks(address, keys...)
	require.NoError(t, err)
	return ch, w
}

func signed(key, body string) (http.Header, []byte) {
	return http.Header{"X-Square-Hmacsha256-Signature": {Sign(key, address, []byte(body))}}, []byte(body)
}

func TestTrapAnEventIsAHint(t *testing.T) {
	till := squaretest.New(squaretest.Config{})
	till.AddLocation("LOTHER", "ACTIVE")
	till.Add(squaretest.Variation{SKU: "A", Quantity: 5}, squaretest.Variation{SKU: "B", Quantity: 5}, squaretest.Variation{SKU: "C", Uncounted: true}, squaretest.Variation{Quantity: 4})
	till.SetAt("A", "LOTHER", 70)
	till.SetAt("C", "LOTHER", 70)
	till.Put("C", "LMAIN", "WASTE", 1)
	_, w := receiver(t, till, "current", "next")
	for _, key := range []string{"current", "next"} {
		till.Forget()
		header, body := till.Delivery(address, key, "A", "B", "C", "")
		assert.Equal(t, header.Get("X-Square-Hmacsha256-Signature"), Sign(key, address, body))
		e, err := w.Receive(t.Context(), header, body)
		require.NoError(t, err)
		assert.Equal(t, []string{"A", "B"}, e.SKUs, "C is another location's, and waste")
		assert.Equal(t, CountUpdated, e.Type)
		assert.True(t, strings.HasPrefix(e.ID, "event-"))
		assert.Empty(t, e.ProductIDs)
		if key == "current" {
			assert.Equal(t, 1, till.Count(nil), "what is not known is asked for, once")
		} else {
			assert.Zero(t, till.Count(nil), "and then known")
		}
	}
	header, body := till.Delivery(address, "next", "C")
	e, err := w.Receive(t.Context(), header, body)
	require.NoError(t, err)
	assert.Empty(t, e.SKUs, "another location is nothing")

	// What Levels met needs no request, nor what Preload read.
	ch, w := receiver(t, till, "k")
	levels(t, ch, "A")
	ctx := channel.WithRun(t.Context(), "run")
	till.Forget()
	header, body = till.Delivery(address, "k", "A")
	e, err = w.Receive(ctx, header, body)
	require.NoError(t, err)
	assert.Equal(t, []string{"A"}, e.SKUs)
	assert.Empty(t, till.Requests())
	require.NoError(t, ch.Preload(ctx))
	till.Forget()
	header, body = till.Delivery(address, "k", "A", "B")
	e, err = w.Receive(ctx, header, body)
	require.NoError(t, err)
	assert.Equal(t, []string{"A", "B"}, e.SKUs)
	assert.Empty(t, till.Requests())

	// A variation that was deleted is nobody's.
	_, w = receiver(t, till, "k")
	header, body = till.Delivery(address, "k", "A", "B")
	till.Remove("A")
	e, err = w.Receive(t.Context(), header, body)
	require.NoError(t, err)
	assert.Equal(t, []string{"B"}, e.SKUs)
}

func TestTrapTheSignatureIsOverAddressAndBody(t *testing.T) {
	till := squaretest.New(squaretest.Config{})
	till.Add(squaretest.Variation{SKU: "A", Quantity: 5})
	_, w := receiver(t, till, "s3cret", "t")
	header, body := till.Delivery(address, "s3cret", "A")
	genuine := header.Get("X-Square-Hmacsha256-Signature")
	forged := map[string]string{
		"none": "", "another key": Sign("s3cret2", address, body), "without the address": Sign("s3cret", "", body),
		"another address": Sign("s3cret", "https://host.example/hooks/square", body), "the body alone": Sign("s3cret", "", append([]byte(address), body[:3]...)),
		"cut": genuine[:20], "more": genuine + "AAAA", "not base64": "!!", "hexadecimal": fmt.Sprintf("%x", genuine), "empty base64": base64.StdEncoding.EncodeToString(nil),
	}
	for name, signature := range forged {
		_, err := w.Receive(t.Context(), http.Header{"X-Square-Hmacsha256-Signature": {signature}}, body)
		if assert.ErrorIs(t, err, channel.ErrUnauthorized, name) {
			for _, secret := range []string{"s3cret", genuine} {
				assert.NotContains(t, err.Error(), secret)
			}
		}
	}
	_, err := w.Receive(t.Context(), header, bytes.Replace(body, []byte("A"), []byte("B"), 1))
	assert.ErrorIs(t, err, channel.ErrUnauthorized, "another body")
	_, err = new(Webhooks).Receive(t.Context(), header, body)
	assert.ErrorIs(t, err, channel.ErrUnauthorized)
	_, err = (*Webhooks)(nil).Receive(t.Context(), header, body)
	assert.ErrorIs(t, err, channel.ErrUnauthorized)
	assert.Empty(t, till.Requests(), "a forger causes no request")

	ch := open(t, till)
	for want, make := range map[string]func() (*Webhooks, error){
		"no key":      func() (*Webhooks, error) { return ch.Webhooks(address) },
		"is empty":    func() (*Webhooks, error) { return ch.Webhooks(address, "a", " ") },
		"not the URL": func() (*Webhooks, error) { return ch.Webhooks("/hooks/square", "a") },
	} {
		_, err := make()
		assert.ErrorContains(t, err, want)
	}
}

func TestEventsThatAreNothing(t *testing.T) {
	till := squaretest.New(squaretest.Config{})
	till.Add(squaretest.Variation{SKU: "A", Quantity: 5})
	_, w := receiver(t, till, "k")
	count := func(fields string) string {
		return `{"type":"inventory.count.updated","event_id":"e","data":{"object":{"inventory_counts":[{` + fields + `}]}}}`
	}
	for _, body := range []string{
		`{"type":"catalog.version.updated","event_id":"e","data":{"object":{"catalog_version":{}}}}`,
		`{"type":"payment.created"}`,
		`{"type":"inventory.count.updated","event_id":"e","data":{"type":"inventory_counts","id":"x"}}`,
		`{"type":"inventory.count.updated","data":{"object":{}}}`,
		`{"type":"inventory.count.updated","data":{"object":null}}`,
		`{"type":"inventory.count.updated","data":null}`,
		`{"type":"inventory.count.updated","data":{"object":{"inventory_counts":[]}}}`,
		count(`"catalog_object_id":"V","location_id":"LOTHER","state":"IN_STOCK"`),
		count(`"catalog_object_id":"V","location_id":"LMAIN","state":"WASTE"`),
		count(`"catalog_object_id":7,"location_id":"LMAIN","state":"IN_STOCK"`),
		count(`"catalog_object_id":"a b","location_id":"LMAIN"`),
		count(`"catalog_object_id":"V"`),
	} {
		e, err := w.Receive(t.Context(), must(signed("k", body)), []byte(body))
		require.NoError(t, err, body)
		assert.Empty(t, e.SKUs, body)
		assert.NotEmpty(t, e.Type)
	}
	assert.Empty(t, till.Requests())
	for _, body := range []string{
		``, `null`, `[]`, `{}`, `{"type":7}`, `{"type":null}`, `{"Type":"inventory.count.updated"}`, "\xff",
		`{"type":"inventory.count.updated","data":{"object":7}}`,
		`{"type":"inventory.count.updated","data":{"object":{"inventory_counts":{}}}}`,
		`{"type":"inventory.count.updated","data":{"object":{"inventory_counts":[` + strings.Repeat(`{},`, 1000) + `{}]}}}`,
	} {
		_, err := w.Receive(t.Context(), must(signed("k", body)), []byte(body))
		assert.ErrorIs(t, err, channel.ErrInvalid, body)
	}
	assert.Empty(t, till.Requests())
}

func must(h http.Header, _ []byte) http.Header { return h }

func TestAnEventThatCannotBeResolvedIsSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		till := squaretest.New(squaretest.Config{})
		till.Add(squaretest.Variation{SKU: "A", Quantity: 5})
		_, w := receiver(t, till, "k")
		header, body := till.Delivery(address, "k", "A")
		for _, fault := range []channeltest.Fault{{Times: -1, Status: 401}, {Times: -1, Status: 500}, {Times: -1, Delay: time.Minute}} {
			till.Inject(fault)
			start := time.Now()
			_, err := w.Receive(t.Context(), header, body)
			require.Error(t, err)
			assert.NotErrorIs(t, err, channel.ErrInvalid)
			assert.LessOrEqual(t, time.Since(start), maxAsking, "Square waits ten seconds")
			till.Heal()
		}
		e, err := w.Receive(t.Context(), header, body)
		require.NoError(t, err)
		assert.Equal(t, []string{"A"}, e.SKUs)
	})
}

func FuzzReceive(f *testing.F) {
	till := squaretest.New(squaretest.Config{})
	till.Add(squaretest.Variation{SKU: "A", Quantity: 5})
	ch, w := receiver(f, till, "k")
	levels(f, ch, "A")
	_, body := till.Delivery(address, "k", "A")
	for _, seed := range []string{string(body), `{"type":"x"}`, `{"type":1}`, `[]`, `null`, "\xff", `{"type":"inventory.count.updated","data":[]}`} {
		f.Add([]byte(seed))
	}
	till.Inject(channeltest.Fault{Times: -1, Status: 500})
	f.Fuzz(func(t *testing.T, body []byte) {
		e, ids, err := parseEvent(body, "LMAIN")
		if err != nil {
			if !errors.Is(err, channel.ErrInvalid) || e.Type != "" || ids != nil {
				t.Fatalf("%v, %v, %v", e, ids, err)
			}
			return
		}
		if e.Type == "" && len(ids) > 0 || len(ids) > maxCounts || len(e.Type) > 110 || len(e.ID) > 110 {
			t.Fatalf("not an event: %+v", e)
		}
		for _, id := range ids {
			if !plausible(id) {
				t.Fatalf("%q", id)
			}
		}
		if _, err := w.Receive(t.Context(), http.Header{"X-Square-Hmacsha256-Signature": {"x"}}, body); !errors.Is(err, channel.ErrUnauthorized) {
			t.Fatal(err)
		}
	})
}

func FuzzParseQuantity(f *testing.F) {
	for _, seed := range []string{"0", "79", "-3", "3.75", "1e3", "", "-", "99999999999999999999999999", "0.00001"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, ok := parseQuantity(text)
		if ok && (int64(got.n) > maxCount || int64(got.n) < -maxCount-1 || strings.ContainsAny(text, "eE+ ,_")) {
			t.Fatalf("%q is %v", text, got)
		}
	})
}
