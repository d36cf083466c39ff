package syncer_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
)

// A ledger knows what ECOSIRE had and when, and what channels were told.
type ledger struct {
	ids []string // of all products

	mu       sync.Mutex
	skus     map[string]string   // by product
	amounts  map[string][]amount // by SKU, the oldest first
	version  map[string]int      // how often each product changed
	acked    map[string]int      // the version that was acknowledged
	busy     map[string]bool     // what is being written: channel and SKU
	lastAsOf map[string]time.Time
	fewer    bool // units may be in flight: channels may be told less
}

type amount struct {
	since     time.Time
	available int
}

func (l *ledger) add(id, sku string, available int) {
	if l.skus == nil {
		l.skus, l.amounts = make(map[string]string), make(map[string][]amount)
		l.version, l.acked = make(map[string]int), make(map[string]int)
		l.busy, l.lastAsOf = make(map[string]bool), make(map[string]time.Time)
	}
	l.ids = append(l.ids, id)
	l.skus[id] = sku
	l.amounts[sku] = []amount{{time.Now(), available}}
}

// change makes a change, which returns what is available then.
func (l *ledger) change(id string, f func() int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	sku := l.skus[id]
	l.amounts[sku] = append(l.amounts[sku], amount{time.Now(), f()})
	l.version[id]++
}

func (l *ledger) versions(ids []string) map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	v := make(map[string]int)
	for _, id := range ids {
		v[id] = l.version[id]
	}
	return v
}

func (l *ledger) acknowledge(versions map[string]int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, v := range versions {
		l.acked[id] = max(l.acked[id], v)
	}
}

// acknowledged tells whether the last change of a product was.
func (l *ledger) acknowledged(id string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.acked[id] == l.version[id]
}

// watch checks what c is told.
func (l *ledger) watch(t *testing.T, c channel.Channel) channel.Channel {
	return &channeltest.Intercept{Channel: c, OnPush: func(ctx context.Context, next channel.Channel, updates []channel.Update) error {
		l.begin(t, c.Name(), updates)
		defer l.end(c.Name(), updates)
		return next.Push(ctx, updates)
	}}
}

func (l *ledger) begin(t *testing.T, name string, updates []channel.Update) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, u := range updates {
		key := name + " " + u.SKU
		assert.False(t, l.busy[key], "%s: two writes at a time", key)
		l.busy[key] = true
		assert.False(t, u.AsOf.Before(l.lastAsOf[key]), "%s: a quantity of %v after one of %v", key, u.AsOf, l.lastAsOf[key])
		l.lastAsOf[key] = u.AsOf
		assert.True(t, l.had(u), "%s: told to show %d, which ECOSIRE did not have since it was read", key, u.Quantity)
	}
}

func (l *ledger) end(name string, updates []channel.Update) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, u := range updates {
		delete(l.busy, name+" "+u.SKU)
	}
}

// had tells whether what u shows was true at u.AsOf or later. What was
// replaced at that very instant counts.
func (l *ledger) had(u channel.Update) bool {
	amounts := l.amounts[u.SKU]
	for i, f := range amounts {
		over := i+1 < len(amounts) && amounts[i+1].since.Before(u.AsOf)
		if n := max(0, f.available); !over && (n == u.Quantity || l.fewer && n > u.Quantity) {
			return true
		}
	}
	return false
}
