package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/examples/internal/show"
	"github.com/ecosire/stocksync/shopify/shopifytest"
	"github.com/ecosire/stocksync/syncer"
)

const (
	products = 300
	each     = 3 // drifted products of each kind and in each shop
)

// bubble runs f in a bubble, where waiting for quotas takes no time.
func bubble(t *testing.T, f func(t *testing.T)) { synctest.Test(t, f) }

// nothing is an environment without variables.
func nothing(string) string { return "" }

func testWorld(t *testing.T, badImport int) *world {
	t.Helper()
	w, err := newWorld(demoOptions{seed: 7, products: products, drift: each, badImport: badImport})
	require.NoError(t, err)
	require.Len(t, w.drift, 5*2*each+2*badImport)
	return w
}

// try runs the example once on a world, as a new process would.
func try(t *testing.T, w *world, args ...string) (code int, out, errOut string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	o, err := parse(args, &stderr)
	require.NoError(t, err)
	code = o.run(t.Context(), nil, w, show.To(&stdout, nothing), show.To(&stderr, nothing))
	return code, stdout.String(), stderr.String()
}

// writing counts the requests that changed something, or tried to.
func (w *world) writing() int {
	return w.ecosire.Count(func(r channeltest.Request) bool { return r.Method != "GET" }) +
		w.woo.Count(func(r channeltest.Request) bool { return r.Method != "GET" }) +
		w.shopify.Count(func(r channeltest.Request) bool {
			return bytes.Contains(r.Body, []byte("inventorySetQuantities")) || bytes.Contains(r.Body, []byte("inventoryActivate")) ||
				bytes.Contains(r.Body, []byte("inventoryItemUpdate"))
		})
}

// healthy is an SKU that both shops have once, with the right quantity.
func (w *world) healthy() string {
	for _, p := range w.ecosire.Products() {
		_, drifted := w.drift[place{w.shops[0].name, p.SKU}]
		_, drifted2 := w.drift[place{w.shops[1].name, p.SKU}]
		_, known := w.woo.Quantity(p.SKU)
		if !drifted && !drifted2 && known {
			return p.SKU
		}
	}
	panic("all products have drifted")
}

// stray is an item that ECOSIRE does not have.
var stray = shopifytest.Item{SKU: "STRAY-1", Available: 5}

func readPlan(t *testing.T, file string) *syncer.Plan {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	plan := new(syncer.Plan)
	require.NoError(t, json.Unmarshal(text, plan))
	return plan
}

func TestDryRunListsExactlyTheInjectedDriftAndWritesNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := testWorld(t, 0)
		file := filepath.Join(t.TempDir(), "plan.json")
		code, out, errOut := try(t, w, "-dry-run", "-plan", file, "-rows", "0")
		assert.Equal(t, exitDrift, code, errOut)
		assert.True(t, strings.HasPrefix(out, "Simulated services:"), out)
		assert.Zero(t, w.writing())

		plan := readPlan(t, file)
		assert.Equal(t, 2*3*each, plan.Drift())
		why := make(map[syncer.Reason]int)
		for _, l := range plan.Lines {
			why[l.Reason]++
			assert.Contains(t, w.drift, place{l.Channel, l.SKU})
			assert.Contains(t, out, l.SKU)
		}
		assert.Equal(t, map[syncer.Reason]int{
			syncer.ReasonOver: 2 * each, syncer.ReasonUnder: 2 * 2 * each, syncer.ReasonUnknown: 2 * each, syncer.ReasonAmbiguous: 2 * each,
		}, why)
	})
}

func TestReconcileMendsAndTheSecondRunWritesNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := testWorld(t, 0)
		code, out, errOut := try(t, w)
		assert.Equal(t, exitFine, code, errOut)
		assert.Contains(t, errOut, "Verified")
		assert.Contains(t, out, "requests to ECOSIRE")
		assert.Contains(t, out, "\n570 agree, 18 written, 6 unknown to the shops, 6 cannot be shown")
		assert.Len(t, w.drift, 2*2*each, "what no run can mend: renamed and duplicated")
		assert.Positive(t, w.writing())

		w.ecosire.Forget()
		w.shopify.Forget()
		w.woo.Forget()
		code, _, errOut = try(t, w)
		assert.Equal(t, exitFine, code, errOut)
		assert.Zero(t, w.writing())
		code, _, errOut = try(t, w, "-dry-run")
		assert.Equal(t, exitFine, code, errOut)
	})
}

func TestPlanOfOneProcessIsAppliedByAnother(t *testing.T) {
	bubble(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "plan.json")
		demo := []string{"-products", "300", "-drift", "3", "-seed", "11"}
		assert.Equal(t, exitDrift, run(t.Context(), append(demo, "-dry-run", "-plan", file), nothing, io.Discard, io.Discard))
		var out, errOut bytes.Buffer
		assert.Equal(t, exitFine, run(t.Context(), append(demo, "-apply", file), nothing, &out, &errOut), errOut.String())
		assert.Contains(t, errOut.String(), "Verified")
		for _, shop := range []string{"shopify:test-shop", "woocommerce:shop.example"} {
			assert.Regexp(t, shop+` +9 +0 +3 +6 +0 `, out.String(), "compared, agreeing, too many, too few, held")
		}
	})
}

