package channeltest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
)

// broken are adapters with one bug each, and the rules that must find it.
var broken = map[string]struct {
	mk    channeltest.Maker
	rules string
}{
	"an empty Errors": {push(func(ctx context.Context, next channel.Channel, us []channel.Update) error {
		errs := channel.Errors{}
		if err := next.Push(ctx, us); err != nil {
			return err
		}
		return errs
	}), "NameIsStable PushIsShown PushTwice ZeroAndBack"},
	"zero is left out": {push(func(ctx context.Context, next channel.Channel, us []channel.Update) error {
		var some []channel.Update
		for _, u := range us {
			if u.Quantity != 0 {
				some = append(some, u)
			}
		}
		return next.Push(ctx, some)
	}), "PushIsShown ZeroAndBack"},
	"quantities are clamped": {push(func(ctx context.Context, next channel.Channel, us []channel.Update) error {
		some := make([]channel.Update, len(us))
		for i, u := range us {
			u.Quantity = max(0, u.Quantity)
			some[i] = u
		}
		return next.Push(ctx, some)
	}), "OddQuantities"},
	"the first 250": {push(func(ctx context.Context, next channel.Channel, us []channel.Update) error {
		return next.Push(ctx, us[:min(250, len(us))])
	}), "ManyUpdates"},
	"one unknown fails all": {push(func(ctx context.Context, next channel.Channel, us []channel.Update) error {
		for _, u := range us {
			if err := next.Push(ctx, []channel.Update{u}); err != nil {
				if errs, ok := err.(channel.Errors); ok {
					return errs[u.SKU]
				}
				return err
			}
		}
		return nil
	}), "UnknownSKUIsNamed AmbiguousSKUIsNamed UnwritableSKUIsNamed PushOnTopOfSomethingElse"},
	"unknown is unavailable": {push(func(ctx context.Context, next channel.Channel, us []channel.Update) error {
		err := next.Push(ctx, us)
		if errs, ok := err.(channel.Errors); ok {
			for sku := range errs {
				errs[sku] = channel.ErrUnavailable
			}
		}
		return err
	}), "UnknownSKUIsNamed AmbiguousSKUIsNamed UnwritableSKUIsNamed NearMissIsUnknown PushOnTopOfSomethingElse"},
	"Seen is ignored": {push(func(ctx context.Context, next channel.Channel, us []channel.Update) error {
		some := make([]channel.Update, len(us))
		for i, u := range us {
			u.Seen = nil
			some[i] = u
		}
		return next.Push(ctx, some)
	}), "PushOnTopOfSomethingElse"},
	"SKUs are tidied": {push(func(ctx context.Context, next channel.Channel, us []channel.Update) error {
		some := make([]channel.Update, len(us))
		for i, u := range us {
			u.SKU = strings.Join(strings.Fields(u.SKU), " ")
			some[i] = u
		}
		return next.Push(ctx, some)
	}), "OddSKUBlanks NearMissIsUnknown"},
	"unknown is zero": {levels(func(ctx context.Context, next channel.Reader, skus []string) ([]channel.Level, error) {
		var out []channel.Level
		for _, sku := range skus {
			ls, _ := next.Levels(ctx, []string{sku})
			if len(ls) == 0 {
				ls = []channel.Level{{SKU: sku}}
			}
			out = append(out, ls...)
		}
		return out, nil
	}), "LevelsOfUnknownSKUs NearMissIsUnknown"},
	"levels by SKU": {levels(func(ctx context.Context, next channel.Reader, skus []string) ([]channel.Level, error) {
		ls, err := next.Levels(ctx, skus)
		bySKU := make(map[string]channel.Level)
		for _, l := range ls {
			bySKU[l.SKU] = l
		}
		ls = nil
		for _, l := range bySKU {
			ls = append(ls, l)
		}
		return ls, err
	}), "LevelsOfAmbiguousSKUs"},
	"more than was asked for": {levels(func(ctx context.Context, next channel.Reader, skus []string) ([]channel.Level, error) {
		return next.Levels(ctx, append([]string{"A-3", "ITEM-00000", "A-1"}, skus...))
	}), "LevelsAreWhatIsShown LevelsOfNothing"},
	"one page": {levels(func(ctx context.Context, next channel.Reader, skus []string) ([]channel.Level, error) {
		return next.Levels(ctx, skus[:min(len(skus), 100)])
	}), "LevelsOfMany"},
	"a cache": {func(t *testing.T, seed []channel.Level) channeltest.Subject {
		cache := make(map[string][]channel.Level)
		var mu sync.Mutex
		s := newMemory(t, seed)
		s.Channel = &channeltest.Intercept{Channel: s.Channel, OnLevels: func(ctx context.Context, next channel.Reader, skus []string) ([]channel.Level, error) {
			mu.Lock()
			defer mu.Unlock()
			key := strings.Join(skus, "\x00")
			if cache[key] == nil {
				ls, err := next.Levels(ctx, skus)
				if err != nil {
					return nil, err
				}
				cache[key] = ls
			}
			return cache[key], nil
		}}
		return s
	}, "LevelsAreOfNow"},
	"a short list":            {wrap(func(c channel.Channel) channel.Channel { return shortList{c} }), "Lister ListerWhenTheServiceIsDown"},
	"no size":                 {wrap(func(c channel.Channel) channel.Channel { return noSize{c} }), "Sizer PushIsShown"},
	"no count":                {wrap(func(c channel.Channel) channel.Channel { return noCount{c} }), "Meter"},
	"a stale preload":         {wrap(func(c channel.Channel) channel.Channel { return &stalePreload{Channel: c} }), "Preloader"},
	"a lag that is too short": {newLagging(time.Minute), "PushIsShown Lagger"},
	"pending and no lag": {push(func(ctx context.Context, next channel.Channel, us []channel.Update) error {
		errs := channel.Errors{}
		for _, u := range us {
			errs[u.SKU] = channel.ErrPending
		}
		return errs.Err()
	}), "NameIsStable PushIsShown"},
	"a till that keeps what it has": {wrap(func(c channel.Channel) channel.Channel {
		return deductor{&channeltest.Intercept{Channel: c, OnPush: func(ctx context.Context, next channel.Channel, us []channel.Update) error {
			some := make([]channel.Update, len(us))
			for i, u := range us {
				u.Seen = nil
				u.Quantity++
				some[i] = u
			}
			return next.Push(ctx, some)
		}}}
	}), "PushIsShown PushOnTopOfSomethingElse"},
	"naive": {newNaive, "ZeroAndBack UnknownSKUIsNamed NearMissIsUnknown OddSKUComma OddSKUQueryString LevelsOfUnknownSKUs " +
		"CredentialsAreRefused PushWhenTheServiceIsDown LevelsWhenTheServiceIsDown CancelledMeanwhile " +
		"503 HTML_with_200 half_an_answer"},
}

