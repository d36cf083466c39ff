package channeltest

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/ecosire/stocksync/channel"
)

// soon is how long a call may take to notice that its context is done.
const soon = 10 * time.Second

const wholeCall = "return the request's error as it is, matched with channel.ErrUnavailable or channel.ErrUnauthorized; channel.Errors is for what the service said of an SKU"

var troubleRules = []rule{
	{
		name:    "PushWhenTheServiceIsDown",
		promise: "a failure of the service as a whole is an error of the call, which names no SKU and is not channel.Permanent: then the channel alone is left in peace, and everything is tried again",
		advice:  wholeCall,
		run: func(k *kit) {
			k.open(level("A-1", 1), level("A-2", 2))
			mend := k.broken()
			updates := []channel.Update{update("A-1", 8), update("A-2", 9)}
			out := k.push(k.t.Context(), updates...)
			switch {
			case out.whole == nil && len(out.errs) == 0:
				k.errorf("Push returned nil")
			case out.whole == nil:
				k.errorf("Push named SKUs: %v", out.errs)
			default:
				k.transient("Push", out.whole)
			}
			mend()
			k.done(updates...)
		},
	},
	{
		name:    "LevelsWhenTheServiceIsDown",
		promise: "Levels that could not be read are an error, never an empty answer: absent means that the service does not have the SKU",
		advice:  wholeCall,
		run: func(k *kit) {
			k.open(level("A-1", 1))
			k.readable()
			mend := k.broken()
			if got, err := k.levels(k.t.Context(), "A-1"); err == nil {
				k.errorf("Levels returned %v and no error", got)
			} else {
				k.transient("Levels", err)
			}
			mend()
			k.answers(k.all("A-1"), "A-1", 1)
		},
	},
	{
		name:    "CredentialsAreRefused",
		promise: "a service that refuses the credentials is channel.ErrUnauthorized, for the call and for no SKU: somebody has to renew them",
		advice:  "map 401 and 403 onto channel.ErrUnauthorized, and do not try these again",
		run: func(k *kit) {
			k.open(level("A-1", 1))
			if k.Wire == nil {
				k.t.Skip("Subject.Wire is nil")
			}
			k.Wire.Inject(Fault{Times: -1, Status: 401, Header: http.Header{"Content-Type": {"application/json"}}, Body: "{}"})
			out := k.push(k.t.Context(), update("A-1", 5))
			if out.whole == nil || !errors.Is(out.whole, channel.ErrUnauthorized) {
				k.errorf("Push returned %v, and named %d SKUs", out.whole, len(out.errs))
			}
			if k.reader != nil {
				if _, err := k.levels(k.t.Context(), "A-1"); !errors.Is(err, channel.ErrUnauthorized) {
					k.errorf("Levels returned %v", err)
				}
			}
			k.Wire.Heal()
			k.done(update("A-1", 5))
		},
	},
	{
		name:    "ErrorsKeepSecrets",
		promise: "an error has no credentials and no query string in its text: it ends up in logs",
		advice:  "take the *url.Error off what http.Client.Do returns, since it prints the whole URL, and never print a header",
		run: func(k *kit) {
			k.open(level("A-1", 1))
			if k.Wire == nil {
				k.t.Skip("Subject.Wire is nil")
			}
			for _, f := range []Fault{{Times: -1, Cut: true}, {Times: -1, Status: 400, Body: "{}"}} {
				k.Wire.Inject(f)
				errs := []error{k.push(k.t.Context(), update("A-1", 5)).whole}
				if k.reader != nil {
					_, err := k.levels(k.t.Context(), "A-1")
					errs = append(errs, err)
				}
				for _, r := range k.Wire.Requests() {
					for _, err := range errs {
						if secret := leak(err, r); secret != "" {
							k.errorf("an error has the request's %s in it", secret)
						}
					}
				}
				k.Wire.Heal()
			}
		},
	},
	{
		name:    "DoneContext",
		promise: "with a context that is done a call returns soon; what it reports as done is done all the same",
		advice:  "ask ctx.Err() before the work, and pass ctx to every request",
		run: func(k *kit) {
			k.open(level("A-1", 1))
			ctx, cancel := context.WithCancel(k.t.Context())
			cancel()
			u := update("A-1", 5)
			var out outcome
			k.returns("Push", func() { out = k.push(ctx, u) })
			k.truthful(out, u)
			for sku, err := range out.errs {
				if channel.Permanent(err) {
					k.errorf("Push reported %q as %q: that would not be tried again", sku, err)
				}
			}
			if k.reader != nil {
				k.returns("Levels", func() {
					got, err := k.levels(ctx, "A-1")
					switch {
					case err != nil, out.whole != nil: // or it is not clear what is shown
					case len(out.errs) > 0:
						k.answers(got, "A-1", 1)
					default:
						k.answers(got, "A-1", 5)
					}
				})
			}
			k.done(u)
		},
	},
	{
		name:    "CancelledMeanwhile",
		promise: "a call returns soon after its context is done, whatever the service does; what it reports as done is done",
		advice:  "pass ctx to every request, and look at ctx.Done wherever the channel waits, before another attempt for one",
		run: func(k *kit) {
			levels, updates := numbered(300, 7)
			k.open(levels...)
			resume := func() {}
			if k.Stall != nil {
				resume = k.Stall()
			}
			for _, call := range []string{"Push", "Levels"} {
				if call == "Levels" && k.reader == nil {
					continue
				}
				ctx, cancel := context.WithCancel(k.t.Context())
				var out outcome
				done := make(chan struct{})
				go func() {
					defer close(done)
					if call == "Push" {
						out = k.push(ctx, updates...)
					} else {
						k.levels(ctx, "ITEM-00001")
					}
				}()
				if k.Stall != nil {
					time.Sleep(50 * time.Millisecond) // the call is under way
				}
				cancel()
				k.returns(call, func() { <-done })
				if call == "Push" && k.Stall == nil {
					k.truthful(out, updates...)
				}
				if call == "Push" && k.Stall != nil && out.whole == nil && len(out.errs) == 0 {
					k.errorf("Push returned nil although the service had not answered")
				}
			}
			resume()
			k.done(updates...)
		},
	}, {
		name:    "CancelledWhileTheServiceIsDown",
		promise: "a call returns soon after its context is done, also where it waits before it tries again",
		advice:  "wait in a select with ctx.Done, and never in time.Sleep",
		run: func(k *kit) {
			for _, call := range []string{"Push", "Levels", "SKUs"} {
				k.open(level("A-1", 1), level("A-2", 2))
				mend := k.broken()
				ctx, cancel := context.WithCancel(k.t.Context())
				if run := k.call(ctx, call); run != nil {
					done := make(chan struct{})
					go func() {
						defer close(done)
						_ = run()
					}()
					time.Sleep(50 * time.Millisecond)
					cancel()
					k.returns(call, func() { <-done })
				}
				cancel()
				mend()
			}
		},
	},
	{
		name:    "ALateAnswerIsNotTheNext",
		promise: "what a Push reports as done is its own updates, and stays: the answer to an earlier one, or its work, may come late",
		advice:  "know an answer by a number of your own, take back what is not done when a call ends, and settle what was sent and not answered before the same SKUs are written again",
		run: func(k *kit) {
			k.open(level("A-1", 1), level("A-2", 2))
			if k.Stall == nil {
				k.t.Skip("Subject.Stall is nil")
			}
			resume := k.Stall()
			ctx, cancel := context.WithCancel(k.t.Context())
			done := make(chan struct{})
			go func() {
				defer close(done)
				k.push(ctx, update("A-1", 5), update("A-2", 6))
			}()
			time.Sleep(50 * time.Millisecond) // the call is under way
			cancel()
			k.returns("Push", func() { <-done })
			resume()
			updates := []channel.Update{update("A-1", 3), update("A-2", 4)}
			out := k.push(k.t.Context(), updates...)
			k.truthful(out, updates...)
			if k.virtual {
				time.Sleep(2 * time.Minute)
			}
			k.truthful(out, updates...)
		},
	},
}

