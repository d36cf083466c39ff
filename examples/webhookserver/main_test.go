package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/ecosire"
	"github.com/ecosire/stocksync/examples/internal/production"
	"github.com/ecosire/stocksync/examples/internal/show"
)

func nothing(string) string { return "" }

// try runs the example as a process would.
func try(t *testing.T, getenv func(string) string, args ...string) (code int, out, errOut string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = run(t.Context(), args, getenv, &stdout, &stderr)
	return code, stdout.String(), stderr.String()
}

func TestDemo(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, demo(t.Context(), show.To(&out, nothing), 30, time.Second))
	assert.True(t, strings.HasPrefix(out.String(), "Simulated services:"), out.String())
	assert.Contains(t, out.String(), "off Shopify, too")
	assert.Contains(t, out.String(), "It was counted once")
}

func TestDemoTellsWhatDidNotBecomeVisible(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond) // no shop can be as quick
	defer cancel()
	assert.ErrorContains(t, demo(ctx, show.To(io.Discard, nothing), 3, time.Millisecond), "3 of 3 sales did not become visible")
}

func TestWithoutAnEnvironmentAMerchantIsSimulated(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	var stdout bytes.Buffer
	getenv := func(name string) string { return map[string]string{"ADDR": "127.0.0.1:0"}[name] }
	assert.Equal(t, exitFine, run(ctx, nil, getenv, &stdout, io.Discard))
	assert.True(t, strings.HasPrefix(stdout.String(), "Simulated services:"), stdout.String())
}

func TestRealServicesAreOnlyPlannedFor(t *testing.T) {
	m := production.New(t, 50)
	m.Sell(3)
	m.Woo.Set(production.SKU(7), 99)
	for _, getenv := range []func(string) string{m.Getenv, m.With(map[string]string{"ECOSIRE_WEBHOOK_SECRET": ""})} {
		code, out, errOut := try(t, getenv)
		assert.Equal(t, exitFine, code, errOut)
		assert.Regexp(t, `^Real services, to be read only: ECOSIRE at 127\.0\.0\.1:\d+ → shopify:test-shop at 127\.0\.0\.1:\d+, woocommerce:.*\n`, out)
		assert.Contains(t, out, "93 agree, 7 differ")
		assert.Contains(t, out, "Nothing was written")
	}
	assert.Zero(t, m.Writes())
}

// A service is one that runs, and its URL.
func service(t *testing.T, m *production.Merchant, queue string, more ...string) (url string, stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	env := map[string]string{"ADDR": freeAddress(t), "QUEUE": queue}
	for i := 0; i < len(more); i += 2 {
		env[more[i]] = more[i+1]
	}
	getenv := m.With(env)
	ended := make(chan int, 1)
	var stdout, stderr bytes.Buffer
	go func() { ended <- run(ctx, []string{"-write"}, getenv, &stdout, &stderr) }()
	url = "http://" + address(getenv)
	require.Eventually(t, func() bool { return health(t, url).Running }, 10*time.Second, 10*time.Millisecond)
	assert.Len(t, health(t, url).Channels, 2)
	return url, func() {
		cancel()
		assert.Equal(t, exitFine, <-ended, "it ends well when it is told to: %s", &stderr)
		assert.True(t, strings.HasPrefix(stdout.String(), "Real services, to be written: ECOSIRE at 127.0.0.1:"), stdout.String())
	}
}

// A state is what the service says of itself.
type state struct {
	Running  bool
	Channels []struct {
		Channel       string
		Waiting, Held int
	}
}

