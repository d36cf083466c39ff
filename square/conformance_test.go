package square_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/square"
	"github.com/ecosire/stocksync/square/squaretest"
)

// newSubject makes accounts for the conformance kit.
func newSubject(cfg squaretest.Config, lag time.Duration) channeltest.Maker {
	return func(t *testing.T, levels []channel.Level) channeltest.Subject {
		till := squaretest.New(cfg)
		variations := make([]squaretest.Variation, len(levels))
		for i, l := range levels {
			if l.Unset && cfg.Doubts.NeverCountedIsZero {
				t.Skip("what was never counted shows 0")
			}
			variations[i] = squaretest.Variation{SKU: l.SKU, Quantity: l.Quantity, Untracked: l.Err != nil, Uncounted: l.Unset}
		}
		till.Add(variations...)
		time.Sleep(cfg.Doubts.LateSearch)
		client, err := square.New(square.Config{Token: square.StaticToken("EAAAtest"), HTTPClient: till.Client(), Rate: 50})
		require.NoError(t, err)
		ch, err := client.Channel(square.ChannelConfig{LocationID: "LMAIN", BookingLag: lag})
		require.NoError(t, err)
		return channeltest.Subject{Channel: ch, Shown: till.Quantity, Wire: till.Wire,
			Set: func(sku string, n int) {
				till.Set(sku, n)
				// An update that is made after it counts from after it, too.
				time.Sleep(lag + 5*time.Second)
			},
			OffSale: func(sku string) {
				till.SellOut(sku, "LMAIN")
				time.Sleep(time.Hour) // what is known of the catalog may be so old
			},
		}
	}
}

// contrary is an account that does otherwise what Square does not document.
var contrary = squaretest.Config{
	UnevenPages: true, ClockSkew: 40 * time.Minute,
	Doubts: squaretest.Doubts{
		CountsReplace: true, LaterCountWinsTie: true, TakesUntracked: true, TakesClosed: true, TakesPart: true, NamesNoField: true,
		NeverCountedIsZero: true, FewIDs: true, ThrottledInPart: true, LateSearch: 30 * time.Second,
	},
}

func TestConformance(t *testing.T) {
	channeltest.TestChannelInBubble(t, newSubject(squaretest.Config{}, 0))
}

func TestConformanceHTTP(t *testing.T) {
	channeltest.TestHTTPChannel(t, newSubject(squaretest.Config{ClockSkew: -time.Minute}, 0))
}

func TestConformanceWithEveryDoubtTheOtherWay(t *testing.T) {
	if testing.Short() {
		t.Skip("what it adds is not concurrent")
	}
	channeltest.TestChannelInBubble(t, newSubject(contrary, 15*time.Minute))
}

func TestConformanceHTTPWithEveryDoubtTheOtherWay(t *testing.T) {
	if testing.Short() {
		t.Skip("what it adds is not concurrent")
	}
	channeltest.TestHTTPChannel(t, newSubject(contrary, 15*time.Minute))
}
