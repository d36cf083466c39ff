package amazon_test

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/amazon"
	"github.com/ecosire/stocksync/amazon/amazontest"
	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
)

// open returns a channel of a client of the seller.
func open(t testing.TB, seller *amazontest.Server, change ...func(*amazon.Config, *amazon.ChannelConfig)) *amazon.Channel {
	t.Helper()
	cfg := amazon.Config{
		SellerID: "A1TESTSELLER", Region: amazon.NorthAmerica, HTTPClient: seller.Client(),
		Credentials: amazon.NewCredentials(amazontest.ClientID, amazontest.ClientSecret, amazontest.RefreshToken),
	}
	ccfg := amazon.ChannelConfig{MarketplaceID: "ATVPDKIKX0DER"}
	for _, f := range change {
		f(&cfg, &ccfg)
	}
	client, err := amazon.New(cfg)
	require.NoError(t, err)
	ch, err := client.Channel(ccfg)
	require.NoError(t, err)
	return ch
}

// newSubject returns a Maker of sellers for the conformance kit.
func newSubject(cfg amazontest.Config) channeltest.Maker {
	return func(t *testing.T, levels []channel.Level) channeltest.Subject {
		seller := amazontest.New(cfg)
		taken := make(map[string]bool, len(levels))
		for _, l := range levels {
			key := l.SKU
			if cfg.FoldCase {
				key = strings.ToLower(key)
			}
			switch {
			case taken[key] && l.SKU == key || taken[l.SKU]:
				t.Skip("an SKU is unique for a seller")
			case taken[key]:
				t.Skip("where look-ups ignore the case, no two SKUs differ in that alone")
			case utf8.RuneCountInString(l.SKU) > 40:
				t.Skip("an SKU has at most 40 characters")
			}
			taken[key], taken[l.SKU] = true, true
			seller.Add(amazontest.Listing{SKU: l.SKU, Quantity: l.Quantity, Unset: l.Unset, FBA: l.Err != nil})
		}
		t.Cleanup(func() { assert.Empty(t, seller.Harm()) })
		// Without OffSale: the record of availability, which is all that the
		// channel reads, does not say whether an offer is live.
		return channeltest.Subject{Channel: open(t, seller), Shown: seller.Quantity, Set: seller.Set, Wire: seller.Wire}
	}
}

var lagging = amazontest.Config{Lag: time.Minute, MaxLag: 15 * time.Minute}

func TestConformance(t *testing.T) { channeltest.TestChannelInBubble(t, newSubject(lagging)) }

func TestConformanceFoldingCase(t *testing.T) {
	if testing.Short() {
		t.Skip("what it adds is not concurrent")
	}
	channeltest.TestChannelInBubble(t, newSubject(amazontest.Config{FoldCase: true, MaxLag: time.Minute}))
}

func TestConformanceHTTP(t *testing.T) { channeltest.TestHTTPChannel(t, newSubject(lagging)) }
