package syncer

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/ecosire/stocksync/channel"
)

// A watchlist is what a channel that is watched was last known to show, for a
// bounded number of SKUs. Those that sell, and those of which few are left, have
// the first claim to a place.
type watchlist struct {
	mu   sync.Mutex
	skus map[string]*watchedSKU
}

type watchedSKU struct {
	productID string
	quantity  int
	changed   time.Time // when the quantity was last another one; zero if it never was
	known     time.Time // when the quantity was learned
	asked     time.Time // when the watch asked for it last
	unsettled time.Time // until when another quantity may show, after a write
}

const (
	// maxWatchlist bounds the SKUs, at about 200 bytes each.
	maxWatchlist = 20_000
	// watchHot is how long an SKU that has changed is looked at more often, and
	// hotUnits are so few that the next sale may be the last.
	watchHot = time.Hour
	hotUnits = 10
	// hotWeight is how much more often such SKUs are looked at.
	hotWeight = 8
)

func (e *watchedSKU) hot(now time.Time) bool {
	return !e.changed.IsZero() && now.Sub(e.changed) < watchHot || e.quantity > 0 && e.quantity <= hotUnits
}

// learn notes what a channel shows, or was made to show. A nil watchlist does
// nothing. lag is how long a write may take to show.
func (l *watchlist) learn(sku, productID string, quantity int, lag time.Duration) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	e := l.skus[sku]
	if e == nil {
		e = &watchedSKU{productID: productID, quantity: quantity}
		if len(l.skus) >= maxWatchlist && !(e.hot(now) && l.makeRoom(now)) {
			return
		}
		if l.skus == nil {
			l.skus = make(map[string]*watchedSKU)
		}
		l.skus[sku] = e
	}
	if e.quantity != quantity {
		e.changed = now
	}
	e.productID, e.quantity, e.known = productID, quantity, now
	if e.unsettled = now; lag > 0 {
		e.unsettled = now.Add(lag)
	}
}

// makeRoom drops some SKUs that are not hot. It reports whether there were any.
func (l *watchlist) makeRoom(now time.Time) bool {
	before := len(l.skus)
	for sku, e := range l.skus {
		if !e.hot(now) {
			delete(l.skus, sku)
		}
		if before-len(l.skus) >= maxWatchlist/100 {
			break
		}
	}
	return len(l.skus) < before
}

func (l *watchlist) forget() {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.skus = nil
}

// choose returns the SKUs whose turn it is to be looked at, at most n: those that
// have waited longest, where an hour's wait of a hot one counts as eight.
func (l *watchlist) choose(n int) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	type candidate struct {
		sku  string
		wait time.Duration
	}
	all := make([]candidate, 0, len(l.skus))
	for sku, e := range l.skus {
		wait := now.Sub(e.asked)
		if e.known.After(e.asked) {
			wait = now.Sub(e.known)
		}
		if e.hot(now) {
			wait *= hotWeight
		}
		all = append(all, candidate{sku, wait})
	}
	slices.SortFunc(all, func(a, b candidate) int { return cmp.Or(cmp.Compare(b.wait, a.wait), cmp.Compare(a.sku, b.sku)) })
	skus := make([]string, min(n, len(all)))
	for i := range skus {
		skus[i] = all[i].sku
		l.skus[skus[i]].asked = now
	}
	return skus
}

// compare takes in what the channel shows now, as it was asked at a time. It
// returns the SKUs that show another quantity than was known, with the product,
// and the levels of those that the list does not have.
func (l *watchlist) compare(levels []channel.Level, asked time.Time) (changed map[string]string, unknown []channel.Level) {
	l.mu.Lock()
	defer l.mu.Unlock()
	changed = make(map[string]string)
	for i := range levels {
		level := &levels[i]
		if level.Err != nil || level.Unset || !sound(level.Quantity) {
			continue
		}
		e := l.skus[level.SKU]
		switch {
		case e == nil:
			unknown = append(unknown, *level)
		case e.quantity == level.Quantity || !e.known.Before(asked) || asked.Before(e.unsettled):
		default:
			changed[level.SKU] = e.productID
			e.quantity, e.changed, e.known = level.Quantity, time.Now(), asked
		}
	}
	return changed, unknown
}
