package syncer_test

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/syncer"
)

// skus are those of the gaps of a kind, with what they nearly are.
func skusOfGaps(c *syncer.Coverage, kind syncer.GapKind) (skus []string) {
	for _, g := range c.Gaps {
		if g.Kind == kind {
			skus = append(skus, g.SKU)
		}
	}
	return skus
}

// uneven is a source and a shop with one gap of each kind and more.
func uneven() (*stock, *channeltest.Memory) {
	source, m := newStock(), channeltest.NewMemory("shop")
	for i, sku := range []string{"FITS", "FRESH", "Tee-Blue", "TWICE", "UNTRACKED", "ELSEWHERE", "BUNDLE", "ABSENT", " ", "SAME", "SAME", "LEFT", "PART"} {
		source.put(fmt.Sprintf("p%02d", i), sku, 5)
	}
	m.Add(channel.Level{SKU: "FITS", Quantity: 3}, channel.Level{SKU: "FRESH", Unset: true}, channel.Level{SKU: "TEE-BLUE", Quantity: 3},
		channel.Level{SKU: "TWICE", Quantity: 1}, channel.Level{SKU: "TWICE", Quantity: 1}, channel.Level{SKU: "UNTRACKED", Err: channel.ErrNotTracked},
		channel.Level{SKU: "ELSEWHERE", Err: channel.ErrNotStocked}, channel.Level{SKU: "BUNDLE", Err: channel.ErrShared},
		channel.Level{SKU: "GIFT", Quantity: 3}, channel.Level{SKU: "KIT", Quantity: 3}, channel.Level{SKU: "HALF", Quantity: 3}, channel.Level{SKU: "SAME"})
	return source, m
}

func covering(t *testing.T, source channel.Source, ch channel.Channel) *syncer.Syncer {
	t.Helper()
	s, err := syncer.New(syncer.Config{Source: source, Logger: checked.logger(), Targets: []syncer.Target{{
		Channel: ch, Filter: func(s channel.Stock) bool { return s.SKU != "LEFT" },
		Kits: func() []syncer.Listing {
			return []syncer.Listing{{SKU: "KIT", Parts: []syncer.Part{{ProductID: "p00", Units: 1}, {ProductID: "p12", Units: 2}}},
				{SKU: "HALF", Parts: []syncer.Part{{ProductID: "p00", Units: 1}, {ProductID: "gone", Units: 2}}}}
		},
	}}})
	require.NoError(t, err)
	return s
}

func TestCoverageTellsWhatFitsAndWhatDoesNot(t *testing.T) {
	source, m := uneven()
	c, err := covering(t, source, m).Coverage(t.Context())
	require.NoError(t, err)
	_, writes := m.Calls()
	assert.Zero(t, writes, "a survey writes nothing")
	require.Len(t, c.Channels, 1)
	assert.Equal(t, syncer.ChannelCoverage{
		Channel: "shop", Listings: 13, Kits: 2, Matched: 3, Fresh: 1, Near: 1, SourceOnly: 2, Ambiguous: 2, NotTracked: 1, NotStocked: 1,
		Shared: 1, Invalid: 2, LeftOut: 1, ShopOnly: 1, Listed: true,
	}, c.Channels[0])
	for kind, want := range map[syncer.GapKind][]string{
		syncer.GapNear: {"Tee-Blue"}, syncer.GapAmbiguous: {"SAME", "SAME", "TWICE"}, syncer.GapNotTracked: {"UNTRACKED"},
		syncer.GapNotStocked: {"ELSEWHERE"}, syncer.GapShared: {"BUNDLE"}, syncer.GapInvalid: {" ", "HALF"}, syncer.GapSource: {"ABSENT", "PART"},
		syncer.GapShop: {"GIFT"}, syncer.GapUnknown: nil,
	} {
		assert.Equal(t, want, skusOfGaps(c, kind), kind)
	}
	assert.Equal(t, 13, c.Read+c.Unread)

	data, err := json.Marshal(c)
	require.NoError(t, err)
	var back syncer.Coverage
	require.NoError(t, json.Unmarshal(data, &back))
	assert.Equal(t, c.Gaps, back.Gaps)
	assert.Equal(t, c.Channels, back.Channels)
	for _, line := range []string{`Tee-Blue: the channel has TEE-BLUE (case)`, "shop: 1 of the matched show no quantity yet", "shop: in the shop only\n  GIFT"} {
		assert.Contains(t, c.String(), line)
	}
}

func TestCoverageIsTheSameEachTime(t *testing.T) {
	source, m := uneven()
	var texts []string
	for range 5 {
		c, err := covering(t, source, m).Coverage(t.Context())
		require.NoError(t, err)
		c.Run, c.Made, c.Duration = "", time.Time{}, 0
		texts = append(texts, c.String())
		assert.Equal(t, texts[0], texts[len(texts)-1])
	}
}

