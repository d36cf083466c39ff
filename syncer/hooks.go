package syncer

import (
	"time"

	"github.com/ecosire/stocksync/channel"
)

// Hooks let a host count and trace what happens. Each may be nil. They are
// called in line, by several goroutines at once, and should return soon.
type Hooks struct {
	// Received: the webhook handler accepted an event as genuine.
	Received func(channel.Event)
	// Marked: products were marked as changed, by an event, by Notify, or
	// because they moved.
	Marked func(productIDs []string)
	// Pushed: Run dealt with a batch of marked products on a channel.
	Pushed func(Pushed)
	// Retry: products will be tried again.
	Retry func(Retry)
	// GaveUp: a product will not be tried again before it changes, most often
	// because the channel does not have it.
	GaveUp func(Problem)
	// Down: a channel as a whole has failed. Until Up it is only probed.
	Down func(channel string, err error)
	// Up: a channel works again.
	Up func(channel string, after time.Duration)
	// Changed: a figure was written. Other than a report's list this is told of
	// every change.
	Changed func(channel string, c Change)
	// Progress: a reconciliation got on. It is never called twice at once.
	Progress func(Progress)
	// Reconciled: a reconciliation that Run made has ended. The report is nil if
	// it could not begin.
	Reconciled func(*Report, error)
}

// Pushed says what became of a batch.
type Pushed struct {
	// ChannelReport says it in detail. Its Problems will be tried again or
	// were given up; the other hooks tell which.
	ChannelReport
	// Delay is the time from the oldest mark in the batch until now.
	Delay time.Duration
}

// Retry says what will be tried again.
type Retry struct {
	Channel  string // "" for orders whose products are to be found
	Products int
	Wait     time.Duration
	Err      error // the first of them
}

func (h *Hooks) received(e channel.Event) {
	if h.Received != nil {
		h.Received(e)
	}
}

func (h *Hooks) marked(ids []string) {
	if h.Marked != nil {
		h.Marked(ids)
	}
}

func (h *Hooks) pushed(p Pushed) {
	if h.Pushed != nil {
		h.Pushed(p)
	}
}

func (h *Hooks) retry(r Retry) {
	if h.Retry != nil {
		h.Retry(r)
	}
}

func (h *Hooks) gaveUp(p Problem) {
	if h.GaveUp != nil {
		h.GaveUp(p)
	}
}

func (h *Hooks) down(channel string, err error) {
	if h.Down != nil {
		h.Down(channel, err)
	}
}

func (h *Hooks) up(channel string, after time.Duration) {
	if h.Up != nil {
		h.Up(channel, after)
	}
}

func (h *Hooks) reconciled(r *Report, err error) {
	if h.Reconciled != nil {
		h.Reconciled(r, err)
	}
}
