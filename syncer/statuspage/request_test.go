package statuspage_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/syncer/statuspage"
)

func TestRequestsFromOtherSitesAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, statuspage.Config{Actor: ann}, "a")
		h := w.trip()
		for name, headers := range map[string][]string{
			"another site":        {"Sec-Fetch-Site", "cross-site"},
			"a sister":            {"Sec-Fetch-Site", "same-site"},
			"an old browser":      {"Sec-Fetch-Site", "", "Origin", "https://evil.example"},
			"a sandboxed frame":   {"Sec-Fetch-Site", "", "Origin", "null"},
			"with the method GET": nil,
		} {
			var rec *httptest.ResponseRecorder
			if headers == nil {
				rec = w.do(httptest.NewRequest("GET", "/approve?channel=a&hash="+h.Hash, nil))
				assert.Equal(t, http.StatusMethodNotAllowed, rec.Code)
				assert.Equal(t, "POST", rec.Header().Get("Allow"))
				continue
			}
			rec = w.post("/approve", url.Values{"channel": {"a"}, "hash": {h.Hash}}, headers...)
			assert.Equal(t, http.StatusForbidden, rec.Code, name)
		}
		held, err := w.s.Held(t.Context())
		require.NoError(t, err)
		assert.Nil(t, held[0].Approved)
		rec := w.post("/approve", url.Values{"channel": {"a"}, "hash": {h.Hash}}, "Sec-Fetch-Site", "", "Origin", "http://example.com")
		assert.Equal(t, http.StatusSeeOther, rec.Code, "an old browser, from here")
	})
}

func TestASearchThatAnotherSiteEmbedsCostsNothing(t *testing.T) {
	w := newWorld(t, statuspage.Config{}, "a")
	search := func(headers ...string) int {
		r := httptest.NewRequest("GET", "/explain?q=p1", nil)
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		return w.do(r).Code
	}
	assert.Equal(t, http.StatusForbidden, search("Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors"))
	reads, _ := w.shops[0].Calls()
	assert.Zero(t, reads)
	assert.Equal(t, http.StatusOK, search("Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate"), "a link in a chat")
	assert.Equal(t, http.StatusOK, search("Sec-Fetch-Site", "none", "Sec-Fetch-Mode", "navigate"))
	assert.Equal(t, http.StatusOK, search())
}

func TestMethods(t *testing.T) {
	w := newWorld(t, statuspage.Config{Actor: ann}, "a")
	for _, path := range []string{"/", "/held", "/troubles", "/explain", "/style.css"} {
		for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS"} {
			r := httptest.NewRequest(method, path, nil)
			r.Header.Set("Sec-Fetch-Site", "same-origin")
			assert.Equal(t, http.StatusMethodNotAllowed, w.do(r).Code, "%s %s", method, path)
		}
		assert.Equal(t, http.StatusOK, w.do(httptest.NewRequest("HEAD", path, nil)).Code, path)
	}
	assert.Equal(t, http.StatusNotFound, w.do(httptest.NewRequest("GET", "/etc/passwd", nil)).Code)
	assert.Equal(t, http.StatusBadRequest, w.post("/pause", url.Values{"channel": {strings.Repeat("a", 100<<10)}}).Code)
}