// harmless are headers that may be seen by anybody.
var harmless = map[string]bool{
	"Accept": true, "Accept-Encoding": true, "Accept-Language": true, "Cache-Control": true, "Content-Length": true,
	"Content-Type": true, "Pragma": true, "Referer": true, "User-Agent": true,
}

// leak names what of a request an error shows that it must not, or "".
func leak(err error, r Request) string {
	if err == nil {
		return ""
	}
	text := err.Error()
	if q := r.URL.RawQuery; len(q) >= 4 && strings.Contains(text, q) {
		return "query string"
	}
	for name, values := range r.Header {
		if harmless[name] || strings.HasSuffix(name, "-Version") || strings.HasSuffix(name, "-Date") {
			continue
		}
		for _, v := range values {
			// A scheme such as Bearer comes before the credential itself.
			if _, credential, found := strings.Cut(v, " "); found {
				v = credential
			}
			if len(v) >= 4 && strings.Contains(text, v) {
				return "header " + name
			}
		}
	}
	return ""
}

// broken breaks the service, or skips the test.
func (k *kit) broken() (mend func()) {
	k.t.Helper()
	if k.Break == nil {
		k.t.Skip("Subject.Break is nil")
	}
	return k.Break()
}

// transient wants an error that says that the service is to blame.
func (k *kit) transient(call string, err error) {
	k.t.Helper()
	if channel.Permanent(err) || !errors.Is(err, channel.ErrUnavailable) && !errors.Is(err, channel.ErrUnauthorized) {
		k.errorf("%s returned %q, which does not match channel.ErrUnavailable or channel.ErrUnauthorized", call, err)
	}
}

// returns wants f to return soon.
func (k *kit) returns(call string, f func()) {
	k.t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	timer := time.NewTimer(soon)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
		k.errorf("%s has not returned %v after its context was done", call, soon)
		<-done
		k.t.FailNow()
	}
}
