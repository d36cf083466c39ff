package ecosire_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/ecosire"
)

func signed(secret string, body []byte) http.Header {
	return http.Header{"X-Ecosire-Signature": {ecosire.Sign(secret, body)}}
}

func TestReceive(t *testing.T) {
	w, err := ecosire.NewWebhooks("s")
	require.NoError(t, err)
	for _, tt := range []struct {
		body     string
		products []string
		orders   []string
	}{
		{`{"id":"evt_1","event":"checkout.completed","createdAt":"2026-03-20T12:00:00.000Z","data":{"orderId":"o1","lineItems":[{"productId":"b","quantity":1},{"productId":"a"},{"productId":"b"}]}}`, []string{"a", "b"}, nil},
		{`{"event":"charge.refunded","data":{"orderId":"o1"}}`, nil, []string{"o1"}},
		{`{"event":"charge.refunded","data":{"orderId":"o1","lineItems":[]}}`, nil, []string{"o1"}},
		{`{"event":"inventory.adjusted","data":{"productId":"a"}}`, []string{"a"}, nil},
		{`{"event":"inventory.moved","data":{"productIds":["b","a",""]}}`, []string{"a", "b"}, nil},
		{`{"event":"subscription.updated","data":{"orderId":"o1","productId":"a"}}`, nil, nil},
		{`{"event":"license.revoked","data":{"productId":"a"}}`, nil, nil},
		{`{"event":"payment.failed"}`, nil, nil},
	} {
		e, err := w.Receive(t.Context(), signed("s", []byte(tt.body)), []byte(tt.body))
		require.NoError(t, err, tt.body)
		assert.Equal(t, tt.products, e.ProductIDs, tt.body)
		assert.Equal(t, tt.orders, e.OrderIDs, tt.body)
	}
}

func TestNoSecretMeansRefuse(t *testing.T) {
	_, err := ecosire.NewWebhooks()
	assert.ErrorContains(t, err, "no secret")
	_, err = ecosire.NewWebhooks("a", " ")
	assert.ErrorContains(t, err, "empty")
	body := []byte(`{"event":"x"}`)
	_, err = new(ecosire.Webhooks).Receive(t.Context(), signed("", body), body)
	assert.ErrorIs(t, err, channel.ErrUnauthorized)
}

func TestSignatureIsNotShown(t *testing.T) {
	w, err := ecosire.NewWebhooks("s3cret")
	require.NoError(t, err)
	body := []byte(`{"event":"x"}`)
	h := signed("wrong", body)
	_, err = w.Receive(t.Context(), h, body)
	require.Error(t, err)
	for _, secret := range []string{"s3cret", ecosire.Sign("s3cret", body), h.Get("X-Ecosire-Signature")} {
		assert.NotContains(t, err.Error(), secret)
	}
}

func FuzzReceive(f *testing.F) {
	for _, seed := range []string{
		`{"id":"evt_1","event":"checkout.completed","data":{"orderId":"o1","lineItems":[{"productId":"b","quantity":1}]}}`,
		`{"event":"x","data":{"productIds":["a","b"],"productId":"c"}}`, `{"event":1}`, `[]`, `null`, "\xff", `{"event":"x","data":[]}`,
	} {
		f.Add([]byte(seed))
	}
	w, err := ecosire.NewWebhooks("s")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		e, err := w.Receive(t.Context(), signed("s", body), body)
		if err != nil {
			if !errors.Is(err, channel.ErrInvalid) {
				t.Fatalf("a signed body is refused with %v, which is not ErrInvalid", err)
			}
			return
		}
		if e.Type == "" || len(e.ProductIDs) > 1000 || len(e.ProductIDs) > 0 && len(e.OrderIDs) > 0 && e.Odd == "" {
			t.Fatalf("not an event: %+v", e)
		}
		for _, id := range slices.Concat(e.ProductIDs, e.OrderIDs) {
			if id == "" || len(id) > 128 {
				t.Fatalf("id of %d bytes", len(id))
			}
		}
	})
}