func TestCoverageNamesWhatASKUNearlyIs(t *testing.T) {
	for _, tt := range []struct{ ours, theirs, differs string }{
		{"Abc-1", "ABC-1", "case"},
		{"ABC 1", "ABC1", "blanks"},
		{"ABC-1", "ABC-1 ", "blanks"},
		{"ABC-1", "ABC-1\u200b", "blanks"},
		{"ABC-1", "\u00a0ABC-1", "blanks"},
		{"ABC-1", "ABC_1", "dashes"},
		{"ABC-1", "ABC–1", "dashes"},
		{"ABC-1", "ABC1", "dashes"},
		{"ABC-1", "ABC 1", "blanks, dashes"},
		{"00123", "123", "leading zeros"},
		{"ABC-007", "ABC-7", "leading zeros"},
		{"1-01", "101", "dashes"},
		{"ABC-O1", "ABC-01", "look-alikes"},
		{"ABl-1", "AB1-1", "look-alikes"},
		{"ТЕЕ-1", "TEE-1", "look-alikes"}, // the first in Cyrillic letters
		{"ＡＢＣ-1", "ABC-1", "look-alikes"},
		{"Café", "Cafe\u0301", "look-alikes"},
		{"tee-o7", "TEE_07", "look-alikes, case, dashes"},
		{"'0123", "123", "leading zeros, dashes"},
		{"ABC-1", "ABC-2", ""},
		{"A4+", "A4", ""},
		{"TEE-L", "TEE-1", ""},
		{"---", "___", ""},
		{"10", "1", ""},
	} {
		source, m := newStock(), channeltest.NewMemory("shop")
		source.put("p", tt.ours, 1)
		m.Set(tt.theirs, 1)
		c, err := build(t, source, m).Coverage(t.Context())
		require.NoError(t, err)
		name := fmt.Sprintf("%q and %q", tt.ours, tt.theirs)
		if tt.differs == "" {
			assert.Equal(t, 1, c.Channels[0].SourceOnly, name)
			assert.Equal(t, 1, c.Channels[0].ShopOnly, name)
			continue
		}
		require.Len(t, c.Gaps, 1, name)
		assert.Equal(t, tt.theirs, c.Gaps[0].Nearly, name)
		assert.Equal(t, tt.differs, strings.Join(c.Gaps[0].Differs, ", "), name)
		assert.Zero(t, c.Channels[0].ShopOnly, name)
	}
}

func TestCoverageChoosesTheNearest(t *testing.T) {
	source, m := newStock(), channeltest.NewMemory("shop")
	source.put("p", "abc-1", 1)
	source.put("q", "Abc-1", 1)
	for _, sku := range []string{"ABC1", "ABC-1", "ABC-01"} {
		m.Set(sku, 1)
	}
	c, err := build(t, source, m).Coverage(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 2, c.Channels[0].Near)
	for _, g := range c.Gaps[:2] {
		assert.Equal(t, "ABC-1", g.Nearly)
	}
	assert.Equal(t, []string{"ABC-01", "ABC1"}, skusOfGaps(c, syncer.GapShop), "nobody is nearly these")
}

// unlisted is a channel that cannot be listed, and knows near misses itself.
type unlisted struct{ m *channeltest.Memory }

func (u unlisted) Name() string                                        { return u.m.Name() }
func (u unlisted) Push(ctx context.Context, us []channel.Update) error { return u.m.Push(ctx, us) }
func (u unlisted) Levels(ctx context.Context, skus []string) ([]channel.Level, error) {
	levels, err := u.m.Levels(ctx, skus)
	for _, sku := range skus {
		if _, ok := u.m.Quantity(strings.ToUpper(sku)); ok && strings.ToUpper(sku) != sku {
			levels = append(levels, channel.Level{SKU: sku, Err: channel.UnknownSKU(sku, strings.ToUpper(sku))})
		}
	}
	return levels, err
}

func TestCoverageOfAChannelThatCannotBeListed(t *testing.T) {
	source, m := uneven()
	c, err := covering(t, source, unlisted{m}).Coverage(t.Context())
	require.NoError(t, err)
	assert.False(t, c.Channels[0].Listed)
	assert.Zero(t, c.Channels[0].ShopOnly)
	require.Equal(t, 1, c.Channels[0].Near)
	assert.Contains(t, c.String(), "Tee-Blue: the channel has TEE-BLUE (case)")
}