func push(f func(context.Context, channel.Channel, []channel.Update) error) channeltest.Maker {
	return func(t *testing.T, seed []channel.Level) channeltest.Subject {
		s := newMemory(t, seed)
		s.Channel = &channeltest.Intercept{Channel: s.Channel, OnPush: f}
		return s
	}
}

func levels(f func(context.Context, channel.Reader, []string) ([]channel.Level, error)) channeltest.Maker {
	return func(t *testing.T, seed []channel.Level) channeltest.Subject {
		s := newMemory(t, seed)
		s.Channel = &channeltest.Intercept{Channel: s.Channel, OnLevels: f}
		return s
	}
}

func wrap(f func(channel.Channel) channel.Channel) channeltest.Maker {
	return func(t *testing.T, seed []channel.Level) channeltest.Subject {
		s := newMemory(t, seed)
		s.Channel = f(s.Channel)
		return s
	}
}

type shortList struct{ channel.Channel }

func (s shortList) Unwrap() channel.Channel { return s.Channel }
func (s shortList) SKUs(context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) { yield("ITEM-00000", nil) }
}

type noSize struct{ channel.Channel }

func (s noSize) Unwrap() channel.Channel { return s.Channel }
func (s noSize) BatchSize() int          { return 0 }

type noCount struct{ channel.Channel }

func (s noCount) Unwrap() channel.Channel { return s.Channel }
func (s noCount) Requests() int64         { return 7 }

// deductor says that it deducts.
type deductor struct{ *channeltest.Intercept }

func (deductor) Deducts() time.Duration { return time.Minute }

// stalePreload takes what it preloaded for what is there.
type stalePreload struct {
	channel.Channel
	levels []channel.Level
}

func (s *stalePreload) Unwrap() channel.Channel { return s.Channel }
func (s *stalePreload) Preload(ctx context.Context) (err error) {
	r, _ := channel.As[channel.Reader](s.Channel)
	s.levels, err = r.Levels(ctx, []string{"A-1", "A-2"})
	return err
}
func (s *stalePreload) Levels(ctx context.Context, skus []string) ([]channel.Level, error) {
	if s.levels != nil {
		return s.levels, nil
	}
	r, _ := channel.As[channel.Reader](s.Channel)
	return r.Levels(ctx, skus)
}

// A naive adapter looks right, and works on good days with simple SKUs.
type naive struct{ http *http.Client }

func (n naive) Name() string { return "naive" }

func (n naive) Push(_ context.Context, updates []channel.Update) error {
	for _, u := range updates {
		body, _ := json.Marshal(struct {
			Quantity int `json:"quantity,omitempty"`
		}{u.Quantity})
		resp, err := n.http.Post("https://shop.example/stock?sku="+u.SKU, "application/json", bytes.NewReader(body))
		if err != nil {
			return err
		}
		resp.Body.Close()
		if resp.StatusCode == http.StatusNotFound {
			return fmt.Errorf("no such SKU: %s", u.SKU)
		}
	}
	return nil
}

