package stocksync

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/ecosire"
	"github.com/ecosire/stocksync/syncer"
)

// Services are the source and the channels that an environment names. See
// [FromEnv].
//
// They plan, and cannot write: to write, ask for a [Services.Writer]. Services
// are safe for concurrent use once the fields are no longer changed.
type Services struct {
	// ECOSIRE is the client of ECOSIRE. After an adjustment or a transfer made
	// with it, the latest Writer is notified of the products.
	ECOSIRE *ecosire.Client
	// Source is what stock is read from: ECOSIRE, unless a host wraps it.
	Source channel.Source
	// Targets are the channels, in the order Shopify, WooCommerce, Amazon,
	// Square, with their policies and the default guard. A host may change and
	// add targets.
	Targets []syncer.Target
	// Webhooks reads ECOSIRE's events. It is nil without
	// ECOSIRE_WEBHOOK_SECRET.
	Webhooks *ecosire.Webhooks

	logger *slog.Logger
	writer atomic.Pointer[syncer.Syncer]
	about  []string // what String says, one for each service
}

// ErrReadOnly: something tried to write on a channel that only plans. It is
// never the outcome of a plan.
var ErrReadOnly = errors.New("stocksync: this channel is only planned for: ask Services for a Writer to write")

// Plan compares every channel with the whole catalogue and says what a writer
// would write. It writes nothing. See [syncer.Syncer.Plan] for the error.
func (s *Services) Plan(ctx context.Context) (*syncer.Plan, error) {
	planner, err := s.planner()
	if err != nil {
		return nil, err
	}
	return planner.Plan(ctx)
}

// PlanProducts is Plan for some products, by ECOSIRE's ids. With no ids the
// plan is empty.
func (s *Services) PlanProducts(ctx context.Context, productIDs ...string) (*syncer.Plan, error) {
	planner, err := s.planner()
	if err != nil {
		return nil, err
	}
	return planner.PlanProducts(ctx, productIDs...)
}

// Coverage says which products the channels have, and which only nearly or not at
// all. It writes nothing. See [syncer.Syncer.Coverage].
func (s *Services) Coverage(ctx context.Context) (*syncer.Coverage, error) {
	planner, err := s.planner()
	if err != nil {
		return nil, err
	}
	return planner.Coverage(ctx)
}

// planner returns a Syncer none of whose channels can be written, whatever it
// is asked to do.
func (s *Services) planner() (*syncer.Syncer, error) {
	targets := slices.Clone(s.Targets)
	for i := range targets {
		if targets[i].Channel != nil {
			targets[i].Channel = readOnly{targets[i].Channel}
		}
	}
	return syncer.New(syncer.Config{Source: s.Source, Targets: targets, Logger: s.logger})
}

// Writer returns a Syncer that writes to the channels: on every call of its
// methods and, while its Run runs, by itself. The guard is on, as everywhere.
//
// cfg may be empty. Its Source, Targets, Webhooks and Logger are taken from the
// services where it has none, and its Journal is a week.
func (s *Services) Writer(cfg syncer.Config) (*syncer.Syncer, error) {
	if cfg.Source == nil {
		cfg.Source = s.Source
	}
	if cfg.Targets == nil {
		cfg.Targets = s.Targets
	}
	if cfg.Webhooks == nil && s.Webhooks != nil {
		cfg.Webhooks = s.Webhooks
	}
	if cfg.Logger == nil {
		cfg.Logger = s.logger
	}
	cfg.Journal = cmp.Or(cfg.Journal, 7*24*time.Hour)
	w, err := syncer.New(cfg)
	if err != nil {
		return nil, err
	}
	s.writer.Store(w)
	return w, nil
}

// changed passes on what this process's own calls to ECOSIRE changed.
func (s *Services) changed(ctx context.Context, productIDs ...string) error {
	if w := s.writer.Load(); w != nil {
		return w.Notify(ctx, productIDs...)
	}
	return nil
}

// String says what the services talk to, by host, and what the channels show:
//
//	ECOSIRE at api.ecosire.com → shopify:acme at acme.myshopify.com (80 %, less 2)
func (s *Services) String() string {
	if len(s.about) == 0 {
		return "no services"
	}
	return s.about[0] + " → " + strings.Join(s.about[1:], ", ")
}

// GoString is String: %#v shows no more.
func (s *Services) GoString() string { return fmt.Sprintf("stocksync.Services(%s)", s) }

// readOnly is a channel that is read and never written.
type readOnly struct{ channel.Channel }

var (
	_ channel.Unsetter = readOnly{}
	_ channel.Resumer  = readOnly{}
)

// Unwrap lets the optional interfaces be found that only read. Those that
// write have to be shadowed here.
func (r readOnly) Unwrap() channel.Channel { return r.Channel }

func (readOnly) Push(context.Context, []channel.Update) error  { return ErrReadOnly }
func (readOnly) Unset(context.Context, []channel.Update) error { return ErrReadOnly }

// Resume leaves the work that outlasts its call to whoever pushes.
func (readOnly) Resume(context.Context) ([]string, time.Duration, error) { return nil, 0, nil }
