package amazon_test

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/amazon"
	"github.com/ecosire/stocksync/amazon/amazontest"
	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
)

func list(t *testing.T, ch *amazon.Channel) (skus []string, err error) {
	t.Helper()
	for sku, e := range ch.SKUs(t.Context()) {
		require.NoError(t, err, "an error is the last pair")
		if e != nil {
			err = e
			continue
		}
		skus = append(skus, sku)
	}
	return skus, err
}

func TestTheListIsOfSKUsOnly(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := amazontest.New(amazontest.Config{})
		want := []string{"A B", "FBA", `19" O'RING`, "日本-1", "WHAT?", "A,B"}
		for _, sku := range want {
			s.Add(amazontest.Listing{SKU: sku, Quantity: 4, FBA: sku == "FBA"})
		}
		ch := open(t, s)
		skus, err := list(t, ch)
		require.NoError(t, err)
		assert.ElementsMatch(t, want, skus)
		assert.Empty(t, s.Harm())
		assert.Equal(t, 1, s.Count(channeltest.On("GET", "/items/")), "the one with the question mark is looked up")
	})
}

func TestAListWithMangledSKUsIsIncomplete(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := amazontest.New(amazontest.Config{Charset: "ISO-8859-1"})
		s.Add(amazontest.Listing{SKU: "Grüße"}, amazontest.Listing{SKU: "WHAT?"}, amazontest.Listing{SKU: "A"})
		ch := open(t, s)
		skus, err := list(t, ch)
		assert.NoError(t, err)
		assert.ElementsMatch(t, []string{"Grüße", "WHAT?", "A"}, skus)
		s.Add(amazontest.Listing{SKU: "日本-1"})
		skus, err = list(t, ch)
		assert.ErrorIs(t, err, channel.ErrIncomplete)
		assert.ElementsMatch(t, []string{"Grüße", "WHAT?", "A"}, skus, "and ??-1 is none")
	})
}

func TestAListThatIsMuchShorterIsIncomplete(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := amazontest.New(amazontest.Config{})
		skus := stock(s, 100)
		keep := new(store)
		ch := open(t, s, func(_ *amazon.Config, cc *amazon.ChannelConfig) { cc.Store = keep })
		_, err := list(t, ch)
		require.NoError(t, err)
		for _, sku := range skus[40:] {
			s.Remove(sku)
		}
		ch = open(t, s, func(_ *amazon.Config, cc *amazon.ChannelConfig) { cc.Store = keep })
		for range 2 {
			got, err := list(t, ch)
			assert.ErrorIs(t, err, channel.ErrIncomplete)
			assert.Len(t, got, 40, "what it has holds")
			time.Sleep(6 * time.Hour)
		}
		time.Sleep(24 * time.Hour)
		_, err = list(t, ch)
		assert.NoError(t, err, "and a day later it is true")
		_, err = list(t, ch)
		assert.NoError(t, err)
	})
}

func TestListsThatFail(t *testing.T) {
	report := func(text string, charset string) channeltest.Fault {
		return channeltest.Fault{Match: channeltest.On("GET", "/seller"), Status: 200, Header: http.Header{"Content-Type": {"text/plain; charset=" + charset}}, Body: text}
	}
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	w.Write([]byte("seller-sku\nA\nB\n"))
	w.Close()
	for name, tt := range map[string]struct {
		fault channeltest.Fault
		want  error
		skus  int
	}{
		"no report":      {channeltest.Fault{Match: channeltest.On("POST", "/reports"), Times: -1, Status: 503}, channel.ErrUnavailable, 0},
		"no role":        {channeltest.Fault{Match: channeltest.On("POST", "/reports"), Status: 403}, channel.ErrUnauthorized, 0},
		"no column":      {report("sku\tprice\nA\t1\n", "UTF-8"), channel.ErrUnavailable, 0},
		"a short row":    {report("x\tseller-sku\n1\tA\n2\n3\tC\n", "UTF-8"), channel.ErrIncomplete, 2},
		"Shift_JIS":      {report("x\tseller-sku\n1\tA\n2\t\x93\xfa\x96\x7b\n", "Shift_JIS"), channel.ErrIncomplete, 1},
		"not UTF-8":      {report("seller-sku\nA\n\xff\n", "UTF-8"), channel.ErrIncomplete, 1},
		"cut":            {report(packed.String()[:packed.Len()-9], ""), channel.ErrUnavailable, 2},
		"no gzip":        {report("\x1f\x8bnonsense that is not", ""), channel.ErrUnavailable, 0},
		"FATAL":          {channeltest.Fault{Match: channeltest.On("GET", "/reports/2021-06-30/reports/"), Status: 200, Body: `{"processingStatus":"FATAL"}`}, channel.ErrIncomplete, 0},
		"never":          {channeltest.Fault{Match: channeltest.On("GET", "/reports/2021-06-30/reports/"), Times: -1, Status: 200, Body: `{"processingStatus":"IN_QUEUE"}`}, channel.ErrIncomplete, 0},
		"with line ends": {report("\ufeffseller-sku\tx\r\nA\t1\r\nB\t2\r\n", "utf-8"), nil, 2},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s := amazontest.New(amazontest.Config{})
				stock(s, 3)
				s.Inject(tt.fault)
				skus, err := list(t, open(t, s))
				if tt.want == nil {
					assert.NoError(t, err)
				} else {
					assert.ErrorIs(t, err, tt.want)
				}
				assert.Len(t, skus, tt.skus)
			})
		})
	}
	bubble(t, func(t *testing.T) { // no listings, says Amazon, or: no report today
		_, err := list(t, open(t, amazontest.New(amazontest.Config{})))
		assert.ErrorIs(t, err, channel.ErrIncomplete)
	})
}
