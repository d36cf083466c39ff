package syncer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/logs"
)

// Config configures a [Syncer].
type Config struct {
	// Source is the single source of truth, such as an *ecosire.Client.
	// Required.
	Source channel.Source
	// Targets are the channels to keep right. At least one is required; no two
	// may have the same name.
	Targets []Target
	// Logger gets a line for each run and channel, and for each thing that goes
	// wrong; nil means none.
	Logger *slog.Logger

	// Webhooks authenticates and reads the deliveries that the handler of
	// [Syncer.WebhookHandler] gets, such as an *ecosire.Webhooks; nil means that
	// all are refused.
	Webhooks channel.Receiver
	// Queue keeps what is marked until [Syncer.Run] has done it; nil means a
	// [MemoryQueue], which a crash empties. Give all replicas of a service the
	// same [SharedQueue], and one of them does the work.
	Queue Queue
	// Name is the name by which the other replicas on a SharedQueue know this
	// process; "" means the host's name and the process id.
	Name string
	// Tenant names the merchant, where one process serves several. It delays each
	// time of the Schedule by up to an hour, and shifts the beat of the watch, by
	// amounts that depend on the name alone: merchants do not begin all at once, and
	// each begins at the same time every night. Log lines have it as "tenant". ""
	// delays nothing.
	Tenant string
	// Gather is how long Run waits after a mark for more of them, so that a
	// burst costs one request; 0 means 100 ms, or 50 ms where the source is a
	// [channel.Pacer], and a negative time no wait.
	Gather time.Duration
	// Grace is how long calls under way may go on after Run's context is done; 0
	// means 10 seconds, and a negative time not at all. A reconciliation then reads
	// nothing more, and finishes what it has read.
	Grace time.Duration
	// WatchEvery is how often Run asks the source for what changed without an event,
	// if it is a [channel.ChangeSource]; 0 means 30 seconds, and a negative time
	// never. Less than 24 seconds counts as 24, which costs at most a sixth of
	// ECOSIRE's quota. It watches the source; Target.Watch watches a channel.
	WatchEvery time.Duration
	// Schedule says when Run reconciles the whole catalogue; nil means
	// [Daily] at 02:00 UTC. See [Never].
	Schedule Schedule
	// ReconcileAtStart makes Run reconcile as soon as it starts; on a SharedQueue,
	// as soon as it leads, unless another process has done so since it started.
	ReconcileAtStart bool
	// Patience is how long a call of a channel may take, and how long the source
	// may be silent, before the syncer goes on without it; 0 means 10 minutes.
	// Preloading may take three times as long. An adapter whose calls end by
	// themselves never meets it. One whose call does not return keeps its channel
	// down until it does, and no other channel.
	Patience time.Duration
	// Journal is how long the queue's store keeps what happened: changes, what was
	// held and given up, channels that failed, and runs; 0 means that it is not
	// kept. [Syncer.Journal], [Syncer.Explain] and the [Culprit]s of a report draw on
	// it. A week is a good choice. It keeps the last 200,000 entries, of about 350
	// bytes each; in a [MemoryQueue] 20,000.
	Journal time.Duration
	// Observe makes every target observe: nothing is written to any shop but what a
	// Target's Pilot chooses. Set it for the first week, beside the program that this
	// one will replace. All replicas on a SharedQueue must agree; the leader's Config
	// counts. See [Target].Observe.
	Observe bool
	// Settle is how long the source may take to book what a channel has sold; 0
	// means 30 minutes. A listing that shows less than it was last known to show
	// has sold the difference. Those units are in flight: they are taken off
	// the stock that every Policy sees, and so off every other channel, until
	//   - the source has as many fewer (they are booked, oldest first, whichever
	//     channel sold them),
	//   - the channel shows all of them again (cancelled), or
	//   - Settle has passed (expired): then the channel is raised again.
	// Choose twice the longest usual delay of your order import. With less, what
	// a shop has sold is put on sale again. A negative time takes nothing off
	// other channels before the source has booked it.
	//
	// The first time that a channel is seen to show a product nothing is in flight,
	// since there is nothing to compare with. What a [channel.Deductor] lacks within
	// Deducts of a write counts as booked. See [FlightEdited] for what counts as
	// an edit.
	Settle time.Duration
	// Booked returns how many units of a product the source has booked for orders
	// of the channels, between what was known of it (before) and what was read
	// (after). They end as many units in flight; see Settle. nil means the drop of
	// Available or the rise of Reserved, whichever is more. Set it if the source
	// sells by itself, too, and you can tell those sales apart: otherwise they end
	// what is in flight too early, and it is sold twice. before has no Warehouses.
	// Booked may be called by several goroutines at once, and should return at once: a
	// call that does not is left behind, like those of a [Target]'s functions.
	Booked func(before, after channel.Stock) int
	// Hooks are called as things happen.
	Hooks Hooks
}

