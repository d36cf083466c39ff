package amazon

import (
	"bytes"
	"context"
	"fmt"
	"sync"
)

// A Store keeps small values by name, of at most some 100 KiB, and over a
// restart. A queue of package syncer has one; its records go into a set:
//
//	type store struct{ syncer.Store }
//
//	func (s store) Load(ctx context.Context, name string) ([]byte, error) {
//		return s.Store.Load(ctx, "amazon", name)
//	}
//	func (s store) Save(ctx context.Context, name string, value []byte) error {
//		return s.Store.Save(ctx, "amazon", syncer.Record{Key: name, Value: value})
//	}
type Store interface {
	// Load returns the value of a name, or nil if there is none.
	Load(ctx context.Context, name string) ([]byte, error)
	// Save keeps a copy of a value under a name. nil removes it.
	Save(ctx context.Context, name string, value []byte) error
}

// calm is the host's store, whose panics are errors: a feed must not stay locked for
// one.
type calm struct{ Store }

func (c calm) Load(ctx context.Context, name string) (value []byte, err error) {
	defer recovered(&err)
	return c.Store.Load(ctx, name)
}

func (c calm) Save(ctx context.Context, name string, value []byte) (err error) {
	defer recovered(&err)
	return c.Store.Save(ctx, name, value)
}

func recovered(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("the store panicked: %v", p)
	}
}

// memory is a Store that is lost with the process.
type memory struct {
	mu     sync.Mutex
	values map[string][]byte
}

func (m *memory) Load(_ context.Context, name string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.values[name], nil
}

func (m *memory) Save(_ context.Context, name string, value []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if value == nil {
		delete(m.values, name)
		return nil
	}
	if m.values == nil {
		m.values = make(map[string][]byte)
	}
	m.values[name] = bytes.Clone(value)
	return nil
}
