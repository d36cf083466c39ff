package amazon

import (
	"bytes"
	"io"
	"testing"
	"unicode/utf8"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/httpx"
	"github.com/ecosire/stocksync/internal/strictjson"
)

func fuzzed(t testing.TB) *Channel {
	c, err := New(Config{SellerID: "A1", Region: NorthAmerica, Credentials: NewCredentials("id", "secret", "Atzr|x")})
	if err != nil {
		t.Fatal(err)
	}
	ch, err := c.Channel(ChannelConfig{MarketplaceID: "M1"})
	if err != nil {
		t.Fatal(err)
	}
	return ch
}

// A listing is one that can be written or has an error.
func FuzzRow(f *testing.F) {
	f.Add([]byte(`{"sku":"A","fulfillmentAvailability":[{"fulfillmentChannelCode":"DEFAULT","quantity":7}]}`))
	f.Add([]byte(`{"sku":"A","fulfillmentAvailability":[{"fulfillmentChannelCode":"AMAZON_EU"},{"fulfillmentChannelCode":"x","quantity":-1}]}`))
	ch := fuzzed(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		v, err := strictjson.Parse(text)
		if err != nil {
			return
		}
		row := ch.readRow(searchListings, v)
		switch l := row.level; {
		case l.Err != nil && writable(&l):
			t.Fatal("it has an error, and is written")
		case l.Err == nil && !writable(&l):
			t.Fatal("it has no error, and cannot be written")
		case l.Err == nil && (l.Quantity < 0 || row.sku == ""):
			t.Fatalf("%+v", l)
		}
	})
}

// An answer to a write is an acceptance of just that SKU, or an error.
func FuzzAccepted(f *testing.F) {
	f.Add([]byte(`{"sku":"A","status":"ACCEPTED","submissionId":"1"}`))
	f.Add([]byte(`{"sku":"A","status":"INVALID","issues":[{"code":"4000000","severity":"ERROR","message":"Atza|x"}]}`))
	ch := fuzzed(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		err := ch.client.accepted("A", &httpx.Response{Status: 200, Body: body})
		if err == nil && !bytes.Contains(body, []byte("ACCEPTED")) && !bytes.Contains(body, []byte(`\u00`)) {
			t.Fatalf("%q", body)
		}
		if err != nil && !utf8.ValidString(err.Error()) {
			t.Fatalf("%q", err)
		}
	})
}

// A list yields SKUs without tabs and line ends, or says that it is not whole.
func FuzzList(f *testing.F) {
	f.Add([]byte("seller-sku\tx\nA\t1\n"), "utf-8")
	f.Add([]byte("x\tseller-sku\r\n\xe9\t\xe9?\r\n"), "iso-8859-1")
	ch := fuzzed(f)
	f.Fuzz(func(t *testing.T, text []byte, charset string) {
		r, err := content(text)
		if err != nil {
			return
		}
		l := &listed{ch: ch, yield: func(sku string, err error) bool {
			if sku == "" || err != nil || !utf8.ValidString(sku) || bytes.ContainsAny([]byte(sku), "\t\n") {
				t.Fatalf("%q, %v", sku, err)
			}
			return true
		}}
		_ = l.rows(io.LimitReader(r, 1<<20), charset)
	})
}

// A feed's report names the messages of the feed, and no others.
func FuzzReport(f *testing.F) {
	f.Add([]byte(`{"issues":[{"messageId":1,"severity":"ERROR","message":"no"}],"summary":{"messagesProcessed":2}}`))
	ch := fuzzed(f)
	entries := []entry{{"A", 1}, {"B", 2}}
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := readReport(ch.client, text, entries)
		if err != nil && !channel.Permanent(err) {
			return
		}
		for _, sku := range r.bad {
			if sku != "A" && sku != "B" {
				t.Fatalf("%q", sku)
			}
		}
	})
}
