//go:build unix

package storm

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/syncer/pgqueue"
)

// The controls take one thing away that keeps a leader from doing harm, so that
// the checks can be seen to notice.
const (
	noFence    = "no fence"    // what is acknowledged under an old term is removed
	noDeadline = "no deadline" // work goes on when the term can no longer be proven
	grace      = "grace"       // work goes on for a while when the term has ended
)

// after is for how long work goes on under an old term.
var after = map[string]time.Duration{noDeadline: time.Minute, grace: 2 * lease}

// control returns the queue, without what STORM_CONTROL says.
func control(q *pgqueue.Queue, pool *pgxpool.Pool) syncer.Queue {
	if kind := os.Getenv("STORM_CONTROL"); kind != "" {
		return &controlled{q, pool, kind}
	}
	return q
}

type controlled struct {
	*pgqueue.Queue
	pool *pgxpool.Pool
	kind string
}

func (c *controlled) Lead(ctx context.Context, self string) (syncer.Term, error) {
	t, err := c.Queue.Lead(ctx, self)
	if err != nil {
		return nil, err
	}
	u := &uncontrolled{Term: t, c: c, done: make(chan struct{})}
	go func() {
		<-t.Done()
		if c.kind != noFence {
			time.Sleep(after[c.kind])
		}
		close(u.done)
	}()
	return u, nil
}

type uncontrolled struct {
	syncer.Term
	c    *controlled
	done chan struct{}
}

func (u *uncontrolled) Done() <-chan struct{} { return u.done }

func (u *uncontrolled) over() bool {
	select {
	case <-u.done:
		return true
	default:
		return false
	}
}

func (u *uncontrolled) Left() time.Duration {
	if u.c.kind == noFence || u.over() {
		return u.Term.Left()
	}
	return time.Hour
}

var errCut = errors.New("no answer")

// unknowing hides that the term is over from a leader that goes on without
// looking at its deadline.
func (u *uncontrolled) unknowing(err error) error {
	if u.c.kind != noFence && errors.Is(err, syncer.ErrDeposed) && !u.over() {
		return errCut
	}
	return err
}

func (u *uncontrolled) Wait(ctx context.Context, lane string) error {
	return u.unknowing(u.Term.Wait(ctx, lane))
}

func (u *uncontrolled) Lease(ctx context.Context, lane string, n int) ([]syncer.Task, error) {
	tasks, err := u.Term.Lease(ctx, lane, n)
	return tasks, u.unknowing(err)
}

func (u *uncontrolled) Retry(ctx context.Context, at time.Time, tasks ...syncer.Task) error {
	return u.unknowing(u.Term.Retry(ctx, at, tasks...))
}

func (u *uncontrolled) Save(ctx context.Context, set string, records ...syncer.Record) error {
	return u.unknowing(u.Term.Save(ctx, set, records...))
}

func (u *uncontrolled) Ack(ctx context.Context, tasks ...syncer.Task) error {
	if u.c.kind == noFence {
		time.Sleep(lease) // so that the fault comes while one is on its way
		ctx = context.WithoutCancel(ctx)
	}
	err := u.Term.Ack(ctx, tasks...)
	if u.c.kind != noFence || !errors.Is(err, syncer.ErrDeposed) {
		return u.unknowing(err)
	}
	for _, t := range tasks {
		if _, err := u.c.pool.Exec(ctx, "DELETE FROM stocksync.tasks WHERE queue = $1 AND lane = $2 AND id = $3",
			os.Getenv("STORM_QUEUE"), []byte(t.Lane), []byte(t.ID)); err != nil {
			return err
		}
	}
	return nil
}
