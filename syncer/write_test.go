package syncer

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
)

// What Push answers is about single updates only if nothing else can be meant.
func TestAnswers(t *testing.T) {
	some := []change{{want: want{sku: "A"}}, {want: want{sku: "B"}}}
	own := channel.Errors{"A": channel.ErrInvalid}
	for name, tt := range map[string]struct {
		err  error
		want channel.Errors // nil if the error is the channel's
	}{
		"nothing":              {nil, nil},
		"the channel's":        {channel.ErrUnavailable, nil},
		"one update's":         {own, own},
		"one update's, marked": {fmt.Errorf("push: %w", own), own},
		"of another SKU":       {channel.Errors{"A": channel.ErrInvalid, "C": channel.ErrInvalid}, nil},
		"joined":               {errors.Join(own, errors.New("odd")), nil},
	} {
		errs, err := answers(tt.err, some)
		assert.Equal(t, tt.want, errs, name)
		assert.Equal(t, tt.err != nil && tt.want == nil, err != nil, name)
		if err != nil {
			assert.False(t, channel.Permanent(err), "%s: nobody knows which of them were refused", name)
			assert.ErrorIs(t, err, channel.ErrUnavailable, name)
		}
	}
}

// Only a service that may be down fails in passing.
func TestPassing(t *testing.T) {
	for _, tt := range []struct {
		err     error
		passing bool
	}{
		{channel.ErrUnavailable, true},
		{channel.ErrUnclear, true},
		{errors.New("odd"), false},
		{channel.ErrInvalid, false},
		{channel.ErrConflict, false},
		{channel.ErrPending, false},
		{errors.Join(channel.ErrConflict, channel.ErrUnavailable), false},
		{errors.Join(channel.ErrPending, channel.ErrUnavailable), false},
		{errors.Join(channel.ErrInvalid, channel.ErrUnavailable), false},
	} {
		assert.Equal(t, tt.passing, passing(channel.Errors{"A": tt.err}), tt.err)
	}
}

// answering is a channel that answers each write alike, and counts them.
type answering struct {
	answer error
	writes int
}

func (*answering) Name() string { return "a" }

func (c *answering) Push(context.Context, []channel.Update) error {
	c.writes++
	return c.answer
}

// writingTo begins a write to a channel, in nobody's run.
func writingTo(t *testing.T, target Target) *writing {
	t.Helper()
	s, err := New(Config{Source: one{}, Targets: []Target{target}})
	require.NoError(t, err)
	return &writing{p: &pass{s: s, t: s.targets[0]}, out: new(outcome)}
}

func changesOf(skus ...string) (changes []change) {
	for _, sku := range skus {
		changes = append(changes, change{want: want{sku: sku, stock: &channel.Stock{ProductID: sku, SKU: sku}, quantity: 1}})
	}
	return changes
}

// A channel that is down for writes is up when one was applied, or refused: not
// when the service only said for each update that it is down.
func TestWhatShowsThatWritesWork(t *testing.T) {
	for _, tt := range []struct {
		name   string
		answer error
		skus   []string
		up     bool
	}{
		{"applied", nil, []string{"A"}, true},
		{"nothing applied", channel.Errors{"A": channel.ErrUnavailable}, []string{"A"}, false},
		{"refused", channel.Errors{"A": channel.ErrInvalid}, []string{"A"}, true},
		{"one of two applied", channel.Errors{"A": channel.ErrUnavailable}, []string{"A", "B"}, true},
	} {
		c := &answering{answer: tt.answer}
		w := writingTo(t, Target{Channel: c})
		to := w.p.t
		to.failed(t.Context(), w.p.s, channel.ErrUnavailable, true)
		require.NoError(t, w.push(t.Context(), changesOf(tt.skus...)), tt.name)
		since, _ := to.state.down()
		assert.Equal(t, tt.up, since.IsZero(), tt.name)
	}
}

