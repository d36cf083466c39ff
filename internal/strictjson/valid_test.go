package strictjson

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

var texts = []string{
	"", " ", "{}", "[]", "[1,2]", `{"a":[true,false,null],"b":{"c":-1.5e-10}}`, " \t\r\n[ ] \n", `"\u00fC\"\\\/\b\f\n\r\t"`, "0", "-0", "1E+2", "1e5", "10.01",
	"01", "-", "+1", "1.", ".5", "1e", "1e+", "--1", "0x1", "1 2", "[1,]", "[,1]", "[1 2]", "{,}", `{"a"}`, `{"a":}`, `{"a":1,}`, `{1:2}`, `{a:1}`, `{"a" 1}`,
	"tru", "nul", "falsey", "nulll", "True", "NaN", "\"", `"\`, `"\x"`, `"\u12"`, `"\u123g"`, "\"\n\"", "\"\x00\"", "\"\x7f\xff\"", "'a'", "[", "{", "]", "}", `{"a":[}`, `[{]}`,
	"\ufeff{}", "{}\x00", "\v1", "\u00a01",
	strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000), strings.Repeat("[", 10_001) + strings.Repeat("]", 10_001),
	strings.Repeat("[", 9_999) + "1" + strings.Repeat("]", 9_999), strings.Repeat(`{"a":`, 10_000) + "1" + strings.Repeat("}", 10_000),
	strings.Repeat("[", 100_000), strings.Repeat(`{"a":`, 10_001) + "1" + strings.Repeat("}", 10_001),
}

func valid(b []byte) bool {
	_, err := Parse(b)
	return err == nil
}

func TestValidAsEncodingJSONHasIt(t *testing.T) {
	for _, text := range texts {
		assert.Equal(t, json.Valid([]byte(text)), valid([]byte(text)), "%.80q", text)
	}
}

func FuzzValid(f *testing.F) {
	for _, text := range texts {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if want := json.Valid(b); valid(b) != want {
			t.Fatalf("%q: valid is %v", b, !want)
		}
	})
}
