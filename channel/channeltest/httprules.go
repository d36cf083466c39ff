package channeltest

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/racetest"
)

const (
	// patience is how long a call may take when nobody ends it.
	patience = 30 * time.Minute
	// longBody is more than an answer to a Push or to Levels has, in bytes.
	longBody = 64 << 20
	// longText is more than an error should say, in bytes.
	longText = 2000
)

// httpRules are those of TestHTTPChannel that are about more than a fault.
var httpRules = []rule{
	{
		name:    "NoAnswerEver",
		promise: "a request that is never answered ends by itself, within half an hour with all attempts, also where ctx has no end",
		advice:  "give each request a timeout of its own: http.Client.Timeout, or context.WithTimeout",
		run: func(k *kit) {
			k.each(Fault{Times: -1, Delay: 100 * time.Hour}, func(call string, f func() error) {
				start := time.Now()
				err := f()
				if took := time.Since(start); took > patience {
					k.errorf("%s took %v, since it was not answered", call, took)
				}
				k.failed(call, err)
			})
		},
	},
	{
		name:    "EndlessAnswer",
		promise: "an answer is read up to a bound: one that does not end, or is a mistake, must not take the memory of the process",
		advice:  "read through an io.LimitReader, also the body of an error, and take what is cut off for channel.ErrUnavailable",
		run: func(k *kit) {
			racetest.Long(k.t) // it is about memory, and has nothing side by side
			statuses := []int{http.StatusInternalServerError, http.StatusOK}
			if testing.Short() {
				statuses = statuses[1:]
			}
			for _, status := range statuses {
				f := Fault{Times: -1, Status: status, Endless: true, Body: `{"data":"`, Header: http.Header{"Content-Type": {"application/json"}}}
				k.each(f, func(call string, f func() error) {
					err := f()
					if n := k.Wire.longestBody(); n > longBody {
						k.errorf("%s read %d MiB of an answer of status %d", call, n>>20, status)
					}
					k.failed(call, err)
				})
			}
		},
	},
	{
		name:    "ErrorsAreShortAndClean",
		promise: "an error has no body of an answer in its text, and nothing in it that came from outside is long, has control characters or credentials: it ends up in logs",
		advice:  "quote at most the service's own message, cut off at a few hundred bytes, with control characters and what was sent as credentials taken out",
		run:     shortAndClean,
	},
	{
		name:    "RedirectElsewhere",
		promise: "credentials, and what is written, go to the service's own host only, and over https if that is how it was asked: net/http strips Authorization from a redirect, but no header of another name",
		advice:  "set http.Client.CheckRedirect to return http.ErrUseLastResponse, and take a redirect for channel.ErrUnavailable",
		run:     redirectElsewhere,
	},
	{
		name:    "CancelledBetweenAttempts",
		promise: "a wait before another attempt ends with its context",
		advice:  "wait in a select with ctx.Done, and never in time.Sleep",
		run: func(k *kit) {
			for _, f := range []Fault{
				{Times: -1, Status: 429, Header: http.Header{"Retry-After": {"60"}}}, {Times: -1, Status: 429},
				{Times: -1, Status: 503}, {Times: -1, Cut: true},
			} {
				for _, after := range []time.Duration{50 * time.Millisecond, 5 * time.Second} {
					k.cancelled(f, after)
				}
			}
		},
	},
	{
		name:    "AnUnknownSKUOnABadDay",
		promise: "where a Push is cut into several requests and one fails as a whole, the SKUs of the others that were refused are told only together with that failure",
		advice:  "return that error alone, or errors.Join of it and the channel.Errors: an Errors alone says that everything else is done",
		run: func(k *kit) {
			const n = 250
			for request := range 8 {
				levels, updates := numbered(n, 1000)
				k.open(levels...)
				k.wired()
				k.when = fmt.Sprintf("503 from request %d on", request+1)
				updates = append([]channel.Update{update("NO-SUCH", 1)}, updates...)
				k.Wire.Inject(Fault{Skip: request, Times: -1, Status: http.StatusServiceUnavailable})
				out := k.push(k.t.Context(), updates...)
				k.Wire.Heal()
				k.truthful(out, updates...)
				if k.t.Failed() {
					return
				}
			}
		},
	},
	{
		name:    "AResultIsMissing",
		promise: "an update that the answer says nothing about is not done",
		advice:  "look for the result of each update by its SKU or id, not by its position, and for its quantity: 200 is not applied",
		run:     resultMissing,
	},
	{
		name:    "AnOddResult",
		promise: "a result that makes no sense concerns its own SKU: the others are done",
		advice:  "decode an answer row by row, and put what fails into the channel.Errors of that SKU",
		run: func(k *kit) {
			k.odd(func(bad *badRow, path string, value any) {
				const n = 6
				levels, updates := numbered(n, 1000)
				k.open(levels...)
				hit := k.spoil(bad, path, value)
				out := k.push(k.t.Context(), updates...)
				k.Wire.Heal()
				if !hit() {
					return
				}
				k.truthful(out, updates...)
				if out.whole != nil {
					k.errorf("Push failed as a whole: %v", out.whole)
				}
				if len(out.errs) > 1 {
					k.errorf("Push reported %d SKUs for one odd result: %v", len(out.errs), out.errs)
				}
			}, func(updates []channel.Update) { k.push(k.t.Context(), updates...) })
		},
	},
	{
		name:    "AnOddLevel",
		promise: "a row that makes no sense is the Level.Err of its own SKU: the others are read, and it is neither 0 nor absent",
		advice:  "decode an answer row by row; check the type of each value before it counts; keep the row's SKU when the rest is odd",
		run: func(k *kit) {
			k.odd(k.oddLevel, func(updates []channel.Update) {
				k.readable()
				_, _ = k.levels(k.t.Context(), skusOf(updates)...)
			})
		},
	},
}