// The page works wherever it is mounted: its links are followed.
func TestMounts(t *testing.T) {
	w := newWorld(t, statuspage.Config{Actor: ann, Title: "Acme"}, "a")
	mux := http.NewServeMux()
	mux.Handle("/", w.page)
	mux.Handle("/admin/stock/", w.page)
	mux.Handle("/stripped/", http.StripPrefix("/stripped", w.page))
	mux.Handle("/bare", http.StripPrefix("/bare", w.page))
	mux.Handle("/bare/", http.StripPrefix("/bare", w.page))
	server := httptest.NewServer(mux)
	defer server.Close()
	defer http.DefaultClient.CloseIdleConnections()
	fetch := func(address string) (*http.Response, string) {
		resp, err := http.Get(address)
		require.NoError(t, err)
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		return resp, string(body)
	}
	links := regexp.MustCompile(`(?:href|src|action)="([^"#]+)"`)
	for _, at := range []string{"/", "/admin/stock/", "/stripped/", "/bare", "/bare/"} {
		resp, body := fetch(server.URL + at)
		require.Equal(t, http.StatusOK, resp.StatusCode, at)
		has(t, body, "<title>Nothing is being synced · Acme</title>")
		here := resp.Request.URL
		assert.True(t, strings.HasSuffix(here.Path, "/"), at)
		found := links.FindAllStringSubmatch(body, -1)
		require.GreaterOrEqual(t, len(found), 5)
		for _, link := range found {
			to, err := here.Parse(strings.ReplaceAll(link[1], "&amp;", "&"))
			require.NoError(t, err)
			assert.True(t, strings.HasPrefix(to.Path, here.Path), link[1])
			resp, _ := fetch(to.String())
			want := http.StatusOK
			if link[1] == "pause" || link[1] == "resume" {
				want = http.StatusMethodNotAllowed
			}
			assert.Equal(t, want, resp.StatusCode, "%s: %s", at, link[1])
		}
		assets := regexp.MustCompile(`(?:href|src)="((?:style|live|icon)[^"]+)"`).FindAllStringSubmatch(body, -1)
		require.Len(t, assets, 3)
		for _, a := range assets {
			to, err := here.Parse(a[1])
			require.NoError(t, err)
			resp, _ := fetch(to.String())
			assert.Contains(t, resp.Header.Get("Cache-Control"), "immutable")
			to.RawQuery = "older"
			resp, _ = fetch(to.String())
			assert.Equal(t, "no-store", resp.Header.Get("Cache-Control"))
		}
		resp, err := http.PostForm(here.JoinPath("pause").String(), url.Values{"channel": {"a"}})
		require.NoError(t, err)
		_ = resp.Body.Close()
		assert.Equal(t, here.Path, resp.Request.URL.Path, "it leads back")
		require.NoError(t, w.s.Resume(t.Context(), "a", "ann"))
	}
}

func TestPauseAndResumeByTheButtons(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, statuspage.Config{Actor: ann}, "a", "b")
		defer w.run()()
		has(t, w.get("/"), `aria-label="Pause a"`)
		rec := w.post("/pause", url.Values{"channel": {"a"}})
		assert.Equal(t, "./?did=paused", rec.Header().Get("Location"))
		body := w.get("/?did=paused")
		has(t, body, "Paused. What is under way ends")
		has(t, body, `aria-label="Resume a"`)
		has(t, body, "by ann &lt;b&gt;")
		w.set(1, 3)
		require.NoError(t, w.s.Notify(t.Context(), "p1"))
		time.Sleep(time.Hour)
		n, _ := w.shops[0].Quantity("SKU-1")
		assert.Equal(t, 10, n)
		body = w.get("/")
		has(t, body, "<h1 class=\"verdict ok\">All is well</h1>", "what a pause holds up is no trouble")
		has(t, body, "a is paused, as somebody wanted.")
		has(t, body, "1 channel up, 1 paused.")
		has(t, w.get("/explain?q=p1"), "The channel is paused since")
		rec = w.post("/resume", url.Values{"channel": {"a"}})
		assert.Equal(t, "./?did=resumed", rec.Header().Get("Location"))
		time.Sleep(time.Second)
		n, _ = w.shops[0].Quantity("SKU-1")
		assert.Equal(t, 3, n)
		body = w.get("/")
		hasNot(t, body, "Resume a")
		has(t, body, "resumed by ann")
		rec = w.post("/pause", url.Values{"channel": {"no such"}})
		assert.Equal(t, http.StatusServiceUnavailable, rec.Code)
		has(t, rec.Body.String(), "there is no channel")
	})
}

