package syncer

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel/channeltest"
)

// A queue's trouble passes, so it is asked until it works, or nobody wants that any
// more. A term that is over does not come back.
func TestAQueueIsAskedUntilItWorks(t *testing.T) {
	for _, shared := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s, err := New(Config{Source: sevens(1), Targets: []Target{{Channel: channeltest.NewMemory("a")}}})
			require.NoError(t, err)
			over := false
			term := &tenure{Term: forever{s.queue}, shared: shared, over: func() { over = true }}
			ctx, cancel := context.WithCancel(context.WithValue(t.Context(), tenureKey{}, term))
			defer cancel()
			asked := 0
			times := func(n int, err error) func() error {
				asked = 0
				return func() error {
					if asked++; asked <= n {
						return err
					}
					return nil
				}
			}
			full := errors.New("disk full")
			require.NoError(t, s.insist(ctx, "Save", times(10, full)))
			assert.Equal(t, 11, asked)
			_, trouble := s.trouble.get()
			require.NoError(t, trouble)
			assert.False(t, over)

			err = s.insist(ctx, "Save", times(3, ErrDeposed))
			if shared {
				require.ErrorIs(t, err, ErrDeposed)
				assert.True(t, over, "it ends the work")
				assert.True(t, term.deposed.Load())
				assert.Equal(t, 1, asked)
			} else {
				require.NoError(t, err, "there is no term that could be over")
			}

			time.AfterFunc(time.Minute, cancel)
			require.ErrorIs(t, s.insist(ctx, "Save", times(1<<30, full)), context.Canceled)
			_, trouble = s.trouble.get()
			require.ErrorIs(t, trouble, full)
		})
	}
}
