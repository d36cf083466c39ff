package pgqueue_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/syncer/pgqueue"
	"github.com/ecosire/stocksync/syncer/pgqueue/internal/pgtest"
)

// A leader is cut off in each way that a network has. It has given up before
// another leads, and that is soon.
func TestALeaderIsCutOff(t *testing.T) {
	t.Parallel()
	for what, cut := range map[string]func(*pgtest.Proxy) func(){
		"both ways":            func(p *pgtest.Proxy) func() { return p.Cut(pgtest.ToServer, pgtest.ToClient) },
		"only to the server":   func(p *pgtest.Proxy) func() { return p.Cut(pgtest.ToServer) },
		"only from the server": func(p *pgtest.Proxy) func() { return p.Cut(pgtest.ToClient) },
		"connections refused":  func(p *pgtest.Proxy) func() { p.Close(); return func() {} },
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			s := server(t)
			proxy, err := pgtest.NewProxy(s.Addr())
			require.NoError(t, err)
			t.Cleanup(proxy.Close)
			o := pgqueue.Options{Queue: name(), Lease: lease}
			// Its connections are many and idle, so that each attempt to renew has
			// another one at hand.
			a := open(t, pool(t, s, proxy.Addr(), func(c *pgxpool.Config) {
				c.MinConns = 6
				c.ShouldPing = func(context.Context, pgxpool.ShouldPingParams) bool { return false }
				c.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeExec // nothing to be prepared first
			}), o)
			b := open(t, pool(t, s, ""), o)
			old := lead(t, a)
			require.NoError(t, a.Mark(t.Context(), mark("a")))
			require.Len(t, leased(t, old), 1)
			ended := make(chan time.Time, 1)
			go func() {
				<-old.Done()
				ended <- time.Now()
			}()
			time.Sleep(lease / 2)
			mend := cut(proxy)
			began := time.Now()
			term := lead(t, b)
			led := time.Now()
			mend()
			gaveUp := <-ended
			assert.True(t, gaveUp.Before(led), "it gave up %v after another led", gaveUp.Sub(led))
			assert.Equal(t, []syncer.Key{{Lane: "shop", ID: "a"}}, term.Interrupted())
			// A leader whose answers get lost renews once more at most, as far as
			// others can see: a fifth of the lease later.
			assert.Less(t, led.Sub(began), lease*8/5)
			t.Logf("of a lease of %v: gave up after %v, another led after %v", lease,
				gaveUp.Sub(began).Round(time.Millisecond), led.Sub(began).Round(time.Millisecond))
		})
	}
}

func TestAResigningLeaderHandsOver(t *testing.T) {
	t.Parallel()
	s := server(t)
	o := pgqueue.Options{Queue: name(), Lease: time.Minute}
	term := lead(t, open(t, pool(t, s, ""), o))
	next := make(chan syncer.Term, 1)
	standby := open(t, pool(t, s, ""), o)
	go func() {
		term, err := standby.Lead(t.Context(), "next")
		assert.NoError(t, err)
		next <- term
	}()
	time.Sleep(lease / 2)
	require.NoError(t, term.Resign(t.Context()))
	select {
	case term := <-next:
		require.NoError(t, term.Resign(t.Context()))
	case <-time.After(10 * time.Second):
		t.Fatal("nobody leads")
	}
}

// What this process marks, puts back or acknowledges does not wait for a poll.
func TestTheLeadersOwnMarksAreSeenAtOnce(t *testing.T) {
	t.Parallel()
	q := open(t, pool(t, server(t), ""), pgqueue.Options{Queue: name(), Poll: time.Hour})
	term := lead(t, q)
	wait := func(cause func()) []syncer.Task {
		t.Helper()
		waiting := make(chan error, 1)
		go func() { waiting <- term.Wait(t.Context(), "shop") }()
		time.Sleep(100 * time.Millisecond)
		cause()
		select {
		case err := <-waiting:
			require.NoError(t, err)
		case <-time.After(10 * time.Second):
			t.Fatal("Wait goes on waiting")
		}
		return leased(t, term)
	}
	tasks := wait(func() { require.NoError(t, q.Mark(t.Context(), mark("a"))) })
	tasks = wait(func() { require.NoError(t, term.Retry(t.Context(), time.Now(), tasks...)) })
	tasks = wait(func() {
		require.NoError(t, q.Mark(t.Context(), mark("a")))
		require.NoError(t, term.Ack(t.Context(), tasks...))
	})
	require.Len(t, tasks, 1)
}

