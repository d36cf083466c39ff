package syncer

import (
	"cmp"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/ecosire/stocksync/internal/text"
)

// String is the plan as text: the channels, the lines, and what else customers
// can buy though it is not there.
func (p *Plan) String() string {
	var b strings.Builder
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	channels, lines := p.rows()
	fmt.Fprintln(table, "channel\tchecked\tagreed\tdiffering\tnot in the source")
	for _, row := range channels {
		fmt.Fprintln(table, strings.Join(row, "\t"))
	}
	if len(lines) > 0 {
		fmt.Fprintln(table, "\nchannel\tSKU\tshown\twanted\tdelta\twhy")
	}
	for _, row := range lines {
		fmt.Fprintln(table, strings.Join(row, "\t"))
	}
	table.Flush()
	p.writeNotes(&b)
	return b.String()
}

// rows are the channels and the lines, as tables without their headings.
func (p *Plan) rows() (channels, lines [][]string) {
	for _, c := range p.Channels {
		channels = append(channels, []string{c.Channel, strconv.Itoa(c.Checked), strconv.Itoa(c.Agreed),
			strconv.Itoa(p.differing(c.Channel)), strconv.Itoa(c.Extra), text.Clean(c.Error)})
	}
	for _, l := range p.Lines {
		lines = append(lines, append([]string{cmp.Or(l.Channel, "source")}, l.cells()...))
	}
	return channels, lines
}

func (p *Plan) writeNotes(w io.Writer) {
	for _, c := range p.Channels {
		writeAtZero(w, c.Channel, c.SellsAtZero, c.AtZero)
		writeRetired(w, c.Channel, c.Retired)
	}
}

func (p *Plan) differing(name string) int {
	n := 0
	for _, l := range p.Lines {
		if l.Channel == name && l.Reason.Writable() {
			n++
		}
	}
	return n
}

// cells are SKU, shown, wanted, delta and why.
func (l Line) cells() []string {
	cells := []string{text.Clean(cmp.Or(l.SKU, "product "+l.ProductID)), "", "", "", string(l.Reason)}
	cells[0] += aka(l.SKU, l.ProductSKU, l.Name)
	if l.SellsAtZero {
		cells[4] += ", sells at zero"
	}
	if l.Error != "" {
		cells[4] += ": " + text.Clean(l.Error)
	}
	if l.Shown != nil {
		cells[1] = strconv.Itoa(*l.Shown)
		if l.Inexact {
			cells[1] += "+" // and a fraction
		}
	}
	if l.Reason != ReasonUnread {
		cells[2] = strconv.Itoa(l.Wanted)
	}
	if l.Shown == nil && l.Reason.Writable() {
		cells[1] = "none"
	}
	if l.Reason.Writable() && l.Shown != nil {
		cells[3] = fmt.Sprintf("%+d", l.delta())
	}
	return cells
}

// Markdown is the same as two Markdown tables, and paragraphs below.
func (p *Plan) Markdown() string {
	var b strings.Builder
	channels, lines := p.rows()
	b.WriteString("| channel | checked | agreed | differing | not in the source | |\n|---|--:|--:|--:|--:|---|\n")
	markdownRows(&b, channels)
	if len(lines) > 0 {
		b.WriteString("\n| channel | SKU | shown | wanted | delta | why |\n|---|---|--:|--:|--:|---|\n")
	}
	markdownRows(&b, lines)
	var notes strings.Builder
	p.writeNotes(&notes)
	for note := range strings.Lines(notes.String()) {
		fmt.Fprintf(&b, "\n%s\n", escape(strings.TrimSuffix(note, "\n")))
	}
	return b.String()
}

func markdownRows(w io.Writer, rows [][]string) {
	for _, row := range rows {
		for i := range row {
			row[i] = escape(row[i])
		}
		fmt.Fprintf(w, "| %s |\n", strings.Join(row, " | "))
	}
}

// escape keeps a text within its cell.
func escape(s string) string {
	return strings.NewReplacer("\\", "\\\\", "|", "\\|", "\n", " ", "<", "&lt;").Replace(s)
}

// words says what a line would do, for people.
func (l Line) words() string {
	name := text.Clean(l.SKU) + aka(l.SKU, l.ProductSKU, l.Name)
	if l.Shown == nil {
		return fmt.Sprintf("%s is sold without a quantity and would show %d", name, l.Wanted)
	}
	return fmt.Sprintf("%s shows %d and would show %d", name, *l.Shown, l.Wanted)
}
