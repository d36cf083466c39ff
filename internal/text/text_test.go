package text_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/ecosire/stocksync/internal/text"
)

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"":                          "",
		"  a\t b\r\n\nc ":           "a b c",
		"<b>5 < 6</b>":              "<b>5 < 6</b>",
		"x\x1b[31mred\x00":          "x�[31mred�",
		"abc\u202egnp.exe":          "abc�gnp.exe",
		"level=ERROR\nmsg=forged":   "level=ERROR msg=forged",
		"bad \xff\xfe utf-8":        "bad �� utf-8",
		"Grüße, 世界":                 "Grüße, 世界",
		strings.Repeat("a", 300):    strings.Repeat("a", 300),
		strings.Repeat("a", 301):    strings.Repeat("a", 300) + "…",
		strings.Repeat(" ", 10_000): "",
	} {
		assert.Equal(t, want, text.Clean(in), "%q", in)
	}
	assert.Less(t, len(text.Clean(strings.Repeat("世", 2<<20))), 310)
}
