package syncer

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/ecosire/stocksync/channel"
)

// maxReads bounds the requests that find out which of many ids the source
// refuses.
const maxReads = 10

// A fetch reads products by their ids. It returns what the source answered, by
// id: what it refuses, or cannot answer, for one id alone is that product's Err.
// An error means that the source as a whole failed; what was read before is
// there all the same.
type fetch func(ctx context.Context, ids []string) (map[string]channel.Stock, error)

// fetchOnly reads products, and nothing else.
func (s *Syncer) fetchOnly(ctx context.Context, ids []string) (map[string]channel.Stock, error) {
	found := make(map[string]channel.Stock, len(ids))
	asked := setOf(ids)
	err := halve(ids, maxReads, func(some []string) error {
		for stock, err := range s.stock(ctx, some) {
			if err != nil {
				return err
			}
			if !asked[stock.ProductID] {
				s.once.warn(about(ctx, "", stock.ProductID, stock.SKU), s, "the source answered with a product that it was not asked for; it is left out")
				continue
			}
			if old, twice := found[stock.ProductID]; !twice || old.Err != nil || stock.AsOf.After(old.AsOf) {
				found[stock.ProductID] = stock
			}
		}
		return nil
	}, func(id string, err error) {
		if _, ok := found[id]; !ok {
			found[id] = channel.Stock{ProductID: id, Err: err}
		}
	})
	s.alarms.access.reached(err)
	if err != nil {
		for id, stock := range found {
			if stock.AsOf.IsZero() { // blamed for what is not its own trouble
				delete(found, id)
			}
		}
	}
	return found, err
}

// readNow reads products for a pass of a target that looks at them again.
func (s *Syncer) readNow(t *target) reread {
	fetch := s.fetchFor(t)
	return func(ctx context.Context, ids []string) ([]channel.Stock, error) {
		found, err := fetch(ctx, ids)
		if err != nil {
			return nil, err
		}
		stocks := make([]channel.Stock, 0, len(found))
		for _, stock := range found {
			if stock.Err == nil {
				stocks = append(stocks, stock)
			}
		}
		return stocks, nil
	}
}

// withParts adds the parts of those kits that the products are in.
func withParts(kits []Listing, ids []string) []string {
	if len(kits) == 0 {
		return ids
	}
	asked := withPart(ids)
	var parts []string
	for _, k := range kits {
		if asked(k) {
			for _, part := range k.Parts {
				parts = append(parts, part.ProductID)
			}
		}
	}
	if len(parts) == 0 {
		return ids
	}
	all := slices.Concat(ids, parts)
	slices.Sort(all)
	return slices.Compact(all)
}

// freshFor is how long a quantity that was read for one channel serves the
// others. Each channel works through its marks at its own pace; those that
// are behind by less share a read. A catalogue's may be as old.
const freshFor = maxAge

// A stockReader reads stock for the workers of all channels, in full requests: what
// several wait for is read together, and what was read for one serves the
// others.
//
// The clocks of marks and of reads are never compared, since marks may be made
// by another process. A queue promises that whoever reads after a lease has
// what all marks up to the newest one in that lease are about. So the reader
// notes when it saw which marks leased, and a read serves all tasks whose last
// mark is not newer than what was seen before its request was sent.
//
// Whoever has the token may use stock, reads, others and often; mu guards leases,
// waiting, fed, total, own, seen and expired. Who needs both takes the token first.
type stockReader struct {
	s        *Syncer
	token    chan struct{} // holds a token while nobody reads
	mu       sync.Mutex
	leases   []sighting // in order, of the last moments
	waiting  map[string]bool
	stock    map[string]known
	reads    []*group // what is in stock, the oldest first
	fed      map[*target]bool
	total    int             // requests for reads
	own      map[*target]int // of these a target's
	seen     map[string]int  // by lane: how many of the others' its last turn knew of
	others   []time.Time     // when there were reads for other products than that in the last minute
	often    *rate.Limiter   // of requests for nothing but products that are marked again and again
	expired  time.Time       // the newest mark that was covered by a read that is forgotten by now
	failures atomic.Int64
	// Guarded by mu, too: see suspect.go.
	suspected map[string]time.Time // since when
	answered  time.Time            // when the source last answered
}

// A sighting is the newest mark in any lease before a time.
type sighting struct{ at, newest time.Time }

