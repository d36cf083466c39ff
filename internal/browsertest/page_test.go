package browsertest_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/internal/browsertest"
	"github.com/ecosire/stocksync/syncer"
)

// need skips a test that lacks a browser or axe-core, unless STOCKSYNC_BROWSER
// is "require", as in .ci/run.
func need(t *testing.T) (axe string) {
	t.Helper()
	axe, err := browsertest.Axe()
	why := ""
	switch {
	case browsertest.Chromium() == "":
		why = "there is no Chromium"
	case err != nil:
		why = err.Error()
	default:
		return axe
	}
	if os.Getenv("STOCKSYNC_BROWSER") == "require" {
		t.Fatal(why)
	}
	t.Skip(why + "; bash .ci/browser installs both")
	return ""
}

// A visit is a browser in a world on a bad day: 24 products are held on both
// shops, hostile ones among them, and one was given up.
type visit struct {
	*browsertest.Browser
	t   *testing.T
	w   *browsertest.World
	axe string

	mu   sync.Mutex
	said []string // on the console
}

func newVisit(t *testing.T) *visit {
	t.Helper()
	v := &visit{t: t, axe: need(t)}
	var err error
	v.w, err = browsertest.NewWorld(t.Context(), 40, true)
	require.NoError(t, err)
	t.Cleanup(v.w.Close)
	v.Browser, err = browsertest.Start(t.Context())
	require.NoError(t, err)
	messages := v.Console()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for m, err := range messages {
			if err != nil {
				return
			}
			v.mu.Lock()
			v.said = append(v.said, m.String())
			v.mu.Unlock()
		}
	}()
	t.Cleanup(func() { v.Close(); <-ended })
	return v
}

func (v *visit) badDay() {
	v.t.Helper()
	require.NoError(v.t, v.w.Sell(v.t.Context(), 20*time.Second))
	require.NoError(v.t, v.w.BadImport(v.t.Context(), 24))
}

// console is what the page wrote since the last call.
func (v *visit) console() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	said := v.said
	v.said = nil
	return said
}

func (v *visit) open(address string) {
	v.t.Helper()
	require.NoError(v.t, v.Do(chromedp.Navigate(address), chromedp.WaitVisible(chromedp.CSS("h1"))), address)
}

func (v *visit) click(selector string) {
	v.t.Helper()
	require.NoError(v.t, v.Do(chromedp.Click(chromedp.CSS(selector))), selector)
}

func (v *visit) js(expression string) string {
	v.t.Helper()
	answer, err := browsertest.Ask(v.Browser, chromedp.Evaluate[string](expression, chromedp.EvalAwaitPromise))
	require.NoError(v.t, err, expression)
	return answer
}

// becomes waits until an expression has a value, in a document that is there as a
// whole: a heading is, before the table below it.
func (v *visit) becomes(expression, want string) {
	v.t.Helper()
	require.Eventually(v.t, func() bool {
		answer, err := browsertest.Ask(v.Browser, chromedp.Evaluate[string](`document.readyState === 'complete' ? (`+expression+`) : 'loading'`))
		return err == nil && answer == want
	}, 20*time.Second, 100*time.Millisecond, "%s: %s", expression, want)
}

const heading = `document.querySelector('h1')?.textContent.trim() ?? ''`

func held(channel string) string { return "held?channel=" + url.QueryEscape(channel) }

