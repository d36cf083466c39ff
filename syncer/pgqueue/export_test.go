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

// A Clock is a clock.
type Clock struct{ clock }

func (c *Clock) Observe(sent, server time.Time, took time.Duration) { c.observe(sent, server, took) }
func (c *Clock) Local(t time.Time) time.Time                        { return c.local(t) }
func (c *Clock) Remote(t time.Time) time.Time                       { return c.remote(t) }
