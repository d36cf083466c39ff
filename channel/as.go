package channel

// As finds the first T, an optional interface such as [Reader] or [Watcher],
// among v and what it wraps. It is the one way in which optional interfaces
// are found. A wrapper shows what it wraps by a method Unwrap() Channel or
// Unwrap() Source; one without it hides what the wrapped value can do beyond
// Channel or Source.
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
