package syncer_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/syncer"
)

// A hook in the middle of a pass that calls for work on its SKUs gets an error that
// says what to do, rather than waiting for itself; in a goroutine of its own, with
// the same context, the work is done.
func TestAHookThatCallsForWorkOnItsSKUs(t *testing.T) {
	calls := map[string]func(context.Context, *syncer.Syncer) error{
		"SyncProducts": func(ctx context.Context, s *syncer.Syncer) error { return second(s.SyncProducts(ctx, "p0")) },
		"Reconcile":    func(ctx context.Context, s *syncer.Syncer) error { return second(s.Reconcile(ctx)) },
		"Apply": func(ctx context.Context, s *syncer.Syncer) error {
			return second(s.Apply(ctx, &syncer.Plan{Lines: []syncer.Line{{Channel: "b", ProductID: "p0", SKU: "SKU-0", Shown: new(10), Wanted: 8, Reason: syncer.ReasonOver}}}))
		},
	}
	for name, call := range calls {
		for _, apart := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					source, a, b := newStock(10), shop("a", 1), shop("b", 1)
					var s *syncer.Syncer
					errs := make(chan error, 9)
					s = unguardedly(t, syncer.Config{Source: source, Schedule: syncer.Never(), Hooks: syncer.Hooks{InFlight: func(ctx context.Context, f syncer.FlightEvent) {
						ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Minute)
						do := func() { defer cancel(); errs <- call(ctx, s) }
						if apart {
							go do()
						} else {
							do()
						}
					}}}, a, b)
					_, err := s.SyncProducts(t.Context(), "p0")
					require.NoError(t, err)
					a.Sell("SKU-0", 2)
					began := time.Now()
					_, err = s.SyncProducts(t.Context(), "p0")
					require.NoError(t, err)
					assert.LessOrEqual(t, time.Since(began), 2*time.Second)
					if err := <-errs; apart {
						require.NoError(t, err)
					} else {
						require.ErrorContains(t, err, "in a goroutine of its own")
					}
					shows(t, b, 8)
				})
			})
		}
	}
}