// Every page, at each width and in each color: nothing hostile is alive, nothing
// is wider than the window, and axe-core finds nothing amiss.
func TestPagesAreSoundInEveryLook(t *testing.T) {
	v := newVisit(t)
	v.badDay()
	require.NoError(t, v.w.Syncer.Pause(t.Context(), browsertest.WooCommerce, "ann"))
	require.NoError(t, v.w.Syncer.Pin(t.Context(), syncer.Pin{ProductID: v.w.IDs[0], Quantity: 1, Who: browsertest.Hostile, Why: browsertest.Hostile}))
	for _, width := range []int64{1280, 390} {
		for _, dark := range []bool{false, true} {
			require.NoError(t, v.Look(width, 900, dark))
			for name, address := range map[string]string{
				"overview": v.w.URL, "overview, done": v.w.URL + "?did=approved", "overview, read-only": v.w.Looking,
				"held": v.w.URL + held(browsertest.Shopify), "held, read-only": v.w.Looking + held(browsertest.Shopify),
				"troubles": v.w.URL + "troubles", "explain": v.w.URL + "explain?q=" + url.QueryEscape(browsertest.Hostile),
				"message": v.w.URL + "explain", "not found": v.w.URL + "nowhere",
			} {
				t.Run(fmt.Sprintf("%s at %d, dark %v", name, width, dark), func(t *testing.T) {
					v.open(address)
					v.sound(t)
				})
			}
		}
	}
}

// sound checks the page that is open.
func (v *visit) sound(t *testing.T) {
	t.Helper()
	for what, expression := range map[string]string{
		"images":            `String(document.images.length)`,
		"scripts of others": `String([...document.scripts].filter(s => !s.src.includes('/live.js?')).length)`,
		"handlers":          `String([...document.querySelectorAll('*')].filter(e => [...e.attributes].some(a => a.name.startsWith('on') || a.name === 'style')).length)`,
	} {
		assert.Equal(t, "0", v.js(expression), what)
	}
	assert.Equal(t, "true", v.js(`String(document.documentElement.scrollWidth <= innerWidth)`), "nothing is wider than the window: %s",
		v.js(`[...document.querySelectorAll('*')].filter(e => e.getBoundingClientRect().right > innerWidth + 1).map(e => e.outerHTML.slice(0, 80)).slice(0, 3).join(' ')`))
	require.NoError(t, v.Do(chromedp.Evaluate[chromedp.Void](v.axe)))
	var found []struct {
		ID, Impact string
		Nodes      []struct{ HTML, FailureSummary string }
	}
	answer := v.js(`axe.run(document, {resultTypes: ['violations']}).then(r => JSON.stringify(r.violations))`)
	require.NoError(t, json.Unmarshal([]byte(answer), &found))
	for _, f := range found {
		assert.Fail(t, "axe-core finds "+f.ID, "%s: %+v", f.Impact, f.Nodes[0])
	}
	for _, said := range v.console() {
		assert.True(t, strings.Contains(said, "404"), "the console says %s", said)
	}
}

func TestApproveHeldLinesByTheButton(t *testing.T) {
	v := newVisit(t)
	v.badDay()
	shows := func(i int) [2]int {
		a, _ := v.w.Shop.Available(browsertest.SKU(i))
		b, _ := v.w.Woo.Quantity(browsertest.SKU(i))
		return [2]int{a, b}
	}
	require.Positive(t, shows(0)[0])
	v.open(v.w.URL)
	assert.Equal(t, "Changes are held until somebody looks", v.js(heading))
	v.click(`#held a.button`)
	v.becomes(heading, "24 lines held on "+browsertest.Shopify)
	assert.Equal(t, "24", v.js(`String(document.querySelectorAll('tbody tr').length)`))
	assert.Contains(t, v.js(`document.querySelector('tbody').textContent`), browsertest.Hostile, "it is text")
	v.click(`form.decide button`)
	v.becomes(`document.querySelector('[role=status]')?.textContent ?? ''`, "Approved. The lines are looked at once more and written within moments.")
	v.js(`window.sameDocument = 'yes'`)
	for i := range 24 {
		require.Eventually(t, func() bool { return shows(i)[0] == 0 }, 20*time.Second, 20*time.Millisecond, "the shop shows it: %s", browsertest.SKU(i))
		assert.Positive(t, shows(i)[1], "and the other one does not: it was not approved there")
	}
	v.becomes(`String(document.querySelectorAll('#held article').length)`, "1") // by itself
	assert.Equal(t, "yes", v.js(`window.sameDocument`), "the page was not loaded again")
	assert.Contains(t, v.js(`document.querySelector('#lately').textContent`), "24 lines, approved by ann")
	assert.Empty(t, v.console())
}

