package syncer

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
)

// A torn queue is one of whose store a part cannot be read or written.
type torn struct {
	*MemoryQueue
	mu   sync.Mutex
	part storePart
}

// A storePart is a method of a queue, and the set or lane that it is about.
type storePart struct{ op, name string }

func (p storePart) String() string { return p.op + " " + p.name }

func (q *torn) tear(part storePart) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.part = part
}

func (q *torn) err(op, name string) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.part == (storePart{op, name}) {
		return errors.New("bad sector")
	}
	return nil
}

func (q *torn) Mark(ctx context.Context, marks ...Mark) error {
	for _, m := range marks {
		if err := q.err("Mark", m.Lane); err != nil {
			return err
		}
	}
	return q.MemoryQueue.Mark(ctx, marks...)
}

func (q *torn) Save(ctx context.Context, set string, records ...Record) error {
	if err := q.err("Save", set); err != nil {
		return err
	}
	return q.MemoryQueue.Save(ctx, set, records...)
}

func (q *torn) Load(ctx context.Context, set, key string) ([]byte, error) {
	if err := q.err("Load", set); err != nil {
		return nil, err
	}
	return q.MemoryQueue.Load(ctx, set, key)
}

func (q *torn) Records(ctx context.Context, set, from string) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		if err := q.err("Records", set); err != nil {
			yield(Record{}, err)
			return
		}
		q.MemoryQueue.Records(ctx, set, from)(yield)
	}
}

func (q *torn) Lease(ctx context.Context, lane string, n int) ([]Task, error) {
	if err := q.err("Lease", lane); err != nil {
		return nil, err
	}
	return q.MemoryQueue.Lease(ctx, lane, n)
}

func (q *torn) Ack(ctx context.Context, tasks ...Task) error {
	for _, t := range tasks {
		if err := q.err("Ack", t.Lane); err != nil {
			return err
		}
	}
	return q.MemoryQueue.Ack(ctx, tasks...)
}

func (q *torn) Depth(ctx context.Context, lane string) (Depth, error) {
	if err := q.err("Depth", lane); err != nil {
		return Depth{}, err
	}
	return q.MemoryQueue.Depth(ctx, lane)
}

// A term begins only when everything that earlier terms left was taken over, however
// long that takes. One that ends sooner never began.
func TestATermBeginsWhenAllIsTakenOver(t *testing.T) {
	for _, part := range []storePart{
		{"Load", stateSet}, {"Records", doubledSet}, {"Records", pauseSet}, {"Records", flightSet}, {"Load", windowSet}, {"Save", writingSet},
		{"Records", pendingSet + "market"}, {"Mark", inboxLane}, {"Records", targetSet}, {"Save", targetSet},
	} {
		for _, ends := range []bool{false, true} {
			t.Run(fmt.Sprint(part, ", ends: ", ends), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					q := &torn{MemoryQueue: NewMemoryQueue()}
					sold := Record{aloftPrefix + "p", []byte(`{"entries":[{"channel":"market","units":1,"since":"2000-01-01T00:00:00Z"}]}`)}
					require.NoError(t, q.Save(t.Context(), flightSet, sold))
					s, err := New(Config{Source: sevens(1), Queue: q, Targets: []Target{{Channel: &market{lag: time.Minute}}}})
					require.NoError(t, err)
					q.tear(part)
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					term := &tenure{Term: leased{forever{q}, []Key{{s.targets[0].eventLane(), "p"}}}, shared: true, id: "now", over: cancel}
					began := make(chan error, 1)
					go func() { began <- s.prepareTerm(context.WithValue(ctx, tenureKey{}, term), term) }()
					time.Sleep(time.Hour)
					synctest.Wait()
					require.Empty(t, began, "it goes on without")
					if ends {
						cancel()
						require.ErrorIs(t, <-began, context.Canceled)
						return
					}
					q.tear(storePart{})
					require.NoError(t, <-began)
					assert.Equal(t, []string{writingKey("market", "p", "before/now", 0)}, writings(t, q))
					d, err := q.Depth(t.Context(), inboxLane)
					require.NoError(t, err)
					assert.Equal(t, 1, d.Tasks, "what is in flight is marked")
					known, err := q.Load(t.Context(), targetSet, "market")
					require.NoError(t, err)
					assert.NotNil(t, known)
				})
			})
		}
	}
}

// What a call must know of the store and cannot read, it does not do without: a
// channel may be paused, or less be left than the source says.
func TestACallNeedsWhatTheStoreHas(t *testing.T) {
	for _, part := range []storePart{{"Records", pauseSet}, {"Records", doubledSet}, {"Records", flightSet}} {
		t.Run(part.String(), func(t *testing.T) {
			q := &torn{MemoryQueue: NewMemoryQueue()}
			m := channeltest.NewMemory("a")
			m.Set("0", 3)
			s := func() *Syncer { // of a process of its own
				s, err := New(Config{Source: sevens(1), Queue: q, Targets: []Target{{Channel: m}}})
				require.NoError(t, err)
				return s
			}
			plan, err := s().Plan(t.Context())
			require.NoError(t, err)
			reads, _ := m.Calls()
			q.tear(part)
			for name, call := range map[string]func() error{
				"Reconcile":    func() error { _, err := s().Reconcile(t.Context()); return err },
				"SyncProducts": func() error { _, err := s().SyncProducts(t.Context(), "0"); return err },
				"Plan":         func() error { _, err := s().Plan(t.Context()); return err },
				"Apply":        func() error { _, err := s().Apply(t.Context(), plan); return err },
			} {
				require.ErrorContains(t, call(), "bad sector", name)
			}
			now, writes := m.Calls()
			assert.Equal(t, []int{reads, 0}, []int{now, writes}, "nothing is asked of the channel")
			q.tear(storePart{})
			_, err = s().Apply(t.Context(), plan)
			require.NoError(t, err)
			_, writes = m.Calls()
			assert.Equal(t, 1, writes)
		})
	}
}

