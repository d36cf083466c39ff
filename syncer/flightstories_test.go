package syncer_test

import (
	"context"
	"iter"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/channel/channeltest"
	"github.com/ecosire/stocksync/syncer"
)

// TestStoriesOfUnitsInFlight plays testdata/flight.txt, which says how to read
// it, on channels that compare and set and on channels that do not.
func TestStoriesOfUnitsInFlight(t *testing.T) {
	for name, blind := range map[string]bool{"compare-and-set": false, "blind writes": true} {
		t.Run(name, func(t *testing.T) {
			for _, story := range readStories(t) {
				t.Run(story.name, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) { newFlight(t, story, blind).play(story.steps) })
				})
			}
		})
	}
}

type flightStory struct {
	name     string
	stock    int
	policies [2]string // of a and b
	steps    []flightStep
}

type flightStep struct {
	line   int
	what   []string
	shows  []int
	writes map[string][]int
}

func readStories(t *testing.T) (stories []flightStory) {
	text, err := os.ReadFile("testdata/flight.txt")
	require.NoError(t, err)
	var s *flightStory
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		line = strings.TrimRight(line, "\n")
		key, value, _ := strings.Cut(line, ": ")
		switch {
		case line == "" || line[0] == '#':
		case key == "story":
			stories = append(stories, flightStory{name: value})
			s = &stories[len(stories)-1]
		case key == "stock":
			s.stock, err = strconv.Atoi(value)
			require.NoError(t, err, "line %d", n)
		case key == "a" || key == "b":
			s.policies[key[0]-'a'] = value
		default:
			what, then, ok := strings.Cut(line, " -> ")
			require.True(t, ok && line[0] == ' ', "line %d is no step", n)
			step := flightStep{line: n, what: strings.Split(strings.TrimSpace(what), ", "), writes: make(map[string][]int)}
			for _, word := range strings.Fields(then) {
				name, number, write := strings.Cut(word, "=")
				if !write {
					number = word
				}
				q, err := strconv.Atoi(number)
				require.NoError(t, err, "line %d", n)
				if write {
					step.writes[name] = append(step.writes[name], q)
				} else {
					step.shows = append(step.shows, q)
				}
			}
			s.steps = append(s.steps, step)
		}
	}
	return stories
}

// A flight is a source of one product, two channels, and what is between them.
type flight struct {
	*testing.T
	erp    *promises
	shops  [2]*flightShop
	queue  syncer.Queue
	syncer *syncer.Syncer
	stop   func()
}

// A keptQueue survives the process that it is in, as far as the engine can tell.
type keptQueue struct{ *syncer.MemoryQueue }

func newFlight(t *testing.T, story flightStory, blind bool) *flight {
	f := &flight{T: t, erp: newPromises(story.stock), queue: keptQueue{syncer.NewMemoryQueue()}}
	for i, name := range []string{"a", "b"} {
		f.shops[i] = newFlightShop(name, blind)
		f.shops[i].Set("SKU-0", 0)
		f.shops[i].setUp(t, story.policies[i])
	}
	f.begin()
	_, err := f.syncer.Reconcile(t.Context())
	require.NoError(t, err)
	for _, sh := range f.shops {
		sh.written()
	}
	f.run()
	pass(time.Minute)
	return f
}

// begin makes a new syncer, as a new process does.
func (f *flight) begin(edit ...func(*syncer.Config)) {
	cfg := syncer.Config{Source: f.erp, Queue: f.queue, Schedule: syncer.Never(), WatchEvery: -1}
	for _, sh := range f.shops {
		cfg.Targets = append(cfg.Targets, sh.target)
	}
	for _, e := range edit {
		e(&cfg)
	}
	f.syncer = configure(f.T, cfg)
}

func (f *flight) run() { f.stop = running(f.T, f.syncer) }

// event tells of the product, and lets everything happen that it leads to.
func (f *flight) event() {
	require.NoError(f, f.syncer.Notify(f.Context(), f.erp.ids()...))
	pass(time.Minute)
}

func (f *flight) play(steps []flightStep) {
	for _, step := range steps {
		waits := true
		for _, what := range step.what {
			words := strings.Fields(what)
			f.happens(words)
			waits = waits && words[0] == "wait"
		}
		if !waits {
			f.event()
		}
		for i, sh := range f.shops {
			q, _ := sh.Quantity("SKU-0")
			assert.Equal(f, step.shows[i], q, "line %d: %s shows", step.line, sh.Name())
			assert.Equal(f, step.writes[sh.Name()], sh.written(), "line %d: written to %s", step.line, sh.Name())
		}
		if f.Failed() {
			return
		}
	}
}

// happens makes happen what the words say.
func (f *flight) happens(words []string) {
	number := func(i int) (n int) {
		n, err := strconv.Atoi(words[i])
		require.NoError(f, err)
		return n
	}
	switch words[0] {
	case "nothing":
	case "booked":
		f.erp.change("p0", 0, number(1))
	case "unbooked":
		f.erp.change("p0", 0, -number(1))
	case "received":
		f.erp.change("p0", number(1), 0)
	case "left":
		f.erp.change("p0", -number(1), 0)
	case "wait":
		d, err := time.ParseDuration(words[1])
		require.NoError(f, err)
		pass(d)
	case "stop":
		f.stop()
	case "start":
		f.begin()
		f.run()
	case "a", "b":
		sh := f.shops[words[0][0]-'a']
		switch words[1] {
		case "sells":
			require.True(f, sh.Sell("SKU-0", number(2)))
		case "shows":
			sh.Set("SKU-0", number(2))
		case "fails", "works":
			sh.failing.Store(words[1] == "fails")
		default:
			f.Fatal("no such step: ", words)
		}
	default:
		f.Fatal("no such step: ", words)
	}
}

