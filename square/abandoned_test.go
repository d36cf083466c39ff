package square

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/square/squaretest"
)

// A count that was sent and not waited for may be in force, whatever is known of
// others. One that was only looked for was not sent.
func TestWhatACallerLeavesIsUnclear(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		till := squaretest.New(squaretest.Config{})
		skus := stock(till, 150)
		ch := open(t, till)
		seen := levels(t, ch, skus...)
		till.Inject(channeltest.Fault{Match: on(changesPath), Skip: 1, Apply: true, Delay: time.Minute, Cut: true})
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		err := ch.Push(ctx, updates(seen, 1))
		var errs channel.Errors
		require.ErrorAs(t, err, &errs)
		assert.NotEmpty(t, errs)
		assert.Less(t, len(errs), 150)
		for sku, err := range errs {
			assert.ErrorIs(t, err, channel.ErrUnclear, sku)
			assert.ErrorIs(t, err, context.DeadlineExceeded, sku)
		}

		till.Heal()
		till.Inject(answering("/v2/catalog/search", 503, ``))
		err = ch.Push(t.Context(), []channel.Update{update(skus[0], 5)})
		assert.ErrorIs(t, err, channel.ErrUnavailable)
		assert.NotErrorIs(t, err, channel.ErrUnclear)
	})
}