// What a look found due may have been leased by its end.
func TestWaitIsNotToldOfEarlierLooks(t *testing.T) {
	before, since := pgqueue.Waits("shop")
	assert.True(t, before)
	assert.False(t, since)
}

// The server is killed in the middle of everything, and comes back, twice.
func TestTheServerIsKilled(t *testing.T) {
	t.Parallel()
	s := ownServer(t, "fsync=off")
	p := pool(t, s, "")
	o := pgqueue.Options{Queue: name(), Lease: lease}
	q := open(t, p, o)
	b := open(t, pool(t, s, ""), o)
	marked := make(chan string, 100_000) // those that Mark returned nil for
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for m := range 3 {
		go func() {
			for i := 0; ctx.Err() == nil; i++ {
				id := fmt.Sprint(m, "-", i)
				if q.Mark(ctx, mark(id)) == nil {
					marked <- id
				} else {
					time.Sleep(10 * time.Millisecond)
				}
				time.Sleep(time.Millisecond)
			}
			marked <- ""
		}()
	}
	seen := make(map[string]bool)
	work := func(term syncer.Term) (err error) {
		tasks, err := term.Lease(ctx, "shop", 50)
		if err != nil {
			return err
		}
		if err := term.Ack(ctx, tasks...); err != nil {
			return err
		}
		for _, task := range tasks {
			seen[task.ID] = true
		}
		return nil
	}
	for range 2 {
		term, err := q.Lead(ctx, "a")
		require.NoError(t, err)
		for range 20 {
			require.NoError(t, work(term))
		}
		require.NoError(t, s.Kill())
		require.Eventually(t, func() bool { return work(term) != nil }, lease, time.Millisecond, "some of its processes live on for a moment")
		waiting := make(chan syncer.Term)
		go func() { // a standby waits through it all
			next, err := b.Lead(ctx, "b")
			assert.NoError(t, err)
			waiting <- next
		}()
		time.Sleep(2 * lease)
		require.NoError(t, s.Restart())
		next := <-waiting
		_, open := <-term.Done()
		require.False(t, open)
		for range 20 {
			require.NoError(t, work(next))
		}
		require.NoError(t, next.Resign(ctx))
	}
	cancel()
	var all []string
	for over := 0; over < 3; {
		if id := <-marked; id != "" {
			all = append(all, id)
		} else {
			over++
		}
	}
	ctx = t.Context()
	term := lead(t, q)
	for d, err := q.Depth(ctx, "shop"); d.Tasks > 0; d, err = q.Depth(ctx, "shop") {
		require.NoError(t, err)
		require.NoError(t, work(term))
	}
	lost := 0
	for _, id := range all {
		if !seen[id] {
			lost++
		}
	}
	assert.Zero(t, lost, "of %d marks that Mark returned nil for", len(all))
	t.Logf("%d marks, none lost", len(all))
}

// Short outages end no term.
func TestAServerThatRestartsInTime(t *testing.T) {
	t.Parallel()
	s := ownServer(t, "fsync=off")
	q := open(t, pool(t, s, ""), pgqueue.Options{Queue: name(), Lease: 20 * time.Second})
	term := lead(t, q)
	waiting := make(chan error, 1)
	go func() { waiting <- term.Wait(t.Context(), "shop") }()
	require.NoError(t, s.Kill())
	require.NoError(t, s.Restart())
	err := q.Mark(t.Context(), mark("a"))
	for attempt := 1; err != nil && attempt < 10; attempt++ { // whoever marks tries again: a connection may have been cut in the middle
		err = q.Mark(t.Context(), mark("a"))
	}
	require.NoError(t, err)
	require.NoError(t, <-waiting)
	require.Equal(t, []string{"a"}, ids(leased(t, term)))
	select {
	case <-term.Done():
		t.Error("the term ended")
	default:
	}
}

