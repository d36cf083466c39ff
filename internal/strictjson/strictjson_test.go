package strictjson_test

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/internal/strictjson"
)

func row(t *testing.T, text string) *strictjson.Row {
	t.Helper()
	v, err := strictjson.Parse([]byte(text))
	require.NoError(t, err)
	r := new(strictjson.Row)
	r.Read(v)
	return r
}

func TestInt(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "-0": 0, "7": 7, "-12": -12, "5.0": 5, "3e0": 3, "1.2e1": 12, "1200e-2": 12, "0e999999999999": 0, "0.000": 0,
		"9007199254740992": 1 << 53, "-9007199254740992": -1 << 53, "9.007199254740992e15": 1 << 53, "1E+3": 1000, "0.5e1": 5,
	} {
		r := row(t, `{"n":`+text+`}`)
		n := r.Int("n")
		if int64(int(want)) != want { // on a machine of 32 bits
			assert.Error(t, r.Err(), text)
			continue
		}
		assert.NoError(t, r.Err(), text)
		assert.EqualValues(t, want, n, text)
	}
	for _, text := range []string{
		"2.5", "-0.1", "1e-400", "0.99999999999999999999", "9007199254740993", "9007199254740993.0", "-9007199254740993", "1e30", "1e999999999999",
		"9223372036854775808", "18446744073709551616", "1e1000000000", "true", "null", `"3"`, `""`, "{}", "[]", "[1]", "12345678901234567890123",
	} {
		r := row(t, `{"n":`+text+`}`)
		assert.Zero(t, r.Int("n"), text)
		assert.ErrorContains(t, r.Err(), "not a whole number", text)
	}
}

func TestIntAgreesWithFloats(t *testing.T) {
	for _, mantissa := range []string{"0", "1", "12", "1.5", "10.50", "0.001", "123.456", "100"} {
		for e := -8; e <= 8; e++ {
			text := fmt.Sprintf("%se%d", mantissa, e)
			var f float64
			require.NoError(t, json.Unmarshal([]byte(text), &f))
			r := row(t, `{"n":`+text+`}`)
			n := r.Int("n")
			if whole := f == math.Trunc(f) && f <= math.MaxInt; assert.Equal(t, whole, r.Err() == nil, text) && whole {
				assert.EqualValues(t, f, n, text)
			}
		}
	}
}

