package woocommercetest

import (
	"encoding/json"
	"math"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestIntval(t *testing.T) {
	if strconv.IntSize < 64 {
		t.Skip("PHP's integers have 64 bits")
	}
	for raw, want := range map[string]int64{
		"12": 12, "-0": 0, "1e400": 0, "-1e20": -7766279631452241920, "9223372036854775807": math.MaxInt64,
		"9223372036854775808": math.MinInt64, `"99999999999999999999"`: math.MaxInt64, `"-1e30"`: math.MinInt64,
		`".5"`: 0, `"+7"`: 7, `"7."`: 7, `" \n7"`: 7, `"-"`: 0, "{}": 0,
	} {
		v, err := decode([]byte(raw))
		assert.NoError(t, err)
		assert.Equal(t, want, int64(intval(v)), raw)
	}
}

func TestTruth(t *testing.T) {
	for _, tt := range []struct {
		value                  any
		batch, single, refused bool
	}{
		{true, true, true, false}, {false, false, false, false}, {"yes", true, false, true}, {"TRUE", true, true, false},
		{"0", false, false, false}, {json.Number("1"), true, true, false}, {json.Number("2"), false, false, true},
		{"parent", false, false, true}, {nil, false, false, true},
	} {
		assert.Equal(t, tt.batch, truth(tt.value), "%v in a batch", tt.value)
		b, ok := boolean(tt.value)
		assert.Equal(t, tt.single, b, "%v in a single write", tt.value)
		assert.Equal(t, tt.refused, !ok, "%v in a single write", tt.value)
	}
}

func TestParseQuery(t *testing.T) {
	q := parseQuery("a=1&b=x+y%2Bz&a=2&c=50%&d=%ZZ%41%4&=e&f")
	assert.Equal(t, []string{"a", "b", "c", "d", "", "f"}, q.keys)
	assert.Equal(t, map[string]any{"a": "2", "b": "x y+z", "c": "50%", "d": "%ZZA%4", "": "e", "f": ""}, q.values)
}

func TestFieldList(t *testing.T) {
	assert.Equal(t, []string{"id", "sku"}, fieldList([]any{"id", "sku", json.Number("1")}))
	assert.Equal(t, []string{"id", "sku"}, fieldList(" id,\tsku,, "))
	assert.Empty(t, fieldList(nil))
}

func FuzzParseQuery(f *testing.F) {
	for _, seed := range []string{"a=1", "%", "%%41=%4", "a=%e4&&=&+"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		q := parseQuery(raw)
		if len(q.keys) != len(q.values) {
			t.Fatalf("%q: %d keys, %d values", raw, len(q.keys), len(q.values))
		}
	})
}