// Three SKUs in a row that fail in passing, each for itself, are the channel's
// trouble; not with a success or a refusal in between.
func TestFruitless(t *testing.T) {
	down := func(skus ...string) channel.Errors {
		errs := make(channel.Errors)
		for _, sku := range skus {
			errs[sku] = channel.ErrUnavailable
		}
		return errs
	}
	for name, tt := range map[string]struct {
		calls    [][]string
		errs     []channel.Errors
		fruitful bool // the last
	}{
		"three":                 {[][]string{{"A"}, {"B"}, {"C"}}, []channel.Errors{down("A"), down("B"), down("C")}, false},
		"together":              {[][]string{{"A", "B", "C"}}, []channel.Errors{down("A", "B", "C")}, false},
		"one three times":       {[][]string{{"A"}, {"A"}, {"A"}}, []channel.Errors{down("A"), down("A"), down("A")}, true},
		"one is applied":        {[][]string{{"A"}, {"B"}, {"D"}, {"C"}}, []channel.Errors{down("A"), down("B"), nil, down("C")}, true},
		"one of two is applied": {[][]string{{"A"}, {"B"}, {"C", "D"}}, []channel.Errors{down("A"), down("B"), down("C")}, true},
		"one is refused":        {[][]string{{"A"}, {"B"}, {"C"}}, []channel.Errors{down("A"), down("B"), {"C": channel.ErrInvalid}}, true},
	} {
		to := new(target)
		var err error
		for i := range tt.calls {
			err = to.fruitless(changesOf(tt.calls[i]...), tt.errs[i])
		}
		assert.Equal(t, tt.fruitful, err == nil, name)
	}
}

// Whatever was overlooked before, nothing is sent to a channel that is only
// observed.
func TestNothingIsSentThatIsOnlyObserved(t *testing.T) {
	c := new(answering)
	w := writingTo(t, Target{Channel: c, Observe: true})
	err := w.push(t.Context(), changesOf("A"))
	require.ErrorIs(t, err, ErrObserving)
	assert.Zero(t, c.writes)
}

// A last look does not come back: a conflict is how it ended.
func TestAConflictAtLast(t *testing.T) {
	for _, again := range []bool{true, false} {
		c := &answering{answer: channel.Errors{"A": channel.ErrConflict}}
		w := writingTo(t, Target{Channel: readable{c}})
		w.again = again
		require.NoError(t, w.push(t.Context(), changesOf("A")))
		assert.Equal(t, again, len(w.conflicts) == 1)
		assert.Equal(t, again, len(w.out.results) == 0)
	}
	w := writingTo(t, Target{Channel: &answering{answer: channel.Errors{"A": channel.ErrConflict}}})
	w.again = true
	require.NoError(t, w.push(t.Context(), changesOf("A")))
	assert.Empty(t, w.conflicts, "a channel that cannot be read is not looked at again")
}

type readable struct{ *answering }

func (readable) Levels(context.Context, []string) ([]channel.Level, error) { return nil, nil }

// What takes long is kept for another process only if the channel can tell later
// what became of it.
func TestWhatIsAwaitedIsKept(t *testing.T) {
	for _, resumes := range []bool{true, false} {
		c := &answering{answer: channel.Errors{"A": slow{}}}
		target := Target{Channel: c}
		if resumes {
			target.Channel = resuming{c}
		}
		w := writingTo(t, target)
		require.NoError(t, w.push(t.Context(), changesOf("A")))
		kept := 0
		for _, err := range w.p.s.on(t.Context()).Records(t.Context(), awaitedSet+"a", "") {
			require.NoError(t, err)
			kept++
		}
		assert.Equal(t, resumes, kept == 1)
	}
}

// slow is a write that may take an hour to show.
type slow struct{}

func (slow) Error() string      { return "handed over" }
func (slow) Unwrap() error      { return channel.ErrPending }
func (slow) Lag() time.Duration { return time.Hour }

type resuming struct{ *answering }

func (resuming) Resume(context.Context) ([]string, time.Duration, error) { return nil, 0, nil }

// A leader that the queue deposes writes nothing that it has not written down.
func TestWhoIsDeposedWritesNothing(t *testing.T) {
	c := new(answering)
	w := writingTo(t, Target{Channel: c})
	ctx, over := context.WithCancel(t.Context())
	ctx = context.WithValue(ctx, tenureKey{}, &tenure{Term: deposing{forever{w.p.s.queue}}, shared: true, over: over})
	conflicts, err := w.p.write(ctx, changesOf("A", "B"), w.out, true)
	require.Error(t, err)
	assert.Empty(t, conflicts)
	assert.Zero(t, c.writes)
	require.Len(t, w.out.results, 2, "each is told of once")
	assert.True(t, w.out.results[0].unsent)
}

// deposing is a term of a leader that another one has followed.
type deposing struct{ forever }

func (deposing) Save(context.Context, string, ...Record) error { return ErrDeposed }
