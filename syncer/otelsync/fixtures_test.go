package otelsync_test

import (
	"bytes"
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/syncer"
)

// lockedBuffer is a log that is written and read at once.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// hostHooks are hooks that tell when they are called.
func hostHooks(tell func(string)) syncer.Hooks {
	return syncer.Hooks{
		Work: func(context.Context, syncer.Work) (context.Context, func(syncer.WorkDone)) {
			tell("Work")
			return nil, func(syncer.WorkDone) { tell("done") }
		},
		Delivery: func(context.Context, *http.Request) (context.Context, func(int)) {
			tell("Delivery")
			return nil, func(int) { tell("answered") }
		},
		Trace:    func(context.Context) string { return "the host's" },
		Received: func(context.Context, channel.Event) { tell("Received") },
		Marked:   func(context.Context, []string) { tell("Marked") },
		Pushed:   func(context.Context, syncer.Pushed) { tell("Pushed") },
		Retry:    func(context.Context, syncer.Retry) { tell("Retry") },
		GaveUp:   func(context.Context, syncer.Problem) { tell("GaveUp") },
		Down:     func(context.Context, string, error) { tell("Down") },
		Up:       func(context.Context, string, time.Duration) { tell("Up") },
		Tripped:  func(context.Context, string, syncer.Trip) { tell("Tripped") },
		Changed:  func(context.Context, string, syncer.Change) { tell("Changed") },
		InFlight: func(context.Context, syncer.FlightEvent) { tell("InFlight") },
		Observed: func(context.Context, string, syncer.Change) { tell("Observed") },
		Alarm:    func(context.Context, syncer.Alarm) { tell("Alarm") },
		Leading:  func(context.Context, syncer.LeaderInfo) { tell("Leading") },
		Deposed:  func(context.Context, uint64, bool) { tell("Deposed") },
		Request:  func(context.Context, string, channel.Request) { tell("Request") },
		Health:   func(context.Context, syncer.Health, error) { tell("Health") },
	}
}
