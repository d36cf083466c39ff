package syncer_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/syncer/queuetest"
)

// A replica that was cut off from the queue, again and again, stands by at once
// each time: otherwise, when all of them have been, nobody leads.
func TestWhoIsCutOffAgainAndAgainStandsBy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const lease = 2 * time.Second
		server, source, m := queuetest.NewServer(lease), newStock(1), shop("shop", 1)
		cfg := syncer.Config{Source: source, Targets: targets(m), Schedule: syncer.Never}
		replicas := map[string]*replica{}
		for _, name := range []string{"a", "b", "c"} {
			replicas[name] = join(t, server, name, cfg, nil)
		}
		pass(lease)
		eye := server.Open()
		for round := range 20 {
			old, err := eye.Leader(t.Context())
			require.NoError(t, err)
			mend := replicas[old.Name].client.Cut()
			cut := time.Now()
			for {
				if next, err := eye.Leader(t.Context()); err == nil && next.Number > old.Number {
					break
				}
				pass(50 * time.Millisecond)
				require.Less(t, time.Since(cut), 2*lease, "nobody leads after the cut of %s in round %d", old.Name, round)
			}
			pass(lease / 2)
			mend()
			pass(lease / 2)
			assert.Equal(t, syncer.Standing, replicas[old.Name].role(t))
		}
	})
}

// fleeting is a queue whose terms end as they begin.
type fleeting struct {
	*queuetest.Client
	left time.Duration
	leds atomic.Int64
}

func (q *fleeting) Lead(ctx context.Context, self string) (syncer.Term, error) {
	q.leds.Add(1)
	t, err := q.Client.Lead(ctx, self)
	if err != nil {
		return nil, err
	}
	return &fleetingTerm{t, q.left}, t.Resign(ctx)
}

type fleetingTerm struct {
	syncer.Term
	left time.Duration
}

func (t *fleetingTerm) Left() time.Duration { return t.left }

// A queue whose terms end at once is out of order: it is not asked for the next
// without a pause, which grows.
func TestTermsThatEndAtOnce(t *testing.T) {
	for _, left := range []time.Duration{0, leaseTime} {
		synctest.Test(t, func(t *testing.T) {
			q := &fleeting{Client: queuetest.NewServer(leaseTime).Open(), left: left}
			running(t, configure(t, syncer.Config{Source: newStock(1), Queue: q, Targets: targets(shop("shop", 1)), Schedule: syncer.Never}))
			pass(10 * time.Minute)
			assert.LessOrEqual(t, q.leds.Load(), int64(40), "of terms that claim %v", left)
			assert.GreaterOrEqual(t, q.leds.Load(), int64(20))
		})
	}
}