func TestText(t *testing.T) {
	for text, want := range map[string]string{
		`""`: "", `"a"`: "a", `"Gr\u00fcn"`: "Grün", `"日本"`: "日本", `"\ud83d\ude00"`: "😀", `"a\"b\\"`: `a"b\`, `"{[,:"`: "{[,:",
	} {
		r := row(t, `{"s":`+text+` , "z":1}`)
		assert.Equal(t, want, r.Text("s"), text)
		assert.NoError(t, r.Err(), text)
		assert.Equal(t, 1, r.Int("z"), text)
	}
	for _, text := range []string{"4006381333931", "null", "{}", `["a"]`, "true", "\"\xff\"", `"\ud800"`, "\"\\n\xff\""} {
		r := row(t, `{"s":`+text+`}`)
		assert.Empty(t, r.Text("s"), text)
		assert.Error(t, r.Err(), text)
	}
}

func TestKeysMatchExactlyAndOnce(t *testing.T) {
	for text, want := range map[string]string{
		`{"available":5,"AVAILABLE":0}`:         `"AVAILABLE" where "available" is expected`,
		`{"AVAILABLE":5}`:                       `"AVAILABLE" where "available" is expected`,
		`{"available":5,"available":5}`:         "twice",
		`{"available":5,"\u0061vailable":0}`:    "twice",
		`{"available":5,"availab\u017fe":0}`:    "",
		`{"available":5,"onHand":0}`:            "",
		`{"x":{"available":1},"available":5}`:   "",
		`{"x":[{"available":1}],"available":5}`: "",
		`{"x":"\"available\":7","available":5}`: "",
		`{"":0,"available":5}`:                  "",
		`{}`:                                    `has no "available"`,
		`[]`:                                    "not an object",
		`null`:                                  "not an object",
		`"available"`:                           "not an object",
		`7`:                                     "not an object",
		"{\n\t\"available\" : 5 ,\r\n \"b\" : [ ] }": "",
	} {
		r := row(t, text)
		n := r.Int("available")
		if want == "" {
			assert.NoError(t, r.Err(), text)
			assert.Equal(t, 5, n, text)
		} else {
			assert.ErrorContains(t, r.Err(), want, text)
		}
	}
}

func TestNullIsNotThere(t *testing.T) {
	r := row(t, `{"a":null,"b":0,"c":false,"d":true}`)
	assert.False(t, r.Has("a"))
	assert.True(t, r.Has("b"))
	assert.False(t, r.Has("z"))
	assert.False(t, r.Bool("c"))
	assert.True(t, r.Bool("d"))
	require.NoError(t, r.Err())
	r.Bool("b")
	assert.EqualError(t, r.Err(), `"b" is 0, not true or false`)
}

func TestName(t *testing.T) {
	r := row(t, `{"a":"x","b":12,"c":"y","c":"z","d":["w"],"e":"\ud800"}`)
	for key, want := range map[string]string{"a": "x", "b": "12", "c": "", "d": "", "e": "", "f": ""} {
		assert.Equal(t, want, r.Name(key), key)
	}
	assert.NoError(t, r.Err())
}

func TestTime(t *testing.T) {
	r := row(t, `{"t":"2026-03-20T12:00:00.000Z","u":"yesterday","v":1774008000}`)
	assert.Equal(t, time.Date(2026, 3, 20, 12, 0, 0, 0, time.UTC), r.Time("t"))
	require.NoError(t, r.Err())
	assert.True(t, r.Time("u").IsZero())
	r.Time("v")
	assert.EqualError(t, r.Err(), `"u" is "yesterday", not a time; "v" is 1774008000, not a time`)
}

func TestElements(t *testing.T) {
	for text, want := range map[string]int{"[]": 0, " [ ] ": 0, "[1]": 1, `[ {"a":[1,2]} , "],[" , [[]], null ]`: 4} {
		v, err := strictjson.Parse([]byte(text))
		require.NoError(t, err)
		all, err := v.Elements()
		require.NoError(t, err)
		assert.Len(t, all, want, text)
	}
	r := row(t, `{"data":{}}`)
	r.Elements("data")
	assert.EqualError(t, r.Err(), `"data" is an object, not a list`)
}

func TestJSON(t *testing.T) {
	r := row(t, `{ "a" : [1, "x"] , "b":null}`)
	assert.Equal(t, `[1, "x"]`, string(r.Value("a").JSON()))
	assert.Equal(t, `null`, string(r.Value("b").JSON()))
	assert.Nil(t, r.Value("c").JSON())
}

func TestErrorsAreBoundedAndClean(t *testing.T) {
	r := row(t, `{"n":"`+strings.Repeat("é\u202e\\n", 100_000)+`"}`)
	r.Int("n")
	assert.Less(t, len(r.Err().Error()), 200)
	assert.NotContains(t, r.Err().Error(), "\u202e")
	for range 1000 {
		r.Int("n")
	}
	assert.Less(t, len(r.Err().Error()), 1000)
}

func TestParseSaysWhatIsWrong(t *testing.T) {
	for _, text := range []string{"", "<html>", `{"a":1`, `{"a":1} <!-- -->`, "\ufeff{}", `{'a':1}`, "[1,]"} {
		_, err := strictjson.Parse([]byte(text))
		assert.Error(t, err, text)
	}
}

func TestARowIsUsedAgain(t *testing.T) {
	page, err := strictjson.Parse([]byte(`[{"productId":"a","available":7,"tags":["x"]},{"productId":"b","available":9}]`))
	require.NoError(t, err)
	rows, err := page.Elements()
	require.NoError(t, err)
	var r strictjson.Row
	sum := 0
	allocs := testing.AllocsPerRun(100, func() {
		for _, v := range rows {
			r.Read(v)
			sum += r.Int("available")
		}
	})
	assert.NoError(t, r.Err())
	assert.Zero(t, allocs)
}

// FuzzRow compares with encoding/json: what that refuses is refused, and what
// is read is what that reads where it is not generous.
func FuzzRow(f *testing.F) {
	for _, seed := range []string{`{"a":"b","n":1}`, `{"a":"\u0041","n":1.0e2}`, `{"n":[{"n":1}],"a":null}`, `[]`, `{"a":"\ud800"}`, ` {"a" : "" , "x":{} } `} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		v, err := strictjson.Parse([]byte(text))
		if (err == nil) != json.Valid([]byte(text)) {
			t.Fatalf("Parse: %v", err)
		}
		if err != nil {
			return
		}
		var r strictjson.Row
		r.Read(v)
		a, n := r.Text("a"), r.Int("n")
		if r.Err() != nil {
			return
		}
		var want map[string]json.RawMessage
		if err := json.Unmarshal([]byte(text), &want); err != nil {
			t.Fatal(err)
		}
		var wantA string
		var wantN float64
		if err := json.Unmarshal(want["a"], &wantA); err != nil || a != wantA {
			t.Fatalf("%q, want %q: %v", a, wantA, err)
		}
		if err := json.Unmarshal(want["n"], &wantN); err != nil || float64(n) != wantN {
			t.Fatalf("%d, want %v: %v", n, wantN, err)
		}
	})
}

func TestFloor(t *testing.T) {
	for text, want := range map[string]int{"3": 3, "3.0": 3, "3.7": 3, "-3.7": -4, "-0.5": -1, "0.5": 0, "35e-1": 3, "1e-400": 0, "1.5e1": 15, "-0.0": 0} {
		v, err := strictjson.Parse([]byte(text))
		require.NoError(t, err)
		n, fraction, err := v.Floor()
		require.NoError(t, err)
		assert.Equal(t, want, n, text)
		_, err = v.Int()
		assert.Equal(t, fraction, err != nil, "%s is as it was or not whole", text)
	}
	for _, text := range []string{`"3"`, "null", "true", "[3]", "1e300"} {
		v, err := strictjson.Parse([]byte(text))
		require.NoError(t, err)
		_, _, err = v.Floor()
		assert.Error(t, err, text)
	}
}
