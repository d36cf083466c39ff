package channel

// As returns v, or the first value that it wraps, as a T: an optional interface
// such as [Reader] or [ChangeSource]. It is to channels and sources what
// errors.AsType is to errors, and the only way in which optional interfaces are
// found. A wrapper shows what it wraps by a method Unwrap() Channel or Unwrap()
// Source; one without it hides what the wrapped value can do beyond Channel or
// Source. As reports false if nothing among them is a T, also for a nil v.
func As[T any](v any) (T, bool) {
	for v != nil {
		if t, ok := v.(T); ok {
			return t, true
		}
		switch w := v.(type) {
		case interface{ Unwrap() Channel }:
			v = w.Unwrap()
		case interface{ Unwrap() Source }:
			v = w.Unwrap()
		default:
			v = nil
		}
	}
	var zero T
	return zero, false
}
