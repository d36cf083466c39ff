package squaretest

import (
	"strconv"
	"strings"
	"time"
)

// unit is one whole unit: quantities have up to five decimals.
const unit = 100_000

// A ledger is what Square knows of one variation at one location. The quantity
// is made of it whenever it is asked for: the count with the latest time that
// it is of, and all moves after that time.
type ledger struct {
	entries    []entry
	calculated time.Time
	// others are rows of other states, such as WASTE.
	others map[string]int64
}

// An entry is a physical count, or a move: a sale, a delivery.
type entry struct {
	at    time.Time // when it occurred, to the millisecond
	count bool
	qty   int64
}

// quantity is the stock, or whether there never was any.
func (l *ledger) quantity(d Doubts) (qty int64, ok bool) {
	if l == nil || len(l.entries) == 0 {
		return 0, false
	}
	base := l.governing(d)
	if base >= 0 {
		qty = l.entries[base].qty
	}
	for i, e := range l.entries {
		if !e.count && l.counts(i, base, d) {
			qty += e.qty
		}
	}
	return qty, true
}

// governing is the count on which the quantity stands, or -1.
func (l *ledger) governing(d Doubts) int {
	base := -1
	for i, e := range l.entries {
		switch {
		case !e.count:
		case base < 0, e.at.After(l.entries[base].at), d.LaterCountWinsTie && e.at.Equal(l.entries[base].at):
			base = i
		}
	}
	return base
}

// counts reports whether the entry i changes the quantity that stands on base.
func (l *ledger) counts(i, base int, d Doubts) bool {
	e := l.entries[i]
	switch {
	case e.count:
		return i == base
	case base < 0:
		return true
	case d.CountsReplace && i < base:
		return false
	}
	return e.at.After(l.entries[base].at)
}

// add takes an entry in.
func (l *ledger) add(e entry, now time.Time, d Doubts) (effective bool) {
	e.at = e.at.Truncate(time.Millisecond)
	l.entries = append(l.entries, e)
	last := len(l.entries) - 1
	effective = l.counts(last, l.governing(d), d)
	if effective {
		l.calculated = now
	}
	l.compact(d)
	return effective
}

// compact drops what can have no effect any more.
func (l *ledger) compact(d Doubts) {
	const enough = 64
	base := l.governing(d)
	if len(l.entries) < enough || base < 0 {
		return
	}
	var kept []entry
	for i, e := range l.entries {
		if l.counts(i, base, d) {
			kept = append(kept, e)
		}
	}
	l.entries = kept
}

// lastCount is the quantity of the latest physical count.
func (l *ledger) lastCount(d Doubts) (qty int64, ok bool) {
	base := l.governing(d)
	if base < 0 {
		return 0, false
	}
	return l.entries[base].qty, true
}

// decimal is a quantity in Square's words.
func decimal(qty int64) string {
	sign := ""
	if qty < 0 {
		sign, qty = "-", -qty
	}
	text := sign + strconv.FormatInt(qty/unit, 10)
	if rest := qty % unit; rest != 0 {
		text += "." + strings.TrimRight(strconv.FormatInt(unit+rest, 10)[1:], "0")
	}
	return text
}

// maxDigits is how many digits a quantity may have before its point.
const maxDigits = 10

// parseDecimal reads what decimal writes.
func parseDecimal(text string) (qty int64, ok bool) {
	digits, negative := strings.CutPrefix(text, "-")
	left, right, point := strings.Cut(digits, ".")
	if left == "" || len(left) > maxDigits || point && right == "" || len(right) > 5 || strings.Trim(left+right, "0123456789") != "" {
		return 0, false
	}
	qty, _ = strconv.ParseInt(left+(right + "00000")[:5], 10, 64)
	if negative {
		qty = -qty
	}
	return qty, true
}
