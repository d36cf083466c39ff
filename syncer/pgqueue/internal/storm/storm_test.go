//go:build unix

package storm

import (
	"context"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/syncer/pgqueue/internal/pgtest"
)

// A fault happens to the leader, or to the database. What it returns mends it.
type fault struct {
	name string
	hit  func(w *world, p *process) (mend func())
	// keeps reports that the term may go on.
	keeps bool
}

var faults = []fault{
	{"SIGKILL", func(_ *world, p *process) func() { p.kill(); return p.start }, false},
	{"SIGSTOP", func(_ *world, p *process) func() {
		p.signal(syscall.SIGSTOP)
		return func() { p.signal(syscall.SIGCONT) }
	}, false},
	{"cut both ways", func(_ *world, p *process) func() { return p.proxy.Cut(pgtest.ToServer, pgtest.ToClient) }, false},
	{"cut towards the server", func(_ *world, p *process) func() { return p.proxy.Cut(pgtest.ToServer) }, false},
	{"cut towards the client", func(_ *world, p *process) func() { return p.proxy.Cut(pgtest.ToClient) }, false},
	{"postmaster killed", func(w *world, _ *process) func() {
		_ = w.server.Kill()
		return func() { require.NoError(w.t, w.server.Restart()) }
	}, true},
}

// TestStorm lets everything go wrong while products change, and looks at what
// the shops have noticed, and show in the end. The long form is "make storm".
func TestStorm(t *testing.T) {
	rounds, calm := 1, 25*time.Second
	if os.Getenv("STOCKSYNC_STORM") == "long" {
		rounds = 5
	}
	// A moment in each round stands for a night. It is cut short by the leader's
	// death, and made up for in the calm after the round. After the last one
	// nothing can make up for a mark that was lost: a second look comes later.
	begin := time.Now()
	var nights []time.Time
	for i := range rounds {
		nights = append(nights, begin.Add(18*time.Second+time.Duration(i)*(calm+51*time.Second)))
	}
	w := newWorld(t, "", nights...)
	for i, night := range nights {
		w.mark(8, 50*time.Millisecond)
		time.Sleep(3 * time.Second) // the leader writes by then
		for _, f := range faults {
			w.strike(f)
		}
		w.stopMarking()
		w.compared(i+1, time.Until(night)+time.Minute)
		if i+1 < len(nights) {
			time.Sleep(time.Until(nights[i+1]) - 18*time.Second)
		}
	}
	w.mark(8, 50*time.Millisecond)
	time.Sleep(3 * time.Second)
	for _, f := range faults[:3] {
		w.strike(f)
	}
	w.stopMarking()
	wrong := w.quiet(50 * time.Second)
	violations, examples := w.violations()
	assert.Empty(t, wrong, "0 lost, 0 stale")
	assert.Empty(t, violations, "%v", examples)

	w.mu.Lock()
	defer w.mu.Unlock()
	slices.Sort(w.silences)
	t.Logf("%d terms, %d acknowledged marks, %d requests granted by ECOSIRE and %d refused, in %v", w.terms, w.acknowledged.Load(),
		w.granted.Load(), w.refused.Load(), time.Since(begin).Round(time.Second))
	t.Logf("time without writes: median %v, worst %v, of a lease of %v", w.silences[len(w.silences)/2].Round(10*time.Millisecond),
		w.silences[len(w.silences)-1].Round(10*time.Millisecond), lease)
	assert.LessOrEqual(t, w.silences[len(w.silences)/2], 2*lease)
	if rounds > 1 {
		assert.GreaterOrEqual(t, w.terms, uint64(20))
		assert.GreaterOrEqual(t, w.acknowledged.Load(), int64(5000))
		assert.LessOrEqual(t, w.silences[len(w.silences)-1], 2*lease)
	}
	assert.LessOrEqual(t, float64(w.granted.Load()), 60*(time.Since(begin).Minutes()+2), "ECOSIRE's quota, of windows that are not whole")
	assert.LessOrEqual(t, w.refused.Load(), w.granted.Load()/10)
	for i, night := range nights {
		end := time.Now()
		if i+1 < len(nights) {
			end = nights[i+1]
		}
		n := 0
		for _, at := range w.reconciled {
			if !at.Before(night) && at.Before(end) {
				n++
			}
		}
		assert.LessOrEqual(t, n, 1, "one complete reconciliation a day, in day %d", i)
	}
	assert.NotEmpty(t, w.reconciled)
	t.Logf("%d complete reconciliations in %d days", len(w.reconciled), len(nights))
}

