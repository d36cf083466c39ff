package channeltest

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/ecosire/stocksync/channel"
)

var optionalRules = []rule{
	{
		name:    "Sizer",
		promise: "BatchSize is at least 1, and that many updates are taken at once",
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
			if k.reader == nil {
				return
			}
			// What is on its way: the old quantity, or the new one.
			errs, _ := k.split(k.Channel.Push(k.t.Context(), []channel.Update{update("A-1", 9)}))
			switch ls := k.all("A-1")["A-1"]; {
			case len(ls) != 1 || ls[0].Err != nil || ls[0].Quantity != 7 && ls[0].Quantity != 9:
				k.errorf("Levels returned %v for an update on its way from 7 to 9", ls)
			case errs["A-1"] != nil && channel.Permanent(errs["A-1"]):
				k.errorf("Push returned %q, which is Permanent", errs["A-1"])
			}
		},
	},
	{
		name:    "OffSale",
		promise: "an item that nobody can buy, whatever its quantity, has Level.OffSale, and no other item has it",
		advice:  "read whether the item can be bought (a status, a switch, a closing date) with its quantity",
		run: func(k *kit) {
			k.open(level("A-1", 3), level("A-2", 2))
			k.readable()
			if k.OffSale == nil {
				k.t.Skip("Subject.OffSale is nil")
			}
			k.OffSale("A-1")
			for range 2 {
				got := k.all("A-1", "A-2")
				if ls := got["A-1"]; len(ls) != 1 || !ls[0].OffSale {
					k.errorf("Levels returned %+v for an item that is off sale", ls)
				}
				k.answers(got, "A-2", 2)
				if ls := got["A-2"]; len(ls) == 1 && ls[0].OffSale {
					k.errorf("Levels returned %+v for an item that is on sale", ls)
				}
				u := update("A-1", 0)
				k.truthful(k.push(k.t.Context(), u), u)
			}
		},
	},
	{
		name:    "Unsetter",
		promise: "after Unset an item shows no quantity, as before its first one; the error is as for Push",
		advice:  "take the quantity away (null, or not tracked) rather than setting it to 0; " + naming,
		run:     unsetter,
	},
	{
		name:    "UnsetterWhenTheServiceIsDown",
		promise: "an Unset that could not be done is an error of the call, as for Push",
		advice:  wholeCall,
		run: func(k *kit) {
			k.open(level("A-1", 1))
			u, ok := channel.As[channel.Unsetter](k.Channel)
			k.optional(ok, "channel.Unsetter")
			mend := k.broken()
			_, whole := k.split(u.Unset(k.t.Context(), []channel.Update{update("A-1", 0)}))
			if whole == nil {
				k.errorf("Unset returned no error of the call")
			} else {
				k.transient("Unset", whole)
			}
			mend()
		},
	},
	{
		name:    "Keeper",
		promise: "what Keep wrote and Restore read is no quantity, and changes nothing but costs; what Restore cannot read changes nothing",
		advice:  "keep where items are, with a version in front and a checksum behind, and check it when it is used",
		run:     keeper,
	},
	{
		name:    "Resumer",
		promise: "Resume may be called at any time; it comes to an end, and names only SKUs that were pushed",
		advice:  "return 0 when nothing is under way",
		run: func(k *kit) {
			k.open(level("A-1", 1), level("A-2", 2))
			r, ok := channel.As[channel.Resumer](k.Channel)
			k.optional(ok, "channel.Resumer")
			resume := func() (again time.Duration) {
				skus, again, err := r.Resume(k.t.Context())
				if err != nil || again < 0 {
					k.errorf("Resume returned %v, %v", again, err)
				}
				for _, sku := range skus {
					if sku != "A-1" {
						k.errorf("Resume named %q, which was not pushed", sku)
					}
				}
				return again
			}
			if again := resume(); again != 0 {
				k.errorf("Resume wants to be called again in %v, before the first Push", again)
			}
			k.done(update("A-1", 5))
			start := time.Now()
			for again := resume(); again > 0 && k.virtual; again = resume() {
				if time.Sleep(again); time.Since(start) > 7*24*time.Hour {
					k.errorf("Resume still has work a week after a Push")
					return
				}
			}
			k.shows("A-1", 5)
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

func unsetter(k *kit) {
	k.open(channel.Level{SKU: "NEW-1", Unset: true}, channel.Level{SKU: "NEW-2", Unset: true}, level("A-1", 1), level("A-2", 2))
	u, ok := channel.As[channel.Unsetter](k.Channel)
	k.optional(ok, "channel.Unsetter")
	if errs := k.unset(u); len(errs) > 0 {
		k.errorf("Unset without updates returned %v", errs)
	}
	// Their first quantity, which is undone; a second time it changes nothing.
	k.done(k.onTop("NEW-1", 5), k.onTop("NEW-2", 6))
	for range 2 {
		if errs := k.unset(u, k.onTop("NEW-1", 77)); len(errs) > 0 {
			k.errorf("Unset returned %v", errs)
		}
		k.unshown("NEW-1")
		k.shows("NEW-2", 6)
	}
	errs := k.unset(u, update("NO-SUCH", 0), k.onTop("NEW-2", 0))
	if !errors.Is(errs["NO-SUCH"], channel.ErrUnknownSKU) || len(errs) != 1 {
		k.errorf("Unset of an unknown SKU and another one returned %v", errs)
	}
	k.unshown("NEW-2")
	k.done(k.onTop("NEW-1", 4))
	// An item that had a quantity before may stay as it is.
	if err := k.unset(u, k.onTop("A-1", 0))["A-1"]; err == nil {
		k.unshown("A-1")
	} else {
		k.shows("A-1", 1)
	}
	k.shows("A-2", 2)
	if k.reader == nil || k.Set == nil || !k.compares() {
		return
	}
	stale := k.onTop("NEW-1", 0)
	k.Set("NEW-1", 8)
	if errs := k.unset(u, stale); !errors.Is(errs["NEW-1"], channel.ErrConflict) {
		k.errorf("Unset on top of something else than was seen returned %v", errs)
	}
	k.shows("NEW-1", 8)
}

// unset is Unset and what it says of SKUs, once what is pending shows.
func (k *kit) unset(u channel.Unsetter, updates ...channel.Update) channel.Errors {
	k.t.Helper()
	errs, whole := k.split(u.Unset(k.t.Context(), updates))
	if whole != nil {
		k.errorf("Unset returned %v", whole)
	}
	for sku, err := range errs {
		if errors.Is(err, channel.ErrPending) {
			lag, ok := channel.LagOf(err)
			if !ok {
				lag = k.lag
			}
			time.Sleep(lag)
			delete(errs, sku)
		}
	}
	return errs
}

// onTop is an update with what the channel shows, if it can be read.
func (k *kit) onTop(sku string, quantity int) channel.Update {
	k.t.Helper()
	u := update(sku, quantity)
	if k.reader != nil {
		if ls := k.all(sku)[sku]; len(ls) == 1 {
			u.Seen = &ls[0]
		}
	}
	return u
}

// unshown wants an item that shows no quantity.
func (k *kit) unshown(sku string) {
	k.t.Helper()
	if n, ok := k.Shown(sku); ok {
		k.errorf("after Unset %q shows %d", sku, n)
	}
	if k.reader == nil {
		return
	}
	if ls := k.all(sku)[sku]; len(ls) != 1 || ls[0].Err != nil || !ls[0].Unset || ls[0].Quantity != 0 {
		k.errorf("after Unset Levels returned %+v for %q, want one that is Unset", ls, sku)
	}
}

func keeper(k *kit) {
	k.open(level("A-1", 1), level("A-2", 2))
	keeper, ok := channel.As[channel.Keeper](k.Channel)
	k.optional(ok, "channel.Keeper")
	if p, ok := channel.As[channel.Preloader](k.Channel); ok {
		if err := p.Preload(k.t.Context()); err != nil {
			k.errorf("Preload returned %v", err)
		}
	}
	k.done(update("A-1", 3))
	var kept bytes.Buffer
	if err := keeper.Keep(&kept); err != nil {
		k.errorf("Keep returned %v", err)
		return
	}
	works := func(n int) {
		if k.Set != nil {
			k.Set("A-2", n)
		}
		k.done(update("A-1", n))
		k.named(k.push(k.t.Context(), update("NO-SUCH", n)), "NO-SUCH", channel.ErrUnknownSKU)
		if k.reader == nil {
			return
		}
		got := k.all("A-1", "A-2", "NO-SUCH")
		k.answers(got, "A-1", n)
		if k.Set != nil {
			k.answers(got, "A-2", n)
		}
		k.unknown(got, "NO-SUCH")
	}
	text := kept.Bytes()
	flipped := bytes.Clone(text)
	if len(flipped) > 0 {
		flipped[len(flipped)/2] ^= 0x55
	}
	for i, data := range [][]byte{text, nil, []byte("nothing of the kind"), text[:len(text)/2], flipped} {
		k.when = fmt.Sprintf("restored from %d bytes", len(data))
		if err := keeper.Restore(bytes.NewReader(data)); err != nil && i == 0 {
			k.errorf("Restore of what Keep wrote returned %v", err)
		}
		works(10 + i)
	}
}

// optional skips the test if an optional interface is missing.
func (k *kit) optional(has bool, name string) {
	k.t.Helper()
	if !has {
		k.t.Skip("the channel is no " + name)
	}
}
