// Package logs makes the lines of a log say what they are about. What is about
// everything that a call does travels in its context: the run and the channel,
// and the product or SKU of a call about one alone. So a line has them
// whoever writes it, as long as it is logged with the context.
package logs

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/ecosire/stocksync/channel"
)

// The keys that mean the same in every line.
const (
	Run     = "run"
	Channel = "channel"
	Product = "product"
	SKU     = "sku"
	Op      = "op"
	Err     = "err"
)

// New returns a logger to l whose lines have the run of their context, and what
// [With] put there, unless they say it themselves. A nil l logs nothing.
func New(l *slog.Logger) *slog.Logger {
	if l == nil {
		return slog.New(slog.DiscardHandler)
	}
	if h, ok := l.Handler().(*handler); ok {
		return slog.New(h)
	}
	return slog.New(&handler{next: l.Handler()})
}

type key struct{}

// said is what With put into a context: a list, the latest first.
type said struct {
	key, value string
	before     *said
}

// With returns a context whose lines say that they are about something. An
// empty value says nothing.
func With(ctx context.Context, name, value string) context.Context {
	if value == "" {
		return ctx
	}
	before, _ := ctx.Value(key{}).(*said)
	return context.WithValue(ctx, key{}, &said{name, value, before})
}

// handler adds to each record what its context says.
type handler struct {
	next slog.Handler
	own  []string // keys that the logger's own attributes have
}

// Enabled of a handler that panics is false.
func (h *handler) Enabled(ctx context.Context, level slog.Level) (enabled bool) {
	defer func() { _ = recover() }()
	return h.next.Enabled(ctx, level)
}

// Handle makes an error of a panic: a line that is lost is no reason to stop.
func (h *handler) Handle(ctx context.Context, r slog.Record) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the log's handler panicked: %v", p)
		}
	}()
	var more []slog.Attr
	add := func(name, value string) {
		if value != "" && !h.has(r, name) && !has(more, name) {
			more = append(more, slog.String(name, value))
		}
	}
	add(Run, channel.Run(ctx))
	about, _ := ctx.Value(key{}).(*said)
	for ; about != nil; about = about.before {
		add(about.key, about.value)
	}
	if len(more) > 0 {
		r = r.Clone()
		r.AddAttrs(more...)
	}
	return h.next.Handle(ctx, r)
}

func (h *handler) has(r slog.Record, name string) (found bool) {
	for _, own := range h.own {
		if own == name {
			return true
		}
	}
	r.Attrs(func(a slog.Attr) bool {
		found = a.Key == name
		return !found
	})
	return found
}

func has(attrs []slog.Attr, name string) bool {
	for _, a := range attrs {
		if a.Key == name {
			return true
		}
	}
	return false
}

func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := &handler{next: h.next.WithAttrs(attrs), own: append([]string(nil), h.own...)}
	for _, a := range attrs {
		with.own = append(with.own, a.Key)
	}
	return with
}

func (h *handler) WithGroup(name string) slog.Handler {
	return &handler{next: h.next.WithGroup(name), own: h.own}
}
