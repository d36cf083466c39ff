package pgqueue

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/puddle/v2"

	"github.com/ecosire/stocksync/internal/text"
	"github.com/ecosire/stocksync/syncer"
)

const (
	// maxName bounds the name of a process, in bytes.
	maxName = 200
	// maxAsk bounds one request of a standby.
	maxAsk = 5 * time.Second
)

// asking bounds one request of a standby, so that a connection that was cut off
// is given up for another while there is still a lease to wait for.
func (q *Queue) asking(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, min(maxAsk, q.options.Lease/2))
}

// margin is how much longer than the leader itself the others wait for the end
// of its term: clocks do not all run at the same speed.
func margin(length time.Duration) time.Duration { return length / 10 }

// A state is what the row of a queue in terms says.
type state struct {
	term, holder, renewals int64
	name                   string
	resigned               bool
	length                 time.Duration
	since, renewed         time.Duration // ago, by the server's clock
}

// same reports whether the leader has not given a sign of life between two
// looks.
func (s state) same(t state) bool {
	return s.term == t.term && s.holder == t.holder && s.renewals == t.renewals && s.resigned == t.resigned
}

// ask reads the state of the terms; ok is false if nobody has opened the queue
// to lead it yet.
func (q *Queue) ask(ctx context.Context) (s state, ok bool, err error) {
	ctx, cancel := q.asking(ctx)
	defer cancel()
	var length, since, renewed int64
	err = again(ctx, func() error {
		sent, server := time.Now(), time.Time{}
		err := q.pool.QueryRow(ctx, q.statements["leader"], q.options.Queue).
			Scan(&s.term, &s.holder, &s.name, &s.renewals, &s.resigned, &length, &since, &renewed, &server)
		if err == nil { // who leads learns of a clock that is set as it renews
			q.clock.observe(sent, server, time.Since(sent))
		}
		return err
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return state{}, false, nil
	}
	s.length = time.Duration(length) * time.Microsecond
	s.since, s.renewed = time.Duration(since)*time.Microsecond, time.Duration(renewed)*time.Microsecond
	return s, err == nil, err
}

// Leader implements [syncer.SharedQueue]. It works without a term, and reckons
// by the server's clock whether the leader has renewed in time.
func (q *Queue) Leader(ctx context.Context) (syncer.LeaderInfo, error) {
	s, ok, err := q.ask(ctx)
	switch {
	case err != nil:
		return syncer.LeaderInfo{}, failed("leader", err)
	case !ok || s.resigned || s.renewed.Abs() > s.length+margin(s.length): // or renewed before the clock was set back
		return syncer.LeaderInfo{}, failed("leader", syncer.ErrNoLeader)
	}
	now := time.Now()
	return syncer.LeaderInfo{
		Name: text.Cut(s.name, maxName), Number: uint64(s.term), Since: now.Add(-s.since), Renewed: now.Add(-s.renewed),
	}, nil
}

// Lead implements [syncer.SharedQueue]. While the database is out of reach it
// goes on waiting, and tells the logger. It fails if ctx is done, the pool is
// closed, the tables do not fit ([ErrSchema]), or the database refuses what it
// is asked.
//
// Of self it keeps 200 bytes of text.
func (q *Queue) Lead(ctx context.Context, self string) (syncer.Term, error) {
	t, err := q.lead(ctx, text.Cut(self, maxName))
	if err != nil {
		return nil, failed("lead", err)
	}
	return t, nil
}

func (q *Queue) lead(ctx context.Context, self string) (*term, error) {
	c := candidate{q: q, name: self, holder: 1 + rand.Int64N(1<<62)}
	out, checked := false, false
	for {
		err := ctx.Err()
		if err == nil && !checked {
			err = q.checkVersion(ctx)
			checked = err == nil
		}
		var t *term
		if err == nil {
			t, err = c.stand(ctx)
		}
		switch {
		case t != nil:
			q.logger.Info("leads", slog.String("name", self), slog.Uint64("term", t.number))
			return t, nil
		case ctx.Err() != nil:
			c.withdraw(ctx)
			return nil, ctx.Err()
		case err != nil && final(err):
			return nil, err
		case err != nil && !out:
			q.logger.Warn("cannot ask who leads; goes on trying", slog.Any("err", err))
			q.pool.Reset() // what cut one connection off did so to all of them, and each would cost a timeout
		}
		out = err != nil
		_ = sleep(ctx, q.options.Poll)
	}
}

// final reports whether an error stays when one tries again: what the database
// answers, other than that it is busy, stopping, starting or in an odd state
// for now, and that the host has closed the pool.
func final(err error) bool {
	if errors.Is(err, puddle.ErrClosedPool) || errors.Is(err, ErrSchema) {
		return true
	}
	code := sqlState(err)
	if len(code) != 5 {
		return false
	}
	switch code[:2] {
	case "08", "25", "40", "53", "55", "57", "58", "XX": // 25: a standby, until it is promoted
		return false
	}
	return true
}

// A candidate waits for its turn.
type candidate struct {
	q    *Queue
	name string
	seen state
	when instant // since when the leader was seen to be as in seen; zero if never
	// holder is what it will be known by. If that is found to lead, the answer to
	// an attempt was lost, and nobody acts under it.
	holder int64
	tried  bool
	// interrupted is what the last leader had leased, as far as it was found.
	interrupted []syncer.Key
}

// enter makes the rows of a queue that nobody has led yet.
func (q *Queue) enter(ctx context.Context) error {
	ctx, cancel := q.asking(ctx)
	defer cancel()
	_, err := q.pool.Exec(ctx, q.statements["enter"], q.options.Queue)
	return err
}

// stand looks once, and returns a term if it has begun.
func (c *candidate) stand(ctx context.Context) (*term, error) {
	q := c.q
	s, ok, err := q.ask(ctx)
	if err == nil && !ok {
		if err = q.enter(ctx); err == nil {
			s, _, err = q.ask(ctx)
		}
	}
	if err != nil {
		return nil, err
	}
	if c.when.mono.IsZero() || !s.same(c.seen) {
		c.seen, c.when = s, now() // after the answer: the sign of life came before
	}
	if !s.resigned && s.holder != c.holder && c.when.elapsed() <= s.length+margin(s.length) {
		return nil, nil
	}
	return c.take(ctx, s)
}

// take begins a term, unless another is faster or the leader is alive after all.
func (c *candidate) take(ctx context.Context, s state) (*term, error) {
	q := c.q
	c.tried = true
	sent := now()
	within, cancel := context.WithTimeout(ctx, q.options.Lease)
	defer cancel()
	var number int64
	err := q.pool.QueryRow(within, q.statements["take"], q.options.Queue, s.term, s.holder, s.renewals,
		c.holder, c.name, q.options.Lease.Microseconds()).Scan(&number)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil, nil
	case err != nil && ctx.Err() == nil && within.Err() != nil:
		return nil, errors.Join(err, q.evict(ctx))
	case err != nil:
		return nil, err
	}
	t := newTerm(q, uint64(number), c.holder, sent)
	if c.interrupted, err = t.free(ctx, c.interrupted); err != nil {
		t.end(nil)
		t.running.Wait()
		return nil, err // it finds itself leading, and takes the lead anew
	}
	if back := -s.renewed; back > maxSkew { // the last leader was alive in the future
		t.running.Go(func() { t.setBack(back) })
	}
	return t, nil
}

// withdraw ends the term that an attempt may have begun unnoticed.
func (c *candidate) withdraw(ctx context.Context) {
	if c.tried {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = c.q.resign(ctx, c.holder)
	}
}

// evict ends sessions that have kept the lock on work for as long as a lease.
func (q *Queue) evict(ctx context.Context) error {
	ctx, cancel := q.asking(ctx)
	defer cancel()
	var n int
	err := q.pool.QueryRow(ctx, q.statements["evict"], q.options.Lease.Seconds()).Scan(&n)
	if n > 0 {
		q.logger.Warn("ended sessions that stood still in the middle of work", slog.Int("sessions", n))
	}
	return err
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