func (n naive) Levels(_ context.Context, skus []string) ([]channel.Level, error) {
	resp, err := n.http.Get("https://shop.example/stock?sku=" + strings.Join(skus, ","))
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	quantities := make(map[string]int)
	json.NewDecoder(resp.Body).Decode(&quantities)
	levels := make([]channel.Level, len(skus))
	for i, sku := range skus {
		levels[i] = channel.Level{SKU: sku, Quantity: quantities[sku]}
	}
	return levels, nil
}

// newNaive makes the naive adapter's service, which is no better than it.
func newNaive(t *testing.T, seed []channel.Level) channeltest.Subject {
	m := channeltest.NewMemory("")
	m.Add(seed...)
	wire := channeltest.NewWire(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		skus := strings.Split(r.URL.Query().Get("sku"), ",")
		if r.Method == http.MethodGet {
			quantities := make(map[string]int)
			for _, sku := range skus {
				if n, ok := m.Quantity(sku); ok {
					quantities[sku] = n
				}
			}
			json.NewEncoder(w).Encode(quantities)
			return
		}
		var body struct{ Quantity *int }
		json.NewDecoder(r.Body).Decode(&body)
		for _, sku := range skus {
			if _, ok := m.Quantity(sku); !ok {
				w.WriteHeader(http.StatusNotFound)
			} else if body.Quantity != nil {
				m.Set(sku, *body.Quantity)
			}
		}
	}))
	return channeltest.Subject{Channel: naive{wire.Client()}, Shown: m.Quantity, Set: m.Set, Wire: wire}
}

const inside = "CHANNELTEST_BROKEN"

// TestBroken fails, in a process of its own.
func TestBroken(t *testing.T) {
	if os.Getenv(inside) == "" {
		t.Skip("run by TestBrokenAdaptersFail")
	}
	for name, b := range broken {
		t.Run(name, func(t *testing.T) {
			channeltest.TestChannelInBubble(t, b.mk)
			if name == "naive" {
				channeltest.TestHTTPChannel(t, b.mk)
			}
		})
	}
	for name, b := range brokenOptional {
		t.Run(name, func(t *testing.T) { channeltest.TestChannelInBubble(t, b.mk) })
	}
	for name, b := range brokenHTTP {
		t.Run("http "+name, func(t *testing.T) {
			if b.rules == "" {
				channeltest.TestChannelInBubble(t, rows(b.bugs))
			}
			channeltest.TestHTTPChannel(t, rows(b.bugs))
		})
	}
}

func TestBrokenAdaptersFail(t *testing.T) {
	if testing.Short() {
		t.Skip("takes long under the race detector, and has one goroutine")
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestBroken$", "-test.v")
	cmd.Env = append(os.Environ(), inside+"=1")
	out, err := cmd.CombinedOutput()
	require.ErrorAs(t, err, new(*exec.ExitError), "the process fails")
	if at := bytes.Index(out, []byte("panic:")); at >= 0 {
		t.Fatalf("%s", out[at:])
	}
	failed := make(map[string]map[string]bool)
	for _, m := range regexp.MustCompile(`--- FAIL: TestBroken/([^/\n]+)/(\S+)`).FindAllStringSubmatch(string(out), -1) {
		name := strings.ReplaceAll(m[1], "_", " ")
		if failed[name] == nil {
			failed[name] = make(map[string]bool)
		}
		failed[name][m[2]] = true
	}
	check := func(name, rules string) {
		for rule := range strings.FieldsSeq(rules) {
			assert.True(t, failed[name][rule], "%s: %s did not fail", name, rule)
		}
		if rules == "" {
			assert.Empty(t, failed[name], "%s is sound", name)
		}
		t.Logf("%s: %d rules fail", name, len(failed[name]))
	}
	for name, b := range broken {
		check(name, b.rules)
	}
	for name, b := range brokenOptional {
		check(name, b.rules)
	}
	for name, b := range brokenHTTP {
		check("http "+name, b.rules)
	}
	// What its author reads.
	for _, text := range []string{
		`"A-2" shows 2, want 9: it was not done because another SKU of the Push was not`,
		"rule: an SKU that the channel does not have is named with channel.ErrUnknownSKU, and the others are done",
		"to do: collect what goes wrong for an SKU in a channel.Errors, go on with the others, and return errs.Err()",
		`Push reported "A-1" as done, and 5 is shown, not 0`,
		`Push has not returned 10s after its context was done`,
		"503 for request 1 of 30: Push reported \"ITEM-00000\" as done, and 0 is shown, not 1000",
		"Push returned an empty channel.Errors where nil was meant",
	} {
		assert.True(t, strings.Contains(string(out), text), text)
	}
}
