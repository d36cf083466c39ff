package queuetest_test

import (
	"bytes"
	"context"
	"iter"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/internal/racetest"
	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/syncer/queuetest"
)

// A queue is a MemoryQueue, except where a function replaces a method. One function
// is called at a time: a queue has one bug, and no race beside it.
type queue struct {
	*syncer.MemoryQueue
	mark  func(q *syncer.MemoryQueue, marks []syncer.Mark) []syncer.Mark // changes what is marked
	lease func(t *syncer.Task)                                           // changes what is leased
	retry func(t *syncer.Task)                                           // changes what is put back
	ack   func(q *syncer.MemoryQueue, t syncer.Task)                     // instead of Ack
}

// calling is held while a function of a queue is called.
var calling sync.Mutex

func (b queue) Mark(ctx context.Context, marks ...syncer.Mark) error {
	if b.mark != nil {
		calling.Lock()
		marks = b.mark(b.MemoryQueue, slices.Clone(marks))
		calling.Unlock()
	}
	return b.MemoryQueue.Mark(ctx, marks...)
}

func (b queue) Lease(ctx context.Context, lane string, n int) ([]syncer.Task, error) {
	tasks, err := b.MemoryQueue.Lease(ctx, lane, n)
	calling.Lock()
	defer calling.Unlock()
	for i := range tasks {
		if b.lease != nil {
			b.lease(&tasks[i])
		}
	}
	return tasks, err
}

func (b queue) Retry(ctx context.Context, at time.Time, tasks ...syncer.Task) error {
	tasks = slices.Clone(tasks)
	calling.Lock()
	for i := range tasks {
		if b.retry != nil {
			b.retry(&tasks[i])
		}
	}
	calling.Unlock()
	return b.MemoryQueue.Retry(ctx, at, tasks...)
}

func (b queue) Ack(ctx context.Context, tasks ...syncer.Task) error {
	if b.ack == nil {
		return b.MemoryQueue.Ack(ctx, tasks...)
	}
	calling.Lock()
	defer calling.Unlock()
	for _, t := range tasks {
		b.ack(b.MemoryQueue, t)
	}
	return nil
}

func eachMark(change func(m *syncer.Mark)) func() syncer.Queue {
	return func() syncer.Queue {
		return queue{MemoryQueue: syncer.NewMemoryQueue(), mark: func(_ *syncer.MemoryQueue, marks []syncer.Mark) []syncer.Mark {
			for i := range marks {
				change(&marks[i])
			}
			return marks
		}}
	}
}

func eachTask(change func(t *syncer.Task)) func() syncer.Queue {
	return func() syncer.Queue { return queue{MemoryQueue: syncer.NewMemoryQueue(), lease: change} }
}

// A store is a map, with the bugs that its fields say.
type store struct {
	*syncer.MemoryQueue
	mu      sync.Mutex
	records map[string][]byte
	bugs
}

type bugs struct {
	joined   bool // set and key are joined by a separator
	shares   bool // values are not copied
	empties  bool // nil is saved as empty
	partial  bool // a done context ends Save in the middle
	unsorted bool
	exact    bool // from is the first key, or nothing is yielded
	short    bool // 1,000 records at most
	deaf     bool // to a context that is done
	first    bool // of a key that comes twice, the first record counts
}

func (s *store) key(set, key string) string {
	if s.joined {
		return set + "/" + key
	}
	return strings.Repeat("x", len(set)) + "\x00" + set + key
}

func (s *store) Save(ctx context.Context, set string, records ...syncer.Record) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := make(map[string]bool)
	for i, r := range records {
		if s.partial && i == len(records)/2 && ctx.Err() != nil {
			return ctx.Err()
		}
		key := s.key(set, r.Key)
		if s.first && seen[key] {
			continue
		}
		seen[key] = true
		switch {
		case r.Value == nil && !s.empties:
			delete(s.records, key)
		case s.shares:
			s.records[key] = r.Value
		default:
			s.records[key] = append([]byte{}, r.Value...)
		}
	}
	return nil
}

func (s *store) Load(_ context.Context, set, key string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shares {
		return s.records[s.key(set, key)], nil
	}
	return bytes.Clone(s.records[s.key(set, key)]), nil
}