// Who pauses a channel is told if that is not kept, or if it is not known whether it
// is paused already; so is who resumes it.
func TestAPauseThatIsNotKeptIsNone(t *testing.T) {
	q := &torn{MemoryQueue: NewMemoryQueue()}
	s, err := New(Config{Source: sevens(1), Queue: q, Targets: []Target{{Channel: channeltest.NewMemory("a")}}})
	require.NoError(t, err)
	for _, part := range []storePart{{"Records", pauseSet}, {"Save", pauseSet}} {
		q.tear(part)
		require.ErrorContains(t, s.Pause(t.Context(), "a", "ann"), "bad sector")
		require.NoError(t, s.targets[0].pause.err(), part)
	}
	q.tear(storePart{})
	require.NoError(t, s.Pause(t.Context(), "a", "ann"))
	for _, part := range []storePart{{"Records", pauseSet}, {"Save", pauseSet}} {
		q.tear(part)
		require.ErrorContains(t, s.Resume(t.Context(), "a", "ann"), "bad sector")
		require.ErrorIs(t, s.targets[0].pause.err(), ErrPaused, part)
	}
}

// Who leads again believes nothing of what it knew before: another has worked since.
func TestWhoLeadsAgainReadsWhatAnotherFound(t *testing.T) {
	q := &torn{MemoryQueue: NewMemoryQueue()}
	process := func() *Syncer {
		s, err := New(Config{Source: sevens(1), Queue: q, Targets: []Target{{Channel: channeltest.NewMemory("a")}}})
		require.NoError(t, err)
		return s
	}
	first, second := process(), process()
	learn := func(s *Syncer, id string) {
		s.index.learn(s.targets[0], []want{{sku: "SKU", stock: &channel.Stock{ProductID: id}}})
	}
	learn(first, "0")
	learn(second, "1")
	second.keepIndex(t.Context())
	trouble := Trouble{Channel: "a", ProductID: "1", Err: channel.ErrInvalid}
	for _, s := range []*Syncer{first, second} {
		s.targets[0].troubles.cleared(t.Context(), s, s.targets[0], nil)
		require.NoError(t, s.targets[0].loadGuard(t.Context(), s))
		require.NoError(t, s.doubled.load(t.Context(), s.queue))
	}
	second.doubled.found("a", "SKU")
	require.NoError(t, second.doubled.keep(t.Context(), second.queue, true))
	require.NoError(t, q.Save(t.Context(), tripSet, Record{"a", []byte(`{"trip":{"channel":"a"}}`)}))
	require.NoError(t, q.Save(t.Context(), heldSet+"a", Record{"SKU", []byte(`{}`)}))

	second.targets[0].troubles.note(t.Context(), second, []Trouble{trouble}, false)

	first.forget()
	first.recollectIndex(t.Context())
	id, _ := first.index.product(first.targets[0], "SKU")
	assert.Equal(t, "1", id)
	first.targets[0].troubles.cleared(t.Context(), first, first.targets[0], []result{{state: agreed, want: want{stock: &channel.Stock{ProductID: "1"}}}})
	for rec, err := range q.Records(t.Context(), troubleSet+"a", "") {
		t.Error("it is over", rec, err)
	}
	require.NoError(t, first.targets[0].loadGuard(t.Context(), first))
	require.NoError(t, first.doubled.load(t.Context(), first.queue))
	assert.NotNil(t, first.targets[0].keeper.trip)
	assert.Len(t, first.targets[0].keeper.held, 1)
	assert.True(t, first.doubled.has("a", "SKU"))
}

// What Health cannot find out is an error, and not a thing that is well.
func TestHealthSaysWhatCannotBeRead(t *testing.T) {
	for _, part := range []storePart{
		{"Records", pauseSet}, {"Load", tripSet}, {"Load", pinSet}, {"Load", stateSet}, {"Depth", inboxLane}, {"Depth", orderLane}, {"Depth", "channel/a"},
	} {
		q := &torn{MemoryQueue: NewMemoryQueue()}
		s, err := New(Config{Source: sevens(1), Queue: q, Targets: []Target{{Channel: channeltest.NewMemory("a")}}})
		require.NoError(t, err)
		_, err = s.Health(t.Context())
		require.NoError(t, err)
		s.targets[0].keeper.read = time.Time{} // as later
		q.tear(part)
		_, err = s.Health(t.Context())
		require.ErrorContains(t, err, "bad sector", part)
	}
}

// A run that this process owed when it led last was made by another one, unless the store
// says that it is owed.
func TestARunThatWasOwedInAnEarlierTerm(t *testing.T) {
	s, ctx, term := adopted(t, NewMemoryQueue(), "a")
	owes := func() bool {
		require.NoError(t, s.prepareTerm(ctx, term))
		return s.owesRun()
	}
	s.oweRun()
	assert.False(t, owes())
	require.NoError(t, s.queue.Save(t.Context(), pauseSet, Record{passedKey + "a", []byte("now")}))
	assert.True(t, owes())
	assert.True(t, owes(), "the one before was not made")
	require.NoError(t, s.queue.Save(t.Context(), pauseSet, Record{Key: passedKey + "a"}))
	assert.False(t, owes())
}
