package syncer_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A product whose quantity cannot be read makes its SKU an extra one.
func TestAnUnreadableProductIsNoExtra(t *testing.T) {
	source, m := newStock(5, 6), shop("a", 2)
	p := source.products["p1"]
	p.Err = errors.New("available is 1.5")
	source.products["p1"] = p
	plan, err := build(t, source, m).Plan(t.Context())
	require.NoError(t, err)
	t.Log(plan)
	assert.Empty(t, plan.Channels[0].ExtraSKUs, "the source has SKU-1")
}
