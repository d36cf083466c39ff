package show

import (
	"bytes"
	"errors"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode"

	"github.com/rivo/uniseg"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/syncer"
)

func output(width int, colour bool) (*Output, *bytes.Buffer) {
	var b bytes.Buffer
	return &Output{w: &b, width: width, colour: colour}, &b
}

func TestNumber(t *testing.T) {
	for n, want := range map[int]string{0: "0", 7: "7", 999: "999", 1000: "1,000", -1000: "-1,000", -999: "-999", 1234567: "1,234,567"} {
		assert.Equal(t, want, Number(n))
	}
	assert.Equal(t, "1 line", Count(1, "line", "lines"))
	assert.Equal(t, "1,203 lines", Count(1203, "line", "lines"))
}

func TestTableFitsTheTerminal(t *testing.T) {
	columns := []Column{{Title: "SKU", Least: 6}, {Title: "product", Least: 8}, {Title: "shows", Right: true}}
	rows := [][]Cell{
		{{Text: "MUG-1"}, {Text: "A mug, glazed, in a colour that takes long to describe"}, {Text: "12"}},
		{{Text: "日本-1"}, {Text: "湯飲み湯飲み湯飲み湯飲み湯飲み湯飲み"}, {Text: "3"}},
		{{Text: "BAD\x1b[31m\n1"}, {Text: ""}, {Text: "-4"}},
	}
	o, b := output(0, false)
	o.Table(columns, rows)
	assert.Contains(t, b.String(), "takes long to describe", "everything is there where there is room")
	assert.NotContains(t, b.String(), "\x1b", "what others wrote is no command to the terminal")
	for _, width := range []int{60, 40, 24} {
		o, b := output(width, false)
		o.Table(columns, rows)
		lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
		require.Len(t, lines, 4)
		for _, line := range lines {
			assert.LessOrEqual(t, uniseg.StringWidth(line), width, line)
		}
		assert.Contains(t, lines[1], "…")
		assert.True(t, strings.HasSuffix(lines[1], "   12"), lines[1])
	}
	o, b = output(5, false)
	o.Table(columns, rows) // too narrow for anything: it overflows, and does not hang
	assert.Contains(t, b.String(), "12")
}

func TestColours(t *testing.T) {
	o, b := output(0, true)
	o.Table([]Column{{Title: "a"}}, [][]Cell{{{"x", Red}}})
	assert.Contains(t, b.String(), "\x1b[31mx\x1b[0m")
	assert.Equal(t, "x", To(b, func(string) string { return "" }).Paint(Red, "x"), "a buffer is no terminal")
	assert.Equal(t, 33, To(b, func(name string) string { return map[string]string{"COLUMNS": "33"}[name] }).width)
}

func TestOfPlan(t *testing.T) {
	plan := &syncer.Plan{
		Channels: []syncer.ChannelPlan{{Channel: "a", Checked: 1210, Agreed: 1203, Extra: 2}, {Channel: "b", Error: "401 nobody\x1b[2J"}},
		Lines: []syncer.Line{
			{Channel: "a", SKU: "UNDER", Shown: new(1), Wanted: 3, Reason: syncer.ReasonUnder},
			{Channel: "a", SKU: "OVER", Shown: new(5), Wanted: 3, Reason: syncer.ReasonOver},
			{Channel: "a", SKU: "MORE", Shown: new(9), Wanted: 0, Reason: syncer.ReasonOver},
			{Channel: "a", SKU: "NONE", Wanted: 4, Reason: syncer.ReasonNoQuantity},
			{Channel: "a", SKU: "HELD", Name: "A mug", Shown: new(5), Wanted: 0, Reason: syncer.ReasonHeld, SoldOut: true},
			{Channel: "a", SKU: "PENDING", Shown: new(5), Wanted: 0, Reason: syncer.ReasonPending},
			{Channel: "a", SKU: "UNKNOWN", Wanted: 4, Reason: syncer.ReasonUnknown, Error: "unknown SKU"},
			{Channel: "a", SKU: "TWICE", Wanted: 4, Reason: syncer.ReasonAmbiguous, Error: "ambiguous SKU"},
			{ProductID: "p7", Reason: syncer.ReasonUnread},
		},
	}
	s := OfPlan(plan)
	assert.Equal(t, "1,203 agree, 4 differ, 1 accepted and not shown yet, 1 unknown to the shop, 2 cannot be shown, 1 held: look at these.", s.Sentence())
	var order []string
	for _, r := range s.Rows {
		order = append(order, r.SKU)
	}
	assert.Equal(t, []string{"HELD", "NONE", "MORE", "OVER", "", "TWICE", "UNDER", "PENDING", "UNKNOWN"}, order)
	assert.Equal(t, Channel{Name: "a", Checked: 1210, Agree: 1203, Over: 4, Under: 1, Held: 1, Missing: 1, Failed: 1}, s.Channels[0])

	o, b := output(0, false)
	o.Summary(s, 6)
	o.Channels(s)
	for _, part := range []string{"b: 401 nobody", "Not in ECOSIRE: 2 SKUs", "no quantity yet: sold without a limit", "… and 3 more", "sold out, and on sale", "1,210", "A mug",
		"ECOSIRE calls 1 of those held sold out: customers may buy them"} {
		assert.Contains(t, b.String(), part)
	}
	assert.NotContains(t, b.String(), "\x1b")
	assert.NotContains(t, b.String(), "UNDER")
}