// wired wants a wire.
func (k *kit) wired() {
	k.t.Helper()
	if k.Wire == nil {
		k.t.Fatal("TestHTTPChannel needs Subject.Wire: put a channeltest.Wire between the channel's HTTP client and the service")
	}
}

// each calls f for each call of the channel, each on a new service, under a
// fault that is mended afterwards.
func (k *kit) each(fault Fault, f func(call string, run func() error)) {
	for _, call := range []string{"Push", "Levels", "SKUs", "Preload"} {
		k.open(level("A-1", 1), level("A-2", 2))
		k.wired()
		run := k.call(k.t.Context(), call)
		if run == nil {
			continue
		}
		k.Wire.Inject(fault)
		f(call, run)
		k.Wire.Heal()
		k.done(update("A-1", 5))
		if k.t.Failed() {
			return
		}
	}
}

// call returns a call of the channel, or nil if it has none.
func (k *kit) call(ctx context.Context, name string) func() error {
	lister, lists := channel.As[channel.Lister](k.Channel)
	preloader, preloads := channel.As[channel.Preloader](k.Channel)
	switch {
	case name == "Push":
		return func() error {
			u := update("A-1", 5)
			out := k.push(ctx, u)
			k.truthful(out, u)
			if out.whole == nil && len(out.errs) > 0 && ctx.Err() == nil {
				k.errorf("Push named SKUs: %v", out.errs)
			}
			return out.whole
		}
	case name == "Levels" && k.reader != nil:
		return func() error {
			_, err := k.levels(ctx, "A-1")
			return err
		}
	case name == "SKUs" && lists:
		return func() (last error) {
			for _, err := range lister.SKUs(ctx) {
				last = err
			}
			return last
		}
	case name == "Preload" && preloads:
		return func() error { return preloader.Preload(ctx) }
	}
	return nil
}

// failed wants an error for which the service is to blame. Preload may do
// without.
func (k *kit) failed(call string, err error) {
	k.t.Helper()
	switch {
	case err != nil:
		k.transient(call, err)
	case call != "Preload":
		k.errorf("%s returned no error", call)
	}
}

func (k *kit) cancelled(f Fault, after time.Duration) {
	k.t.Helper()
	for _, call := range []string{"Push", "Levels", "SKUs", "Preload"} {
		k.open(level("A-1", 1), level("A-2", 2))
		k.wired()
		ctx, cancel := context.WithCancel(k.t.Context())
		run := k.call(ctx, call)
		if run == nil {
			cancel()
			continue
		}
		k.Wire.Inject(f)
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = run()
		}()
		time.Sleep(after)
		cancel()
		k.returns(call, func() { <-done })
		k.Wire.Heal()
	}
}

