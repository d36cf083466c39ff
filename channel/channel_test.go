package channel

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

type throttled struct{ error }

func (throttled) RetryAfter() time.Duration { return time.Minute }

func TestErrors(t *testing.T) {
	errs := Errors{}
	assert.NoError(t, errs.Err(), "an empty Errors is no error")
	for i := range 9 {
		errs[fmt.Sprint(i)] = ErrConflict
	}
	errs["7"] = fmt.Errorf("wrapped: %w", throttled{ErrUnavailable})
	assert.ErrorIs(t, errs.Err(), ErrConflict)
	assert.NotErrorIs(t, errs.Err(), ErrInvalid)
	assert.Equal(t, `9 not shown; "0": changed since it was read; "1": changed since it was read; "2": changed since it was read; and 6 more`, errs.Error())
	wait, ok := RetryAfter(fmt.Errorf("outer: %w", errs))
	assert.True(t, ok)
	assert.Equal(t, time.Minute, wait)
	_, ok = RetryAfter(errors.New("plain"))
	assert.False(t, ok)
}

type slow struct{ error }

func (slow) Lag() time.Duration { return time.Hour }

func TestLagOf(t *testing.T) {
	lag, ok := LagOf(fmt.Errorf("outer: %w", slow{ErrPending}))
	assert.True(t, ok)
	assert.Equal(t, time.Hour, lag)
	_, ok = LagOf(ErrPending)
	assert.False(t, ok)
}

func TestPermanent(t *testing.T) {
	for err, want := range map[error]bool{
		ErrUnknownSKU: true, ErrAmbiguousSKU: true, ErrNotTracked: true, ErrNotStocked: true, ErrShared: true, ErrInvalid: true,
		ErrConflict: false, ErrNotApplied: false, ErrUnauthorized: false, ErrUnavailable: false, ErrIncomplete: false,
	} {
		assert.Equal(t, want, Permanent(fmt.Errorf("so: %w", err)), "%v", err)
	}
}

func TestNotYetIsNotPermanent(t *testing.T) {
	err := fmt.Errorf("so: %w", NotYet(UnknownSKU("A")))
	assert.ErrorIs(t, err, ErrUnknownSKU)
	assert.False(t, Permanent(err))
	assert.Equal(t, "unknown_sku", Class(err))
	assert.Equal(t, `so: unknown SKU "A"`, err.Error())
}

func TestClassSurvivesJSON(t *testing.T) {
	for _, err := range []error{
		ErrUnknownSKU, ErrAmbiguousSKU, ErrNotTracked, ErrNotStocked, ErrShared, ErrInvalid, ErrConflict, ErrPending,
		ErrNotApplied, ErrUnclear, ErrUnauthorized, ErrUnavailable, ErrIncomplete,
	} {
		class := Class(fmt.Errorf("so: %w", err))
		assert.NotEqual(t, "other", class)
		back := OfClass(class, "so: it is")
		assert.ErrorIs(t, back, err)
		assert.Equal(t, "so: it is", back.Error())
		assert.Equal(t, class, Class(back))
	}
	assert.Equal(t, "other", Class(errors.New("a fuse has blown")))
	assert.Empty(t, Class(nil))
	assert.NoError(t, OfClass("", ""))
	assert.EqualError(t, OfClass("other", "a fuse has blown"), "a fuse has blown")
}

type wrappedSource struct{ Source }

func (w wrappedSource) Unwrap() Source { return w.Source }

type counted struct{ Source }

func (counted) Requests() int64 { return 7 }

func TestAsLooksThroughWrappers(t *testing.T) {
	m, ok := As[Meter](wrappedSource{wrappedSource{counted{}}})
	assert.True(t, ok)
	assert.EqualValues(t, 7, m.Requests())
	_, ok = As[ChangeSource](wrappedSource{counted{}})
	assert.False(t, ok)
	_, ok = As[Meter](nil)
	assert.False(t, ok)
	_, ok = As[Meter](wrappedSource{})
	assert.False(t, ok)
}

func TestUnknownSKUNamesTheNearMiss(t *testing.T) {
	for _, near := range []string{"abc-1", " ABC-1", "A BC-1 "} {
		err := UnknownSKU("ABC-1", "other", near)
		assert.ErrorIs(t, err, ErrUnknownSKU)
		assert.ErrorContains(t, err, fmt.Sprintf("did you mean %q", near))
	}
	assert.Equal(t, "abc-1", NearMiss(fmt.Errorf("so: %w", UnknownSKU("ABC-1", "ABC-10", "abc-1"))))
	assert.Empty(t, NearMiss(UnknownSKU("ABC-1", "ABC-10")))
	assert.NotContains(t, UnknownSKU("ABC-1", "ABC-10", "ABC-1").Error(), "mean")
}
