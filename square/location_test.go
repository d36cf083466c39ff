package square

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/square/squaretest"
)

// A refusal of the location is one of the call, with a status or in an answer:
// no parts are tried, and nobody is blamed.
func TestARefusedLocationIsNotHalved(t *testing.T) {
	const refusal = `{"errors":[{"category":"INVALID_REQUEST_ERROR","code":"INVALID_LOCATION","detail":"no such place"}]}`
	for _, path := range []string{changesPath, countsPath} {
		for _, status := range []int{400, 404, 200} {
			till := squaretest.New(squaretest.Config{})
			ch := open(t, till)
			seen := levels(t, ch, stock(till, 40)...)
			before := till.Count(on(path))
			till.Inject(channeltest.Fault{Times: -1, Match: on(path), Status: status, Header: jsonHeader, Body: refusal})
			var err error
			if path == changesPath {
				err = ch.Push(t.Context(), updates(seen, 3))
			} else {
				_, err = ch.Levels(t.Context(), skusOf(seen))
			}
			assert.ErrorContains(t, err, "INVALID_LOCATION")
			assert.ErrorIs(t, err, channel.ErrUnavailable)
			_, blames := err.(channel.Errors)
			assert.False(t, blames)
			assert.Equal(t, 1, till.Count(on(path))-before)
		}
	}
}

func skusOf(levels []channel.Level) (skus []string) {
	for _, l := range levels {
		skus = append(skus, l.SKU)
	}
	return skus
}
