package queuetest

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/ecosire/stocksync/syncer"
)

// An Option changes how the tests are run.
type Option func(*kit)

// Live runs the tests by the real clock instead of in bubbles, for a queue that
// talks to a server. What happens at different times is a unit apart, and what
// is to happen at once must have happened in half a unit: it is to be several
// times the length of a call, and of the time after which the queue notices what
// other processes did. [TestQueue] takes about a hundred units.
func Live(unit time.Duration) Option {
	return func(k *kit) { k.live, k.real, k.unit = true, true, unit }
}

// TestQueue checks the promises of [syncer.Queue], each in a subtest. open
// returns a new, empty queue; what is to be closed it leaves to t.Cleanup. It
// is called once in each subtest, inside the bubble if there is one. The Queue
// may be a [syncer.Term].
func TestQueue(t *testing.T, open func(t *testing.T) syncer.Queue, options ...Option) {
	for _, tests := range [][]test{marking, moving, leasing, ending, waiting, counting, storing} {
		for _, tc := range tests {
			run(t, tc.name, options, func(k *kit) {
				k.q = open(k.t)
				tc.run(k)
			})
		}
	}
}

// TestDurable checks that what a queue acknowledged survives a crash. setup
// makes a new, empty store, and returns a function that opens a queue on it.
// Each call of open finds the store as if the process that opened it last had
// crashed: nothing was closed, and nothing written that was not written when
// its last call returned. For a queue in files, open can copy the files and
// open the copy. What is to be closed at the end is left to t.Cleanup.
func TestDurable(t *testing.T, setup func(t *testing.T) (open func() syncer.Queue), options ...Option) {
	for _, tc := range surviving {
		run(t, tc.name, options, func(k *kit) {
			open := setup(k.t)
			k.q = open()
			tc.run(k, func() { k.q = open() })
		})
	}
}

type test struct {
	name string
	run  func(k *kit)
}

// run runs a subtest, in a bubble or not.
func run(t *testing.T, name string, options []Option, f func(k *kit)) {
	t.Run(name, func(t *testing.T) {
		k := &kit{unit: time.Minute}
		for _, option := range options {
			option(k)
		}
		if k.real {
			k.t = t
			f(k)
			return
		}
		skipped := false
		synctest.Test(t, func(t *testing.T) {
			defer func() { skipped = t.Skipped() }()
			k.t = t
			f(k)
		})
		if skipped { // of which testing does not tell the test outside
			t.SkipNow()
		}
	})
}