// A Syncer keeps what channels show equal to what the source of truth has. It
// is safe for concurrent use; runs may overlap.
type Syncer struct {
	source  channel.Source
	orders  channel.OrderSource  // the source too, or nil
	watcher channel.ChangeSource // the source too, or nil
	pacer   channel.Pacer        // the source too, or nil
	targets []*target
	need    need // of all policies
	logger  *slog.Logger

	webhooks   channel.Receiver
	queue      Queue
	shared     SharedQueue // the queue too, or nil
	name       string      // of this process
	tenant     string
	gather     time.Duration
	grace      time.Duration
	watchEvery time.Duration
	patience   time.Duration
	returning  time.Duration // how long a call may take to return when it is to end
	hooks      Hooks
	schedule   Schedule
	atStart    bool

	running     atomic.Bool
	started     time.Time // when Run began
	rank        rank      // among the processes of a shared queue
	reconciling atomic.Bool
	receiving   chan struct{} // holds a token for each delivery that is being read
	approvals   chan struct{} // has a token when something was approved here
	once        logOnce
	calls       calls // of the source, and others that only read, which have not returned
	hung        calls // of hooks, likewise
	orderRate   *rate.Limiter
	findRate    *rate.Limiter // of searches for SKUs that channels told of
	index       skuIndex
	unfound     unfound
	sales       sales
	ledger      *ledger
	doubled     doubled
	pins        pins
	alarms      alarms
	trouble     trouble // of the queue
	owed        owed    // what the queue could not be told
	journal     journal
	next        atomic.Pointer[time.Time] // when the next reconciliation is due
	pauses      pauses
	underWay    atomic.Pointer[Progress] // of the reconciliation
	progressed  atomic.Int64             // see lastProgress
}

// New returns a Syncer. It does no I/O and starts no goroutine.
func New(cfg Config) (*Syncer, error) {
	if nothing(cfg.Source) {
		return nil, errors.New("syncer: Config.Source is nil: pass the ECOSIRE client")
	}
	if len(cfg.Targets) == 0 {
		return nil, errors.New("syncer: Config.Targets is empty: pass at least one channel")
	}
	s := &Syncer{
		source: cfg.Source, logger: logs.New(cfg.Logger), webhooks: cfg.Webhooks, queue: cfg.Queue, hooks: cfg.Hooks,
		grace:      cmp.Or(cfg.Grace, 10*time.Second),
		watchEvery: cmp.Or(cfg.WatchEvery, 30*time.Second),
		patience:   cmp.Or(cfg.Patience, defaultPatience),
		schedule:   cfg.Schedule,
		atStart:    cfg.ReconcileAtStart,
		name:       cmp.Or(cfg.Name, processName()),
		receiving:  make(chan struct{}, maxReceiving),
		approvals:  make(chan struct{}, 1),
		pins:       pins{changing: make(channelLock, 1), told: make(chan struct{}, 1)},
		alarms:     alarms{mu: make(channelLock, 1)},
		pauses:     pauses{mu: make(channelLock, 1), due: make(chan struct{}, 1)},
		orderRate:  rate.NewLimiter(orderEvery, orderBurst),
		findRate:   rate.NewLimiter(rate.Every(findEvery), findBurst),
	}
	s.returning = min(maxReturning, max(0, s.grace)/4)
	if s.patience < 0 {
		return nil, errors.New("syncer: Config.Patience is negative")
	}
	for name, v := range map[string]any{"Webhooks": cfg.Webhooks, "Queue": cfg.Queue, "Schedule": cfg.Schedule} {
		if v != nil && nothing(v) {
			return nil, fmt.Errorf("syncer: Config.%s holds a nil pointer: leave the field out instead", name)
		}
	}
	if s.schedule == nil {
		s.schedule = Daily(2, 0, time.UTC)
	}
	if err := checkSchedule(s.schedule); err != nil {
		return nil, fmt.Errorf("syncer: Config.Schedule: %w", err)
	}
	s.logger = logs.New(s.setTenant(cfg.Tenant, cfg.Logger))
	if s.queue == nil {
		s.queue = NewMemoryQueue()
	}
	s.journal = journal{s: s, keep: max(0, cfg.Journal), max: maxEntries, written: maxEntries} // pruned soon after the start
	if _, memory := s.queue.(*MemoryQueue); memory {
		s.journal.max = maxEntriesInMemory
	}
	if shared, ok := s.queue.(SharedQueue); ok {
		s.shared = &hostShared{&hostQueue{s: s, q: shared}, shared}
		s.queue = s.shared
	} else {
		s.queue = &hostQueue{s: s, q: s.queue}
	}
	s.orders, _ = channel.As[channel.OrderSource](cfg.Source)
	s.pacer, _ = channel.As[channel.Pacer](cfg.Source)
	s.gather = cmp.Or(cfg.Gather, 100*time.Millisecond)
	if s.pacer != nil && cfg.Gather == 0 {
		s.gather = 50 * time.Millisecond // most of a burst waits for Pace anyway
	}
	if s.watchEvery > 0 {
		s.watchEvery = max(s.watchEvery, minWatchWait)
		s.watcher, _ = channel.As[channel.ChangeSource](cfg.Source)
	}
	for i, t := range cfg.Targets {
		t.Observe = t.Observe || cfg.Observe
		full, err := newTarget(t)
		if err != nil {
			return nil, fmt.Errorf("syncer: Config.Targets[%d].%w", i, err)
		}
		if slices.ContainsFunc(s.targets, func(o *target) bool { return o.name == full.name }) {
			return nil, fmt.Errorf("syncer: Config.Targets: two channels are named %q: give each its own name", full.name)
		}
		s.targets = append(s.targets, full)
		s.need.add(full.Policy)
	}
	s.ledger = newLedger(&cfg, s.targets)
	return s, nil
}