// compared waits until n reconciliations are complete.
func (w *world) compared(n int, within time.Duration) {
	for began := time.Now(); time.Since(began) < within; time.Sleep(100 * time.Millisecond) {
		w.mu.Lock()
		have := len(w.reconciled)
		w.mu.Unlock()
		if have >= n {
			return
		}
	}
	w.t.Errorf("%d reconciliations are not complete after %v", n, within)
}

// strike has a fault happen while the leader writes, and mends it when another
// leads. It measures how long nobody wrote.
func (w *world) strike(f fault) {
	p, term := w.leader(0, time.Minute)
	for began := time.Now(); !w.slow.writing(p.name) && time.Since(began) < 5*time.Second; { // in the middle of a write
		time.Sleep(time.Millisecond)
	}
	mend := f.hit(w, p)
	hit := time.Now()
	if f.keeps {
		time.Sleep(300 * time.Millisecond)
		mend()
		w.leader(0, time.Minute)
		time.Sleep(time.Second)
		return
	}
	_, next := w.leader(term, 10*lease)
	led := time.Since(hit)
	var first time.Time
	for began := time.Now(); first.IsZero() && time.Since(began) < 10*lease; time.Sleep(10 * time.Millisecond) {
		first = w.firstWrite(next)
	}
	last := w.lastWrite(term)
	if last.IsZero() {
		last = hit // it had nothing to write yet
	}
	silence := first.Sub(last)
	w.mu.Lock()
	w.silences = append(w.silences, silence)
	w.mu.Unlock()
	w.t.Logf("%-22s of %s in term %d: the next leads after %v; no writes for %v", f.name, p.name, term, led.Round(10*time.Millisecond), silence.Round(10*time.Millisecond))
	time.Sleep(time.Second) // the old and the new one are both there
	mend()
	time.Sleep(time.Second)
}

func (w *world) firstWrite(term uint64) (at time.Time) {
	for _, s := range []*shop{w.quick, w.slow} {
		s.mu.Lock()
		for _, m := range s.writes {
			if m.term >= term && (at.IsZero() || m.at.Before(at)) {
				at = m.at
			}
		}
		s.mu.Unlock()
	}
	return at
}

func (w *world) lastWrite(term uint64) (at time.Time) {
	for _, s := range []*shop{w.quick, w.slow} {
		s.mu.Lock()
		for _, m := range s.writes {
			if m.term <= term && m.at.After(at) {
				at = m.at
			}
		}
		s.mu.Unlock()
	}
	return at
}

// TestControls takes one safeguard away at a time, and sees that the checks of
// the storm notice. With all of them nothing is noticed.
func TestControls(t *testing.T) {
	for _, c := range []struct {
		control string
		fault   fault
		wrong   bool
	}{
		{"", faults[1], false},
		{noFence, faults[1], true},
		{noDeadline, faults[2], true},
		{grace, faults[2], true},
	} {
		t.Run(c.control+" "+c.fault.name, func(t *testing.T) {
			t.Parallel()
			noticed := false
			for attempt := 0; attempt < 4 && !noticed && (c.wrong || attempt == 0); attempt++ { // chance has a say in it
				noticed = uncontrolledStrike(t, c.control, c.fault)
			}
			assert.Equal(t, c.wrong, noticed)
		})
	}
}

// uncontrolledStrike has a fault happen in the middle of much work, and reports
// whether anything wrong was noticed.
func uncontrolledStrike(t *testing.T, control string, f fault) bool {
	w := newWorld(t, control)
	p, term := w.leader(0, time.Minute)
	w.changeAll(products)
	for !w.slow.writing(p.name) {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(time.Second) // some are written, and not acknowledged yet
	mend := f.hit(w, p)
	// Events come in at the others.
	url := p.address()
	p.mu.Lock()
	p.url = ""
	p.mu.Unlock()
	next, _ := w.leader(term, 10*lease)
	for began := time.Now(); !w.slow.writing(next.name) && time.Since(began) < 10*lease; {
		time.Sleep(time.Millisecond)
	}
	w.changeAll(products)
	time.Sleep(100 * time.Millisecond)
	mend()
	p.mu.Lock()
	p.url = url
	p.mu.Unlock()
	wrong := w.quiet(40 * time.Second)
	violations, _ := w.violations()
	t.Logf("%d products wrong, %v", len(wrong), violations)
	if control == "" {
		assert.Empty(t, wrong)
		assert.Empty(t, violations)
	}
	return len(wrong)+len(violations) > 0
}

// changeAll changes the first n products.
func (w *world) changeAll(n int) {
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for at := i; at < n; at += 8 {
				w.change(context.Background(), at)
			}
		})
	}
	wg.Wait()
}