func TestHeldLinesExitWith3UntilTheyAreApproved(t *testing.T) {
	for _, first := range [][]string{{"-dry-run"}, nil} {
		t.Run(fmt.Sprint(first), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := testWorld(t, 100)
				file := filepath.Join(t.TempDir(), "plan.json")
				code, _, errOut := try(t, w, append(first, "-plan", file)...)
				assert.Equal(t, exitHeld, code, errOut)
				held := 0
				for _, l := range readPlan(t, file).Lines {
					if l.Reason == syncer.ReasonHeld {
						held++
						assert.Equal(t, badImport, w.drift[place{l.Channel, l.SKU}].kind)
					}
				}
				assert.Equal(t, 200, held, "all of them or none")

				code, _, errOut = try(t, w, "-apply", file)
				assert.Equal(t, exitHeld, code, errOut)
				assert.Len(t, w.drift, 2*2*each+held)
				code, _, errOut = try(t, w, "-apply", file, "-approve")
				assert.Equal(t, exitFine, code, errOut)
				assert.Len(t, w.drift, 2*2*each)
			})
		})
	}
}

func TestApproveInOneGo(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := testWorld(t, 100)
		code, out, errOut := try(t, w, "-approve")
		assert.Equal(t, exitFine, code, errOut)
		assert.Contains(t, out, "Approved:")
		assert.Len(t, w.drift, 2*2*each)
	})
}

func TestApplyForcesNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := testWorld(t, 0)
		file := filepath.Join(t.TempDir(), "plan.json")
		code, _, errOut := try(t, w, "-dry-run", "-plan", file)
		require.Equal(t, exitDrift, code, errOut)
		line := readPlan(t, file).Lines[0]
		w.shopify.Set(line.SKU, 77)
		code, _, errOut = try(t, w, "-apply", file)
		assert.Equal(t, exitFailed, code)
		assert.Contains(t, errOut, "changed since it was read")
		n, _ := w.shopify.Available(line.SKU)
		assert.Equal(t, 77, n, "somebody's edit since the plan was made stays")
	})
}

func TestVerificationNoticesWhatWasNotInjected(t *testing.T) {
	for name, tamper := range map[string]func(w *world){
		"a quantity more": func(w *world) {
			w.woo.Set(w.healthy(), 99)
		},
		"a quantity less": func(w *world) {
			for at, d := range w.drift {
				if d.kind == wiped && at.channel == "shopify:test-shop" {
					w.shopify.Set(at.sku, d.wanted)
					return
				}
			}
		},
		"another name": func(w *world) {
			w.shopify.Rename(w.healthy(), "X")
		},
		"an item more": func(w *world) {
			w.shopify.Add(stray)
		},
	} {
		for _, args := range [][]string{{"-dry-run"}, nil} {
			if name == "an item more" && args == nil {
				continue // only a plan lists what ECOSIRE does not have
			}
			t.Run(fmt.Sprint(name, args), func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					w := testWorld(t, 0)
					tamper(w)
					code, _, errOut := try(t, w, args...)
					assert.Equal(t, exitFailed, code)
					assert.Contains(t, errOut, errDemo.Error())
				})
			})
		}
	}
}

func TestVerificationLooksIntoTheShops(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := testWorld(t, 0)
		// The report can know nothing of an item that ECOSIRE does not have.
		w.shops[0].items = append(w.shops[0].items, w.shopify.Add(stray)...)
		w.shops[0].remember()
		w.shopify.Set(stray.SKU, 1)
		code, _, errOut := try(t, w)
		assert.Equal(t, exitFailed, code)
		assert.Contains(t, errOut, "shows 1, and should show 5")
	})
}

func TestVerificationCountsWrites(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := testWorld(t, 0)
		w.woo.Inject(channeltest.Fault{Match: channeltest.On("POST", ""), Twice: true})
		code, _, errOut := try(t, w)
		assert.Equal(t, exitFailed, code)
		assert.Contains(t, errOut, "quantities were written, and not 9")
	})
}

func TestFailure(t *testing.T) {
	for name, args := range map[string][]string{"reconcile": nil, "dry run": {"-dry-run"}} {
		t.Run(name+", source breaks off", func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := testWorld(t, 100) // so that lines are held, too
				w.ecosire.Inject(channeltest.Fault{Skip: 2, Times: -1, Status: 500})
				code, _, errOut := try(t, w, args...)
				assert.Equal(t, exitFailed, code, "held lines must not hide it")
				assert.Contains(t, errOut, "incomplete list")
			})
		})
		t.Run(name+", shop is down", func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				w := testWorld(t, 0)
				w.woo.Inject(channeltest.Fault{Times: -1, Status: 503})
				code, _, errOut := try(t, w, args...)
				assert.Equal(t, exitFailed, code)
				assert.Contains(t, errOut, "503")
				assert.NotContains(t, errOut, errDemo.Error(), "the shop's own error says more")
			})
		})
		t.Run(name+", interrupted", func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				cancel()
				assert.Equal(t, exitFailed, run(ctx, append(args, "-products", "300", "-drift", "3"), nothing, io.Discard, io.Discard))
			})
		})
	}
}

