package channeltest

import (
	"fmt"
	"math"
	"sync"

	"github.com/ecosire/stocksync/channel"
)

// naming is the advice where Push must tell one SKU's trouble from another's.
const naming = "collect what goes wrong for an SKU in a channel.Errors, go on with the others, and return errs.Err()"

var pushRules = []rule{
	{
		name:    "NameIsStable",
		promise: "Name is stable and not empty: reports, logs and queues know the channel by it",
		advice:  "return a constant, or what the configuration says",
		run: func(k *kit) {
			k.open(level("A-1", 1))
			before := k.Channel.Name()
			if before == "" {
				k.errorf("Name is empty")
			}
			k.done(update("A-1", 2))
			if after := k.Channel.Name(); after != before {
				k.errorf("Name was %q, and is %q after a Push", before, after)
			}
		},
	},
	{
		name:    "PushIsShown",
		promise: "a nil error means that every update is shown, and nothing else has changed",
		advice:  "write absolute quantities, and compare what the service answers with what was sent: 200 is not applied",
		run: func(k *kit) {
			k.open(level("A-1", 1), level("A-2", 2), level("A-3", 3))
			k.done(update("A-1", 10), update("A-3", 0))
			k.shows("A-1", 10)
			k.shows("A-2", 2)
			k.shows("A-3", 0)
		},
	},
	{
		name:    "PushOfNothing",
		promise: "a Push without updates does nothing, and returns nil",
		advice:  "return early, before a request with an empty list",
		run: func(k *kit) {
			k.open(level("A-1", 1))
			if err := k.Channel.Push(k.t.Context(), nil); err != nil {
				k.errorf("Push without updates returned %v", err)
			}
			k.shows("A-1", 1)
		},
	},
	{
		name:    "PushTwice",
		promise: "pushing the same updates twice is harmless",
		advice:  "set quantities, never add to them; a write that changes nothing is a success",
		run: func(k *kit) {
			k.open(level("A-1", 1), level("A-2", 2))
			for range 2 {
				k.done(update("A-1", 7), update("A-2", 2))
			}
		},
	},
	{
		name:    "ZeroAndBack",
		promise: "0 is a quantity like any other: the item is shown as sold out, and can be filled again",
		advice:  "do not leave a zero out of the request (omitempty), and do not delete the item",
		run: func(k *kit) {
			k.open(level("A-1", 5))
			for _, n := range []int{0, 3, 0} {
				k.done(update("A-1", n))
			}
		},
	},
	{
		name:    "ManyUpdates",
		promise: "any number of updates may come in one Push, or as many as BatchSize says",
		advice:  "split what the service does not take at once, or implement channel.Sizer",
		run: func(k *kit) {
			levels, updates := numbered(many(), 1)
			k.open(levels...)
			k.done(updates...)
		},
	},
	{
		name:    "OddQuantities",
		promise: "a quantity that the service cannot show ends in channel.ErrInvalid for its SKU, and is never shown as another one",
		advice:  "check the range before the request, and do not clamp: the policy of the target does that",
		run: func(k *kit) {
			k.open(level("A-1", 1), level("A-2", 2), level("A-3", 3), level("A-4", 4))
			updates := []channel.Update{update("A-1", -3), update("A-2", math.MaxInt32), update("A-3", math.MaxInt), update("A-4", 5)}
			out := k.push(k.t.Context(), updates...)
			for _, u := range updates[:3] {
				if out.errs[u.SKU] != nil || out.whole != nil {
					k.named(out, u.SKU, channel.ErrInvalid)
					k.shows(u.SKU, map[string]int{"A-1": 1, "A-2": 2, "A-3": 3}[u.SKU])
				}
			}
			k.truthful(out, updates...)
		},
	},
	{
		name:    "UnknownSKUIsNamed",
		promise: "an SKU that the channel does not have is named with channel.ErrUnknownSKU, and the others are done",
		advice:  naming + "; channel.UnknownSKU makes the error",
		run: func(k *kit) {
			k.open(level("A-1", 1), level("A-2", 2))
			updates := []channel.Update{update("A-1", 8), update("NO-SUCH", 3), update("A-2", 9)}
			out := k.push(k.t.Context(), updates...)
			k.named(out, "NO-SUCH", channel.ErrUnknownSKU)
			if _, ok := k.Shown("NO-SUCH"); ok {
				k.errorf("Push made an item for an SKU that was unknown")
			}
			k.others(out, updates[0], updates[2])
		},
	},
	{
		name:    "AmbiguousSKUIsNamed",
		promise: "an SKU that stands for several items is named with channel.ErrAmbiguousSKU, none of them is written, and the others are done",
		advice:  "count the items that have the SKU before the write; " + naming,
		run: func(k *kit) {
			k.open(level("A-1", 1), level("TWICE", 2), level("TWICE", 2))
			updates := []channel.Update{update("TWICE", 8), update("A-1", 9)}
			out := k.push(k.t.Context(), updates...)
			k.named(out, "TWICE", channel.ErrAmbiguousSKU)
			k.others(out, updates[1])
		},
	},
	{
		name:    "UnwritableSKUIsNamed",
		promise: "an item that can be given no quantity is named with an error that is channel.Permanent, and the others are done",
		advice:  "map the service's refusal onto channel.ErrNotTracked, ErrNotStocked, ErrShared or ErrInvalid; " + naming,
		run: func(k *kit) {
			k.open(level("A-1", 1), channel.Level{SKU: "FIXED", Err: channel.ErrNotTracked})
			updates := []channel.Update{update("FIXED", 8), update("A-1", 9)}
			out := k.push(k.t.Context(), updates...)
			switch err := out.errs["FIXED"]; {
			case out.whole != nil:
				k.errorf("Push returned the error %q for the whole call", out.whole)
			case err == nil || !channel.Permanent(err):
				k.errorf("Push reported %q as %v", "FIXED", err)
			}
			k.others(out, updates[1])
		},
	},
	{
		name:    "UnsetItemIsFilled",
		promise: "an item without a quantity can be given one, and is Unset until then",
		advice:  "return Level.Unset rather than a quantity of 0, and accept an update whose Seen is Unset",
		run: func(k *kit) {
			k.open(channel.Level{SKU: "NEW", Unset: true})
			u := update("NEW", 4)
			if k.reader != nil {
				ls := k.all("NEW")["NEW"]
				if len(ls) != 1 || ls[0].Err != nil || !ls[0].Unset {
					k.errorf("Levels returned %+v", ls)
					return
				}
				u.Seen = &ls[0]
			}
			k.done(u)
		},
	},
	{
		name:    "SeveralAtOnce",
		promise: "a channel may be used by several goroutines at once, for different SKUs",
		advice:  "guard what the channel remembers with a mutex, and run the test with -race",
		run:     severalAtOnce,
	},
}

