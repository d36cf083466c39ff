package syncer_test

import (
	"bytes"
	"context"
	"log/slog"
	"reflect"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/syncer"
)

// Whichever hook hangs, quantities are shown, within about a minute, and Run ends. The
// others are called meanwhile.
func TestAHookThatHangsHoldsUpNothing(t *testing.T) {
	kind := reflect.TypeFor[syncer.Hooks]()
	for i := range kind.NumField() {
		if kind.Field(i).Type.Kind() != reflect.Func {
			continue
		}
		t.Run(kind.Field(i).Name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				source, a, h := newStock(1, 2), shop("a", 2), newHanging()
				var hooks syncer.Hooks
				f := reflect.ValueOf(&hooks).Elem().Field(i)
				var called atomic.Int32
				f.Set(reflect.MakeFunc(f.Type(), func([]reflect.Value) (none []reflect.Value) {
					called.Add(1)
					h.wait()
					for i := range f.Type().NumOut() {
						none = append(none, reflect.Zero(f.Type().Out(i)))
					}
					return none
				}))
				s := unguardedly(t, syncer.Config{Source: source, Schedule: syncer.Never(), Hooks: hooks}, a)
				release := h.hang()
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error, 1)
				go func() { done <- s.Run(ctx) }()
				for n := range 10 {
					source.put("p0", "SKU-0", n)
					require.NoError(t, s.Notify(t.Context(), "p0"))
					pass(3 * time.Minute)
					shows(t, a, n)
				}
				_, err := s.Reconcile(t.Context())
				require.NoError(t, err)
				assert.LessOrEqual(t, called.Load(), int32(4), "it is not called while it hangs")
				cancel()
				pass(5 * time.Minute)
				require.Len(t, done, 1, "Run ends")
				release()
				require.NoError(t, <-done)
			})
		})
	}
}

// A hook that has returned at last is called again, and the log says what it missed.
func TestAHookThatHungIsCalledAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, m, h := newStock(1), shop("a", 1), newHanging()
		var log bytes.Buffer
		var called atomic.Int32
		s := unguardedly(t, syncer.Config{Source: source, Schedule: syncer.Never(), Logger: slog.New(slog.NewTextHandler(&log, nil)),
			Hooks: syncer.Hooks{Changed: func(context.Context, string, syncer.Change) { called.Add(1); h.wait() }}}, m)
		release := h.hang()
		for n := range 3 {
			source.put("p0", "SKU-0", n)
			_, err := s.SyncProducts(t.Context(), "p0")
			require.NoError(t, err)
		}
		assert.Equal(t, int32(1), called.Load())
		release()
		synctest.Wait()
		assert.Contains(t, log.String(), "op=Hooks.Changed after=1m0s missed=2")
		source.put("p0", "SKU-0", 7)
		_, err := s.SyncProducts(t.Context(), "p0")
		require.NoError(t, err)
		assert.Equal(t, int32(2), called.Load())
	})
}
