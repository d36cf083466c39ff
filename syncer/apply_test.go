package syncer_test

import (
	"context"
	"fmt"
	"iter"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/syncer"
)

// late is a source whose answers may be some time old.
type late struct {
	*stock
	age time.Duration
}

func (l *late) Stock(ctx context.Context, ids ...string) iter.Seq2[channel.Stock, error] {
	return func(yield func(channel.Stock, error) bool) {
		for p, err := range l.stock.Stock(ctx, ids...) {
			p.AsOf = p.AsOf.Add(-l.age)
			if !yield(p, err) {
				return
			}
		}
	}
}

// What an undo writes is wanted now: that the source's answer is from before
// the run does not matter.
func TestAnUndoIsAsOfNow(t *testing.T) {
	source, m := &late{stock: newStock(5)}, shop("a", 1)
	s := build(t, source, m)
	r, err := s.SyncProducts(t.Context(), "p0")
	require.NoError(t, err)
	shows(t, m, 5)
	undo, err := r.Undo()
	require.NoError(t, err)
	source.age = time.Minute
	undo.Approved = true
	r, err = s.Apply(t.Context(), undo)
	require.NoError(t, err)
	shows(t, m, 100)
	assert.WithinDuration(t, time.Now(), r.Channels[0].Changes[0].AsOf, 30*time.Second)
}

// What Apply leaves over is a plan with the limits of the first one: a part of
// it does not make the shop smaller.
func TestWhatIsLeftOfAPlanHasItsLimits(t *testing.T) {
	source, m := catalogue(1000)
	for i := range 60 {
		source.put(fmt.Sprintf("p%d", i), fmt.Sprintf("SKU-%d", i), 0)
	}
	s := build(t, source, m)
	p, err := s.Plan(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1000, p.Channels[0].OnSale)
	for i := range 60 {
		m.Set(fmt.Sprintf("SKU-%d", i), 11) // somebody counted
	}
	r, err := s.Apply(t.Context(), p)
	require.ErrorIs(t, err, channel.ErrConflict)
	require.NotNil(t, r.Replanned)
	assert.Equal(t, 1000, r.Replanned.Channels[0].OnSale)
	assert.Equal(t, 1000, r.Replanned.Channels[0].Checked)
	r, err = s.Apply(t.Context(), r.Replanned)
	require.NoError(t, err, "60 of 1,000 are within the limits")
	assert.Equal(t, 60, r.Channels[0].Updated)
}

func TestASlowChannelDelaysNobodysPlan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const products = 5000 // several groups
		source, slow := catalogue(products)
		fast := channeltest.NewMemory("fast")
		for i := range products {
			slow.Set(fmt.Sprintf("SKU-%d", i), 9)
			fast.Set(fmt.Sprintf("SKU-%d", i), 9)
		}
		s := unguardedly(t, syncer.Config{Source: source, Patience: 24 * time.Hour}, &channeltest.Intercept{Channel: slow,
			OnPush: func(ctx context.Context, next channel.Channel, updates []channel.Update) error {
				time.Sleep(time.Hour)
				return next.Push(ctx, updates)
			}}, fast)
		p, err := s.Plan(t.Context())
		require.NoError(t, err)
		done := make(chan error, 1)
		go func() {
			_, err := s.Apply(t.Context(), p)
			done <- err
		}()
		pass(10 * time.Second)
		n, _ := fast.Quantity(fmt.Sprintf("SKU-%d", products-1))
		assert.Equal(t, 10, n, "the fast channel is done at its usual time")
		require.NoError(t, <-done)
	})
}

// An undo is written whatever else was written before: that the channel has
// often gone back meanwhile is no reason to leave it alone.
func TestAnUndoIsWrittenHoweverOften(t *testing.T) {
	m := shop("a", 1)
	s := build(t, newStock(5), m)
	r, err := s.SyncProducts(t.Context(), "p0")
	require.NoError(t, err)
	undo, err := r.Undo()
	require.NoError(t, err)
	undo.Approved = true
	for range 5 {
		m.Set("SKU-0", 5)
		r, err = s.Apply(t.Context(), undo)
		require.NoError(t, err)
		require.Equal(t, 1, r.Channels[0].Updated)
		shows(t, m, 100)
	}
	r, err = s.Apply(t.Context(), undo)
	require.NoError(t, err)
	assert.Equal(t, 1, r.Channels[0].Unchanged, "it is as it was before")
}

// No quantity is something else than 0, for an undo, too.
func TestAnUndoOfAFirstZeroLeavesNoQuantity(t *testing.T) {
	m := channeltest.NewMemory("a")
	m.Add(channel.Level{SKU: "SKU-0", Unset: true})
	s := unguardedly(t, syncer.Config{Source: newStock(0)}, m)
	r, err := s.SyncProducts(t.Context(), "p0")
	require.NoError(t, err)
	require.Equal(t, 1, r.Channels[0].Updated)
	undo, err := r.Undo()
	require.NoError(t, err)
	_, before := m.Calls()
	for _, updated := range []int{1, 0} {
		r, err = s.Apply(t.Context(), undo)
		require.NoError(t, err)
		levels, err := m.Levels(t.Context(), []string{"SKU-0"})
		require.NoError(t, err)
		assert.True(t, levels[0].Unset)
		assert.Equal(t, updated, r.Channels[0].Updated)
		assert.Equal(t, 1-updated, r.Channels[0].Unchanged)
	}
	_, after := m.Calls()
	assert.Equal(t, 1, after-before)
}

// A channel that has changed under a line is looked at again, and the line is
// written if it still is the plan's.
func TestApplyLooksAgainAfterAConflict(t *testing.T) {
	m := shop("a", 1)
	conflicts := 1
	c := &channeltest.Intercept{Channel: m, OnPush: func(ctx context.Context, next channel.Channel, updates []channel.Update) error {
		if conflicts--; conflicts >= 0 {
			return channel.Errors{updates[0].SKU: channel.ErrConflict}
		}
		return next.Push(ctx, updates)
	}}
	s := unguardedly(t, syncer.Config{Source: newStock(5)}, c)
	plan, err := s.Plan(t.Context())
	require.NoError(t, err)
	r, err := s.Apply(t.Context(), plan)
	require.NoError(t, err)
	assert.Equal(t, 1, r.Channels[0].Updated)
	shows(t, m, 5)
}

// A line whose product cannot be read is told of once: it is unread, and no other
// than planned.
func TestAPlannedLineThatCannotBeReadIsToldOnce(t *testing.T) {
	m := shop("a", 2)
	source := &unanswered{newStock(5, 6), ""}
	s := unguardedly(t, syncer.Config{Source: source}, m)
	plan, err := s.Plan(t.Context())
	require.NoError(t, err)
	source.id = "p0"
	r, err := s.Apply(t.Context(), plan)
	require.ErrorIs(t, err, channel.ErrInvalid)
	assert.Equal(t, 1, r.Unread)
	assert.Nil(t, r.Replanned)
	shows(t, m, 100, 6)
}