// others wants updates to be done although others were not.
func (k *kit) others(out outcome, updates ...channel.Update) {
	k.t.Helper()
	out.settle()
	for _, u := range updates {
		if err := out.errs[u.SKU]; err != nil {
			k.errorf("Push reported %q, which nothing speaks against, as %q", u.SKU, err)
		}
		if n, ok := k.Shown(u.SKU); !ok || n != u.Quantity {
			k.errorf("%q shows %s, want %d: it was not done because another SKU of the Push was not", u.SKU, display(n, ok), u.Quantity)
		}
	}
}

func severalAtOnce(k *kit) {
	const goroutines, each, rounds = 8, 5, 4
	var levels []channel.Level
	sku := func(g, i int) string { return fmt.Sprintf("G%d-%d", g, i) }
	for g := range goroutines {
		for i := range each {
			levels = append(levels, level(sku(g, i), 1))
		}
	}
	k.open(levels...)
	if k.size > 0 && k.size < each {
		k.t.Skipf("the channel takes %d updates at a time", k.size)
	}
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for round := range rounds {
				var updates []channel.Update
				var skus []string
				for i := range each {
					updates = append(updates, update(sku(g, i), 100*round+10*g+i))
					skus = append(skus, sku(g, i))
				}
				k.done(updates...)
				if k.reader == nil {
					continue
				}
				got, err := k.levels(k.t.Context(), skus...)
				if err != nil {
					k.errorf("Levels returned %v", err)
					return
				}
				for _, u := range updates {
					k.answers(got, u.SKU, u.Quantity)
				}
			}
		})
	}
	wg.Wait()
	for g := range goroutines {
		for i := range each {
			k.shows(sku(g, i), 100*(rounds-1)+10*g+i)
		}
	}
}