func TestOfReport(t *testing.T) {
	r := &syncer.Report{
		Unread: 3, Problems: []syncer.Problem{{ProductID: "p7", Err: errors.New("no answer")}},
		Channels: []syncer.ChannelReport{{
			Channel: "a", Checked: 1300, Unchanged: 1203, Updated: 20, Pending: 1, Unclear: 1, Held: 3, Unknown: 2, Failed: 1, Over: 15, Under: 8,
			Changes: []syncer.Change{
				{SKU: "W1", Shown: new(2), Wanted: 0}, {SKU: "W2", Wanted: 0}, {SKU: "P", Shown: new(2), State: "pending"}, {SKU: "L", Shown: new(2), State: "unclear"},
			},
			Problems: []syncer.Problem{
				{Channel: "a", SKU: "L", Err: channel.ErrUnclear},
				{Channel: "a", SKU: "F", Err: channel.ErrNotTracked}, {Channel: "a", SKU: "U", Err: channel.UnknownSKU("U")},
			},
		}},
		Held: &syncer.Plan{Lines: []syncer.Line{{Channel: "a", SKU: "H", Shown: new(2), Wanted: 0, Reason: syncer.ReasonHeld}}},
	}
	s := OfReport(r)
	assert.Equal(t, "1,203 agree, 1 accepted and not shown yet, 20 written, 2 unknown to the shops, 1 unclear, 4 cannot be shown, 3 held: look at these.", s.Sentence())
	assert.Equal(t, 2, s.More[Held])
	assert.Equal(t, 18, s.More[Written])
	o, b := output(0, false)
	o.Summary(s, 0)
	assert.Contains(t, b.String(), "… and 23 more")
	assert.Contains(t, b.String(), "was sold out, and on sale")
	assert.NotContains(t, b.String(), "drifted", "nobody knows why")
	r.Channels[0].Culprits = map[syncer.Culprit]int{syncer.EditedThere: 8, syncer.SoldSince: 1012}
	r.Channels = append(r.Channels, syncer.ChannelReport{Channel: "b", Unchanged: 1, Culprits: map[syncer.Culprit]int{syncer.EditedThere: 3}})
	r.Channels[0].Changes[0].Culprit = syncer.SoldSince
	o, b = output(0, false)
	o.Summary(OfReport(r), 0)
	assert.Contains(t, b.String(), "Why it drifted, most likely: 1,012 sold since, 11 edited in the channel.\n")
	assert.Contains(t, b.String(), "was sold out, and on sale: sold since")
	r = &syncer.Report{Channels: []syncer.ChannelReport{{Channel: "a", Unchanged: 1}}}
	assert.Equal(t, "1 agrees.", OfReport(r).Sentence())
	r.Channels[0].Held, r.Held = 1, &syncer.Plan{Lines: []syncer.Line{{Channel: "a", Reason: syncer.ReasonHeld}}}
	assert.Equal(t, "1 agrees, 1 held: look at it.", OfReport(r).Sentence())
}

func TestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, b := output(30, false)
		done := o.wait(func() string { return "reading: 1,234 requests to ECOSIRE, 12 to Shopify" }, time.Second, 200*time.Millisecond)
		time.Sleep(500 * time.Millisecond)
		synctest.Wait()
		o.mu.Lock()
		assert.Empty(t, b.String(), "what is quick has no line")
		o.mu.Unlock()
		time.Sleep(time.Second)
		done()
		assert.Contains(t, b.String(), "reading: 1,234")
		assert.True(t, strings.HasSuffix(b.String(), "\r\x1b[K"), "the line is gone")
		done()
	})
	o, b := output(0, false)
	o.Wait(func() string { panic("no terminal") })()
	assert.Empty(t, b.String())
}

