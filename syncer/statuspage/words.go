package statuspage

import (
	"fmt"
	"html/template"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/text"
	"github.com/ecosire/stocksync/syncer"
)

// words are the functions of the templates.
var words = template.FuncMap{
	"clean": text.Clean, "upper": upper, "count": count, "plural": plural, "took": took, "when": when, "stamp": stamp, "day": day,
	"reason": reason, "shown": shown, "error": failure, "asset": address, "quota": quota, "entry": entry, "runError": runError,
	"first": func(lines []syncer.Line) []syncer.Line { return lines[:min(firstLines, len(lines))] },
}

// address is where an asset is, whichever version it has.
func address(name string) string { return name + "?" + static[name].hash }

// count is a number for people, with thin groups of three.
func count(n int) string {
	s := strconv.Itoa(max(n, -n))
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	if n < 0 {
		return "−" + s
	}
	return s
}

// upper begins a sentence.
func upper(s string) string {
	if s == "" {
		return ""
	}
	return text.Clean(strings.ToUpper(s[:1]) + s[1:])
}

// plural is a number and a noun, such as "1 product" and "2 products".
func plural(n int, one string) string {
	switch {
	case n == 1:
		return "1 " + one
	case strings.HasSuffix(one, "ch"):
		return count(n) + " " + one + "es"
	}
	return count(n) + " " + one + "s"
}

// took is a duration as people say it: in its two largest units at most.
func took(d time.Duration) string {
	switch {
	case d < 0:
		return "0 s"
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d < 10*time.Second:
		return strconv.FormatFloat(math.Floor(d.Seconds()*10)/10, 'f', -1, 64) + " s"
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		if m := int(d.Minutes()) % 60; m > 0 && d < 10*time.Hour {
			return fmt.Sprintf("%d h %d min", int(d.Hours()), m)
		}
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours())/24)
}

// when says how long ago something was, or is to be.
func when(t time.Time) string {
	d := time.Since(t)
	switch {
	case d < -time.Second:
		return "in " + took((-d).Truncate(time.Second))
	case d < time.Second:
		return "now"
	}
	return took(d.Truncate(time.Second)) + " ago"
}

// stamp is a time for machines.
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// day is a time of day, with the day if that is another one.
func day(t time.Time) string {
	t = t.UTC()
	if t.Format(time.DateOnly) == time.Now().UTC().Format(time.DateOnly) {
		return t.Format("15:04 UTC")
	}
	return t.Format("2 Jan 15:04 UTC")
}

// shown is a quantity, or a dash.
func shown(n *int) string {
	if n == nil {
		return "–"
	}
	return count(*n)
}

// failure is an error on one line.
func failure(err error) string {
	if err == nil {
		return ""
	}
	return text.Clean(err.Error())
}

// quota is what is left of one.
func quota(q *channel.Quota) string {
	if q == nil || q.Limit <= 0 {
		return ""
	}
	return fmt.Sprintf("%s of %s", count(int(q.Left)), count(int(q.Limit)))
}

// reason says what a class of errors means, for whoever mends the catalogue.
func reason(class string) string {
	if r, ok := reasons[class]; ok {
		return r
	}
	return "Another reason"
}

var reasons = map[string]string{
	"unknown_sku":   "The channel does not have the SKU",
	"ambiguous_sku": "Several items have the SKU",
	"not_tracked":   "The channel does not track its stock",
	"not_stocked":   "It is not stocked at the location",
	"shared":        "It shares its stock with another item",
	"invalid":       "It was refused as invalid",
	"conflict":      "It changed again and again",
	"pending":       "It was accepted and does not show",
	"not_applied":   "It was accepted and not applied",
	"unclear":       "Whether it was applied is not known",
	"unauthorized":  "The credentials do not allow it",
	"incomplete":    "The answer was incomplete",
	"unavailable":   "The service failed",
}

// entry says what happened, in words.
func entry(e syncer.Entry) string {
	switch e.Kind {
	case syncer.EntryDown:
		return "went down: " + failure(e.Err)
	case syncer.EntryUp:
		return "works again"
	case syncer.EntryApproved:
		return fmt.Sprintf("%s, %s", plural(e.Wanted, "line"), text.Clean(e.Why))
	case syncer.EntryPaused, syncer.EntryResumed:
		return fmt.Sprintf("%s %s", e.Kind, text.Clean(e.Why))
	case syncer.EntryRun:
		return ended(e)
	case syncer.EntryWrote, syncer.EntrySent, syncer.EntryUnclear, syncer.EntryHeld:
		said := fmt.Sprintf("%s: %s → %s", e.Kind, shown(e.Shown), count(e.Wanted))
		for _, more := range []string{string(e.Culprit), text.Clean(e.Why), failure(e.Err)} {
			if more != "" {
				said += "; " + more
			}
		}
		return said
	}
	if e.Err != nil {
		return string(e.Kind) + ": " + failure(e.Err)
	}
	return string(e.Kind)
}

// ended says how a run ended.
func ended(e syncer.Entry) string {
	kind, _, _ := strings.Cut(e.Run, "-")
	if kind == "reconcile" {
		kind = "reconciliation"
	}
	said := kind + " ended"
	if e.Report != nil {
		said += fmt.Sprintf(" after %s, %s read", took(e.Report.Duration), plural(e.Report.Read, "product"))
	}
	if e.Err != nil {
		said += ": " + runError(&e)
	}
	return said
}

// runError is why a run ended, without its name.
func runError(e *syncer.Entry) string {
	_, why, ok := strings.Cut(failure(e.Err), e.Run+": ")
	if !ok {
		return failure(e.Err)
	}
	return why
}