func shortAndClean(k *kit) {
	kinds := map[string]func(echo string) string{
		"text/html": func(echo string) string {
			return "<html><head><title>" + echo + "</title></head><body>" + echo + "</body></html>"
		},
		"application/json": func(echo string) string {
			return `{"code":` + show(echo) + `,"message":` + show(echo) + `,"errors":[{"message":` + show(echo) + `,"code":` + show(echo) + `,"detail":` + show(echo) + `}]}`
		},
	}
	for kind, body := range kinds {
		for _, status := range []int{200, 400, 403, 404, 422, 500} {
			k.open(level("A-1", 1))
			k.wired()
			var mu sync.Mutex
			var last Request
			f := Fault{Times: -1}
			f.Match = func(r Request) bool {
				mu.Lock()
				defer mu.Unlock()
				last = r
				return true
			}
			f.Rewrite = func(_ int, header http.Header, _ []byte) (int, []byte) {
				mu.Lock()
				defer mu.Unlock()
				header.Set("Content-Type", kind)
				return status, []byte(body(echo(last)))
			}
			k.Wire.Inject(f)
			out := k.push(k.t.Context(), update("A-1", 5))
			errs := []error{out.whole}
			for _, err := range out.errs {
				errs = append(errs, err)
			}
			if k.reader != nil {
				levels, err := k.levels(k.t.Context(), "A-1")
				errs = append(errs, err)
				for _, l := range levels["A-1"] {
					errs = append(errs, l.Err)
				}
			}
			for _, err := range errs {
				k.clean(err, fmt.Sprintf("%s with %d", kind, status))
			}
			k.Wire.Heal()
			if k.t.Failed() {
				return
			}
		}
	}
}

// echo is a text that shows what it was sent, as pages for debugging do, and is
// long and not to be shown.
func echo(r Request) string {
	var b strings.Builder
	for name, values := range r.Header {
		fmt.Fprintf(&b, "%s: %s ", name, strings.Join(values, " "))
	}
	b.WriteString("\x1b[31m red \x00\nlevel=ERROR msg=forged\r\n")
	b.WriteString(strings.Repeat("and so on ", 1000))
	return b.String()
}

func (k *kit) clean(err error, when string) {
	k.t.Helper()
	if err == nil {
		return
	}
	text := err.Error()
	for _, r := range k.Wire.Requests() {
		if secret := leak(err, r); secret != "" {
			k.errorf("%s: an error has the request's %s in it, which the answer quoted", when, secret)
			return
		}
	}
	switch {
	case len(text) > longText:
		k.errorf("%s: an error has %d bytes", when, len(text))
	case strings.Contains(text, "\nlevel="), strings.ContainsAny(text, "\x1b\x00\r"):
		k.errorf("%s: an error has control characters of the answer in it", when)
	}
}

func redirectElsewhere(k *kit) {
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, target := range []string{"https://elsewhere.example/", "http:"} {
			k.open(level("A-1", 1))
			k.wired()
			k.Wire.Forget()
			f := Fault{Times: -1, Status: status, Header: http.Header{}}
			f.Match = func(r Request) bool {
				to := target
				if to == "http:" {
					if r.URL.Scheme != "https" {
						return false
					}
					to = "http://" + r.Host + r.URL.Path
				}
				// The header is read after this, and by this request only.
				f.Header.Set("Location", to)
				return r.URL.Scheme != "http" && r.Host != "elsewhere.example"
			}
			k.Wire.Inject(f)
			u := update("A-1", 5)
			out := k.push(k.t.Context(), u)
			if k.reader != nil {
				_, _ = k.levels(k.t.Context(), "A-1")
			}
			k.Wire.Heal()
			k.strayed(target, status)
			k.truthful(out, u)
			if k.t.Failed() {
				return
			}
		}
	}
}

// strayed looks at where requests went.
func (k *kit) strayed(target string, status int) {
	k.t.Helper()
	for _, r := range k.Wire.Requests() {
		if r.Host != "elsewhere.example" && (target != "http:" || r.URL.Scheme != "http") {
			continue
		}
		if len(r.Body) > 0 {
			k.errorf("after a redirect with %d, a body of %d bytes went to %s://%s", status, len(r.Body), r.URL.Scheme, r.Host)
			return
		}
		for name := range r.Header {
			if !harmless[name] {
				k.errorf("after a redirect with %d, the header %s went to %s://%s", status, name, r.URL.Scheme, r.Host)
				return
			}
		}
	}
}

func (w *Wire) longestBody() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.longest
}