// saw notes that tasks were leased.
func (r *stockReader) saw(tasks []Task) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var last sighting
	if n := len(r.leases); n > 0 {
		last = r.leases[n-1]
	}
	newest := last.newest
	for _, t := range tasks {
		if t.Last.After(newest) {
			newest = t.Last
		}
	}
	if !newest.After(last.newest) {
		return
	}
	r.leases = append(r.leases, sighting{time.Now(), newest})
	if old := time.Now().Add(-2 * freshFor); len(r.leases) > 64 && r.leases[len(r.leases)/2].at.Before(old) {
		r.leases = slices.Clone(r.leases[len(r.leases)/2:])
	}
}

// covers returns the newest mark that a read covers which was asked for after
// the first n sightings, and whose request was sent at a time.
func (r *stockReader) covers(n int, sent time.Time) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	for n < len(r.leases) && r.leases[n].at.Before(sent) {
		n++
	}
	if n == 0 {
		return time.Time{}
	}
	return r.leases[min(n, len(r.leases))-1].newest
}

// A known product was read after all marks up to covers.
type known struct {
	channel.Stock
	covers  time.Time
	repeats *rate.Limiter // has few tokens if it was wanted again and again
}

func newStockReader(s *Syncer) *stockReader {
	r := &stockReader{s: s, token: make(chan struct{}, 1), waiting: make(map[string]bool), stock: make(map[string]known), fed: make(map[*target]bool),
		own: make(map[*target]int), seen: make(map[string]int), often: rate.NewLimiter(rate.Every(againEvery), oftenBurst)}
	r.token <- struct{}{}
	return r
}

// A reading is what a stockReader has for the tasks of a turn.
type reading struct {
	// found is the stock of their products, by id. Those that the source did not
	// answer are missing.
	found map[string]channel.Stock
	// stale are those that the source has answered with a state from before the
	// question.
	stale []string
	// wait says, if it is not 0, that what is missing was read a moment ago, and
	// is not to be read again until then.
	wait time.Duration
}

// read reads what the tasks need. A caller that waited for another read usually
// finds its products in it.
func (r *stockReader) read(ctx context.Context, t *target, tasks []Task) (reading, error) {
	r.saw(tasks)
	kits := t.kits(ctx, r.s) // without the token: it may take its time
	r.mu.Lock()
	for _, t := range tasks {
		r.waiting[t.ID] = true
	}
	r.mu.Unlock()
	select {
	case <-ctx.Done():
		return reading{}, ctx.Err()
	case <-r.token:
	}
	defer func() { r.token <- struct{}{} }()
	r.expire(time.Now().Add(-freshFor))

	ids, found := r.missing(parted(kits), tasks)
	r.mu.Lock()
	r.fed[t] = len(ids) == 0
	r.seen[tasks[0].Lane] = r.total - r.own[t]
	r.mu.Unlock()
	if len(ids) == 0 {
		return reading{found: found}, nil
	}
	if wait := r.tooSoon(ctx, ids); wait > 0 {
		return reading{found: found, wait: wait}, nil
	}
	// The channels' locks know of the read until its quantities are forgotten: one of
	// them may be pushed at any time until then.
	g := r.s.group(time.Now())
	r.mu.Lock()
	seen := len(r.leases)
	r.total++
	r.own[t]++
	r.mu.Unlock()
	stocks, err := r.s.fetchOnly(ctx, withParts(kits, ids))
	r.suspects(ids, err, time.Since(g.began))
	r.reads = append(r.reads, g)
	for _, s := range stocks {
		if s.Err == nil && !s.AsOf.Before(g.began) { // else the next attempt must ask again
			r.keep(s, r.covers(seen, s.AsOf))
			g.stocks = append(g.stocks, s)
		}
	}
	if err != nil {
		r.failures.Add(1)
		return reading{}, err
	}
	r.failures.Store(0)
	var stale []string
	for _, t := range tasks {
		if s, ok := stocks[t.ID]; ok {
			found[t.ID] = s
			if s.Err == nil && s.AsOf.Before(g.began) {
				stale = append(stale, t.ID)
			}
		}
	}
	for _, id := range withParts(kits, idsOf(tasks)) { // parts of kits
		if s, ok := stocks[id]; ok {
			found[id] = s
		}
	}
	return reading{found: found, stale: stale}, nil
}

// keep remembers what was read.
func (r *stockReader) keep(s channel.Stock, covers time.Time) {
	k := known{Stock: s, covers: covers}
	if old, again := r.stock[s.ProductID]; again {
		if k.repeats = old.repeats; k.repeats == nil {
			k.repeats = rate.NewLimiter(rate.Every(againEvery), againBurst)
		}
		k.repeats.Allow()
	}
	r.stock[s.ProductID] = k
}

// forgot reports whether what the tasks need was read for others, and is no
// longer fresh: their channel is behind by more than that.
func (r *stockReader) forgot(tasks []Task) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !tasks[0].Last.After(r.expired)
}