func TestHTML(t *testing.T) {
	plan := &syncer.Plan{
		Channels: []syncer.ChannelPlan{{Channel: "a", Checked: 1210, Agreed: 1203}, {Channel: "b", Error: "401 <nobody>"}},
		Lines: []syncer.Line{
			{Channel: "a", SKU: "<script>alert(1)</script>", Shown: new(9), Wanted: 0, Reason: syncer.ReasonHeld},
			{Channel: "a", SKU: "SECOND", Shown: new(9), Wanted: 8, Reason: syncer.ReasonOver},
		},
	}
	var b bytes.Buffer
	require.NoError(t, HTML(&b, "Night of 1 May", OfPlan(plan), 1))
	for _, part := range []string{"Night of 1 May", "1,203 agree, 1 differs, 1 held: look at it.", "401 &lt;nobody&gt;", "&lt;script&gt;alert", `class="held"`, "… and 1 more"} {
		assert.Contains(t, b.String(), part)
	}
	assert.NotContains(t, b.String(), "<script>")
	assert.NotContains(t, b.String(), "SECOND")
	assert.NotContains(t, b.String(), "http", "it loads nothing")
}

// What others wrote is text on the page, and nothing else.
func TestHTMLOfHostileNames(t *testing.T) {
	hostile := []string{
		`"><img src=x onerror=alert(1)>`, `</table></body><script>alert(1)</script>`, `javascript:alert(1)`, `{{.Title}}`,
		"\x1b]8;;http://evil.example\x07click\x1b]8;;\x07", "safe\u202egnp.exe", "a\x00b", `' style='position:fixed`, "<!--", "]]>",
	}
	var plan syncer.Plan
	for _, h := range hostile {
		plan.Channels = append(plan.Channels, syncer.ChannelPlan{Channel: h, Checked: 1, Error: h})
		plan.Lines = append(plan.Lines,
			syncer.Line{Channel: h, SKU: h, Name: h, Shown: new(9), Wanted: 0, Reason: syncer.ReasonOver},
			syncer.Line{Channel: h, SKU: h, ProductID: h, Name: h, Reason: syncer.ReasonAmbiguous, Error: h})
	}
	var b bytes.Buffer
	require.NoError(t, HTML(&b, hostile[0], OfPlan(&plan), 0))
	tags := regexp.MustCompile(`<[^>]*>`).FindAllString(b.String(), -1)
	plain := regexp.MustCompile(`^</?(!DOCTYPE html|html( lang="en")?|head|meta (charset="utf-8"|name="viewport" content="width=device-width")|title|style|body|h1|p( class="(held|failed)")?|strong|table|tr|t[dh]( class="(n|failed|differs)")?)>$`)
	for _, tag := range tags {
		assert.Regexp(t, plain, tag)
	}
	for _, r := range b.String() {
		assert.False(t, r != '\n' && unicode.IsControl(r) || unicode.Is(unicode.Cf, r), "%q", r)
	}
	assert.Contains(t, b.String(), "<td>{{.Title}}", "it is text")
}

func TestNarrowTablesLeaveColumnsOut(t *testing.T) {
	plan := &syncer.Plan{Channels: []syncer.ChannelPlan{{Channel: "woocommerce:shop.example", Checked: 120_100, Agreed: 120_000}}}
	for i := range 50 {
		plan.Lines = append(plan.Lines, syncer.Line{
			Channel: "woocommerce:shop.example", SKU: "SKU-WITH-A-LONG-NAME-" + strconv.Itoa(i), Name: "A mug, glazed, in a colour that takes long to describe",
			Shown: new(12_345), Wanted: i, Reason: syncer.ReasonOver,
		})
	}
	for width, has := range map[int][]string{60: {"SKU-WITH-", "12345"}, 80: {"SKU-WITH-", "A mug, ", "12345"}, 140: {"SKU-WITH-A-LONG-NAME-7", "woocommerce:shop.example", "A mug, glazed,", " too many"}} {
		o, b := output(width, false)
		s := OfPlan(plan)
		o.Summary(s, 0)
		o.Channels(s)
		for line := range strings.Lines(b.String()) {
			assert.LessOrEqual(t, uniseg.StringWidth(strings.TrimSuffix(line, "\n")), width, line)
		}
		for _, part := range has {
			assert.Contains(t, b.String(), part, "at %d columns", width)
		}
	}
	o, b := output(60, false)
	o.Line(Plain, strings.Repeat("word ", 40)+strings.Repeat("x", 70))
	assert.Len(t, strings.Split(strings.TrimSpace(b.String()), "\n"), 5)
}