func health(t *testing.T, url string) (s state) {
	resp, err := http.Get(url + "/healthz")
	if err != nil {
		return s // it does not listen yet
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusOK {
		require.NoError(t, json.NewDecoder(resp.Body).Decode(&s))
	}
	return s
}

// event sends an event about products, as ECOSIRE would, and returns the status
// of the answer.
func event(t *testing.T, url, secret string, ids ...string) int {
	body, err := json.Marshal(map[string]any{"id": "evt_1", "event": "stock.changed", "data": map[string]any{"productIds": ids}})
	require.NoError(t, err)
	req, err := http.NewRequestWithContext(t.Context(), "POST", url+"/webhooks/ecosire", bytes.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Ecosire-Signature", ecosire.Sign(secret, body))
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	return resp.StatusCode
}

func TestRealServicesAreWrittenWhenTold(t *testing.T) {
	m := production.New(t, 10)
	queue := filepath.Join(t.TempDir(), "queue.db")
	for i := range 2 { // the second finds the first one's queue
		url, stop := service(t, m, queue)
		m.ECOSIRE.Sell(m.Products[i], 4)
		assert.Equal(t, http.StatusUnauthorized, event(t, url, "whsec_forged", m.Products[i]))
		assert.Equal(t, http.StatusAccepted, event(t, url, production.Secret, m.Products[i]))
		require.Eventually(t, func() bool {
			a, _ := m.Shopify.Available(production.SKU(i))
			b, _ := m.Woo.Quantity(production.SKU(i))
			return a == 6 && b == 6
		}, 10*time.Second, 10*time.Millisecond)
		stop()
	}
}

// The worst day in real time: ECOSIRE says that nothing is left of anything, in
// events.
func TestTheGuardIsOn(t *testing.T) {
	const products, limit = 400, 50 // as nothing is known of the shop yet
	m := production.New(t, products)
	url, stop := service(t, m, filepath.Join(t.TempDir(), "queue.db"))
	m.Sell(products)
	assert.Equal(t, http.StatusAccepted, event(t, url, production.Secret, m.Products...))
	require.Eventually(t, func() bool {
		h := health(t, url)
		return h.Channels[0].Waiting == 0 && h.Channels[1].Waiting == 0 && h.Channels[0].Held > 0 && h.Channels[1].Held > 0
	}, 10*time.Second, 20*time.Millisecond)
	stop()
	a, b := m.Zeroed()
	assert.LessOrEqual(t, max(a, b), limit)
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
	code, out, errOut := try(t, m.With(map[string]string{"ECOSIRE_WEBHOOK_SECRET": ""}), "-write")
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, errOut, "ECOSIRE_WEBHOOK_SECRET")
	assert.Empty(t, out)
	code, out, errOut = try(t, nothing, "-write")
	assert.Equal(t, exitFailed, code, "a simulation is not what -write asks for")
	assert.Contains(t, errOut, "ECOSIRE_API_KEY")
	assert.Empty(t, out)
	assert.Zero(t, m.Requests())
}

func TestUsage(t *testing.T) {
	m := production.New(t, 3)
	for _, args := range []string{"-h", "-no-such-flag", "serve", "-write now", "-demo -write"} {
		code, out, errOut := try(t, m.Getenv, strings.Fields(args)...)
		want := exitUsage
		if args == "-h" {
			want = exitFine
		}
		assert.Equal(t, want, code, args)
		assert.Contains(t, errOut, "usage: webhookserver", args)
		assert.Empty(t, out, args)
	}
	assert.Zero(t, m.Requests())
}

func TestTheStatusPageIsBehindAPassword(t *testing.T) {
	m := production.New(t, 3)
	look := func(url, user, password string) int {
		req, err := http.NewRequestWithContext(t.Context(), "GET", url+"/status/", nil)
		require.NoError(t, err)
		if user != "" {
			req.SetBasicAuth(user, password)
		}
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		_ = resp.Body.Close()
		return resp.StatusCode
	}
	url, stop := service(t, m, filepath.Join(t.TempDir(), "queue.db"), "STATUS_PASSWORD", "secret")
	assert.Equal(t, http.StatusUnauthorized, look(url, "", ""))
	assert.Equal(t, http.StatusUnauthorized, look(url, "ann", "guess"))
	assert.Equal(t, http.StatusOK, look(url, "ann", "secret"))
	stop()
	url, stop = service(t, m, filepath.Join(t.TempDir(), "queue.db"))
	assert.Equal(t, http.StatusNotFound, look(url, "ann", ""))
	stop()
}

func freeAddress(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}
