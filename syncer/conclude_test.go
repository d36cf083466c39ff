package syncer

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel/channeltest"
)

// A catalogue that has lost more than half of its products is taken for broken,
// until it has been as small for a week. One that is empty always is.
func TestACatalogueThatHasShrunkIsTheMeasureAfterAWeek(t *testing.T) {
	const day = 24 * time.Hour
	synctest.Test(t, func(t *testing.T) {
		s, err := New(Config{Source: sevens(1), Targets: []Target{{Channel: channeltest.NewMemory("a")}}})
		require.NoError(t, err)
		ends := func(products int, want error) {
			t.Helper()
			r := &Report{Started: time.Now(), Read: products, Unread: 0}
			if products > 0 {
				r.Read, r.Unread = products-1, 1
			}
			assert.Equal(t, want == nil, s.plausible(t.Context(), r), "what is missing may be retired")
			err := s.conclude(t.Context(), &entrance{s: s, report: r})
			if want == nil {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, want)
			}
		}
		ends(0, ErrEmpty) // nor is anything retired where nothing was known
		ends(100, nil)
		ends(50, nil)
		ends(25, nil) // of the 50 that it has by now
		ends(100, nil)
		for range 7 {
			ends(40, ErrShrunk)
			time.Sleep(day)
		}
		ends(30, ErrShrunk) // it goes on shrinking
		time.Sleep(6 * day)
		ends(31, ErrShrunk)
		time.Sleep(day)
		ends(30, ErrShrunk)
		ends(30, nil)
		for range 10 {
			ends(0, ErrEmpty)
			time.Sleep(day)
		}
		ends(14, ErrShrunk)
		ends(30, nil)

		// A run that goes on is as old as what it compared first.
		began := time.Now().Add(-time.Hour)
		require.NoError(t, s.conclude(t.Context(), &entrance{s: s, report: &Report{Started: time.Now(), Resumed: began, Read: 30}}))
		last, err := s.recall(t.Context())
		require.NoError(t, err)
		assert.True(t, last.At.Equal(began))
		assert.Equal(t, 30, last.Products)
	})
}

// What is remembered of a time that is still to come is as of now: the clock was
// set back.
func TestWhatIsRememberedOfTheFutureIsOfNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := &flaky{MemoryQueue: NewMemoryQueue(), fails: make(map[string]int)}
		s, err := New(Config{Source: sevens(1), Queue: q, Targets: []Target{{Channel: channeltest.NewMemory("a")}}})
		require.NoError(t, err)
		now := time.Now()
		past, future := now.Add(-time.Hour), now.Add(time.Hour)
		for _, tt := range []struct{ at, small, wantAt, wantSmall time.Time }{
			{past, past, past, past},
			{future, past, now, past},
			{future, future, now, now},
		} {
			require.NoError(t, s.remember(t.Context(), reconciled{At: tt.at, Products: 5, SmallSince: tt.small}))
			run, err := s.recall(t.Context())
			require.NoError(t, err)
			assert.True(t, run.At.Equal(tt.wantAt), "%v", tt)
			assert.True(t, run.SmallSince.Equal(tt.wantSmall), "%v", tt)
		}
		q.fails["Save"] = 1
		require.Error(t, s.remember(t.Context(), reconciled{}))
		q.fails["Load"] = 1
		_, err = s.recall(t.Context())
		require.Error(t, err)
		assert.False(t, s.plausible(t.Context(), &Report{}))
		require.NoError(t, q.Save(t.Context(), stateSet, Record{reconciledName, []byte("{")}))
		_, err = s.recall(t.Context())
		require.ErrorIs(t, err, errSenseless)
	})
}

// What cannot be understood of the last run is said, and replaced.
func TestWhatMakesNoSenseOfTheLastRunIsReplaced(t *testing.T) {
	s, err := New(Config{Source: sevens(1), Targets: []Target{{Channel: channeltest.NewMemory("a")}}})
	require.NoError(t, err)
	require.NoError(t, s.queue.Save(t.Context(), stateSet, Record{reconciledName, []byte("{")}))
	e := &entrance{s: s, report: &Report{Started: time.Now(), Read: 30}}
	assert.False(t, s.plausible(t.Context(), e.report))
	require.ErrorIs(t, s.conclude(t.Context(), e), errSenseless)
	require.NoError(t, s.conclude(t.Context(), e))
	assert.True(t, s.plausible(t.Context(), e.report))
}
