package channeltest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
)

// onErrors changes what Push says of SKUs.
func onErrors(change func(errs channel.Errors) error) channeltest.Maker {
	return push(func(ctx context.Context, next channel.Channel, us []channel.Update) error {
		err := next.Push(ctx, us)
		if errs, ok := err.(channel.Errors); ok {
			return change(errs)
		}
		return err
	})
}

// unsetter changes how a Memory unsets.
type unsetter struct {
	channel.Channel
	unset func(ctx context.Context, next channel.Unsetter, us []channel.Update) error
}

func (u unsetter) Unwrap() channel.Channel { return u.Channel }
func (u unsetter) Unset(ctx context.Context, us []channel.Update) error {
	next, _ := channel.As[channel.Unsetter](u.Channel)
	return u.unset(ctx, next, us)
}

func unsetting(f func(ctx context.Context, next channel.Unsetter, us []channel.Update) error) channeltest.Maker {
	return wrap(func(c channel.Channel) channel.Channel { return unsetter{c, f} })
}

// A keeper knows which SKUs there are, with the bugs that its fields say.
type keeper struct {
	channel.Channel
	quantities bool // are kept
	fragile    bool // what it cannot read takes away what it knows

	mu     sync.Mutex
	levels []channel.Level
	lost   bool
}

func (k *keeper) Unwrap() channel.Channel { return k.Channel }

func (k *keeper) Keep(w io.Writer) error {
	if k.quantities {
		r, _ := channel.As[channel.Reader](k.Channel)
		levels, err := r.Levels(context.Background(), []string{"A-1", "A-2"})
		if err != nil {
			return err
		}
		for _, l := range levels {
			fmt.Fprintln(w, l.SKU, l.Quantity)
		}
		return nil
	}
	_, err := io.WriteString(w, "SKUs: A-1, A-2")
	return err
}

func (k *keeper) Restore(r io.Reader) error {
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	var levels []channel.Level
	for line := range strings.Lines(string(data)) {
		var l channel.Level
		if n, _ := fmt.Sscan(line, &l.SKU, &l.Quantity); n == 2 {
			levels = append(levels, l)
		}
	}
	if k.quantities {
		k.levels = levels
	} else if string(data) != "SKUs: A-1, A-2" {
		k.lost = k.fragile
		return errors.New("it is not whole")
	}
	return nil
}

func (k *keeper) Levels(ctx context.Context, skus []string) ([]channel.Level, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case k.lost:
		return nil, nil
	case k.levels != nil:
		return k.levels, nil
	}
	r, _ := channel.As[channel.Reader](k.Channel)
	return r.Levels(ctx, skus)
}

// A resumer answers Resume with what it has.
type resumer struct {
	channel.Channel
	skus  []string
	again time.Duration
}

func (r resumer) Unwrap() channel.Channel { return r.Channel }
func (r resumer) Resume(context.Context) ([]string, time.Duration, error) {
	return r.skus, r.again, nil
}

// A mailbox is a service that works through a queue of letters, and an adapter
// that takes the first answer that comes for its own.
type mailbox struct {
	*channeltest.Memory
	letters chan []channel.Update
	answers chan error
	mu      sync.Mutex
	stalled chan struct{} // closed when it goes on; nil if it does
}

func (m *mailbox) work(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case us := <-m.letters:
			m.mu.Lock()
			stalled := m.stalled
			m.mu.Unlock()
			if stalled != nil {
				select {
				case <-ctx.Done():
					return
				case <-stalled:
				}
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(time.Second):
			}
			m.answers <- m.Memory.Push(context.Background(), us)
		}
	}
}

func (m *mailbox) Push(ctx context.Context, us []channel.Update) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.letters <- us
	select {
	case <-ctx.Done():
		return ctx.Err()
	case err := <-m.answers:
		return err
	}
}

func newMailbox(t *testing.T, seed []channel.Level) channeltest.Subject {
	m := &mailbox{Memory: channeltest.NewMemory("mailbox"), letters: make(chan []channel.Update, 100), answers: make(chan error, 100)}
	m.Add(seed...)
	go m.work(t.Context())
	return channeltest.Subject{Channel: m, Shown: m.Quantity, Stall: func() (resume func()) {
		stalled := make(chan struct{})
		m.mu.Lock()
		defer m.mu.Unlock()
		m.stalled = stalled
		return func() {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.stalled = nil
			close(stalled)
		}
	}}
}

