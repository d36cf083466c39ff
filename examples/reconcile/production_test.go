package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/examples/internal/production"
	"github.com/ecosire/stocksync/woocommerce/woocommercetest"
)

// The services that the environment names are reached over sockets, as real
// ones are.
func inProduction(t *testing.T, getenv func(string) string, args ...string) (code int, out, errOut string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = run(t.Context(), args, getenv, &stdout, &stderr)
	return code, stdout.String(), stderr.String()
}

func first(code int, _, _ string) int { return code }

func TestRealServicesAreOnlyPlannedFor(t *testing.T) {
	m := production.New(t, 50)
	m.Sell(3)
	m.Woo.Set(production.SKU(7), 15)
	file := filepath.Join(t.TempDir(), "plan.json")
	for _, args := range [][]string{nil, {"-dry-run"}, {"-plan", file}, {"-markdown"}} {
		code, out, errOut := inProduction(t, m.Getenv, args...)
		assert.Equal(t, exitDrift, code, errOut)
		assert.Contains(t, errOut, "Nothing was written")
		if slices.Contains(args, "-markdown") {
			assert.True(t, strings.HasPrefix(out, "| channel |"), out)
			out = errOut
		}
		assert.Regexp(t, `^Real services, to be read only: ECOSIRE at 127\.0\.0\.1:\d+ → shopify:test-shop at 127\.0\.0\.1:\d+, woocommerce:.*\n`, out)
	}
	page := filepath.Join(t.TempDir(), "report.html")
	assert.Equal(t, exitDrift, first(inProduction(t, m.Getenv, "-html", page, "-markdown")))
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	assert.Contains(t, string(text), "93 agree, 7 differ.")
	for _, args := range [][]string{{"-apply", file}, {"-approve"}, {"-apply", file, "-approve"}, {"-state", file}} {
		code, out, errOut := inProduction(t, m.Getenv, args...)
		assert.Equal(t, exitFailed, code)
		assert.Contains(t, errOut, "add -write if that is meant")
		assert.Empty(t, out)
	}
	assert.Zero(t, m.Writes())
	assert.Equal(t, 7, readPlan(t, file).Drift())

	code, out, errOut := inProduction(t, m.Getenv, "-write", "-apply", file)
	assert.Equal(t, exitFine, code, errOut)
	assert.True(t, strings.HasPrefix(out, "Real services, to be written: ECOSIRE at 127.0.0.1:"), out)
	a, b := m.Zeroed()
	assert.Equal(t, []int{3, 3}, []int{a, b})
}

func TestRealServicesAreWrittenWhenTold(t *testing.T) {
	m := production.New(t, 50)
	m.Woo.Set(production.SKU(7), 15)
	m.Shopify.Set(production.SKU(8), 5)
	code, out, errOut := inProduction(t, m.Getenv, "-write")
	assert.Equal(t, exitFine, code, errOut)
	assert.Contains(t, out, "\n98 agree, 2 written.\n")
	n, _ := m.Woo.Quantity(production.SKU(7))
	assert.Equal(t, 10, n)
	n, _ = m.Shopify.Available(production.SKU(8))
	assert.Equal(t, 10, n)
	code, _, errOut = inProduction(t, m.Getenv)
	assert.Equal(t, exitFine, code, errOut)

	m.Woo.Rename(production.SKU(7), "UNKNOWN-1")
	code, _, errOut = inProduction(t, m.Getenv, "-write")
	assert.Equal(t, exitFine, code, errOut, "not every shop has every product")
	m.Woo.Add(woocommercetest.Product{SKU: production.SKU(9), Quantity: 1})
	for _, args := range [][]string{nil, {"-write"}} {
		code, _, errOut = inProduction(t, m.Getenv, args...)
		assert.Equal(t, exitFailed, code, errOut, "an ambiguous SKU is a failure on a real service")
	}
}

// The worst day: ECOSIRE says that nothing is left of anything.
func TestTheGuardIsOn(t *testing.T) {
	const products = 400
	m := production.New(t, products)
	m.Sell(products)
	for range 2 {
		code, out, errOut := inProduction(t, m.Getenv, "-write")
		assert.Equal(t, exitHeld, code, errOut)
		assert.Contains(t, out, "held: look at these")
		a, b := m.Zeroed()
		assert.Zero(t, a+b)
		assert.Contains(t, out, "ECOSIRE calls 800 of those held sold out")
	}
	code, out, errOut := inProduction(t, m.Getenv, "-write", "-approve")
	assert.Equal(t, exitFine, code, errOut)
	assert.Contains(t, out, "Approved: 800 lines")
	a, b := m.Zeroed()
	assert.Equal(t, []int{products, products}, []int{a, b}, "a person has decided")
}

func TestABrokenEnvironmentIsAnError(t *testing.T) {
	m := production.New(t, 3)
	for name, broken := range m.Broken() {
		for _, args := range [][]string{nil, {"-write"}, {"-dry-run"}} {
			code, out, errOut := inProduction(t, m.With(broken.Changes), args...)
			assert.Equal(t, exitFailed, code, name)
			assert.Contains(t, errOut, broken.Names, name)
			assert.Empty(t, out, name)
		}
	}
	for _, args := range []string{"-bad-import 5", "-products 10", "-seed 3", "-drift 1"} {
		code, out, errOut := inProduction(t, m.Getenv, strings.Fields(args)...)
		assert.Equal(t, exitFailed, code, args)
		assert.Contains(t, errOut, "add -simulate", args)
		assert.Empty(t, out, args)
	}
	for _, args := range []string{"-h", "product-1", "-no-such-flag"} {
		_, out, errOut := inProduction(t, m.Getenv, args)
		assert.Contains(t, errOut, "usage: reconcile", args)
		assert.Empty(t, out, args)
	}
	assert.Zero(t, m.Requests())
}

func TestSimulatedInAProductionEnvironment(t *testing.T) {
	m := production.New(t, 3)
	code, out, errOut := inProduction(t, m.Getenv, "-simulate", "-products", "300", "-drift", "3")
	assert.Equal(t, exitFine, code, errOut)
	assert.True(t, strings.HasPrefix(out, "Simulated services:"), out)
	assert.Zero(t, m.Requests())
}