// feeds reports whether all that a target last needed was read for others.
func (r *stockReader) feeds(t *target) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.fed[t]
}

// ahead reports whether something was read for other targets since a lane of this
// one last had a turn. It may be what the lane is waiting for.
func (r *stockReader) ahead(t *target, lane string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	others := r.total - r.own[t]
	ahead := r.seen[lane] != others
	r.seen[lane] = others
	return ahead
}

// divide divides tasks into those whose products were read since they were
// marked, and the rest. It waits for a read that is under way.
func (r *stockReader) divide(ctx context.Context, t *target, tasks []Task) (known, rest []Task) {
	parted := parted(t.kits(ctx, r.s))
	select {
	case <-ctx.Done():
		return nil, tasks
	case <-r.token:
	}
	defer func() { r.token <- struct{}{} }()
	for _, t := range tasks {
		if k, ok := r.stock[t.ID]; ok && !k.covers.Before(t.Last) && !parted[t.ID] {
			known = append(known, t)
		} else {
			rest = append(rest, t)
		}
	}
	return known, rest
}

// missing returns what is known already of the tasks' products, and the ids
// that must be read: those of the tasks, and, as far as a group goes, those
// that others wait for.
func (r *stockReader) missing(parted map[string]bool, tasks []Task) (ids []string, found map[string]channel.Stock) {
	r.mu.Lock()
	defer r.mu.Unlock()
	found = make(map[string]channel.Stock, len(tasks))
	for _, t := range tasks {
		if k, ok := r.stock[t.ID]; ok && !k.covers.Before(t.Last) && !parted[t.ID] {
			found[t.ID] = k.Stock
		} else {
			ids = append(ids, t.ID)
		}
		delete(r.waiting, t.ID)
	}
	if len(ids) == 0 {
		return nil, found
	}
	_, suspects := r.suspected[ids[0]]
	for id := range r.waiting {
		if len(ids) >= groupSize || suspects {
			break
		}
		if _, ok := r.suspected[id]; ok {
			continue
		}
		ids = append(ids, id)
		delete(r.waiting, id)
	}
	return ids, found
}

// parted are the products that are parts of kits: the other parts must be read with
// them.
func parted(kits []Listing) (parted map[string]bool) {
	for _, k := range kits {
		for _, part := range k.Parts {
			if len(k.Parts) > 1 {
				if parted == nil {
					parted = make(map[string]bool)
				}
				parted[part.ProductID] = true
			}
		}
	}
	return parted
}

// reread reads products anew, for a pass of a target that looks at them again.
func (r *stockReader) reread(t *target) reread {
	readNow := r.s.readNow(t)
	return func(ctx context.Context, ids []string) ([]channel.Stock, error) {
		stocks, err := readNow(ctx, ids)
		if err != nil {
			return nil, err
		}
		select { // what was read before is not as new as what was found
		case <-r.token:
			for _, id := range ids {
				delete(r.stock, id)
			}
			r.token <- struct{}{}
		case <-ctx.Done():
		}
		return stocks, nil
	}
}

// backoff is how long to leave the source alone after it has failed.
func (r *stockReader) backoff(err error) time.Duration {
	return backoff(err, int(max(0, r.failures.Load()-1)), maxChannelBackoff)
}

// tidy forgets what is no longer fresh, again and again until ctx is done. A
// read that nobody forgets would keep the channels' locks from forgetting, too.
func (r *stockReader) tidy(ctx context.Context) {
	for sleep(ctx, freshFor) == nil {
		select {
		case <-r.token:
			r.expire(time.Now().Add(-freshFor))
			r.token <- struct{}{}
		default: // somebody reads, and tidies up first
		}
	}
}

// close forgets everything.
func (r *stockReader) close() { r.expire(time.Now().Add(time.Hour)) }

// expire forgets what was read before a time.
func (r *stockReader) expire(before time.Time) {
	for len(r.reads) > 0 && r.reads[0].began.Before(before) {
		g := r.reads[0]
		newest := r.expired
		for _, s := range g.stocks {
			if k := r.stock[s.ProductID]; k.AsOf.Equal(s.AsOf) {
				delete(r.stock, s.ProductID)
				if k.covers.After(newest) {
					newest = k.covers
				}
			}
		}
		r.mu.Lock()
		r.expired = newest
		r.mu.Unlock()
		g.endAll()
		r.reads = r.reads[1:]
	}
}

func idsOf(tasks []Task) []string {
	ids := make([]string, len(tasks))
	for i, t := range tasks {
		ids[i] = t.ID
	}
	return ids
}
