package syncer

import (
	"context"
	"errors"
	"iter"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
)

// flaky is a queue of which each operation fails the first times.
type flaky struct {
	*MemoryQueue
	fails  map[string]int
	marked []time.Time
}

func (q *flaky) failed(op string) error {
	if q.fails[op]--; q.fails[op] >= 0 {
		return errors.New("disk full")
	}
	return nil
}

func (q *flaky) Mark(ctx context.Context, marks ...Mark) error {
	if err := q.failed("Mark"); err != nil {
		return err
	}
	q.marked = append(q.marked, time.Now())
	return q.MemoryQueue.Mark(ctx, marks...)
}

func (q *flaky) Save(ctx context.Context, set string, records ...Record) error {
	if err := q.failed("Save"); err != nil {
		return err
	}
	return q.MemoryQueue.Save(ctx, set, records...)
}

func (q *flaky) Load(ctx context.Context, set, key string) ([]byte, error) {
	if err := q.failed("Load"); err != nil {
		return nil, err
	}
	return q.MemoryQueue.Load(ctx, set, key)
}

func (q *flaky) Records(ctx context.Context, set, prefix string) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		for rec, err := range q.MemoryQueue.Records(ctx, set, prefix) {
			if !yield(rec, err) {
				return
			}
			if err := q.failed("Records"); err != nil {
				yield(Record{}, err)
				return
			}
		}
	}
}

// interrupted is a syncer of two channels and a queue with writes that an
// earlier term did not end.
func interrupted(t *testing.T, patience time.Duration) (*Syncer, *flaky, *tenure) {
	q := &flaky{MemoryQueue: NewMemoryQueue(), fails: make(map[string]int)}
	s, err := New(Config{Source: sevens(1), Queue: q, Patience: patience,
		Targets: []Target{{Channel: channeltest.NewMemory("a")}, {Channel: channeltest.NewMemory("b")}}})
	require.NoError(t, err)
	for _, key := range []string{writingKey("a", "0", "before", 1), writingKey("a", "0", "before", 2), writingKey("gone", "1", "before", 3), "b\x00nonsense", writingKey("b", "2", "now", 1)} {
		require.NoError(t, q.Save(t.Context(), writingSet, Record{key, []byte{}}))
	}
	return s, q, &tenure{Term: forever{q}, shared: true, id: "now"}
}

func writings(t *testing.T, q Queue) (keys []string) {
	for rec, err := range q.Records(t.Context(), writingSet, "") {
		require.NoError(t, err)
		keys = append(keys, rec.Key)
	}
	return keys
}

// What an earlier term did not end writing is looked at when that must have
// landed, whatever fails of the queue, and nothing else is: neither what is
// being written, nor other channels.
func TestWhatWasBeingWrittenIsLookedAtTwice(t *testing.T) {
	for _, tt := range []struct {
		patience time.Duration
		at       []time.Duration
	}{
		{10 * time.Minute, []time.Duration{time.Minute, 10 * time.Minute}},
		{time.Minute, []time.Duration{time.Minute}},
		{20 * time.Second, []time.Duration{20 * time.Second}},
	} {
		for _, op := range []string{"", "Records", "Mark", "Save"} {
			synctest.Test(t, func(t *testing.T) {
				s, q, term := interrupted(t, tt.patience)
				q.fails[op] = 1
				start := time.Now()
				s.lookAgain(t.Context(), term)
				require.Len(t, q.marked, len(tt.at))
				for i, at := range tt.at {
					assert.WithinDuration(t, start.Add(at), q.marked[i], 2*time.Second, op)
				}
				for i, target := range s.targets {
					n, err := q.Depth(t.Context(), target.eventLane())
					require.NoError(t, err)
					assert.Equal(t, 1-i, n.Tasks, target.name)
				}
				assert.Equal(t, []string{writingKey("b", "2", "now", 1)}, writings(t, q), op)
			})
		}
	}
}

// A term that ends meanwhile leaves all of that to the next one.
func TestWhatWasBeingWrittenIsLeftToTheNextTerm(t *testing.T) {
	for _, after := range []time.Duration{time.Second, 5 * time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			s, q, term := interrupted(t, 10*time.Minute)
			before := writings(t, q)
			ctx, cancel := context.WithTimeout(t.Context(), after)
			defer cancel()
			start := time.Now()
			s.lookAgain(ctx, term)
			assert.Equal(t, after, time.Since(start))
			assert.Equal(t, before, writings(t, q))
		})
	}
}

func TestWhereNothingWasBeingWrittenNothingIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, q, term := interrupted(t, 10*time.Minute)
		for _, key := range writings(t, q) {
			if key != writingKey("b", "2", "now", 1) {
				require.NoError(t, q.Save(t.Context(), writingSet, Record{Key: key}))
			}
		}
		start := time.Now()
		s.lookAgain(t.Context(), term)
		assert.Zero(t, time.Since(start))
	})
}

// leased is a term that took over leased tasks.
type leased struct {
	forever
	keys []Key
}

func (l leased) Interrupted() []Key { return l.keys }

// What the last leader had leased is written down before anything else is done. A
// term that cannot do so has to try again.
func TestATermInheritsWhatWasLeased(t *testing.T) {
	s, q, term := interrupted(t, time.Minute)
	term.Term = leased{forever{q}, []Key{{s.targets[1].eventLane(), "7"}, {"gone", "8"}}}
	before := writings(t, q)
	for _, op := range []string{"Load", "Save"} {
		q.fails[op] = 1
		require.Error(t, s.inherit(t.Context(), term), op)
		assert.Equal(t, before, writings(t, q))
	}
	require.NoError(t, s.inherit(t.Context(), term))
	assert.ElementsMatch(t, append(before, writingKey("b", "7", "before/now", 0)), writings(t, q))
}

// What is written down is struck out when it is written, unless a call was left
// behind that may still write. Without having written it down nothing is written.
func TestWhatIsBeingWrittenIsWrittenDown(t *testing.T) {
	for _, leased := range []bool{false, true} {
		for _, stuck := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				s, q, term := interrupted(t, time.Minute)
				before := len(writings(t, q))
				p := &pass{s: s, t: s.targets[0], leased: leased}
				changes := []change{{want: want{sku: "7", stock: &channel.Stock{ProductID: "7"}}}}
				ctx, cancel := context.WithCancel(context.WithValue(t.Context(), tenureKey{}, term))
				defer cancel()
				end, err := p.writing(ctx, changes)
				require.NoError(t, err)
				during := 1
				if leased { // the queue knows it
					during = 0
				}
				assert.Len(t, writings(t, q), before+during)
				if stuck {
					defer p.t.calls.leave("Push", time.Now())()
				}
				end()
				after := 0
				if stuck {
					after = 1
				}
				assert.Len(t, writings(t, q), before+after)

				if leased {
					return
				}
				q.fails["Save"] = 1 << 30
				cancel()
				end, err = p.writing(ctx, changes)
				require.ErrorIs(t, err, context.Canceled)
				assert.Nil(t, end)
			})
		}
	}
}
