package channeltest

import (
	"errors"

	"github.com/ecosire/stocksync/channel"
)

var levelRules = []rule{
	{
		name:    "LevelsAreWhatIsShown",
		promise: "Levels returns what the service shows for the SKUs asked for, and for no others",
		advice:  "return a Level for each item found, with the SKU as it was asked for",
		run: func(k *kit) {
			k.open(level("A-1", 0), level("A-2", 2), level("A-3", 3))
			k.readable()
			got := k.all("A-1", "A-2")
			k.answers(got, "A-1", 0)
			k.answers(got, "A-2", 2)
		},
	},
	{
		name:    "LevelsOfNothing",
		promise: "Levels without SKUs is empty, and no error",
		advice:  "return early: many a service answers an empty filter with everything",
		run: func(k *kit) {
			k.open(level("A-1", 1))
			k.readable()
			if got, err := k.reader.Levels(k.t.Context(), nil); err != nil || len(got) > 0 {
				k.errorf("Levels without SKUs returned %v, %v", got, err)
			}
		},
	},
	{
		name:    "LevelsOfUnknownSKUs",
		promise: "an SKU that the service does not have is absent from Levels, or has an Err that matches channel.ErrUnknownSKU; it is never 0",
		advice:  "leave out what was not found; missing is not zero",
		run: func(k *kit) {
			k.open(level("A-1", 1))
			k.readable()
			got := k.all("NO-SUCH", "A-1", "NOR-THIS")
			k.unknown(got, "NO-SUCH")
			k.unknown(got, "NOR-THIS")
			k.answers(got, "A-1", 1)
		},
	},
	{
		name:    "LevelsOfAmbiguousSKUs",
		promise: "an SKU that stands for several items comes back once for each",
		advice:  "do not keep the levels in a map by SKU",
		run: func(k *kit) {
			k.open(level("TWICE", 1), level("TWICE", 1), level("A-1", 1))
			k.readable()
			if ls := k.all("TWICE", "A-1")["TWICE"]; len(ls) != 2 {
				k.errorf("Levels returned %d levels for an SKU that two items have", len(ls))
			}
		},
	},
	{
		name:    "LevelsOfUnwritableSKUs",
		promise: "an item that can be given no quantity has a Level whose Err is channel.Permanent",
		advice:  "set Level.Err to channel.ErrNotTracked, ErrNotStocked, ErrShared or ErrInvalid; if only a write can tell, leave it nil",
		run: func(k *kit) {
			k.open(channel.Level{SKU: "FIXED", Err: channel.ErrNotTracked}, level("A-1", 1))
			k.readable()
			got := k.all("FIXED", "A-1")
			k.answers(got, "A-1", 1)
			switch ls := got["FIXED"]; {
			case len(ls) != 1:
				k.errorf("Levels returned %d levels for an item that the service has", len(ls))
			case ls[0].Err != nil && !channel.Permanent(ls[0].Err):
				k.errorf("Levels returned the error %q", ls[0].Err)
			}
		},
	},
	{
		name:    "LevelsOfMany",
		promise: "any number of SKUs may be asked for at once, or as many as BatchSize says; none is lost between pages",
		advice:  "split the question, follow every page, and sort by something that does not tie",
		run: func(k *kit) {
			levels, _ := numbered(many(), 0)
			k.open(levels...)
			k.readable()
			skus := make([]string, len(levels))
			for i, l := range levels {
				skus[i] = l.SKU
			}
			k.answer(k.all(skus...), levels)
		},
	},
	{
		name:    "LevelsAreOfNow",
		promise: "Levels reads: it sees what others changed since the last call",
		advice:  "remember where an item is, but never its quantity",
		run: func(k *kit) {
			k.open(level("A-1", 1))
			k.readable()
			k.answers(k.all("A-1"), "A-1", 1)
			if k.Set == nil {
				k.t.Skip("Subject.Set is nil")
			}
			k.Set("A-1", 4)
			k.answers(k.all("A-1"), "A-1", 4)
			k.done(update("A-1", 6))
			k.answers(k.all("A-1"), "A-1", 6)
		},
	},
	{
		name:    "PushOnTopOfWhatWasSeen",
		promise: "an update whose Seen is what the channel shows is done",
		advice:  "take Seen from Levels as it is, Ref included",
		run: func(k *kit) {
			k.open(level("A-1", 1), level("A-2", 0))
			k.readable()
			var updates []channel.Update
			for sku, ls := range k.all("A-1", "A-2") {
				u := update(sku, 5)
				u.Seen = &ls[0]
				updates = append(updates, u)
			}
			k.done(updates...)
			// The quantities of a second round were never read by it.
			for i := range updates {
				seen := *updates[i].Seen
				seen.Quantity, updates[i].Seen, updates[i].Quantity = 5, &seen, 6
			}
			k.done(updates...)
		},
	},
	{
		name:    "PushOnTopOfSomethingElse",
		promise: "a channel that can compare and set refuses an update with channel.ErrConflict if it shows something else than Seen, and does the others; a channel.Deductor shows at most what was pushed, or answers channel.ErrNotApplied",
		advice:  "pass Seen.Quantity on as the expected quantity; map the refusal onto channel.ErrConflict",
		run: func(k *kit) {
			k.open(level("A-1", 1), level("A-2", 2))
			k.readable()
			if k.Set == nil {
				k.t.Skip("Subject.Set is nil")
			}
			got := k.all("A-1", "A-2")
			if len(got["A-1"]) != 1 || len(got["A-2"]) != 1 {
				k.t.Fatalf("Levels returned %v", got)
			}
			stale, fresh := update("A-1", 9), update("A-2", 9)
			stale.Seen, fresh.Seen = &got["A-1"][0], &got["A-2"][0]
			k.Set("A-1", 4)
			out := k.push(k.t.Context(), stale, fresh)
			k.others(out, fresh)
			if _, ok := channel.As[channel.Deductor](k.Channel); ok {
				k.deducted(out, stale)
				return
			}
			if k.compares() || out.errs["A-1"] != nil || out.whole != nil {
				k.named(out, "A-1", channel.ErrConflict)
				k.shows("A-1", 4)
			} else {
				k.truthful(out, stale)
				k.t.Log("this channel does not compare and set: the change was overwritten")
			}
		},
	},
}

// deducted checks what became of an update that is older than a change of the
// channel's own: it counts from before that change.
func (k *kit) deducted(out outcome, u channel.Update) {
	k.t.Helper()
	n, ok := k.Shown(u.SKU)
	switch err := out.errs[u.SKU]; {
	case out.whole != nil:
		k.errorf("Push returned the error %q for the whole call", out.whole)
	case err == nil && (!ok || n > u.Quantity):
		k.errorf("Push reported %q as done, and %s is shown, which is more than %d", u.SKU, display(n, ok), u.Quantity)
	case err != nil && !errors.Is(err, channel.ErrNotApplied) && !errors.Is(err, channel.ErrConflict):
		k.errorf("Push reported %q as %q, which matches neither %q nor %q", u.SKU, err, channel.ErrNotApplied, channel.ErrConflict)
	}
}