// ErrNoProduct: the source did not answer a product that it was asked for. Its
// stock is unknown, and is changed nowhere.
var ErrNoProduct = errors.New("the source did not answer this product")

// SyncProducts reads the named products at the source and makes every channel
// show them, now. With no ids it does nothing; see [Syncer.Reconcile] for the
// whole catalogue.
//
// Each channel is read first and only its differences are written, those that
// could oversell first. Channels do not wait for one another: one that is slow
// or down does not delay or fail the rest, though SyncProducts returns only
// when all are done or ctx is. A channel that is down is tried with one product
// first; one that has asked for a rest is not, and its error says for how long
// ([channel.RetryAfter]). The guards hold what is too much for their
// windows of time; see [Guard].
//
// The error is not nil if something was not done and nobody decided so: that
// of [Report.Err], of the source, or ctx's. The report says what, and is there
// in any case.
//
// On a [SharedQueue] whoever leads does the same, in this process or in another
// one, and the report is what it has recorded. If ctx is done first, the report
// has what the channels have answered by then; what is not done counts as
// Pending, and will be done. It will be, too, when the error matches
// [ErrNoLeader]: no process leads, and none has within ten seconds, so that the
// work waits until one does. A process that never calls Run, such as a cron
// job, gets that error if no replica runs.
func (s *Syncer) SyncProducts(ctx context.Context, productIDs ...string) (*Report, error) {
	if s.asks(ctx) && len(productIDs) > 0 {
		return s.ask(ctx, request{Kind: "sync", ProductIDs: productIDs})
	}
	e := s.begin(ctx, WorkSync)
	ctx = e.ctx
	if err := s.notMidway(ctx); err != nil && len(productIDs) > 0 {
		return e.end(err)
	}
	if err := s.takeOver(ctx); err != nil && len(productIDs) > 0 {
		return e.end(err)
	}
	// Room for all groups: a slow channel must not keep the others waiting.
	f := s.fanOut(ctx, groupsOf(len(productIDs), groupSize), func(ctx context.Context, i int, g *group) {
		p := s.realtime(ctx, s.targets[i], nil, s.readNow(s.targets[i]))
		p.chosen = g.chosen
		e.accounts[i].add(ctx, p.take(ctx, g.stocks))
	})
	f.ended = e.channelDone
	failed := e.named(ctx, f, productIDs)
	f.wait()
	failed = errors.Join(failed, e.followUp(ctx))
	return e.end(cmp.Or(failed, s.markPaused(ctx, e.accounts)))
}