// brokenOptional are adapters with one bug each, and the rules that must find it.
var brokenOptional = map[string]struct {
	mk    channeltest.Maker
	rules string
}{
	"keys are tidied": {onErrors(func(errs channel.Errors) error {
		tidied := channel.Errors{}
		for sku, err := range errs {
			tidied[strings.ToLower(sku)] = err
		}
		return tidied
	}), "UnknownSKUIsNamed AmbiguousSKUIsNamed"},
	"Errors are wrapped": {onErrors(func(errs channel.Errors) error { return fmt.Errorf("shop: %w", errs) }),
		"UnknownSKUIsNamed AmbiguousSKUIsNamed UnwritableSKUIsNamed"},
	"Errors are joined to nothing in particular": {onErrors(func(errs channel.Errors) error {
		return errors.Join(errs, errors.New("some were not shown"))
	}), "UnknownSKUIsNamed AmbiguousSKUIsNamed UnwritableSKUIsNamed"},
	"Unset is zero": {unsetting(func(ctx context.Context, next channel.Unsetter, us []channel.Update) error {
		some := make([]channel.Update, len(us))
		for i, u := range us {
			some[i] = channel.Update{SKU: u.SKU}
		}
		return next.(interface {
			Push(ctx context.Context, us []channel.Update) error
		}).Push(ctx, some)
	}), "Unsetter"},
	"Unset is the first one's": {unsetting(func(ctx context.Context, next channel.Unsetter, us []channel.Update) error {
		return next.Unset(ctx, us[:min(len(us), 1)])
	}), "Unsetter"},
	"Unset does not look": {unsetting(func(ctx context.Context, next channel.Unsetter, us []channel.Update) error {
		some := make([]channel.Update, len(us))
		for i, u := range us {
			some[i] = channel.Update{SKU: u.SKU}
		}
		return next.Unset(ctx, some)
	}), "Unsetter"},
	"Unset never fails": {unsetting(func(ctx context.Context, next channel.Unsetter, us []channel.Update) error {
		err := next.Unset(ctx, us)
		if _, ok := err.(channel.Errors); !ok {
			return nil
		}
		return err
	}), "UnsetterWhenTheServiceIsDown"},
	"all is on sale": {levels(func(ctx context.Context, next channel.Reader, skus []string) ([]channel.Level, error) {
		ls, err := next.Levels(ctx, skus)
		for i := range ls {
			ls[i].OffSale = false
		}
		return ls, err
	}), "OffSale"},
	"nothing is on sale": {levels(func(ctx context.Context, next channel.Reader, skus []string) ([]channel.Level, error) {
		ls, err := next.Levels(ctx, skus)
		for i := range ls {
			ls[i].OffSale = true
		}
		return ls, err
	}), "OffSale"},
	"what is off sale is zero": {levels(func(ctx context.Context, next channel.Reader, skus []string) ([]channel.Level, error) {
		ls, err := next.Levels(ctx, skus)
		for i := range ls {
			if ls[i].OffSale {
				ls[i].Quantity, ls[i].OffSale = 0, false
			}
		}
		return ls, err
	}), "OffSale"},
	"a sound keeper":      {wrap(func(c channel.Channel) channel.Channel { return &keeper{Channel: c} }), ""},
	"quantities are kept": {wrap(func(c channel.Channel) channel.Channel { return &keeper{Channel: c, quantities: true} }), "Keeper"},
	"a fragile keeper":    {wrap(func(c channel.Channel) channel.Channel { return &keeper{Channel: c, fragile: true} }), "Keeper"},
	"no end of work":      {wrap(func(c channel.Channel) channel.Channel { return resumer{c, nil, time.Hour} }), "Resumer"},
	"others' work":        {wrap(func(c channel.Channel) channel.Channel { return resumer{c, []string{"A-2"}, 0} }), "Resumer"},
	"a wait without context": {push(func(ctx context.Context, next channel.Channel, us []channel.Update) error {
		err := next.Push(ctx, us)
		if errors.Is(err, channel.ErrUnavailable) {
			time.Sleep(time.Minute)
		}
		return err
	}), "CancelledWhileTheServiceIsDown"},
	"another's answer": {newMailbox, "ALateAnswerIsNotTheNext"},
	"neither the old one nor the new one": {func(_ *testing.T, seed []channel.Level) channeltest.Subject {
		m := channeltest.NewLagging("lagging", time.Hour)
		m.Add(seed...)
		var pending sync.Map
		return channeltest.Subject{Channel: &channeltest.Intercept{Channel: m,
			OnPush: func(ctx context.Context, next channel.Channel, us []channel.Update) error {
				for _, u := range us {
					pending.Store(u.SKU, time.Now().Add(time.Hour))
				}
				return next.Push(ctx, us)
			},
			OnLevels: func(ctx context.Context, next channel.Reader, skus []string) ([]channel.Level, error) {
				ls, err := next.Levels(ctx, skus)
				for i := range ls {
					if until, ok := pending.Load(ls[i].SKU); ok && time.Now().Before(until.(time.Time)) {
						ls[i].Quantity = 0
					}
				}
				return ls, err
			}}, Shown: m.Quantity, Set: m.Set}
	}, "Lagger"},
}
