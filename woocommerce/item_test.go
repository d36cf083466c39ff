package woocommerce

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/internal/strictjson"
)

func TestRef(t *testing.T) {
	for ref, want := range map[string]item{
		"product 11":                             {id: 11, stock: managed},
		"product 11, unmanaged":                  {id: 11, stock: unmanaged},
		"product 11, unmanaged and out of stock": {id: 11, stock: unmanaged, out: true},
		"variation 1512 of 1511":                 {id: 1512, parent: 1511, stock: managed},
		"variation 1512 of 1511, unmanaged":      {id: 1512, parent: 1511, stock: unmanaged},
		"variation 2112 of 2111, by parent":      {id: 2112, parent: 2111, stock: byParent},
		"variation 9007199254740993 of 1511":     {id: 9007199254740993, parent: 1511, stock: managed},
	} {
		got, ok := parseRef(ref)
		assert.True(t, ok, ref)
		assert.Equal(t, want, got)
		assert.Equal(t, ref, want.ref())
	}
	for _, ref := range []string{
		"", "11", "product", "product 0", "product -1", "product 11 ", "product 011", "product 11, by parent", "product 11, ", "product 11 and out of stock",
		"variation 12", "variation 12 of 0", "variation 12 of 11, shared", "gid://shop/1",
	} {
		_, ok := parseRef(ref)
		assert.False(t, ok, ref)
	}
}

func FuzzParseRef(f *testing.F) {
	f.Add("product 11, unmanaged")
	f.Add("variation 1512 of 1511")
	f.Fuzz(func(t *testing.T, ref string) {
		if it, ok := parseRef(ref); ok && it.ref() != ref {
			t.Fatalf("%q is read as %q", ref, it.ref())
		}
	})
}

func TestQuantity(t *testing.T) {
	read := func(data string) (quantity, error) {
		v, err := strictjson.Parse([]byte(data))
		require.NoError(t, err, data)
		return readQuantity(v)
	}
	for data, want := range map[string]quantity{
		`7`: {n: 7}, `-5`: {n: -5}, `5.0`: {n: 5}, `"12"`: {n: 12}, `"-12"`: {n: -12}, `"12.00"`: {n: 12}, `1.2e1`: {n: 12}, `2147483647`: {n: 2147483647},
		`null`: {none: true}, `2.5`: {n: 2, fraction: true}, `-2.5`: {n: -3, fraction: true}, `"0.5"`: {fraction: true},
	} {
		got, err := read(data)
		require.NoError(t, err, data)
		assert.Equal(t, want, got, data)
	}
	for _, data := range []string{
		`true`, `false`, `"many"`, `""`, `" "`, `" 5"`, `[1]`, `{}`, `"5 pcs"`, `"1,000"`, `"1e3"`, `"0x1A"`, `"NaN"`, `"+5"`, `"٥"`,
		`1e300`, `99999999999999999999`, `9007199254740993`, `"9007199254740993"`,
	} {
		_, err := read(data)
		assert.Error(t, err, data)
	}
	_, err := readQuantity(strictjson.Value{})
	assert.Error(t, err, "missing is not null")
}

func TestAlike(t *testing.T) {
	tests := []struct {
		a, b string
		want bool
	}{
		{"ABC-1", "abc-1", true},
		{"ABC-1 ", "ABC-1", true},
		{" ABC-1", "ABC-1", false},
		{"ABC-1", "ABC-2", false},
		{"AO-日本-1", "ÄÖ-日本-1", true},
		{"strasse", "straße", true},
		{"A\u0308-1", "Ä-1", true},
		{"ÄÖ-日本-1", "SIM-00002", false},
		{"ÄÖ-日本-1", "OTHER-1-1-2", false},
	}
	for _, tt := range tests {
		assert.Equal(t, tt.want, alike(tt.a, tt.b), "%q %q", tt.a, tt.b)
		assert.Equal(t, tt.want, alike(tt.b, tt.a), "%q %q", tt.b, tt.a)
	}
}

func TestFragment(t *testing.T) {
	for sku, want := range map[string]string{
		"OCT%41X-99": "41X-99", "L<1>": "L", "A  BB": "BB", "<>": "", "0<>": "",
		strings.Repeat("long", 30) + "<": "",
	} {
		assert.Equal(t, want, fragment(sku), sku)
	}
}