func TestMarkdown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := testWorld(t, 100)
		_, out, _ := try(t, w, "-dry-run", "-markdown")
		assert.True(t, strings.HasPrefix(out, "| channel |"), "standard output is the plan and nothing else")
		_, out, _ = try(t, w, "-markdown")
		assert.Contains(t, out, "Held:\n\n| channel |")
	})
}

func TestStateTellsWhyThereIsDrift(t *testing.T) {
	bubble(t, func(t *testing.T) {
		w := testWorld(t, 0)
		state, page := filepath.Join(t.TempDir(), "state.db"), filepath.Join(t.TempDir(), "page.html")
		code, out, errOut := try(t, w)
		assert.Equal(t, exitFine, code, errOut)
		assert.NotContains(t, out, "drifted", "without a state nobody knows")
		edit := func(sku string, shown int) {
			time.Sleep(time.Hour) // the journal goes by the time of its entries
			w.shopify.Set(sku, shown)
			p := w.ecosireProduct(sku)
			w.drift[place{"shopify:test-shop", sku}] = drift{kind: editedUp, shown: shown, wanted: p}
			w.shops[0].remember()
		}
		sku := w.healthy()
		right := w.ecosireProduct(sku)
		edit(sku, right+5)
		code, out, errOut = try(t, w, "-state", state)
		assert.Equal(t, exitFine, code, errOut)
		assert.Contains(t, out, "Why it drifted, most likely: 1 never written before.")
		edit(sku, right+3)
		code, out, errOut = try(t, w, "-state", state, "-html", page)
		assert.Equal(t, exitFine, code, errOut)
		assert.Contains(t, out, "Why it drifted, most likely: 1 edited in the channel.")
		assert.Contains(t, out, "was 3 too many: edited in the channel")
		text, err := os.ReadFile(page)
		require.NoError(t, err)
		assert.Contains(t, string(text), "1 edited in the channel.")
		edit(sku, right+3)
		code, out, errOut = try(t, w, "-state", state)
		assert.Equal(t, exitFine, code, errOut)
		assert.Contains(t, out, "1 the write did not stay.")
		code, _, errOut = try(t, w, "-state", filepath.Join(t.TempDir(), "none", "state.db"))
		assert.Equal(t, exitFailed, code)
		assert.Contains(t, errOut, "no such file")
	})
}

func (w *world) ecosireProduct(sku string) (available int) {
	for _, p := range w.ecosire.Products() {
		if p.SKU == sku {
			return p.OnHand - p.Reserved
		}
	}
	panic("ECOSIRE does not have " + sku)
}

func TestUsage(t *testing.T) {
	noPlan := filepath.Join(t.TempDir(), "empty.json")
	require.NoError(t, os.WriteFile(noPlan, []byte("{}"), 0o600))
	for _, tt := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"-h"}, exitFine, "usage: reconcile"},
		{[]string{"-write"}, exitFailed, "set ECOSIRE_API_KEY"},
		{[]string{"-write", "-simulate"}, exitFailed, "usage: reconcile"},
		{[]string{"-write", "-dry-run"}, exitFailed, "writes nothing"},
		{[]string{"-rows", "-1"}, exitFailed, "negative"},
		{[]string{"-no-such-flag"}, exitFailed, "not defined"}, // 2 would be drift
		{[]string{"product-1"}, exitFailed, "takes no arguments"},
		{[]string{"-dry-run", "-approve"}, exitFailed, "writes nothing"},
		{[]string{"-dry-run", "-apply", "x"}, exitFailed, "writes nothing"},
		{[]string{"-dry-run", "-state", "x"}, exitFailed, "writes nothing"},
		{[]string{"-apply", filepath.Join(t.TempDir(), "none")}, exitFailed, "no such file"},
		{[]string{"-apply", noPlan}, exitFailed, "this is no plan"},
		{[]string{"-products", "10"}, exitFailed, "too few -products"},
		{[]string{"-products", "0", "-drift", "0"}, exitFailed, "the source has no products"},
	} {
		t.Run(fmt.Sprint(tt.args), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var errOut bytes.Buffer
				assert.Equal(t, tt.code, run(t.Context(), tt.args, nothing, io.Discard, &errOut))
				assert.Contains(t, errOut.String(), tt.says)
			})
		})
	}
}

func TestWorse(t *testing.T) {
	other := errors.New("other")
	held := fmt.Errorf("shop: %w", syncer.ErrHeld)
	for err, want := range map[error]bool{
		held: false, fmt.Errorf("run: %w", errors.Join(errors.Join(nil, held), held)): false,
		other: true, fmt.Errorf("run: %w", errors.Join(held, other)): true, errors.Join(errors.Join(other, held), held): true,
	} {
		assert.Equal(t, want, worse(err, syncer.ErrHeld), err)
	}
	assert.False(t, worse(nil, syncer.ErrHeld))
	assert.False(t, worse(errors.Join(held, other), syncer.ErrHeld, other))
}