func TestWhoMayNotActHasNoButtons(t *testing.T) {
	v := newVisit(t)
	v.badDay()
	for _, page := range []string{"", held(browsertest.Shopify)} {
		v.open(v.w.Looking + page)
		assert.Equal(t, "0", v.js(`String(document.querySelectorAll('form[method=post]').length)`))
	}
	for _, action := range []string{"approve", "pause", "resume"} {
		assert.Equal(t, "403", v.js(`fetch('`+action+`', {method: 'POST', body: new URLSearchParams({channel: '`+browsertest.Shopify+`', hash: 'x'})}).then(r => String(r.status))`))
	}
	h, err := v.w.Syncer.Health(t.Context())
	require.NoError(t, err)
	assert.Nil(t, h.Channels[0].Paused)
	assert.Equal(t, 24, h.Channels[0].Held)
}

func TestItWorksByKeyboardAndWithoutJavaScript(t *testing.T) {
	v := newVisit(t)
	v.badDay()
	paused := func(want bool) func(syncer.Health) bool {
		return func(h syncer.Health) bool { return (h.Channels[0].Paused != nil) == want }
	}
	v.open(v.w.URL)
	require.NoError(t, v.Do(chromedp.KeyEvent("\t")))
	assert.Equal(t, "Skip to the content", v.js(`document.activeElement.textContent`))
	require.NoError(t, v.Do(chromedp.KeyEvent("\r")))
	assert.Equal(t, "main", v.js(`document.activeElement.id`))
	require.NoError(t, v.Do(chromedp.KeyEvent("\t")))
	assert.Equal(t, "24 lines held", v.js(`document.activeElement.textContent`))
	require.NoError(t, v.Do(chromedp.KeyEvent("\t")))
	assert.Equal(t, "Pause "+browsertest.Shopify, v.js(`document.activeElement.getAttribute('aria-label')`))
	assert.NotEqual(t, "none", v.js(`getComputedStyle(document.activeElement).outlineStyle`), "one sees where one is")
	require.NoError(t, v.Do(chromedp.KeyEvent("\r")))
	require.NoError(t, v.w.Until(t.Context(), 10*time.Second, paused(true)))

	require.NoError(t, v.Scripts(false))
	v.open(v.w.URL)
	v.click(`form[action=resume] button`)
	require.NoError(t, v.w.Until(t.Context(), 10*time.Second, paused(false)))
	v.click(`#held article:last-of-type a.button`)
	v.becomes(heading, "24 lines held on "+browsertest.WooCommerce)
	v.click(`form.decide button`)
	require.Eventually(t, func() bool { n, _ := v.w.Woo.Quantity(browsertest.SKU(5)); return n == 0 }, 20*time.Second, 20*time.Millisecond)
	require.NoError(t, v.Do(chromedp.SendKeys(chromedp.CSS("#q"), v.w.IDs[5]+"\r")))
	v.becomes(heading, "Oak board")
}

// What the page's policy forbids, the browser refuses.
func TestThePolicyHolds(t *testing.T) {
	v := newVisit(t)
	v.open(v.w.URL)
	assert.Equal(t, "refused", v.js(`(() => { try { document.body.innerHTML = '<b>x</b>'; return 'done'; } catch { return 'refused'; } })()`))
	assert.Equal(t, "refused", v.js(`fetch('https://elsewhere.invalid/').then(() => 'done', () => 'refused')`))
	assert.Equal(t, "rgb(245, 245, 242)", v.js(`document.body.setAttribute('style', 'background: red'), getComputedStyle(document.body).backgroundColor`))
	assert.Contains(t, strings.Join(v.console(), "\n"), "Content Security Policy")
}