func (s *store) Records(ctx context.Context, set, from string) iter.Seq2[syncer.Record, error] {
	return func(yield func(syncer.Record, error) bool) {
		if !s.deaf && ctx.Err() != nil {
			yield(syncer.Record{}, ctx.Err())
			return
		}
		s.mu.Lock()
		records := maps.Clone(s.records)
		s.mu.Unlock()
		keys := slices.Collect(maps.Keys(records))
		if !s.unsorted {
			slices.Sort(keys)
		}
		n, found := 0, false
		for _, k := range keys {
			key, ok := strings.CutPrefix(k, s.key(set, ""))
			found = found || key == from
			if !ok || key < from || s.exact && from != "" && !found {
				continue
			}
			if n++; s.short && n > 1000 {
				return
			}
			value := records[k]
			if !s.shares {
				value = bytes.Clone(value)
			}
			if !yield(syncer.Record{Key: key, Value: value}, nil) {
				return
			}
		}
	}
}

func stored(b bugs) func() syncer.Queue {
	return func() syncer.Queue {
		return &store{MemoryQueue: syncer.NewMemoryQueue(), records: make(map[string][]byte), bugs: b}
	}
}

// broken are queues with one bug each, and the rules that must find it.
var broken = map[string]struct {
	open  func() syncer.Queue
	rules string
}{
	"nothing":        {func() syncer.Queue { return syncer.NewMemoryQueue() }, ""},
	"a sound store":  {stored(bugs{}), ""},
	"no counts":      {eachTask(func(t *syncer.Task) { t.Marks = 1 }), "MarksOfOneKeyAreOneTask MarksAreCountedSinceTheLastAck AMovedMarkKeepsWhatItIs"},
	"Count unread":   {eachMark(func(m *syncer.Mark) { m.Count = 0 }), "MarksAreCountedSinceTheLastAck AMovedMarkKeepsWhatItIs"},
	"no causes":      {eachMark(func(m *syncer.Mark) { m.Why = "" }), "TheNewestMarkTellsWhy AMovedMarkKeepsWhatItIs"},
	"no traces":      {eachMark(func(m *syncer.Mark) { m.Trace = "" }), "TheNewestMarkTellsWhy ATraceIsShort AMovedMarkKeepsWhatItIs"},
	"traces are cut": {eachMark(func(m *syncer.Mark) { m.Trace = m.Trace[:min(len(m.Trace), syncer.MaxTrace)] }), "ATraceIsShort"},
	"no moved times": {eachMark(func(m *syncer.Mark) { m.First, m.Last = time.Time{}, time.Time{} }), "AMovedMarkKeepsWhatItIs AMovedMarkJoinsOthers AMovedMarkKeepsItsPlace AMarkMovedDuringWork"},
	"no moved ages":  {eachMark(func(m *syncer.Mark) { m.First = m.Last }), "AMovedMarkKeepsWhatItIs"},
	"whole seconds":  {eachMark(func(m *syncer.Mark) { m.Last = m.Last.Truncate(time.Hour) }), "AMovedMarkKeepsWhatItIs"},
	"the markers' clocks": {eachMark(func(m *syncer.Mark) {
		if m.Last.IsZero() {
			m.Last = time.Now()
		}
	}), "ANewMarkIsLaterThanWhatWasLeased TimesOfASkewedClock"},
	"the last one tells why": {func() syncer.Queue {
		why := make(map[syncer.Key]syncer.Cause)
		return queue{MemoryQueue: syncer.NewMemoryQueue(), mark: func(_ *syncer.MemoryQueue, marks []syncer.Mark) []syncer.Mark {
			for _, m := range marks {
				why[m.Key] = m.Why
			}
			return marks
		}, lease: func(t *syncer.Task) { t.Why = why[t.Key] }}
	}, "AMovedMarkJoinsOthers"},
	"due when its clock says": {func() syncer.Queue {
		return queue{MemoryQueue: syncer.NewMemoryQueue(), mark: func(q *syncer.MemoryQueue, marks []syncer.Mark) []syncer.Mark {
			return slices.DeleteFunc(marks, func(m syncer.Mark) bool {
				late := m.First.After(time.Now())
				if late { // marked, but not due
					time.AfterFunc(time.Until(m.First), func() { _ = q.Mark(context.Background(), m) })
				}
				return late
			})
		}}
	}, "TimesOfASkewedClock"},
	"tokens are keys": {func() syncer.Queue {
		tokens := make(map[string]uint64)
		return queue{MemoryQueue: syncer.NewMemoryQueue(),
			lease: func(t *syncer.Task) { tokens[t.ID], t.Token = t.Token, 1 },
			retry: func(t *syncer.Task) { t.Token = tokens[t.ID] },
			ack: func(q *syncer.MemoryQueue, t syncer.Task) {
				t.Token = tokens[t.ID]
				_ = q.Ack(context.Background(), t)
			}}
	}, "TokensAreNotGivenTwice AnAckOfAnEarlierLeaseEndsNothing"},
	"Retry counts": {func() syncer.Queue {
		return queue{MemoryQueue: syncer.NewMemoryQueue(), retry: func(t *syncer.Task) { t.Attempt++ }}
	}, "RetryKeepsTheAttempt RetryPutsBack"},
	"Ack ends the marks made since": {func() syncer.Queue {
		return queue{MemoryQueue: syncer.NewMemoryQueue(), ack: func(q *syncer.MemoryQueue, t syncer.Task) {
			ctx := context.Background()
			_ = q.Ack(ctx, t)
			if again, _ := q.Lease(ctx, t.Lane, 100); len(again) > 0 {
				_ = q.Ack(ctx, again...)
			}
		}}
	}, "AMarkDuringWorkIsNotLost MarksAreCountedSinceTheLastAck AMarkMovedDuringWork WaitReturnsOnAckOfAKeyMarkedSince"},
	"a separator":              {stored(bugs{joined: true}), "SetsAreApart"},
	"values are shared":        {stored(bugs{shares: true}), "StoredValuesAreCopies"},
	"nil is empty":             {stored(bugs{empties: true}), "ANilValueRemoves ALargeSet"},
	"half a Save":              {stored(bugs{partial: true}), "ASaveIsAllOrNothing"},
	"the order of a map":       {stored(bugs{unsorted: true}), "RecordsAreInOrder ALargeSet ConcurrentStoreUse"},
	"from must be there":       {stored(bugs{exact: true}), "RecordsAreInOrder"},
	"the first thousand":       {stored(bugs{short: true}), "ALargeSet"},
	"Records without end":      {stored(bugs{deaf: true}), "DoneContext"},
	"the first of two records": {stored(bugs{first: true}), "SaveAndLoad ANilValueRemoves"},
}

