package syncer

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/text"
)

// String is the explanation for people: what the source has, then for each
// channel one sentence that says how things are, and below it how they came to
// be so.
func (x *Explanation) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "product %s", text.Clean(x.ProductID))
	if x.Name != "" {
		fmt.Fprintf(&b, " (%s)", text.Clean(x.Name))
	}
	fmt.Fprintf(&b, ", %s\n", clock(x.At))
	switch {
	case x.Stock != nil:
		fmt.Fprintf(&b, "source: %d on hand, %d reserved, %d available\n", x.Stock.OnHand, x.Stock.Reserved, x.Stock.Available)
	default:
		fmt.Fprintf(&b, "source: not known: %v\n", x.Err)
	}
	for _, f := range x.InFlight {
		fmt.Fprintf(&b, "in flight: %d, which %s has sold, noticed at %s and not booked by the source yet; at the latest until %s\n",
			f.Units, f.Channel, clock(f.Since), clock(f.Till))
	}
	if x.Marked != nil {
		fmt.Fprintf(&b, "It was marked at %s (%s), and is on its way to the channels.\n", clock(x.Marked.Last), x.Marked.Why)
	}
	for i := range x.Channels {
		x.Channels[i].write(&b, x)
	}
	return b.String()
}

func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

func (c *ChannelExplanation) write(b *strings.Builder, x *Explanation) {
	fmt.Fprintf(b, "\n%s\n", c.Channel)
	if !c.Down.IsZero() {
		fmt.Fprintf(b, "  The channel fails since %s: %v. What is due for it is done when it works again.\n", clock(c.Down), c.DownErr)
	}
	if c.Paused != nil {
		fmt.Fprintf(b, "  The channel is paused since %s, by %s. What is due for it is done when it is resumed.\n", clock(c.Paused.Since), text.Clean(c.Paused.Who))
	}
	if x.Stock != nil && len(c.Listings) == 0 {
		fmt.Fprintf(b, "  The channel is not to show it: the target's Filter or Listings leave it out.\n")
	}
	agreeing := len(c.Listings) > 0
	for i := range c.Listings {
		l := &c.Listings[i]
		fmt.Fprintf(b, "  %s\n", l.sentence(x.At))
		if l.Pinned != nil {
			fmt.Fprintf(b, "    product %s is %s\n", text.Clean(l.Pinned.ProductID), l.Pinned.words())
		}
		if len(l.Steps) > 1 || len(l.Steps) == 1 && l.Steps[0].Name != available.steps[0].name || len(l.Parts) > 0 {
			fmt.Fprintf(b, "    %s\n", l.way())
		}
		agreeing = agreeing && l.agrees()
	}
	if said := c.next(agreeing); said != "" {
		fmt.Fprintf(b, "  %s\n", said)
	}
	for _, e := range c.History {
		fmt.Fprintf(b, "    %s  %s\n", clock(e.At), e.words())
	}
}

func (l *ListingExplanation) agrees() bool {
	return l.Err == nil && l.Wanted != nil && l.Shows != nil && *l.Shows == *l.Wanted
}

// sentence says how things are at a time.
func (l *ListingExplanation) sentence(now time.Time) string {
	sku := text.Clean(l.SKU)
	if sku == "" {
		sku = "(no SKU)"
	}
	want := "what it should show is not known"
	if l.Wanted != nil {
		want = fmt.Sprintf("should show %d", *l.Wanted)
	}
	shows := "what it shows is not known"
	switch {
	case l.Unset:
		shows = "is sold without a quantity"
	case l.Shows != nil && l.SeenAt.Before(now):
		shows = fmt.Sprintf("was last known to show %d, at %s,", *l.Shows, clock(l.SeenAt))
	case l.Shows != nil:
		shows = fmt.Sprintf("shows %d", *l.Shows)
	}
	switch {
	case l.Held != nil:
		said := fmt.Sprintf("%s %s and %s. The guard holds the change since %s: %s.", sku, shows, want, clock(l.Trip.Since), l.Trip.Why())
		if l.Approved != nil {
			return said + fmt.Sprintf(" %s has approved it.", text.Clean(l.Approved.Who))
		}
		return said + " Nobody has approved it yet."
	case errors.Is(l.Err, channel.ErrUnknownSKU):
		return fmt.Sprintf("%s %s: the channel does not have this SKU.", sku, want)
	case l.Err != nil && l.Shows != nil:
		return fmt.Sprintf("%s %s and %s: %v.", sku, shows, want, l.Err)
	case l.Err != nil:
		return fmt.Sprintf("%s: %v.", sku, l.Err)
	case l.Pending != nil:
		return fmt.Sprintf("%s %s and %s. The channel accepted %d at %s, which does not show yet.", sku, shows, want, *l.Pending, clock(l.PendingAt))
	case l.agrees() && !l.Edited.IsZero():
		return fmt.Sprintf("%s %s: somebody is taken to have set it lower, so it is not raised before %s.", sku, shows, clock(l.Edited))
	case l.agrees() && l.OffSale:
		return fmt.Sprintf("%s %s, as it should, and is off sale there.", sku, shows)
	case l.agrees():
		return fmt.Sprintf("%s %s, as it should.", sku, shows)
	}
	if l.Observed {
		return fmt.Sprintf("%s %s and %s. The channel is only observed, and nothing is written.", sku, shows, want)
	}
	return fmt.Sprintf("%s %s and %s.", sku, shows, want)
}