// broken is a queue that can be made to fail.
type broken struct {
	*syncer.MemoryQueue
	err error
}

func (q *broken) Depth(ctx context.Context, lane string) (syncer.Depth, error) {
	if q.err != nil {
		return syncer.Depth{}, q.err
	}
	return q.MemoryQueue.Depth(ctx, lane)
}

func TestVerdicts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, statuspage.Config{}, "a", "b")
		has(t, w.get("/"), "Nothing is being synced")
		has(t, w.get("/"), "Run does not run in this process")
		stop := w.run()
		time.Sleep(3 * time.Second)
		has(t, w.get("/"), "All is well")
		has(t, w.get("/"), "2 channels up.")
		hasNot(t, w.get("/"), "Replicas")

		w.mu.Lock()
		w.down = fmt.Errorf("502 %s: %w", hostile, channel.ErrUnavailable)
		w.mu.Unlock()
		w.set(1, 3)
		require.NoError(t, w.s.Notify(t.Context(), "p1"))
		time.Sleep(3 * time.Minute)
		body := w.get("/")
		has(t, body, `<h1 class="verdict bad">1 channel down</h1>`)
		has(t, body, "1 of 2")
		has(t, body, "502 &#34;&gt;&lt;script&gt;")
		has(t, body, "1 product</span>")
		has(t, body, "(2 min ago): 502")
		hasNot(t, body, "behind by", "who is down is behind because of that")

		w.mu.Lock()
		w.down = nil
		w.mu.Unlock()
		time.Sleep(time.Minute)
		body = w.get("/")
		has(t, body, "All is well")
		has(t, body, "works again")
		has(t, body, "Everything that was marked is done.")
		_, err := w.s.Reconcile(t.Context())
		require.NoError(t, err)
		time.Sleep(20 * time.Second) // the last run is looked up now and then
		has(t, w.get("/"), "100 compared; no drift")
		has(t, w.get("/"), "Everything was compared 20 s ago.")
		w.mu.Lock()
		w.down = fmt.Errorf("401 %s: %w", hostile, channel.ErrUnauthorized)
		w.mu.Unlock()
		w.set(1, 5)
		require.NoError(t, w.s.Notify(t.Context(), "p1"))
		time.Sleep(time.Hour)
		has(t, w.get("/"), "2 alarms are on.")
		has(t, w.get("/"), "Queue old</span><bdi>a</bdi>")
		has(t, w.get("/"), "Credentials refused</span><bdi>a</bdi>")
		w.mu.Lock()
		w.down = nil
		w.mu.Unlock()
		time.Sleep(26 * time.Hour)
		has(t, w.get("/"), "Somebody should look")
		has(t, w.get("/"), "The last complete reconciliation began 27 h ago.")
		stop()
	})
}

func TestAQueueThatFails(t *testing.T) {
	w := newWorld(t, statuspage.Config{}, "a")
	q := &broken{MemoryQueue: syncer.NewMemoryQueue(), err: fmt.Errorf("disk full %s", hostile)}
	s, err := syncer.New(syncer.Config{Source: w, Targets: []syncer.Target{{Channel: w.shops[0]}}, Queue: q})
	require.NoError(t, err)
	w.page = statuspage.Handler(s, statuspage.Config{})
	body := w.get("/")
	has(t, body, "Nothing is being synced")
	has(t, body, "The queue does not answer")
	has(t, body, "disk full")
}

// Many who look cost as much as one.
func TestLookingIsCheap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, statuspage.Config{}, "a")
		defer w.run()()
		w.get("/")
		w.set(1, 3)
		require.NoError(t, w.s.Notify(t.Context(), "p1"))
		has(t, w.get("/"), "Everything that was marked is done.", "as of two seconds ago")
		time.Sleep(50 * time.Millisecond)
		for range 100 {
			w.get("/")
		}
		reads, _ := w.shops[0].Calls()
		assert.Zero(t, reads, "nor are the channels asked")
	})
}
