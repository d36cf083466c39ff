package syncer

import (
	"context"
	"fmt"
	"iter"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
)

// What a line of a plan is to a guard is what the change would be.
func TestWhatALineOfAPlanIsToAGuard(t *testing.T) {
	for _, tt := range []struct {
		line Line
		want danger
	}{
		{Line{Shown: new(10), Wanted: 4}, loss},
		{Line{Shown: new(10), Wanted: 0}, loss},
		{Line{Wanted: 0}, loss},
		{Line{Wanted: 5}, harmless}, // it was sold without a quantity
		{Line{Wanted: 5, OffSale: true}, gain},
		{Line{Shown: new(3), Wanted: 5, OffSale: true}, gain},
		{Line{Shown: new(0), Wanted: 5}, gain},
		{Line{Shown: new(10), Wanted: 0, Explained: true}, harmless},
		{Line{Shown: new(10), Wanted: 0, Reason: ReasonPutBack}, harmless},
		{Line{Shown: new(10), Wanted: 0, Pinned: true}, harmless},
		{Line{Shown: new(0), Wanted: 5, Pinned: true}, gain},
	} {
		assert.Equal(t, tt.want, Guard{}.orDefault().dangerOf(tt.line), "%+v", tt.line)
	}
}

// An undo of more changes than are listed says so, also if none of those that are
// listed shows yet.
func TestAnUndoOfMorePendingChangesThanAreListedSaysSo(t *testing.T) {
	c := ChannelReport{Channel: "a", Changes: make([]Change, maxListed), Pending: maxListed}
	for i := range c.Changes {
		c.Changes[i] = Change{SKU: fmt.Sprint(i), State: ChangePending}
	}
	_, err := (&Report{Channels: []ChannelReport{c}}).Undo()
	require.NoError(t, err)
	c.Pending++
	_, err = (&Report{Channels: []ChannelReport{c}}).Undo()
	require.ErrorContains(t, err, "only 10000 of 10001 changes are listed")
}

// A lister lists what it is told, and says how often it was asked.
type lister struct {
	*channeltest.Memory
	skus  []string
	asked int
	waits chan struct{} // before it lists, if it is not nil
	ended chan bool     // gets whether it was to go on
}

func (l *lister) SKUs(context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		l.asked++
		if l.waits != nil {
			<-l.waits
		}
		for _, sku := range l.skus {
			if !yield(sku, nil) {
				break
			}
			if l.ended != nil {
				l.ended <- true
				return
			}
		}
		if l.ended != nil {
			l.ended <- false
		}
	}
}

func listed(t *testing.T, l *lister) (*Syncer, *names) {
	t.Helper()
	s, err := New(Config{Source: sevens(1), Targets: []Target{{Channel: l, Retire: func(string) bool { return true }}}, Patience: time.Minute})
	require.NoError(t, err)
	known := s.newNames(t.Context())
	t.Cleanup(known.close)
	return s, known
}

// All that is left over is counted, and some of it listed.
func TestLeftoversAreCountedBeyondTheList(t *testing.T) {
	s, known := listed(t, &lister{Memory: channeltest.NewMemory("a"), skus: []string{"A", "A", "", "B", "B", "C"}})
	_, err := known.claim(t.Context(), &channel.Stock{ProductID: "b", SKU: "B"})
	require.NoError(t, err)
	left, err := s.targets[0].leftoversUpTo(t.Context(), s, known, 0, 1)
	require.NoError(t, err)
	assert.Equal(t, leftovers{2, []string{"A"}}, left)
	known.blind[0] = true
	left, err = s.targets[0].leftoversUpTo(t.Context(), s, known, 0, 1)
	require.ErrorIs(t, err, errBlind)
	assert.Empty(t, left)
}

// Each of what is left over is looked at once, however much it is.
func TestManyLeftoversAreLookedAtOnce(t *testing.T) {
	l := &lister{Memory: channeltest.NewMemory("a")}
	for i := range groupSize + 5 {
		l.skus = append(l.skus, fmt.Sprint("GONE-", i))
		l.Set(l.skus[i], 1)
	}
	s, _ := listed(t, l)
	sold, rest := s.targets[0].retired(t.Context(), s, l.skus)
	require.NoError(t, rest.err)
	assert.Len(t, sold, len(l.skus))
}

// Where it cannot be told whether the source has an SKU nothing is left over.
func TestNothingIsLeftOverOfNamesThatCannotBeRead(t *testing.T) {
	s, known := listed(t, &lister{Memory: channeltest.NewMemory("a"), skus: []string{"SKU-7"}})
	for i := range 120_000 { // most of them in a file
		_, err := known.sets[0].Add(fmt.Sprint("SKU-", i))
		require.NoError(t, err)
	}
	left, err := s.targets[0].leftovers(t.Context(), s, known, 0)
	require.NoError(t, err)
	assert.Empty(t, left)
	known.close() // and it cannot be read any more
	left, err = s.targets[0].leftovers(t.Context(), s, known, 0)
	require.ErrorContains(t, err, "temporary file")
	assert.Empty(t, left)
}

// A list that is left behind is not gone through any more when it comes at last: the
// run that has asked for it may be over.
func TestAListThatIsLeftBehindIsNotGoneThrough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &lister{Memory: channeltest.NewMemory("a"), skus: []string{"A", "B"}, waits: make(chan struct{}), ended: make(chan bool, 1)}
		s, known := listed(t, l)
		left, err := s.targets[0].leftovers(t.Context(), s, known, 0)
		require.ErrorIs(t, err, errStuck)
		assert.Empty(t, left)
		close(l.waits)
		assert.False(t, <-l.ended)
		synctest.Wait()
	})
}

// A channel is asked what is left over only when all products were compared with it.
func TestWhatIsRetiredIsLookedForWhenAllWasCompared(t *testing.T) {
	for name, spoil := range map[string]func(*night) bool{
		"all":       func(*night) bool { return true },
		"not whole": func(*night) bool { return false },
		"missing":   func(n *night) bool { n.missed.count = 1; return true },
		"lost":      func(n *night) bool { n.lost = 1; return true },
		"paused":    func(n *night) bool { n.account.report.Paused = true; return true },
		"unasked":   func(n *night) bool { n.t.Retire = nil; return true },
		"unread":    func(n *night) bool { n.t.reader = nil; return true },
	} {
		l := &lister{Memory: channeltest.NewMemory("a")}
		s, known := listed(t, l)
		n := &night{s: s, t: s.targets[0], account: s.newAccounts()[0], tell: func(*account) {}}
		n.retire(t.Context(), known, 0, spoil(n))
		assert.Equal(t, name == "all", l.asked == 1, name)
	}
	l := &lister{Memory: channeltest.NewMemory("a")}
	s, known := listed(t, l)
	n := &night{s: s, t: s.targets[0], account: s.newAccounts()[0], tell: func(*account) {}}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	n.retire(ctx, known, 0, true)
	assert.Zero(t, l.asked)
	assert.Nil(t, n.retiring)
}
