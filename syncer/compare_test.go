package syncer

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/ecosire/stocksync/channel"
)

// What could be sold twice goes first. What is not known to be an increase may
// be a decrease.
func TestTheOrderOfChanges(t *testing.T) {
	shows := func(n int) *channel.Level { return &channel.Level{Quantity: n} }
	changes := []change{
		{want{sku: "more", quantity: 5}, shows(3)},
		{want{sku: "less", quantity: 5}, shows(9)},
		{want{sku: "more again", quantity: 9}, shows(0)},
		{want{sku: "unseen", quantity: 5}, nil},
		{want{sku: "unset", quantity: 5}, &channel.Level{Unset: true}},
		{want{sku: "none"}, shows(9)},
		{want{sku: "unset, none"}, &channel.Level{Unset: true}},
		{want{sku: "unseen, none"}, nil},
	}
	inOrder(changes)
	var order []string
	for _, c := range changes {
		order = append(order, c.sku)
	}
	assert.Equal(t, []string{"none", "unset, none", "unseen, none", "less", "unseen", "unset", "more", "more again"}, order)
}

// That goes for a channel that cannot be read, too.
func TestWhatCannotBeComparedIsInOrder(t *testing.T) {
	p := &pass{t: &target{}}
	changes := p.compare([]want{{sku: "some", quantity: 5}, {sku: "none"}}, levelIndex{}, new(outcome))
	assert.Equal(t, []string{"none", "some"}, skusOfChanges(changes))
}
