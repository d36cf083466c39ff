package channeltest

import (
	"github.com/ecosire/stocksync/channel"
)

var optionalRules = []rule{
	{
		name:    "Sizer",
		promise: "BatchSize is at least 1, and so many updates are taken at once",
		advice:  "return what one request takes, or drop the method",
		run: func(k *kit) {
			k.open()
			k.optional(k.size > 0, "channel.Sizer")
			levels, updates := numbered(min(k.size, 1000), 1)
			k.open(levels...)
			k.done(updates...)
		},
	},
	{
		name:    "Lister",
		promise: "SKUs yields every SKU that the service has, and its loop may be left at any time",
		advice:  "follow every page, and stop when yield returns false",
		run: func(k *kit) {
			levels, _ := numbered(300, 0)
			k.open(levels...)
			lister, ok := channel.As[channel.Lister](k.Channel)
			k.optional(ok, "channel.Lister")
			listed := make(map[string]bool)
			for sku, err := range lister.SKUs(k.t.Context()) {
				if err != nil {
					k.errorf("SKUs ended with %v", err)
					return
				}
				listed[sku] = true
			}
			for _, l := range levels {
				if !listed[l.SKU] {
					k.errorf("SKUs did not yield %q", l.SKU)
					return
				}
			}
			if len(listed) != len(levels) {
				k.errorf("SKUs yielded %d different SKUs, and the service has %d", len(listed), len(levels))
			}
			for range lister.SKUs(k.t.Context()) {
				break // panics if the iterator goes on
			}
		},
	},
	{
		name:    "ListerWhenTheServiceIsDown",
		promise: "a list that could not be read ends with an error: else everything would seem to be gone",
		advice:  "yield the error as the last pair",
		run: func(k *kit) {
			k.open(level("A-1", 1))
			lister, ok := channel.As[channel.Lister](k.Channel)
			k.optional(ok, "channel.Lister")
			k.broken()
			var last error
			for _, err := range lister.SKUs(k.t.Context()) {
				if last != nil {
					k.errorf("SKUs went on after the error %q", last)
				}
				last = err
			}
			if last == nil {
				k.errorf("SKUs ended without an error")
			}
		},
	},
	{
		name:    "Lagger",
		promise: "what is accepted and does not show yet is channel.ErrPending, until it shows: within Lag, or within what channel.LagOf finds in its error",
		advice:  "answer an Errors with channel.ErrPending for what the service accepted, and a Lag that it keeps to",
		run: func(k *kit) {
			k.open(level("A-1", 1), level("A-2", 2))
			k.optional(k.lag > 0, "channel.Lagger")
			for _, n := range []int{5, 0, 7} {
				k.done(update("A-1", n))
				k.shows("A-2", 2)
			}
		},
	},
	{
		name:    "Preloader",
		promise: "after Preload everything is as before, only cheaper",
		advice:  "keep where items are, and check it when it is used",
		run: func(k *kit) {
			k.open(level("A-1", 1), level("A-2", 2))
			p, ok := channel.As[channel.Preloader](k.Channel)
			k.optional(ok, "channel.Preloader")
			ctx := channel.WithRun(k.t.Context(), "run-1")
			if err := p.Preload(ctx); err != nil {
				k.errorf("Preload returned %v", err)
			}
			if k.Set != nil {
				k.Set("A-1", 4)
			}
			out := k.push(ctx, update("A-1", 5), update("NO-SUCH", 1))
			k.named(out, "NO-SUCH", channel.ErrUnknownSKU)
			k.others(out, update("A-1", 5))
			if k.reader == nil {
				return
			}
			got, err := k.levels(ctx, "A-1", "A-2", "NO-SUCH")
			if err != nil {
				k.errorf("Levels returned %v", err)
				return
			}
			k.answers(got, "A-1", 5)
			k.answers(got, "A-2", 2)
			k.unknown(got, "NO-SUCH")
		},
	},
	{
		name:    "Meter",
		promise: "Requests counts every request that was sent, repeated ones included",
		advice:  "count in the transport, attempt by attempt",
		run: func(k *kit) {
			k.open(level("A-1", 1))
			m, ok := channel.As[channel.Meter](k.Channel)
			k.optional(ok, "channel.Meter")
			before := m.Requests()
			if k.Wire != nil {
				k.Wire.Forget()
				k.Wire.Inject(Fault{Status: 429, Header: map[string][]string{"Retry-After": {"1"}}})
			}
			k.push(k.t.Context(), update("A-1", 5))
			switch sent := m.Requests() - before; {
			case sent < 1:
				k.errorf("a Push counted %d requests", sent)
			case k.Wire != nil && sent != int64(k.Wire.Count(nil)):
				k.errorf("a Push counted %d requests, and %d were sent", sent, k.Wire.Count(nil))
			}
		},
	},
}

// optional skips the test if an optional interface is missing.
func (k *kit) optional(has bool, name string) {
	k.t.Helper()
	if !has {
		k.t.Skip("the channel is no " + name)
	}
}