func FuzzSignature(f *testing.F) {
	f.Add("", "{}")
	f.Add("sha256=", "{}")
	f.Add(ecosire.Sign("other", []byte("{}")), "{}")
	f.Add(ecosire.Sign("s", []byte("{}")), "{} ")
	w, err := ecosire.NewWebhooks("s", "t")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, signature, body string) {
		_, err := w.Receive(t.Context(), http.Header{"X-Ecosire-Signature": {signature}}, []byte(body))
		genuine := false
		for _, secret := range []string{"s", "t"} {
			good := ecosire.Sign(secret, []byte(body))
			var given, want []byte
			fmt.Sscanf(good, "%x", &want)
			for _, prefix := range []string{"", "sha256="} {
				if n, _ := fmt.Sscanf(signature, prefix+"%x", &given); n == 1 && slices.Equal(given, want) {
					genuine = true
				}
			}
		}
		if refused := errors.Is(err, channel.ErrUnauthorized); refused == genuine {
			t.Fatalf("genuine %v, refused %v", genuine, refused)
		}
	})
}

func TestWhichEventsAreAboutAnOrder(t *testing.T) {
	w, err := ecosire.NewWebhooks("s")
	require.NoError(t, err)
	for data, want := range map[string]bool{
		`{"orderId":"o1"}`: true, `{"lineItems":[{"productId":"a"}]}`: true, `{"productId":"a"}`: false, `{"productIds":["a"]}`: false,
	} {
		body := []byte(`{"event":"x","data":` + data + `}`)
		e, err := w.Receive(t.Context(), signed("s", body), body)
		require.NoError(t, err)
		assert.Equal(t, want, e.Order, data)
	}
}

// One line that makes no sense does not cost the others.
func TestOddIDsOfAnEvent(t *testing.T) {
	w, err := ecosire.NewWebhooks("s")
	require.NoError(t, err)
	long := strings.Repeat("x", 129)
	var many []string
	for i := range 1000 {
		many = append(many, fmt.Sprintf(`{"productId":"p%04d"},{"productId":"p%04d"}`, i, i))
	}
	for _, tt := range []struct {
		data     string
		products int
		orders   []string
		odd      string // "" if nothing is
	}{
		{`{"orderId":"o1","lineItems":[{"productId":"a"},{"productId":7},{"productId":"b"}]}`, 2, []string{"o1"}, "7, not text"},
		{`{"lineItems":[{"productId":"a"},{"productId":{"id":1}},null,7,"b",[],{"productId":"b"}]}`, 2, nil, "5 of the products"},
		{`{"lineItems":[{"productId":"a"},{"productId":"a","PRODUCTID":"b"},{"productId":"c","productId":"d"}]}`, 1, nil, "2 of the products"},
		{`{"productIds":["a",null,"` + long + `"]}`, 1, nil, "129 bytes"},
		{`{"productIds":"a","productId":"b"}`, 1, nil, "not a list"},
		{`{"orderId":17,"productId":"b"}`, 1, nil, "17, not text"},
		{`{"orderId":"o1","lineItems":[{"productId":7}]}`, 0, []string{"o1"}, "7, not text"},
		{`{"orderId":"o1","lineItems":[{"quantity":1},{"productId":null},{"productId":""}]}`, 0, []string{"o1"}, ""},
		{`{"lineItems":[` + strings.Join(many, ",") + `]}`, 1000, nil, ""},
	} {
		body := []byte(`{"id":"evt\n1","event":"checkout.completed","data":` + tt.data + `}`)
		e, err := w.Receive(t.Context(), signed("s", body), body)
		require.NoError(t, err, tt.data[:min(80, len(tt.data))])
		assert.Len(t, e.ProductIDs, tt.products, tt.data[:min(80, len(tt.data))])
		assert.Equal(t, tt.orders, e.OrderIDs)
		assert.Equal(t, "evt 1", e.ID)
		assert.Less(t, len(e.Odd), 500)
		if tt.odd == "" {
			assert.Empty(t, e.Odd)
		} else {
			assert.Contains(t, e.Odd, tt.odd)
		}
	}
	for _, body := range []string{
		`{"event":"x","data":{"productId":7}}`, `{"event":"x","data":{"productIds":[1,2]}}`, `{"event":"x","data":[]}`, `{"event":"x","data":{"orderId":"` + long + `"}}`,
		`{"event":"x","event":"y","data":{"productId":"a"}}`, `{"EVENT":"x"}`, `{"event":"x","data":{"lineItems":[` + strings.Join(many, ",") + `,{"productId":"q"}]}}`,
	} {
		_, err := w.Receive(t.Context(), signed("s", []byte(body)), []byte(body))
		assert.ErrorIs(t, err, channel.ErrInvalid, body[:min(80, len(body))])
	}
}