// way says how the policy comes to the quantity.
func (l *ListingExplanation) way() string {
	var parts []string
	for _, s := range l.Steps {
		parts = append(parts, fmt.Sprintf("%s → %d", s.Name, s.Quantity))
	}
	way := strings.Join(parts, ", ")
	switch {
	case len(l.Parts) > 1 || len(l.Steps) == 0 && len(l.Parts) > 0:
		var of []string
		for _, p := range l.Parts {
			of = append(of, fmt.Sprintf("%d of %s", p.Units, text.Clean(p.ProductID)))
		}
		way = "a kit takes " + strings.Join(of, ", ")
	case len(l.Parts) == 1 && l.Parts[0].Units > 1:
		way += fmt.Sprintf(", in packs of %d", l.Parts[0].Units)
	}
	return way
}

// next says what will happen.
func (c *ChannelExplanation) next(agreeing bool) string {
	w, t := c.Waiting, c.Trouble
	switch {
	case w != nil && w.Leased:
		return fmt.Sprintf("It was marked at %s (%s), and is being worked on.", clock(w.Last), w.Why)
	case w != nil && w.Attempt > 0 && t != nil:
		return fmt.Sprintf("It was tried %s in vain, and is tried again at %s: %v.", howOften(w.Attempt), clock(w.Due), t.Err)
	case w != nil && w.Due.After(w.Last):
		return fmt.Sprintf("It was marked at %s (%s), and is looked at again at %s.", clock(w.Last), w.Why, clock(w.Due))
	case w != nil:
		return fmt.Sprintf("It was marked at %s (%s), and waits for its turn.", clock(w.Last), w.Why)
	case t != nil && t.GivenUp && slices.ContainsFunc(c.Listings, func(l ListingExplanation) bool { return l.Err != nil && channel.Class(l.Err) == channel.Class(t.Err) }):
		return fmt.Sprintf("It was given up at %s, until it changes or the next reconciliation.", clock(t.At))
	case t != nil && t.GivenUp:
		return fmt.Sprintf("It was given up at %s, until it changes or the next reconciliation: %v.", clock(t.At), t.Err)
	case t != nil:
		return fmt.Sprintf("It failed at %s: %v.", clock(t.At), t.Err)
	case agreeing || len(c.Listings) == 0:
		return ""
	}
	for i := range c.Listings {
		if l := &c.Listings[i]; l.Held != nil || l.Pending != nil || l.Observed || errors.Is(l.Err, channel.ErrUnknownSKU) {
			return ""
		}
	}
	return "It is not marked: the next event or reconciliation deals with it."
}

func howOften(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// words says what happened.
func (e *Entry) words() string {
	shown := "no quantity"
	if e.Shown != nil {
		shown = fmt.Sprint(*e.Shown)
	}
	said := string(e.Kind)
	switch e.Kind {
	case EntryWrote, EntrySent, EntryUnclear, EntryHeld, EntryObserved:
		said += fmt.Sprintf(": %s → %d", shown, e.Wanted)
	case EntryLanded:
		said += fmt.Sprintf(": shows %d", e.Wanted)
	}
	if e.Culprit != "" {
		said += fmt.Sprintf("; %s", e.Culprit)
	}
	if e.Why != "" {
		said += fmt.Sprintf(" (%s)", text.Clean(e.Why))
	}
	if e.Err != nil {
		said += fmt.Sprintf(": %v", e.Err)
	}
	if e.Run != "" {
		said += ", run " + e.Run
	}
	return said
}
