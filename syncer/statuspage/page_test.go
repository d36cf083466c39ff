package statuspage_test

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/syncer"
	"github.com/ecosire/stocksync/syncer/statuspage"
)

// hostile is a name that would be a script if it were not escaped.
const hostile = `"><script>alert(1)</script>'` + "\u202e{{.Actor}}"

// A world is a source with a hundred products, some shops, and the page.
type world struct {
	t      *testing.T
	mu     sync.Mutex
	stocks []channel.Stock
	shops  []*channeltest.Memory
	s      *syncer.Syncer
	page   http.Handler
	down   error // of the first shop
}

func (w *world) Stock(_ context.Context, ids ...string) iter.Seq2[channel.Stock, error] {
	return func(yield func(channel.Stock, error) bool) {
		w.mu.Lock()
		stocks := append([]channel.Stock(nil), w.stocks...)
		w.mu.Unlock()
		for _, s := range stocks {
			s.AsOf = time.Now()
			if len(ids) == 0 || strings.Contains("\x00"+strings.Join(ids, "\x00")+"\x00", "\x00"+s.ProductID+"\x00") {
				if !yield(s, nil) {
					return
				}
			}
		}
	}
}

func (w *world) set(i, n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stocks[i].OnHand, w.stocks[i].Available = n, n
}

func sku(i int) string {
	if i == 0 {
		return "SKU " + hostile
	}
	return fmt.Sprintf("SKU-%d", i)
}

func ann(*http.Request) (string, bool) { return "ann <b>", true }

// newWorld has a hundred products that show 10 in each shop.
func newWorld(t *testing.T, cfg statuspage.Config, names ...string) *world {
	t.Helper()
	w := &world{t: t}
	var targets []syncer.Target
	for _, name := range names {
		m := channeltest.NewMemory(name)
		w.shops = append(w.shops, m)
		targets = append(targets, syncer.Target{Channel: &channeltest.Intercept{Channel: m, OnLevels: func(ctx context.Context, next channel.Reader, skus []string) ([]channel.Level, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.down != nil && name == names[0] {
				return nil, w.down
			}
			return next.Levels(ctx, skus)
		}}})
	}
	for i := range 100 {
		w.stocks = append(w.stocks, channel.Stock{ProductID: fmt.Sprintf("p%d", i), SKU: sku(i), Name: "Name " + hostile, OnHand: 10, Available: 10})
		for _, m := range w.shops {
			m.Set(sku(i), 10)
		}
	}
	var err error
	w.s, err = syncer.New(syncer.Config{Source: w, Targets: targets, Journal: 24 * time.Hour, Schedule: syncer.Never()})
	require.NoError(t, err)
	w.page = statuspage.Handler(w.s, cfg)
	return w
}

// trip makes the guards hold fifty lines a shop.
func (w *world) trip() syncer.Holding {
	w.t.Helper()
	_, err := w.s.Reconcile(w.t.Context())
	require.NoError(w.t, err)
	for i := range 50 {
		w.set(i, 0)
	}
	_, err = w.s.Reconcile(w.t.Context())
	require.ErrorIs(w.t, err, syncer.ErrHeld)
	held, err := w.s.Held(w.t.Context())
	require.NoError(w.t, err)
	return held[0]
}

func (w *world) run() (stop func()) {
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan error, 1)
	go func() { done <- w.s.Run(ctx) }()
	synctest.Wait()
	return func() { cancel(); assert.NoError(w.t, <-done) }
}

func (w *world) do(r *http.Request) *httptest.ResponseRecorder {
	w.t.Helper()
	rec := httptest.NewRecorder()
	w.page.ServeHTTP(rec, r)
	checkHeaders(w.t, rec)
	return rec
}

func (w *world) get(path string) string {
	w.t.Helper()
	return w.do(httptest.NewRequest("GET", path, nil)).Body.String()
}

