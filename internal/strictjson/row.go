package strictjson

import (
	"bytes"
	"fmt"
	"time"
	"unicode/utf8"
)

// A Row is an object whose members are read one by one. What is wrong with
// those that were asked for is gathered in Err. Its zero value is an empty row.
type Row struct {
	members []member
	err     error
}

type member struct {
	key   []byte // without quotes
	value Value
	ascii bool // the key is
}

// Read makes the row that of another value, and forgets the one before. A
// value that is no object is an error of the row.
func (r *Row) Read(v Value) {
	r.members, r.err = r.members[:0], nil
	if v.first() != '{' {
		r.fail(v.not("an object"))
		return
	}
	if r.members == nil {
		r.members = make([]member, 0, 12)
	}
	b := v.in.text
	for i, opened := space(b, int(v.from)+1), v.opened+1; b[i] != '}'; {
		end, ascii, escaped := plain(b, i+1), true, false
		for ; b[end] != '"'; end++ {
			if ascii = ascii && b[end] < utf8.RuneSelf; b[end] == '\\' {
				ascii, escaped = false, true
				end++
			}
		}
		key := b[i+1 : end]
		if end++; escaped {
			quoted := Value{in: v.in, from: int32(i), to: int32(end)}
			s, err := quoted.unquote()
			if err != nil {
				r.fail(fmt.Errorf("the key %s: %w", quoted.describe(), err))
			}
			key = []byte(s)
		}
		value := v.in.value(space(b, space(b, end)+1), opened) // after the colon
		r.members = append(r.members, member{key, value, ascii})
		i, opened = v.in.next(value)
	}
}

// Value returns the value of a key, or a missing one. Several that are the
// key, or differ from it in case only, are an error of the row.
func (r *Row) Value(key string) Value {
	var found Value
	for _, m := range r.members {
		if string(m.key) == key {
			if !found.Missing() {
				r.fail(fmt.Errorf("%q comes twice", key))
			}
			found = m.value
		} else if (!m.ascii || len(m.key) == len(key) && m.key[0]|' ' == key[0]|' ') && bytes.EqualFold(m.key, []byte(key)) {
			r.fail(fmt.Errorf("%q where %q is expected", m.key, key))
		}
	}
	return found
}

// Name returns the [Value.Name] of a key's value, to say what an error of the
// row is about. It is "" if there are several.
func (r *Row) Name(key string) (name string) {
	several := false
	for _, m := range r.members {
		if string(m.key) == key {
			if several {
				return ""
			}
			name, several = m.value.Name(), true
		}
	}
	return name
}

// Has reports whether a key has a value that is not null.
func (r *Row) Has(key string) bool {
	v := r.Value(key)
	return !v.Missing() && !v.Null()
}

// Text returns the text of a key's value.
func (r *Row) Text(key string) string { return read(r, key, Value.Text) }

// AppendText appends the text of a key's value.
func (r *Row) AppendText(b []byte, key string) []byte {
	v := r.Value(key)
	if v.Missing() {
		read(r, key, Value.Text) // says so
		return b
	}
	more, err := v.AppendText(b)
	if err != nil {
		r.fail(fmt.Errorf("%q is %w", key, err))
	}
	return more
}

// Int returns the whole number that is a key's value.
func (r *Row) Int(key string) int { return read(r, key, Value.Int) }

// Floor reads a number that is rounded down, and whether that changed it.
func (r *Row) Floor(key string) (n int, fraction bool) {
	n = read(r, key, func(v Value) (n int, err error) {
		n, fraction, err = v.Floor()
		return n, err
	})
	return n, fraction
}

// Bool returns the truth of a key's value.
func (r *Row) Bool(key string) bool { return read(r, key, Value.Bool) }

// Time returns the time that is a key's value.
func (r *Row) Time(key string) time.Time { return read(r, key, Value.Time) }

// Elements returns the elements of the list that is a key's value.
func (r *Row) Elements(key string) []Value { return r.AppendElements(nil, key) }

// AppendElements appends them to a slice.
func (r *Row) AppendElements(all []Value, key string) []Value {
	v := r.Value(key)
	if v.Missing() {
		read(r, key, Value.Text) // says so
		return all
	}
	more, err := v.AppendElements(all)
	if err != nil {
		r.fail(fmt.Errorf("%q is %w", key, err))
		return all
	}
	return more
}

// Err returns what is wrong with the row and with what was asked of it so far.
// What was returned since Read must not be used if it is not nil.
func (r *Row) Err() error { return r.err }

func read[T any](r *Row, key string, as func(Value) (T, error)) (t T) {
	v := r.Value(key)
	if v.Missing() {
		r.fail(fmt.Errorf("the answer has no %q", key))
		return t
	}
	t, err := as(v)
	if err != nil {
		r.fail(fmt.Errorf("%q is %w", key, err))
	}
	return t
}

func (r *Row) fail(err error) {
	if r.err == nil {
		r.err = err
	} else if len(r.err.Error()) < 300 {
		r.err = fmt.Errorf("%w; %w", r.err, err)
	}
}
