package statuspage

import (
	"fmt"
	"strings"
	"time"

	"github.com/ecosire/stocksync/internal/text"
	"github.com/ecosire/stocksync/syncer"
)

// A state is how something is: a kind, which has a color and a sign, and a word.
type state struct {
	Kind string // "ok", "look", "bad" or "paused"
	Word string
}

// A verdict answers what a stranger asks: is it safe, what is down, what is
// held, what waits.
type verdict struct {
	state
	Headline string
	Why      []string
	Answers  []answer
}

// An answer is that to one of the questions.
type answer struct {
	state
	Question string
	More     string
}

// judge comes to a verdict about what is seen. A channel that is paused is no
// trouble: somebody wants it so.
func judge(v *view) verdict {
	h := &v.Health
	var bad, look []string
	switch {
	case v.Err != "":
		bad = append(bad, "The queue does not answer: "+v.Err+".")
	case !h.QueueSince.IsZero():
		bad = append(bad, fmt.Sprintf("The queue has failed since %s: %s.", day(h.QueueSince), failure(h.QueueErr)))
	}
	switch {
	case v.Err != "":
	case h.Leader == nil && h.ViewAge != 0:
		bad = append(bad, "No process leads, so nothing is done. One takes over within seconds, where one runs.")
	case !h.Running && h.Leader == nil:
		bad = append(bad, "Run does not run in this process, so nothing is done.")
	}
	stopped := len(bad) > 0
	down, held, behind, paused := names{}, names{}, names{}, names{}
	tasks, oldest := 0, time.Time{}
	lines := 0
	for _, c := range v.Channels {
		switch {
		case c.Paused != nil:
			paused.add(c.Channel)
		case !c.DownSince.IsZero() || c.Stuck != "":
			down.add(c.Channel)
		case c.Late:
			behind.add(c.Channel)
		}
		if c.Guard != nil {
			held.add(c.Channel)
			lines += c.Held
		}
		if c.Tasks > tasks {
			tasks = c.Tasks
		}
		if c.Tasks > 0 && (oldest.IsZero() || c.Oldest.Before(oldest)) {
			oldest = c.Oldest
		}
	}
	soldOut := soldOutIn(v.Held)
	if soldOut > 0 {
		look = append(look, fmt.Sprintf("Of what is held the source calls %s sold out: customers can buy %s.", plural(soldOut, "product"), isAre(soldOut, "it", "these")))
	}
	if d := len(down); d > 0 {
		look = append(look, fmt.Sprintf("%s %s. Nothing that is due there is lost.", down, isAre(d, "is down", "are down")))
	}
	if d := len(behind); d > 0 {
		look = append(look, fmt.Sprintf("%s %s behind by more than a minute.", behind, isAre(d, "is", "are")))
	}
	if n := len(h.Alarms); n > 0 {
		look = append(look, fmt.Sprintf("%s on.", isAre(n, "An alarm is", count(n)+" alarms are")))
	}
	if !h.Reconciled.IsZero() && v.At.Sub(h.Reconciled) > unreconciled {
		look = append(look, fmt.Sprintf("The last complete reconciliation began %s.", when(h.Reconciled)))
	}
	out := verdict{state: state{"ok", "Well"}, Headline: "All is well", Why: append(bad, look...)}
	switch {
	case stopped:
		out.state, out.Headline = state{"bad", "Stopped"}, "Nothing is being synced"
	case len(down) > 0:
		out.state, out.Headline = state{"bad", "Down"}, plural(len(down), "channel")+" down"
		if len(held) > 0 {
			out.Headline += ", and changes are held"
		}
	case len(held) > 0:
		out.state, out.Headline = state{"look", "Held"}, "Changes are held until somebody looks"
	case len(look) > 0:
		out.state, out.Headline = state{"look", "Look"}, "Somebody should look"
	}
	if len(paused) > 0 {
		out.Why = append(out.Why, fmt.Sprintf("%s %s paused, as somebody wanted.", paused, isAre(len(paused), "is", "are")))
	}
	out.Answers = []answer{
		safe(stopped, held, soldOut, h),
		isDown(down, paused, len(v.Channels)),
		isHeld(held, lines),
		waits(tasks, oldest, len(behind) > 0, v.Retried),
	}
	return out
}

// soldOutIn counts the products that are held and that the source calls sold out.
func soldOutIn(held []syncer.Holding) int {
	products := make(map[string]bool)
	for _, h := range held {
		for _, l := range h.Lines {
			if l.SoldOut {
				products[l.ProductID] = true
			}
		}
	}
	return len(products)
}

func safe(stopped bool, held names, soldOut int, h *syncer.Health) answer {
	a := answer{Question: "Is it safe?"}
	switch {
	case stopped:
		a.state, a.More = state{"bad", "No"}, "Shops go on selling what they showed last."
	case soldOut > 0:
		a.state, a.More = state{"look", "Not quite"}, fmt.Sprintf("%s may be oversold while nobody looks.", plural(soldOut, "product"))
	case len(held) > 0:
		a.state, a.More = state{"ok", "Yes"}, "What looks dangerous is held, and not written."
	case h.Reconciled.IsZero():
		a.state, a.More = state{"ok", "Yes"}, "Guards are on. The whole catalogue was not compared yet."
	default:
		a.state, a.More = state{"ok", "Yes"}, fmt.Sprintf("Guards are on. Everything was compared %s.", when(h.Reconciled))
	}
	return a
}

func isDown(down, paused names, all int) answer {
	a := answer{state: state{"ok", "Nothing"}, Question: "What is down?", More: plural(all, "channel") + " up."}
	if p := len(paused); p > 0 {
		a.More = fmt.Sprintf("%s up, %s paused.", plural(all-p-len(down), "channel"), count(p))
	}
	if len(down) > 0 {
		a.state, a.More = state{"bad", count(len(down)) + " of " + count(all)}, down.String()
	}
	return a
}

func isHeld(held names, lines int) answer {
	if len(held) == 0 {
		return answer{state: state{"ok", "Nothing"}, Question: "What is held?", More: "No guard has tripped."}
	}
	return answer{state: state{"look", plural(lines, "line")}, Question: "What is held?", More: "On " + held.String() + "."}
}

func waits(tasks int, oldest time.Time, behind bool, retried int) answer {
	a := answer{state: state{"ok", "Nothing"}, Question: "What waits?", More: "Everything that was marked is done."}
	if tasks > 0 {
		a.state = state{"ok", plural(tasks, "product")}
		a.More = fmt.Sprintf("The oldest mark was made %s.", when(oldest))
	}
	if behind {
		a.Kind = "look"
	}
	if retried > 0 {
		a.More += fmt.Sprintf(" %s tried again.", isAre(retried, "1 is", count(retried)+" are"))
	}
	return a
}

// names are those of channels.
type names []string

func (n *names) add(name string) { *n = append(*n, text.Clean(name)) }

// String names up to three.
func (n names) String() string {
	switch {
	case len(n) > 3:
		return strings.Join(n[:2], ", ") + " and " + count(len(n)-2) + " more"
	case len(n) > 1:
		return strings.Join(n[:len(n)-1], ", ") + " and " + n[len(n)-1]
	}
	return strings.Join(n, "")
}

func isAre(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}
