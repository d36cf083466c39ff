package channel

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestUrgency(t *testing.T) {
	ctx := t.Context()
	assert.Equal(t, Urgent, UrgencyOf(ctx))
	assert.Equal(t, Background, UrgencyOf(WithUrgency(ctx, 99)))
	assert.Equal(t, Urgent, UrgencyOf(WithUrgency(WithUrgency(ctx, Soon), Urgent)))
}

func TestWarehouses(t *testing.T) {
	ids, total := Warehouses(t.Context())
	assert.Empty(t, ids)
	assert.True(t, total)
	ids, total = Warehouses(WithWarehouses(t.Context(), false, "b", "a", "b"))
	assert.Equal(t, []string{"a", "b"}, ids)
	assert.False(t, total)
	_, total = Warehouses(WithWarehouses(t.Context(), false))
	assert.True(t, total, "something must be read")
}

func TestStockIn(t *testing.T) {
	s := Stock{Warehouses: map[string]Quantity{"a": {3, 1, 2}, "b": {}, "c": {4, 0, 4}}}
	q, err := s.In("a", "b", "c")
	assert.NoError(t, err)
	assert.Equal(t, Quantity{7, 1, 6}, q)
	_, err = s.In("a", "d")
	assert.ErrorIs(t, err, ErrUnavailable)
	assert.ErrorContains(t, err, `"d"`)
}

func TestExpected(t *testing.T) {
	Expect(t.Context(), 5) // nobody asked
	assert.Zero(t, Expected(t.Context()))
	ctx := WithExpected(t.Context(), 0)
	assert.Zero(t, Expected(ctx))
	Expect(WithRun(ctx, "run"), 1000)
	Expect(ctx, 0)
	assert.Equal(t, 1000, Expected(ctx), "whoever has the context is told")
	assert.Zero(t, Expected(WithExpected(ctx, -1)))
}