// The queue works in all ways that pgx talks to a server or a pooler.
func TestExecModes(t *testing.T) {
	t.Parallel()
	s := server(t)
	for _, mode := range []pgx.QueryExecMode{
		pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeDescribeExec,
		pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol,
	} {
		t.Run(strings.ReplaceAll(mode.String(), " ", "_"), func(t *testing.T) {
			t.Parallel()
			q := open(t, pool(t, s, "", func(c *pgxpool.Config) { c.ConnConfig.DefaultQueryExecMode = mode }), pgqueue.Options{Queue: name()})
			term := lead(t, q)
			odd := syncer.Mark{Key: syncer.Key{Lane: "a\x00'\\", ID: "\xff$1'"}, Trace: "\x00", Why: "--", Count: 3}
			require.NoError(t, q.Mark(t.Context(), odd, mark("b")))
			require.NoError(t, term.Wait(t.Context(), odd.Lane))
			tasks, err := term.Lease(t.Context(), odd.Lane, 10)
			require.NoError(t, err)
			require.Len(t, tasks, 1)
			got := syncer.Mark{Key: tasks[0].Key, Trace: tasks[0].Trace, Why: tasks[0].Why, Count: tasks[0].Marks}
			assert.Equal(t, odd, got)
			require.NoError(t, q.Mark(t.Context(), tasks[0].Mark("other"), odd))
			require.NoError(t, term.Ack(t.Context(), tasks...))
			other, err := term.Lease(t.Context(), "other", 10)
			require.NoError(t, err)
			require.Len(t, other, 1)
			assert.True(t, other[0].First.Equal(tasks[0].First) && other[0].Last.Equal(tasks[0].Last))
			require.NoError(t, term.Retry(t.Context(), time.Now().Add(time.Hour), other...))
			d, err := q.Depth(t.Context(), "other")
			require.NoError(t, err)
			assert.Equal(t, 1, d.Tasks)
			require.NoError(t, term.Save(t.Context(), "set\x00", syncer.Record{Key: "\xff", Value: []byte("\x00'\\")}, syncer.Record{Key: "x"}))
			for r, err := range q.Records(t.Context(), "set\x00", "") {
				require.NoError(t, err)
				assert.Equal(t, syncer.Record{Key: "\xff", Value: []byte("\x00'\\")}, r)
			}
			require.NoError(t, q.Save(t.Context(), "set\x00", syncer.Record{Key: "\xff"}))
			value, err := q.Load(t.Context(), "set\x00", "\xff")
			require.NoError(t, err)
			assert.Nil(t, value)
			info, err := q.Leader(t.Context())
			require.NoError(t, err)
			assert.Equal(t, term.Number(), info.Number)
		})
	}
}

func TestQueuesAreApart(t *testing.T) {
	t.Parallel()
	p := pool(t, server(t), "")
	one, two := open(t, p, pgqueue.Options{Queue: name()}), open(t, p, pgqueue.Options{Queue: name()})
	schema := open(t, p, pgqueue.Options{Schema: name()})
	terms := []syncer.Term{lead(t, one), lead(t, two), lead(t, schema)}
	require.NoError(t, one.Mark(t.Context(), mark("a")))
	require.NoError(t, one.Save(t.Context(), "set", syncer.Record{Key: "a", Value: []byte("x")}))
	for i, term := range terms {
		want := 0
		if i == 0 {
			want = 1
		}
		d, err := term.Depth(t.Context(), "shop")
		require.NoError(t, err)
		assert.Equal(t, want, d.Tasks)
		assert.Len(t, leased(t, term), want)
		value, err := term.Load(t.Context(), "set", "a")
		require.NoError(t, err)
		assert.Equal(t, want, len(value))
	}
}

