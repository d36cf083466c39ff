package pgqueue_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/syncer/pgqueue"
	"github.com/ecosire/stocksync/syncer/pgqueue/internal/pgtest"
)

// benchEnv has TestPerformance measure: "short" for what shows that it works,
// "full" for what performance.md has.
const benchEnv = "STOCKSYNC_BENCH"

var update = flag.Bool("update", false, "write what was measured to performance.md")

// A load is marks that are made as fast as they go.
type load struct {
	processes, batch, goroutines int
}

// keys is how many products the marks are about.
const keys = 100_000

// markFor marks until the time is over, and returns how many marks were made.
func markFor(q *pgqueue.Queue, d time.Duration, batch, goroutines int) (int64, error) {
	var made atomic.Int64
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	var wg sync.WaitGroup
	errs := make(chan error, goroutines)
	for range goroutines {
		wg.Go(func() {
			marks := make([]syncer.Mark, batch)
			for ctx.Err() == nil {
				for i := range marks {
					marks[i] = mark("product-" + strconv.Itoa(rand.IntN(keys)))
				}
				if err := q.Mark(context.Background(), marks...); err != nil {
					errs <- err
					return
				}
				made.Add(int64(batch))
			}
		})
	}
	wg.Wait()
	select {
	case err := <-errs:
		return 0, err
	default:
		return made.Load(), nil
	}
}

// marker is the process that marks: it is told how by its environment.
func marker() error {
	args := strings.Split(os.Getenv("STOCKSYNC_PGTEST_MARK"), " ")
	d, err := time.ParseDuration(args[0])
	if err != nil {
		return err
	}
	batch, _ := strconv.Atoi(args[1])
	goroutines, _ := strconv.Atoi(args[2])
	config, err := pgxpool.ParseConfig(os.Getenv("STOCKSYNC_PGTEST_URL"))
	if err != nil {
		return err
	}
	config.MaxConns = int32(max(2, goroutines))
	p, err := pgxpool.NewWithConfig(context.Background(), config)
	if err != nil {
		return err
	}
	defer p.Close()
	q, err := pgqueue.New(p, pgqueue.Options{Queue: os.Getenv(childEnv)})
	if err != nil {
		return err
	}
	n, err := markFor(q, d, batch, goroutines)
	fmt.Println(n)
	return err
}

// rate is how many marks a second the load's processes make together.
func rate(t *testing.T, s *pgtest.Server, queue string, l load, d time.Duration) float64 {
	t.Helper()
	var total atomic.Int64
	var wg sync.WaitGroup
	for range l.processes {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childEnv+"="+queue, "STOCKSYNC_PGTEST_URL="+s.URL(""),
			fmt.Sprintf("STOCKSYNC_PGTEST_MARK=%v %d %d", d, l.batch, l.goroutines))
		cmd.Stderr = os.Stderr
		wg.Go(func() {
			out, err := cmd.Output()
			if err != nil {
				t.Errorf("marker: %v", err)
				return
			}
			n, err := strconv.ParseInt(strings.TrimSpace(string(out)), 10, 64)
			if err != nil {
				t.Errorf("marker: %v", err)
			}
			total.Add(n)
		})
	}
	wg.Wait()
	return float64(total.Load()) / d.Seconds()
}

// drain works on a lane until the end of the test, as the engine does.
func drain(t *testing.T, term syncer.Term, lane string) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		for term.Wait(ctx, lane) == nil {
			tasks, err := term.Lease(ctx, lane, 200)
			if err == nil {
				err = term.Ack(ctx, tasks...)
			}
			if err != nil && ctx.Err() == nil {
				t.Errorf("drain: %v", err)
				return
			}
		}
	})
	stop = sync.OnceFunc(func() { cancel(); wg.Wait() })
	t.Cleanup(stop)
	return stop
}

// fill makes n keys wait: a lane that is not worked on, and as many as a tenth of
// it delayed in the lane that is.
func fill(t *testing.T, term syncer.Term, n int) {
	t.Helper()
	for lane, n := range map[string]int{"backlog": n - n/10, "probe": n / 10} {
		marks := make([]syncer.Mark, 0, n)
		for i := range n {
			marks = append(marks, syncer.Mark{Key: syncer.Key{Lane: lane, ID: fmt.Sprint("product-", i)}})
		}
		require.NoError(t, term.Mark(t.Context(), marks...))
	}
	for {
		tasks, err := term.Lease(t.Context(), "probe", 1000)
		require.NoError(t, err)
		if len(tasks) == 0 {
			return
		}
		require.NoError(t, term.Retry(t.Context(), time.Now().Add(time.Hour), tasks...))
	}
}

// delays marks from another handle, and returns how long it took until each mark
// was leased.
func delays(t *testing.T, q syncer.Queue, term syncer.Term, n int, every time.Duration) []time.Duration {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(n)*every+30*time.Second)
	defer cancel()
	var mu sync.Mutex
	made := make(map[string]time.Time)
	var all []time.Duration
	var wg sync.WaitGroup
	wg.Go(func() {
		for len(all) < n {
			if err := term.Wait(ctx, "probe"); err != nil {
				t.Errorf("Wait: %v", err)
				return
			}
			tasks, err := term.Lease(ctx, "probe", 200)
			at := time.Now()
			if err == nil {
				err = term.Ack(ctx, tasks...)
			}
			if err != nil {
				t.Errorf("Lease or Ack: %v", err)
				return
			}
			mu.Lock()
			for _, task := range tasks {
				all = append(all, at.Sub(made[task.ID]))
			}
			mu.Unlock()
		}
	})
	for i := range n {
		id := fmt.Sprint("probe-", i)
		mu.Lock()
		made[id] = time.Now()
		mu.Unlock()
		if err := q.Mark(ctx, syncer.Mark{Key: syncer.Key{Lane: "probe", ID: id}}); err != nil {
			t.Errorf("Mark: %v", err)
			break
		}
		time.Sleep(every/2 + rand.N(every)) // in no step with the polling
	}
	wg.Wait()
	slices.Sort(all)
	return all
}

func quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

// TestPerformance measures, and writes performance.md if it is told to.
func TestPerformance(t *testing.T) {
	how := os.Getenv(benchEnv)
	if how == "" {
		t.Skip(benchEnv + " is not set")
	}
	d, probes, sizes := 3*time.Second, 200, []int{10_000, 100_000}
	if how == "short" {
		d, probes, sizes = time.Second, 50, []int{10_000}
	}
	s := ownServer(t) // with its disk: a mark that is acknowledged is written
	var doc bytes.Buffer
	say := func(format string, args ...any) {
		t.Logf(strings.TrimSuffix(format, "\n"), args...)
		fmt.Fprintf(&doc, format, args...)
	}

	o := pgqueue.Options{Queue: name(), Lease: pgqueue.DefaultLease, Poll: pgqueue.DefaultPoll}
	q := open(t, pool(t, s, ""), o)
	term := lead(t, q)
	stop := drain(t, term, "shop")
	say("| processes | connections each | marks in a call | marks a second |\n|---|---|---|---|\n")
	for _, l := range []load{{1, 1, 1}, {1, 1, 8}, {3, 1, 1}, {3, 1, 8}, {1, 100, 1}, {1, 100, 4}, {3, 100, 1}, {3, 100, 4}} {
		say("| %d | %d | %d | %.0f |\n", l.processes, l.goroutines, l.batch, rate(t, s, o.Queue, l, d))
	}
	stop()

	say("\n| keys waiting | beside | p50 | p99 | worst | SELECT 1, p99 | Depth, 9 of 10 keys |\n|---|---|---|---|---|---|---|\n")
	for _, n := range sizes {
		o := pgqueue.Options{Queue: name(), Lease: pgqueue.DefaultLease, Poll: pgqueue.DefaultPoll}
		p := pool(t, s, "")
		q := open(t, p, o)
		term := lead(t, q)
		fill(t, term, n)
		for _, sql := range []string{"VACUUM ANALYZE stocksync.inbox, stocksync.tasks", "CHECKPOINT"} { // else it comes in the middle
			_, err := p.Exec(t.Context(), sql)
			require.NoError(t, err)
		}
		other := open(t, pool(t, s, ""), o)
		for _, beside := range []string{"nothing", "100 marks a second", "1,000 marks a second", "the same, and a transaction open"} {
			m := measure(t, p, other, term, beside, probes)
			began := time.Now()
			_, err := term.Depth(t.Context(), "backlog")
			require.NoError(t, err)
			say("| %d | %s | %s | %s | %s | %s | %s |\n", n, beside, ms(quantile(m.delays, 0.5)), ms(quantile(m.delays, 0.99)),
				ms(quantile(m.delays, 1)), ms(quantile(m.trips, 0.99)), ms(time.Since(began)))
		}
		require.NoError(t, term.Resign(t.Context()))
	}
	if *update {
		write(t, doc.String())
	}
}

func ms(d time.Duration) string { return fmt.Sprintf("%.0f ms", float64(d)/1e6) }

// A measurement is how long marks waited to be leased, and how long the server
// took meanwhile to answer a query that does nothing.
type measurement struct{ delays, trips []time.Duration }

func measure(t *testing.T, p *pgxpool.Pool, other *pgqueue.Queue, term syncer.Term, beside string, probes int) measurement {
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	if beside != "nothing" {
		rate := 1000
		if strings.HasPrefix(beside, "100 ") {
			rate = 100
		}
		wg.Go(func() { steady(ctx, t, other, rate) })
		defer drain(t, term, "shop")()
	}
	if strings.Contains(beside, "transaction") {
		tx, err := p.Begin(ctx)
		require.NoError(t, err)
		defer tx.Rollback(context.Background())
		require.NoError(t, other.MarkTx(ctx, tx, mark("open")))
	}
	var m measurement
	wg.Go(func() {
		for ctx.Err() == nil {
			began := time.Now()
			if _, err := p.Exec(ctx, "SELECT 1"); err == nil {
				m.trips = append(m.trips, time.Since(began))
			}
			time.Sleep(20 * time.Millisecond)
		}
	})
	m.delays = delays(t, other, term, probes, 50*time.Millisecond)
	cancel()
	wg.Wait()
	slices.Sort(m.trips)
	return m
}

// write puts what was measured into performance.md.
func write(t *testing.T, measured string) {
	const path, begin, end = "performance.md", "<!-- measured -->\n", "<!-- end -->\n"
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	before, rest, ok1 := strings.Cut(string(data), begin)
	_, after, ok2 := strings.Cut(rest, end)
	require.True(t, ok1 && ok2, "%s has no place for what was measured", path)
	require.NoError(t, os.WriteFile(path, []byte(before+begin+measured+end+after), 0o644))
}

// steady makes marks at a rate, in batches of 10, until ctx is done.
func steady(ctx context.Context, t *testing.T, q syncer.Queue, rate int) {
	tick := time.NewTicker(time.Second * 10 / time.Duration(rate))
	defer tick.Stop()
	marks := make([]syncer.Mark, 10)
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for i := range marks {
			marks[i] = mark("product-" + strconv.Itoa(rand.IntN(keys)))
		}
		if err := q.Mark(ctx, marks...); err != nil && ctx.Err() == nil {
			t.Errorf("Mark: %v", err)
			return
		}
	}
}
