package main

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/ecosire/ecosiretest"
	"github.com/ecosire/stocksync/examples/internal/production"
	"github.com/ecosire/stocksync/shopify/shopifytest"
)

func nothing(string) string { return "" }

// try runs the example as a process would.
func try(t *testing.T, getenv func(string) string, args ...string) (code int, out, errOut string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = run(t.Context(), args, getenv, &stdout, &stderr)
	return code, stdout.String(), stderr.String()
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

func TestSimulated(t *testing.T) {
	code, out, errOut := try(t, nothing)
	assert.Equal(t, exitFine, code, errOut)
	assert.True(t, strings.HasPrefix(out, "Simulated services:"), out)
	assert.NotContains(t, out, "\x1b", "no colours where there is no terminal")
	for _, part := range []string{"\nDrift\n", "\nPlan\n", "\nWrite\n", "\nCheck\n", "The simulated WooCommerce shop shows", "The simulated Amazon shop shows",
		"amazon:A1TESTSELLER", "that it does not show yet"} {
		assert.Contains(t, out, part)
	}
}

func TestSimulatedInAProductionEnvironment(t *testing.T) {
	m := production.New(t, 3)
	code, out, errOut := try(t, m.Getenv, "-simulate")
	assert.Equal(t, exitFine, code, errOut)
	assert.True(t, strings.HasPrefix(out, "Simulated services:"), out)
	assert.Zero(t, m.Requests())
}

func TestRealServicesAreOnlyPlannedFor(t *testing.T) {
	m := production.New(t, 50)
	m.Sell(3)
	m.Woo.Set(production.SKU(7), 99)
	for _, args := range [][]string{nil, {"-only", m.Products[1] + ", " + m.Products[7]}, {"-write=false"}} {
		code, out, errOut := try(t, m.Getenv, args...)
		assert.Equal(t, exitFine, code, errOut)
		assert.Regexp(t, `^Real services, to be read only: ECOSIRE at 127\.0\.0\.1:\d+ → shopify:test-shop at 127\.0\.0\.1:\d+, woocommerce:`, firstLine(out))
		assert.Contains(t, out, "Nothing was written")
		assert.Contains(t, out, production.SKU(1))
		assert.Contains(t, out, production.SKU(7))
	}
	assert.Zero(t, m.Writes())
}

func TestRealServicesAreWrittenWhenTold(t *testing.T) {
	m := production.New(t, 50)
	m.Sell(2)
	m.Woo.Set(production.SKU(7), 99)
	code, out, errOut := try(t, m.Getenv, "-only", m.Products[7], "-write")
	assert.Equal(t, exitFine, code, errOut)
	assert.True(t, strings.HasPrefix(out, "Real services, to be written: ECOSIRE at 127.0.0.1:"), out)
	n, _ := m.Woo.Quantity(production.SKU(7))
	assert.Equal(t, 10, n)
	a, b := m.Zeroed()
	assert.Zero(t, a+b, "only what was asked for")

	code, _, errOut = try(t, m.Getenv, "-write")
	assert.Equal(t, exitFine, code, errOut)
	a, b = m.Zeroed()
	assert.Equal(t, []int{2, 2}, []int{a, b})

	m.Shopify.Add(shopifytest.Item{SKU: production.SKU(1)})
	code, _, errOut = try(t, m.Getenv, "-write")
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, errOut, "cannot be shown")
}

// The worst day: ECOSIRE says that nothing is left of anything.
func TestTheGuardIsOn(t *testing.T) {
	const products = 400
	m := production.New(t, products)
	m.Sell(products)
	code, out, errOut := try(t, m.Getenv, "-write")
	assert.Equal(t, exitHeld, code, errOut)
	assert.Contains(t, out, "held")
	assert.Contains(t, errOut, "held by the guard")
	assert.Contains(t, out, "ECOSIRE calls 800 of those held sold out")
	a, b := m.Zeroed()
	assert.Zero(t, a+b)

	code, _, errOut = try(t, m.Getenv, "-write", "-only", strings.Join(m.Products, ","))
	assert.Equal(t, exitHeld, code, errOut)
	a, b = m.Zeroed()
	assert.LessOrEqual(t, max(a, b), 50, "the limit of ten minutes, for a shop of which nothing is known")
}

func TestABrokenEnvironmentIsAnError(t *testing.T) {
	m := production.New(t, 3)
	for name, broken := range m.Broken() {
		for _, args := range [][]string{nil, {"-write"}} {
			code, out, errOut := try(t, m.With(broken.Changes), args...)
			assert.Equal(t, exitFailed, code, name)
			assert.Contains(t, errOut, broken.Names, name)
			assert.Empty(t, out, name)
		}
	}
	code, out, errOut := try(t, nothing, "-write")
	assert.Equal(t, exitFailed, code, "a simulation is not what -write asks for")
	assert.Contains(t, errOut, "ECOSIRE_API_KEY")
	assert.Empty(t, out)
	assert.Zero(t, m.Requests())
}

func TestUsage(t *testing.T) {
	m := production.New(t, 3)
	m.Sell(3)
	for _, args := range []string{"-h", "--help", "-no-such-flag", "018e5678", "-write 018e5678", "help", "-only ,", "-simulate -write", "-simulate -only x"} {
		code, out, errOut := try(t, m.Getenv, strings.Fields(args)...)
		want := exitUsage
		if args == "-h" || args == "--help" {
			want = exitFine
		}
		assert.Equal(t, want, code, args)
		assert.Contains(t, errOut, "usage: quickstart", args)
		assert.Empty(t, out, args)
	}
	assert.Zero(t, m.Requests())
}

func TestTroubleEndsBeforeAnyWrite(t *testing.T) {
	m := production.New(t, 20)
	m.Sell(1)
	code, _, errOut := try(t, m.Getenv, "-only", "no-such-product", "-write")
	assert.Equal(t, exitFailed, code, errOut)
	m.Woo.Inject(channeltest.Fault{Times: -1, Status: 401})
	code, _, errOut = try(t, m.Getenv, "-write")
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, errOut, "nothing was written")
	m.Woo.Heal()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	assert.Equal(t, exitFailed, run(ctx, []string{"-write"}, m.Getenv, &bytes.Buffer{}, &bytes.Buffer{}))
	assert.Zero(t, m.Writes())
}

// The check looks at the shops again: a shop that says yes and does nothing is
// noticed.
func TestTheCheckLooksAgain(t *testing.T) {
	m := production.New(t, 20)
	m.Woo.Set(production.SKU(3), 99)
	m.ECOSIRE.Add(ecosiretest.Product{SKU: "ONLY-HERE", OnHand: 1})
	var stdout, stderr bytes.Buffer
	m.Woo.Inject(channeltest.Fault{
		Match: func(r channeltest.Request) bool {
			if r.Method == "POST" { // somebody edits it as soon as it is written
				defer m.Woo.Set(production.SKU(4), 77)
			}
			return false
		},
	})
	code := run(t.Context(), []string{"-write"}, m.Getenv, &stdout, &stderr)
	require.Equal(t, exitFailed, code, stderr.String())
	assert.Contains(t, stderr.String(), "not kept, or changed meanwhile")
}