func TestATermLeavesNothingBehind(t *testing.T) {
	s := server(t)
	ignore := goleak.IgnoreCurrent()
	config, err := pgxpool.ParseConfig(s.URL(""))
	require.NoError(t, err)
	p, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	q := open(t, p, pgqueue.Options{Queue: name(), Lease: lease})
	term, err := q.Lead(t.Context(), "self")
	require.NoError(t, err)
	waiting := make(chan error, 1)
	go func() { waiting <- term.Wait(context.Background(), "shop") }()
	time.Sleep(lease / 2)
	require.NoError(t, term.Resign(t.Context()))
	require.ErrorIs(t, <-waiting, syncer.ErrDeposed)
	// A term that is lost, and one whose pool is closed.
	term, err = q.Lead(t.Context(), "self")
	require.NoError(t, err)
	p.Close()
	<-term.Done()
	require.NoError(t, term.Resign(t.Context()), "it is over")
	_, err = q.Lead(t.Context(), "self")
	require.Error(t, err, "the pool is closed")
	goleak.VerifyNone(t, ignore)
}

func TestOptions(t *testing.T) {
	t.Parallel()
	config, err := pgxpool.ParseConfig("postgres://127.0.0.1:1/x")
	require.NoError(t, err)
	p, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	defer p.Close()
	for what, o := range map[string]pgqueue.Options{
		"a queue that is not text": {Queue: "\xff"}, "a queue with a NUL": {Queue: "a\x00"}, "a long queue": {Queue: strings.Repeat("x", 201)},
		"a long schema": {Schema: strings.Repeat("x", 64)}, "a schema that is not text": {Schema: "\xff"},
		"a short lease": {Lease: time.Millisecond}, "a negative lease": {Lease: -1}, "a short poll": {Poll: 1}, "a negative poll": {Poll: -1},
	} {
		_, err := pgqueue.New(p, o)
		assert.Error(t, err, what)
	}
	_, err = pgqueue.New(nil, pgqueue.Options{})
	require.Error(t, err)
	config = config.Copy()
	config.MaxConns = 1
	small, err := pgxpool.NewWithConfig(t.Context(), config)
	require.NoError(t, err)
	defer small.Close()
	_, err = pgqueue.New(small, pgqueue.Options{})
	require.Error(t, err)

	q, err := pgqueue.New(p, pgqueue.Options{})
	require.NoError(t, err)
	long := strings.Repeat("x", pgqueue.MaxKey)
	require.ErrorIs(t, q.Mark(t.Context(), syncer.Mark{Key: syncer.Key{Lane: "x", ID: long}}), pgqueue.ErrTooLong)
	require.ErrorIs(t, q.Save(t.Context(), "x", syncer.Record{Key: long}), pgqueue.ErrTooLong)
}

// The longest keys fit, whatever bytes they have.
func TestLongKeys(t *testing.T) {
	t.Parallel()
	q := open(t, pool(t, server(t), ""), pgqueue.Options{Queue: strings.Repeat("q", 200-10) + name()})
	term := lead(t, q)
	long := make([]byte, pgqueue.MaxKey-len("shop"))
	for i := range long { // nothing that could be compressed
		long[i] = byte(i*i*i>>3 ^ i*7)
	}
	require.NoError(t, q.Mark(t.Context(), mark(string(long))))
	require.Equal(t, []string{string(long)}, ids(leased(t, term)))
	require.NoError(t, q.Save(t.Context(), "shop", syncer.Record{Key: string(long), Value: []byte("x")}))
	value, err := q.Load(t.Context(), "shop", string(long))
	require.NoError(t, err)
	require.Equal(t, "x", string(value))
}
