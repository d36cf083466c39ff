package hashset

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestSet(t *testing.T) {
	s := New()
	for i := range 100_000 {
		text := strconv.Itoa(i)
		if s.Has(text) || !s.Add(text) || s.Add(text) || !s.Has(text) {
			t.Fatal(i)
		}
	}
	assert.Equal(t, 100_000, s.Len())
	assert.True(t, s.Add(""))
	assert.False(t, s.Has("100001"))
	assert.LessOrEqual(t, len(s.slots), 200_000)
}