// A disk is what survives of a queue, with the bugs that its fields say.
type disk struct {
	marks   map[syncer.Key]syncer.Mark
	records map[[2]string][]byte

	new      bool // only marks of keys that are not there are written
	noAcks   bool
	noSaves  bool
	noOrder  bool // the times do not survive
	noRemove bool
	tokens   bool // begin anew
}

type durable struct {
	*syncer.MemoryQueue
	*disk
	given uint64
	real  map[uint64]uint64
}

func (d *disk) open() syncer.Queue {
	q := &durable{MemoryQueue: syncer.NewMemoryQueue(), disk: d, real: make(map[uint64]uint64)}
	for _, m := range d.marks {
		if d.noOrder {
			m.First, m.Last = time.Now(), time.Now()
		}
		q.Restore(m)
	}
	for k, v := range d.records {
		_ = q.MemoryQueue.Save(context.Background(), k[0], syncer.Record{Key: k[1], Value: v})
	}
	return q
}

func (d *durable) write(k syncer.Key) {
	m, ok := d.Lookup(k)
	_, there := d.marks[k]
	switch {
	case ok && !(there && d.new):
		d.marks[k] = m
	case !ok && !d.noAcks:
		delete(d.marks, k)
	}
}

func (d *durable) Mark(ctx context.Context, marks ...syncer.Mark) error {
	err := d.MemoryQueue.Mark(ctx, marks...)
	for _, m := range marks {
		d.write(m.Key)
	}
	return err
}

func (d *durable) Lease(ctx context.Context, lane string, n int) ([]syncer.Task, error) {
	tasks, err := d.MemoryQueue.Lease(ctx, lane, n)
	for i := range tasks {
		if d.tokens {
			d.given++
			d.real[d.given] = tasks[i].Token
			tasks[i].Token = d.given
		}
	}
	return tasks, err
}

