package woocommercetest

import (
	"encoding/json"
	"math"
	"regexp"
	"strconv"
	"strings"
)

// The conversions below are PHP's, because that is what a batch does to the
// values that it gets: it checks nothing.

var (
	leadingNumber = regexp.MustCompile(`^[ \t\n\r\v\f]*([+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?)`)
	wholeNumber   = regexp.MustCompile(`^[ \t\n\r\v\f]*([+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?)[ \t\n\r\v\f]*$`)
)

// intval is PHP's cast of a JSON value to an integer.
func intval(v any) int {
	switch v := v.(type) {
	case bool:
		if v {
			return 1
		}
	case json.Number:
		if n, err := strconv.Atoi(v.String()); err == nil {
			return n
		}
		f, _ := strconv.ParseFloat(v.String(), 64)
		return wrap(f)
	case string:
		m := leadingNumber.FindStringSubmatch(v)
		if m == nil {
			return 0
		}
		if n, err := strconv.Atoi(m[1]); err == nil {
			return n
		}
		f, _ := strconv.ParseFloat(m[1], 64)
		return saturate(f)
	case []any:
		return min(len(v), 1)
	case map[string]any:
		return min(len(v), 1)
	}
	return 0
}

// wrap converts a float: one that is too large is taken modulo 2^64.
func wrap(f float64) int {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return 0
	}
	f = math.Trunc(f)
	if f >= -(1<<63) && f < 1<<63 {
		return int(f)
	}
	const two64 = 1 << 64
	f = math.Mod(f, two64)
	if f < 0 {
		f += two64
	}
	return int(uint64(f))
}

// saturate converts a float that stood in a string: one that is too large
// becomes the largest integer.
func saturate(f float64) int {
	switch {
	case math.IsNaN(f):
		return 0
	case f >= 1<<63:
		return math.MaxInt
	case f < -(1 << 63):
		return math.MinInt
	}
	return int(f)
}

// isInteger is the check that a single PUT makes and a batch does not.
func isInteger(v any) bool {
	var text string
	switch v := v.(type) {
	case json.Number:
		text = v.String()
	case string:
		m := wholeNumber.FindStringSubmatch(v)
		if m == nil {
			return false
		}
		text = m[1]
	default:
		return false
	}
	f, err := strconv.ParseFloat(text, 64)
	return err == nil && math.Trunc(f) == f
}

// boolean is the schema's idea of a boolean, which a single PUT checks.
func boolean(v any) (value, ok bool) {
	switch v := v.(type) {
	case bool:
		return v, true
	case json.Number:
		return v == "1", v == "1" || v == "0"
	case string:
		v = strings.ToLower(v)
		return v == "1" || v == "true", v == "1" || v == "true" || v == "0" || v == "false"
	}
	return false, false
}

// truth is what a batch makes of a value where a boolean should be.
func truth(v any) bool {
	switch v := v.(type) {
	case bool:
		return v
	case json.Number:
		return v == "1"
	case string:
		v = strings.ToLower(v)
		return v == "yes" || v == "true" || v == "1"
	}
	return false
}
