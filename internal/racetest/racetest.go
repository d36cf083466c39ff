// Package racetest makes tests smaller under the race detector, which takes ten
// times as long and sees what happens side by side in small tests, too. Only tests,
// and kits of tests, import it. It differs from testing.Short in that internal/mutate, which has no
// race detector, has tests of their full size.
package racetest

import "testing"

// Short reports whether the race detector is on, and -short was given.
func Short() bool { return enabled && testing.Short() }

// Long leaves a test to other runs if Short.
func Long(t testing.TB) {
	t.Helper()
	if Short() {
		t.Skip("takes long under the race detector, and shows nothing more")
	}
}

// Size is a size of a test, or the smaller one if Short.
func Size[T any](usual, short T) T {
	if Short() {
		return short
	}
	return usual
}