func (d *durable) Ack(ctx context.Context, tasks ...syncer.Task) error {
	for _, t := range tasks {
		if d.tokens {
			t.Token = d.real[t.Token]
		}
		if err := d.MemoryQueue.Ack(ctx, t); err != nil {
			return err
		}
		d.write(t.Key)
	}
	return nil
}

func (d *durable) Retry(ctx context.Context, at time.Time, tasks ...syncer.Task) error {
	for _, t := range tasks {
		if d.tokens {
			t.Token = d.real[t.Token]
		}
		if err := d.MemoryQueue.Retry(ctx, at, t); err != nil {
			return err
		}
	}
	return nil
}

func (d *durable) Save(ctx context.Context, set string, records ...syncer.Record) error {
	for _, r := range records {
		switch {
		case d.noSaves:
		case r.Value != nil:
			d.records[[2]string{set, r.Key}] = bytes.Clone(r.Value)
		case !d.noRemove:
			delete(d.records, [2]string{set, r.Key})
		}
	}
	return d.MemoryQueue.Save(ctx, set, records...)
}

// lossy are queues that survive a crash, but for one bug.
var lossy = map[string]struct {
	disk
	rules string
}{
	"nothing":          {disk{}, ""},
	"acks are lost":    {disk{noAcks: true}, "AckedTasksAreGone CrashesAtAnyTime ManyKeysSurvive"},
	"new keys only":    {disk{new: true}, "MovedMarksSurvive AMarkDuringWorkSurvivesItsAck"},
	"no order":         {disk{noOrder: true}, "MarksSurvive MovedMarksSurvive"},
	"no records":       {disk{noSaves: true}, "RecordsSurvive ManyKeysSurvive CrashesAtAnyTime"},
	"records are left": {disk{noRemove: true}, "RecordsSurvive CrashesAtAnyTime"},
	"tokens again":     {disk{tokens: true}, "AnAckFromBeforeEndsNothing"},
}

const inside = "QUEUETEST_BROKEN"

// TestBroken fails, in a process of its own.
func TestBroken(t *testing.T) {
	if os.Getenv(inside) == "" {
		t.Skip("run by TestBrokenQueuesFail")
	}
	for name, b := range broken {
		t.Run("queue "+name, func(t *testing.T) {
			queuetest.TestQueue(t, func(*testing.T) syncer.Queue { return b.open() })
		})
	}
	for name, b := range lossy {
		t.Run("disk "+name, func(t *testing.T) {
			queuetest.TestDurable(t, func(*testing.T) func() syncer.Queue {
				d := b.disk
				d.marks, d.records = make(map[syncer.Key]syncer.Mark), make(map[[2]string][]byte)
				return d.open
			})
		})
	}
	for name, b := range usurping {
		t.Run("shared "+name, func(t *testing.T) { queuetest.TestShared(t, b.open) })
	}
}

func TestBrokenQueuesFail(t *testing.T) {
	racetest.Long(t)
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestBroken$", "-test.v")
	cmd.Env = append(os.Environ(), inside+"=1")
	out, err := cmd.CombinedOutput()
	require.ErrorAs(t, err, new(*exec.ExitError), "the process fails")
	for _, end := range []string{"panic:", "fatal error:"} {
		if at := bytes.Index(out, []byte(end)); at >= 0 {
			t.Fatalf("%s", out[at:])
		}
	}
	failed := make(map[string][]string)
	for _, m := range regexp.MustCompile(`--- FAIL: TestBroken/([^/\n]+)/(\S+)`).FindAllStringSubmatch(string(out), -1) {
		name := strings.ReplaceAll(m[1], "_", " ")
		failed[name] = append(failed[name], m[2])
	}
	check := func(name, rules string) {
		for rule := range strings.FieldsSeq(rules) {
			assert.Contains(t, failed[name], rule, name)
		}
		if rules == "" {
			assert.Empty(t, failed[name], "%s is sound", name)
		}
		t.Logf("%s: %s", name, failed[name])
	}
	for name, b := range broken {
		check("queue "+name, b.rules)
	}
	for name, b := range lossy {
		check("disk "+name, b.rules)
	}
	for name, b := range usurping {
		check("shared "+name, b.rules)
	}
}