// A flightShop is a channel that notes what it is told.
type flightShop struct {
	*channeltest.Memory
	target  syncer.Target
	inner   *channeltest.Intercept
	failing atomic.Bool

	mu     sync.Mutex
	writes []int
	reads  int
}

// newFlightShop returns an empty shop. One whose writes are blind takes a
// quantity whatever it shows by then.
func newFlightShop(name string, blind bool) *flightShop {
	sh := &flightShop{Memory: channeltest.NewMemory(name)}
	sh.inner = &channeltest.Intercept{
		Channel: sh.Memory,
		OnPush: func(ctx context.Context, next channel.Channel, updates []channel.Update) error {
			if sh.failing.Load() {
				return channel.ErrUnavailable
			}
			updates = slices.Clone(updates)
			sh.mu.Lock()
			for i := range updates {
				sh.writes = append(sh.writes, updates[i].Quantity)
				if blind {
					updates[i].Seen = nil
				}
			}
			sh.mu.Unlock()
			return next.Push(ctx, updates)
		},
		OnLevels: func(ctx context.Context, next channel.Reader, skus []string) ([]channel.Level, error) {
			if sh.failing.Load() {
				return nil, channel.ErrUnavailable
			}
			sh.mu.Lock()
			sh.reads++
			sh.mu.Unlock()
			return next.Levels(ctx, skus)
		},
	}
	sh.target = syncer.Target{Guard: unguarded, Channel: sh.inner}
	if blind {
		sh.target.Channel = blindChannel{sh.inner, sh.inner}
	}
	return sh
}

// A blindChannel can be read and written, and nothing else: it does not tell
// whether it compares and sets.
type blindChannel struct {
	channel.Channel
	channel.Reader
}

// setUp gives the target what a story says of it.
func (sh *flightShop) setUp(t *testing.T, text string) {
	word, rest, _ := strings.Cut(text, " ")
	n, _ := strconv.Atoi(rest)
	switch word {
	case "":
	case "share":
		sh.target.Policy = syncer.Available().Share(n)
	case "buffer":
		sh.target.Policy = syncer.Available().Buffer(n)
	case "in":
		sh.target.Policy = syncer.In(rest)
	case "own":
		sh.target.Policy = syncer.Custom("on hand less reserved", func(s channel.Stock) (int, error) {
			return max(0, s.OnHand-s.Reserved), nil
		})
	case "pack":
		sh.target.Listings = func(s channel.Stock) []syncer.Listing { return []syncer.Listing{syncer.Pack(s.SKU, s, n)} }
	default:
		t.Fatal("no such policy: ", text)
	}
}

// written returns what was written since the last call.
func (sh *flightShop) written() (writes []int) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	writes, sh.writes = sh.writes, nil
	return writes
}

// promises is a source of products that knows what it has promised.
type promises struct {
	mu       sync.Mutex
	products []channel.Stock
	asks     int
	// before and after are called around the moment that an answer is of.
	before, after func()
}

// newPromises returns a source with as much on hand, of p0, p1 and so on.
func newPromises(onHand ...int) *promises {
	e := new(promises)
	for i, n := range onHand {
		e.products = append(e.products, channel.Stock{ProductID: "p" + strconv.Itoa(i), SKU: "SKU-" + strconv.Itoa(i), OnHand: n})
	}
	return e
}

func (e *promises) ids() (ids []string) {
	for i := range e.products {
		ids = append(ids, "p"+strconv.Itoa(i))
	}
	return ids
}

// change changes what a product has.
func (e *promises) change(id string, onHand, reserved int) {
	e.edit(id, func(s *channel.Stock) { s.OnHand, s.Reserved = s.OnHand+onHand, s.Reserved+reserved })
}

func (e *promises) edit(id string, f func(*channel.Stock)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	f(&e.products[slices.Index(e.ids(), id)])
}

// asked is how often the source was asked since the last call.
func (e *promises) asked() (n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	n, e.asks = e.asks, 0
	return n
}

// Stock implements [channel.Source]. All that there is lies in berlin.
func (e *promises) Stock(ctx context.Context, ids ...string) iter.Seq2[channel.Stock, error] {
	return func(yield func(channel.Stock, error) bool) {
		asOf := time.Now()
		if e.before != nil {
			e.before()
		}
		warehouses, _ := channel.Warehouses(ctx)
		e.mu.Lock()
		e.asks++
		var found []channel.Stock
		for _, s := range e.products {
			if len(ids) > 0 && !slices.Contains(ids, s.ProductID) {
				continue
			}
			s.AsOf, s.Available = asOf, s.OnHand-s.Reserved
			if slices.Contains(warehouses, "berlin") {
				s.Warehouses = map[string]channel.Quantity{"berlin": {OnHand: s.OnHand, Reserved: s.Reserved, Available: s.Available}}
			}
			found = append(found, s)
		}
		e.mu.Unlock()
		if e.after != nil {
			e.after()
		}
		time.Sleep(10 * time.Millisecond)
		for _, s := range found {
			if !yield(s, nil) {
				return
			}
		}
	}
}
