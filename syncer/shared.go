package syncer

import (
	"context"
	"errors"
	"time"
)

var (
	// ErrDeposed: the call needs a [Term], and this process has none, or its term
	// is over.
	ErrDeposed = errors.New("does not lead, or no longer")
	// ErrNoLeader: no process leads.
	ErrNoLeader = errors.New("no process leads")
)

// A SharedQueue is a [Queue] that several processes have open at once. One of
// them at a time leads: it has a [Term], and does the work.
//
// Without a term, in each process at any time, work Mark, Depth, Save, Load and
// Records. Lease, Ack, Retry and Wait fail with [ErrDeposed]: only a Term has
// them. Records that only who leads may write are written by Save of its Term.
//
// Package syncer/queuetest tests what is said here and at Term.
type SharedQueue interface {
	Queue

	// Lead waits until this process leads, and returns its term; or fails, when
	// ctx is done or the queue is out of order. The term goes on after ctx is
	// done, until it is over or resigned. self is the name by which others know
	// the process; it need not be unique.
	//
	// When the last leader resigned, Lead returns at once. When it died, hangs or
	// is cut off, Lead returns when it has seen no renewal for the length of a
	// lease and a margin by its own clock, so that the last leader has stopped
	// by then, whatever the time of day is said to be on either machine. What
	// that leader had leased is due again, with its attempts as they were.
	Lead(ctx context.Context, self string) (Term, error)

	// Leader tells who leads. It fails with [ErrNoLeader] if nobody does, or
	// who did has not renewed in time.
	Leader(ctx context.Context) (LeaderInfo, error)
}

// LeaderInfo says who leads.
type LeaderInfo struct {
	Name    string    `json:"name"`    // as it was given to Lead
	Number  uint64    `json:"term"`    // of the term
	Since   time.Time `json:"since"`   // when the term began, as the local now minus its age
	Renewed time.Time `json:"renewed"` // when it was last renewed, likewise
}

// A Term is the time for which a process leads. It is renewed by itself until it
// is over: a process that cannot renew it in time, or finds that another leads,
// has lost it for good, and calls Lead anew.
//
// Once it is over, Lease, Ack, Retry, Save and Wait fail with [ErrDeposed]. For
// all but Wait the queue's server decides so, in the same step in which it would
// have done the work: nothing that is sent under an old term has an effect,
// however late it arrives. Mark, Depth, Load and Records work as those of the
// SharedQueue.
type Term interface {
	Queue

	// Number is the fencing token: each term has a greater one than all before.
	Number() uint64

	// Left is how long this term is certain to go on: no other can begin
	// before. It is reckoned from before the last renewal was sent, by the
	// local monotonic clock, and is 0 once the term is over. Renewals extend it.
	Left() time.Duration

	// Done is closed when the term is over, or can no longer be proven not to
	// be: at the latest when Left is 0.
	Done() <-chan struct{}

	// Interrupted returns the keys that the leader before had leased when it
	// ended. What it did about them may land late. It is the same at each call.
	Interrupted() []Key

	// Resign ends the term, and makes what it had leased due. Another process
	// leads at once. After Resign, or once the term is over, it does nothing.
	// If it fails, the term is over for this process all the same, and for the
	// others when it is not renewed.
	Resign(ctx context.Context) error
}