func TestCoverageSaysWhatItCouldNotFindOut(t *testing.T) {
	down := errors.New("the shop is down")
	source, m := uneven()
	c, err := covering(t, source, &channeltest.Intercept{Channel: m, OnLevels: func(context.Context, channel.Reader, []string) ([]channel.Level, error) {
		return nil, down
	}}).Coverage(t.Context())
	require.ErrorIs(t, err, down)
	assert.Contains(t, c.Channels[0].Error, down.Error())
	assert.Zero(t, c.Channels[0].Matched)

	source, m = uneven()
	c, err = covering(t, source, struct {
		channel.Channel
		channel.Reader
		listing
	}{m, m, func(context.Context) iter.Seq2[string, error] {
		return func(yield func(string, error) bool) { _ = yield("TEE-BLUE", nil) && yield("", channel.ErrIncomplete) }
	}}).Coverage(t.Context())
	require.ErrorIs(t, err, channel.ErrIncomplete)
	assert.Equal(t, 1, c.Channels[0].Near, "what was listed counts")
	assert.Zero(t, c.Channels[0].ShopOnly)
	assert.Contains(t, c.String(), "listing: ")

	source, m = uneven()
	source.fail = channel.ErrUnavailable
	c, err = covering(t, source, m).Coverage(t.Context())
	require.ErrorIs(t, err, channel.ErrUnavailable)
	assert.False(t, c.Channels[0].Listed, "half a catalogue says nothing of what only the shop has")
}

func TestCoverageIsHarmlessInASpreadsheet(t *testing.T) {
	source, m := newStock(), channeltest.NewMemory("=shop")
	evil := []string{"=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "＝1", "a;=1+1", `a,"=1`, `"=1`, "a\n=1"}
	for i, sku := range evil {
		source.put(fmt.Sprintf("=p%d", i), sku, 1)
		m.Set("x"+sku, 1)
	}
	c, err := build(t, source, m).Coverage(t.Context())
	require.NoError(t, err)
	var b strings.Builder
	require.NoError(t, c.WriteCSV(&b))
	rows, err := csv.NewReader(strings.NewReader(b.String())).ReadAll()
	require.NoError(t, err)
	require.Len(t, rows, 1+len(c.Gaps))
	for _, row := range rows[1:] {
		for _, cell := range row {
			for part := range strings.SplitSeq(strings.ReplaceAll(cell, ",", ";"), ";") {
				assert.NotContains(t, []string{"=", "+", "-", "@", "\t", "\r", "＝"}, firstOf(part), cell)
			}
		}
	}
}

func firstOf(s string) string {
	for _, r := range strings.TrimLeft(s, ` "`) {
		return string(r)
	}
	return ""
}

func TestCoverageShowsBlanksAndCutsWhatIsLong(t *testing.T) {
	source, m := newStock(), channeltest.NewMemory("shop")
	source.put("p", "ABC  1", 1)
	source.put("q", strings.Repeat("Z", 10_000)+"\x1b[31m", 1)
	m.Set("ABC 1 ", 1)
	c, err := build(t, source, m).Coverage(t.Context())
	require.NoError(t, err)
	var b strings.Builder
	require.NoError(t, c.WriteCSV(&b))
	for _, out := range []string{b.String(), c.String()} {
		assert.Contains(t, out, "ABC␣␣1")
		assert.Contains(t, out, "ABC 1␣")
		assert.NotContains(t, out, "\x1b")
		assert.Less(t, len(out), 3_000)
	}
}

func TestCoverageOfALargeCatalogueIsCheap(t *testing.T) {
	long(t)
	const n = 100_000
	source, m := newStock(), channeltest.NewMemory("shop")
	for i := range n {
		source.put(fmt.Sprintf("p%06d", i), fmt.Sprintf("Sku-%06d", i), 1)
		if i%2 == 0 {
			m.Set(fmt.Sprintf("SKU_%06d", i), 1)
		} else {
			m.Set(fmt.Sprintf("OTHER-%06d", i), 1)
		}
	}
	s := build(t, source, m)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	began := time.Now()
	c, err := s.Coverage(t.Context())
	require.NoError(t, err)
	took := time.Since(began)
	runtime.GC()
	runtime.ReadMemStats(&after)
	assert.Equal(t, n/2, c.Channels[0].Near)
	assert.Equal(t, n/2, c.Channels[0].SourceOnly)
	assert.Equal(t, n/2, c.Channels[0].ShopOnly)
	assert.Less(t, took, time.Minute, "it must not be quadratic")
	assert.LessOrEqual(t, len(c.Gaps), 10_000)
	for _, kind := range []syncer.GapKind{syncer.GapNear, syncer.GapSource, syncer.GapShop} {
		assert.NotEmpty(t, skusOfGaps(c, kind), "each kind has its share")
	}
	assert.Less(t, int64(after.HeapAlloc)-int64(before.HeapAlloc), int64(20<<20), "what stays is the list")
	t.Logf("%d SKUs in %v", n, took)
	runtime.KeepAlive(c)
}
