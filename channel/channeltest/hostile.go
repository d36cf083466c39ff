package channeltest

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ecosire/stocksync/channel"
)

// Hostile returns what networks, proxies and servers do to a request on bad
// days, each as a [Fault] with a name that hits the next request once. To have
// it hit others, set Match, Skip and Times.
func Hostile() []Fault {
	html := http.Header{"Content-Type": {"text/html; charset=utf-8"}}
	const page = "<!DOCTYPE html><html><head><title>Just a moment...</title></head><body></body></html>"
	return []Fault{
		{Name: "429 with Retry-After", Status: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {"2"}}},
		{Name: "429 without Retry-After", Status: http.StatusTooManyRequests},
		{Name: "503", Status: http.StatusServiceUnavailable, Header: html, Body: page},
		{Name: "504 with the work done", Status: http.StatusGatewayTimeout, Header: html, Body: page, Apply: true},
		{Name: "cut", Cut: true},
		{Name: "answer lost", Cut: true, Apply: true},
		{Name: "HTML with 200", Status: http.StatusOK, Header: html, Body: page},
		{Name: "HTML with 200 and the work done", Status: http.StatusOK, Header: html, Body: page, Apply: true},
		{Name: "empty 200", Status: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}},
		{Name: "null with 200", Status: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: "null"},
		{Name: "half an answer", Rewrite: func(status int, _ http.Header, body []byte) (int, []byte) { return status, body[:len(body)/2] }},
		{Name: "redirect to a login", Status: http.StatusFound, Header: http.Header{"Location": {"https://login.example/"}}},
		{Name: "request twice", Twice: true},
		{Name: "slow", Delay: 20 * time.Second},
		{Name: "no answer", Delay: 10 * time.Minute},
	}
}

// TestHTTPChannel checks that a channel over HTTP is truthful when the network
// is [Hostile], a subtest for each fault, in bubbles as
// [TestChannelInBubble] says. It needs Subject.Wire.
//
// Each fault hits each request of a Push in turn, then all of them; each time
// it must hold that:
//
//   - what Push reports as done is shown,
//   - every item shows its old quantity or its new one,
//   - no SKU is blamed: an error is not [channel.Permanent],
//   - Levels is right or an error, and nothing is missing from it,
//   - when the fault is gone, another Push converges.
//
// After that come rules about answers that never come, never end or lead
// elsewhere, about rows of them that are missing or odd, about waits, and about
// what errors say.
func TestHTTPChannel(t *testing.T, mk Maker) {
	for _, f := range Hostile() {
		t.Run(f.Name, func(t *testing.T) {
			in := func(when string, run func(k *kit)) {
				synctest.Test(t, func(t *testing.T) { run(&kit{t: t, mk: mk, rule: truthful, when: f.Name + when}) })
			}
			requests := 0
			in(" for no request", func(k *kit) { requests = k.hostile(Fault{}) })
			for n := range min(requests, 10) {
				in(fmt.Sprintf(" for request %d of %d", n+1, requests), func(k *kit) {
					f.Skip, f.Times = n, 1
					k.hostile(f)
				})
			}
			in(" for every request", func(k *kit) {
				f.Skip, f.Times = 0, -1
				k.hostile(f)
			})
		})
	}
	test(t, mk, true, httpRules)
}

var truthful = rule{
	promise: "whatever the network does, nil means that all is shown, nothing else is reported as done, and no SKU is blamed",
	advice:  "take only an answer that you understand in full as an answer; everything else is channel.ErrUnavailable",
}

// hostile returns how many requests a Push takes.
func (k *kit) hostile(f Fault) (requests int) {
	const n = 30
	levels, updates := numbered(n, 1000)
	k.open(levels...)
	if k.Wire == nil {
		k.t.Fatal("TestHTTPChannel needs Subject.Wire: put a channeltest.Wire between the channel's HTTP client and the service")
	}
	k.Wire.Forget()
	k.under(f, "Push", levels, updates)
	requests = k.Wire.Count(nil)
	k.done(updates...)
	if k.reader == nil || k.t.Failed() {
		return requests
	}
	skus := make([]string, n)
	for i, u := range updates {
		skus[i] = u.SKU
		levels[i].Quantity = u.Quantity
	}
	k.Wire.Inject(f)
	got, err := k.levels(k.t.Context(), skus...)
	k.Wire.Heal()
	switch {
	case err == nil:
		k.answer(got, levels)
	case channel.Permanent(err):
		k.errorf("Levels returned %q", err)
	}
	seen := func() {
		got := k.all(skus...)
		for i, l := range levels {
			if ls := got[l.SKU]; len(ls) == 1 {
				updates[i] = update(l.SKU, l.Quantity+1)
				updates[i].Seen = &ls[0]
			}
		}
	}
	seen()
	k.under(f, "Push on top of what was seen", levels, updates)
	// What was seen may have changed by the Push itself: look again.
	seen()
	k.done(updates...)
	return requests
}

// under pushes updates while there is a fault, and checks what came of it.
func (k *kit) under(f Fault, what string, before []channel.Level, updates []channel.Update) {
	k.t.Helper()
	k.Wire.Inject(f)
	out := k.push(k.t.Context(), updates...)
	k.Wire.Heal()
	for sku, err := range out.errs {
		if channel.Permanent(err) {
			k.errorf("%s reported %q as %q", what, sku, err)
			break
		}
	}
	if out.whole != nil && channel.Permanent(out.whole) {
		k.errorf("%s returned %q", what, out.whole)
	}
	k.truthful(out, updates...)
	for i, u := range updates {
		if got, ok := k.Shown(u.SKU); !ok || got != u.Quantity && got != before[i].Quantity {
			k.errorf("after %s %q shows %s, want %d or %d", what, u.SKU, display(got, ok), before[i].Quantity, u.Quantity)
			break
		}
	}
}

// answer wants the levels to be just these.
func (k *kit) answer(got map[string][]channel.Level, levels []channel.Level) {
	k.t.Helper()
	for _, l := range levels {
		if k.answers(got, l.SKU, l.Quantity); k.t.Failed() {
			return // the others most often fail for the same cause
		}
	}
}