func (w *world) post(path string, form url.Values, headers ...string) *httptest.ResponseRecorder {
	w.t.Helper()
	r := httptest.NewRequest("POST", path, strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return w.do(r)
}

var inline = regexp.MustCompile(`(?i)<style|\sstyle=|\son[a-z]+=|javascript:|<script(?: [^>]*)?>[^<]`)

// checkHeaders checks what must hold of every answer, whatever it says.
func checkHeaders(t *testing.T, rec *httptest.ResponseRecorder) {
	t.Helper()
	csp := rec.Header().Get("Content-Security-Policy")
	has(t, csp, "default-src 'none'")
	hasNot(t, csp, "unsafe")
	hasNot(t, csp, "*")
	assert.Equal(t, "nosniff", rec.Header().Get("X-Content-Type-Options"))
	body := rec.Body.String()
	if strings.HasPrefix(rec.Header().Get("Content-Type"), "text/html") {
		assert.Equal(t, "no-store", rec.Header().Get("Cache-Control"))
		assert.Empty(t, inline.FindString(body))
		hasNot(t, body, "<script>alert", "what comes from outside is escaped")
		hasNot(t, body, "<b>")
		hasNot(t, body, "\u202e", "and cannot turn the text around")
		hasNot(t, body, "ZgotmplZ")
		hasNot(t, body, "<no value>")
	}
}

// has is assert.Contains, and does not print pages.
func has(t *testing.T, page, text string, about ...any) {
	t.Helper()
	assert.True(t, strings.Contains(page, text), "%q is missing %v", text, about)
}

func hasNot(t *testing.T, page, text string, about ...any) {
	t.Helper()
	assert.False(t, strings.Contains(page, text), "%q is there %v", text, about)
}

func TestEveryPageEscapesWhatComesFromOutside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		name := "shop" + strings.ReplaceAll(hostile, "\u202e", "") // it is the host's own
		w := newWorld(t, statuspage.Config{Actor: ann}, name)
		w.trip()
		w.shops[0].Remove(sku(60))
		w.set(60, 3)
		require.NoError(t, w.s.Pin(t.Context(), syncer.Pin{ProductID: "p70", Quantity: 1, Who: "bob" + hostile, Why: "a recall" + hostile}))
		_, _ = w.s.Reconcile(t.Context())
		for _, path := range []string{
			"/", "/?did=approved", "/?did=" + url.QueryEscape(hostile), "/held?channel=" + url.QueryEscape(name), "/held?channel=" + url.QueryEscape(hostile),
			"/troubles", "/troubles?reason=unknown_sku", "/troubles?reason=" + url.QueryEscape(hostile),
			"/explain?q=p0", "/explain?q=p60", "/explain?q=" + url.QueryEscape(sku(0)), "/explain?q=" + url.QueryEscape(hostile), "/explain", "/" + url.PathEscape(hostile),
		} {
			body := w.get(path)
			has(t, body, "<h1", path)
			has(t, body, "ann &lt;b&gt;", path)
		}
		has(t, w.get("/held?channel="+url.QueryEscape(name)), "SKU &#34;&gt;&lt;script&gt;alert(1)")
		has(t, w.get("/explain?q=p60"), "The channel does not have the SKU")
		has(t, w.get("/troubles?reason=unknown_sku"), "SKU-60")
		has(t, w.get("/"), "a recall&#34;&gt;&lt;script&gt;")
		has(t, w.get("/explain?q=p70"), "Pinned at 1 by bob")
		has(t, w.get("/"), "troubles?reason=unknown_sku")
		for _, link := range regexp.MustCompile(`href="(held[^"]*|explain[^"]*)"`).FindAllStringSubmatch(w.get("/"), -1) {
			hasNot(t, w.get("/"+strings.ReplaceAll(link[1], "&amp;", "&")), "Nothing is held there", "its links lead to what they are about")
		}
	})
}

func TestApproveByTheButton(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, statuspage.Config{Actor: ann}, "a", "b")
		h := w.trip()
		defer w.run()()
		has(t, w.get("/"), "Changes are held until somebody looks")
		page := w.get("/held?channel=a")
		assert.Equal(t, 50, strings.Count(page, `<th scope="row">`), "all lines are there")
		has(t, page, `name="hash" value="`+h.Hash+`"`)

		rec := w.post("/approve", url.Values{"channel": {"a"}, "hash": {h.Hash}})
		assert.Equal(t, http.StatusSeeOther, rec.Code)
		assert.Equal(t, "./?did=approved", rec.Header().Get("Location"))
		time.Sleep(time.Minute)
		synctest.Wait()
		n, _ := w.shops[0].Quantity("SKU-7")
		assert.Zero(t, n)
		n, _ = w.shops[1].Quantity("SKU-7")
		assert.Equal(t, 10, n, "the other shop's lines were not approved")
		has(t, w.get("/held?channel=a"), "Nothing is held there")
		has(t, w.get("/"), "50 lines, approved by ann")
	})
}

func TestAnApprovalOfOtherLinesApprovesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, statuspage.Config{Actor: ann}, "a")
		h := w.trip()
		for i := 50; i < 60; i++ { // meanwhile
			w.set(i, 0)
		}
		_, err := w.s.Reconcile(t.Context())
		require.ErrorIs(t, err, syncer.ErrHeld)
		for name, form := range map[string]url.Values{
			"old lines":  {"channel": {"a"}, "hash": {h.Hash}},
			"no hash":    {"channel": {"a"}},
			"a number":   {"channel": {"a"}, "upTo": {"1000"}},
			"two hashes": {"channel": {"a"}, "hash": {h.Hash, "x"}},
		} {
			rec := w.post("/approve", form)
			assert.Equal(t, http.StatusConflict, rec.Code, name)
			has(t, rec.Body.String(), "Nothing was approved", name)
		}
		now, err := w.s.Held(t.Context())
		require.NoError(t, err)
		rec := w.post("/approve?hash="+now[0].Hash+"&channel=a", nil)
		assert.Equal(t, http.StatusConflict, rec.Code, "an address approves nothing")
		now, err = w.s.Held(t.Context())
		require.NoError(t, err)
		assert.Nil(t, now[0].Approved)
		assert.Len(t, now[0].Lines, 60)
	})
}

func TestWhoMayNotActOnlyLooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, actor := range map[string]func(*http.Request) (string, bool){
			"no actor":   nil,
			"not him":    func(*http.Request) (string, bool) { return "bob", false },
			"a nameless": func(*http.Request) (string, bool) { return " ", true },
		} {
			w := newWorld(t, statuspage.Config{Actor: actor}, "a")
			h := w.trip()
			for _, path := range []string{"/", "/held?channel=a"} {
				body := w.get(path)
				hasNot(t, body, `method="post"`, name)
				hasNot(t, body, h.Hash+`"`, name)
			}
			for path, form := range map[string]url.Values{
				"/approve": {"channel": {"a"}, "hash": {h.Hash}}, "/pause": {"channel": {"a"}}, "/resume": {"channel": {"a"}},
			} {
				assert.Equal(t, http.StatusForbidden, w.post(path, form).Code, name)
			}
			held, err := w.s.Held(t.Context())
			require.NoError(t, err)
			assert.Nil(t, held[0].Approved)
			health, err := w.s.Health(t.Context())
			require.NoError(t, err)
			assert.Nil(t, health.Channels[0].Paused)
		}
	})
}
