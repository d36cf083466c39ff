package pgqueue

import (
	"strings"
	"time"
)

// Unfence takes the fence from a statement.
func (q *Queue) Unfence(name string) {
	sql := q.statements[name]
	for _, param := range []string{"$2", "$6"} {
		sql = strings.ReplaceAll(sql, "holder = "+param+"::bigint", param+"::bigint IS NOT NULL")
	}
	if sql == q.statements[name] {
		panic(name + " has no fence")
	}
	q.statements[name] = sql
}

// Waits lets a call of Wait for a lane begin, a look find the lane due, and
// another call begin before the look ends. It reports which of them returns.
func Waits(lane string) (before, since bool) {
	t := &term{waiting: make(map[*waiter]bool)}
	one, two := &waiter{lane, make(chan struct{})}, &waiter{lane, make(chan struct{})}
	t.waiting[one] = true
	waiters, due := t.awaited()
	t.waiting[two] = true
	t.release(waiters, due)
	returned := func(w *waiter) bool {
		select {
		case <-w.due:
			return true
		default:
			return false
		}
	}
	return returned(one), returned(two)
}

// A Clock is a clock.
type Clock struct{ clock }

func (c *Clock) Learn(sent, server time.Time, took time.Duration)   { c.learn(sent, server, took) }
func (c *Clock) Observe(sent, server time.Time, took time.Duration) { c.observe(sent, server, took) }
func (c *Clock) Local(t time.Time) time.Time                        { return c.local(t) }
func (c *Clock) Remote(t time.Time) time.Time                       { return c.remote(t) }

// Statement returns the SQL of a file in the folder sql.
func (q *Queue) Statement(name string) string { return q.statements[name] }
