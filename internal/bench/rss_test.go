package bench

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/syncer"
)

const (
	rssProducts = 50_000
	// rssBound is how much the largest process may have in memory, in MiB, the
	// program itself included.
	rssBound   = 64
	rssChild   = "STOCKSYNC_BENCH_RSS"    // says what a process reconciles
	rssAt      = "STOCKSYNC_BENCH_RSS_AT" // and where the services are
	rssService = "Service"                // the header that names one
)

// TestRSS makes a table of what a process has in memory at its peak that
// reconciles a catalogue, as the operating system counts it: the program and the
// garbage included. The services are in another process, and answer at once.
func TestRSS(t *testing.T) {
	if what := os.Getenv(rssChild); what != "" {
		reconcileAlone(t, what)
		return
	}
	g := generated(rssProducts)
	services := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		resp, err := g.service(r.Header.Get(rssService))(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		maps.Copy(w.Header(), resp.Header)
		_, _ = io.Copy(w, resp.Body)
	}))
	defer services.Close()
	measured(t)
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells the peak")
	}
	out := newTable("rss", "a process that", "products", "peak, MiB")
	worst := 0.0
	for _, what := range []string{"does nothing", heaps[1].name, heaps[2].name, "ECOSIRE to both"} {
		child := exec.Command(os.Args[0], "-test.run", "^TestRSS$", "-test.count", "1")
		child.Env = append(os.Environ(), rssChild+"="+what, rssAt+"="+services.Listener.Addr().String())
		text, err := child.CombinedOutput()
		require.NoError(t, err, string(text))
		found := regexp.MustCompile(`peak (\d+) kB`).FindSubmatch(text)
		require.NotNil(t, found, string(text))
		kb, err := strconv.Atoi(string(found[1]))
		require.NoError(t, err)
		products := rssProducts
		if what == "does nothing" {
			products = 0
		}
		worst = max(worst, float64(kb)/1024)
		out.row(what, number(products), fmt.Sprintf("%.1f", float64(kb)/1024))
	}
	out.done(t)
	assert.Less(t, worst, float64(rssBound))
}

// reconcileAlone is the process that is measured.
func reconcileAlone(t *testing.T, what string) {
	g := generated(rssProducts)
	there := func(service string) *http.Client {
		return &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			r = r.Clone(r.Context())
			r.URL.Scheme, r.URL.Host = "http", os.Getenv(rssAt)
			r.Header.Set(rssService, service)
			return http.DefaultTransport.RoundTrip(r)
		})}
	}
	cfg := syncer.Config{}
	for _, h := range heaps[1:] {
		if what != h.name && what != "ECOSIRE to both" {
			continue
		}
		source, channels, err := h.make(g, there)
		require.NoError(t, err)
		cfg.Source = source
		for _, c := range channels {
			cfg.Targets = append(cfg.Targets, syncer.Target{Channel: c})
		}
	}
	if cfg.Source != nil {
		s, err := syncer.New(cfg)
		require.NoError(t, err)
		r, err := s.Reconcile(t.Context())
		require.NoError(t, err)
		for _, c := range r.Channels {
			require.Equal(t, rssProducts, c.Checked)
		}
	}
	status, err := os.ReadFile("/proc/self/status")
	require.NoError(t, err)
	for line := range bytes.Lines(status) {
		if peak, found := bytes.CutPrefix(line, []byte("VmHWM:")); found {
			fmt.Printf("peak %s\n", bytes.TrimSpace(peak))
		}
	}
}
