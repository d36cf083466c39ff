package syncer

import (
	"math"
	"sync"
	"time"
)

// Delays says how long products had waited when the channel was made to show
// what changed: each since its oldest mark. It is about the last hour, to about
// an eighth of each time.
type Delays struct {
	Count int           `json:"count"` // of products
	P50   time.Duration `json:"p50"`   // half of them waited no longer
	P99   time.Duration `json:"p99"`   // 99 in 100 did
}

// lateness counts delays by minute and by length, in fixed memory.
type lateness struct {
	mu      sync.Mutex
	minutes [60]struct {
		minute int64 // since 1970; what an older one has counted is void
		counts [lengths]uint32
	}
}

// Each length is a fourth root of two longer than the one before: the first is
// up to a millisecond, the last a day and more.
const lengths = 108

func lengthOf(d time.Duration) int {
	if d <= time.Millisecond {
		return 0
	}
	return min(lengths-1, int(math.Ceil(4*math.Log2(float64(d)/float64(time.Millisecond)))))
}

// add counts a product that was marked first at a time, and shows now.
func (l *lateness) add(first, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	minute := now.Unix() / 60
	m := &l.minutes[minute%60]
	if m.minute != minute {
		*m = struct {
			minute int64
			counts [lengths]uint32
		}{minute: minute}
	}
	m.counts[lengthOf(now.Sub(first))]++
}

// lastHour returns the delays of the last hour, or nil if there were none.
func (l *lateness) lastHour(now time.Time) *Delays {
	l.mu.Lock()
	defer l.mu.Unlock()
	var counts [lengths]int
	d := new(Delays)
	for i := range l.minutes {
		if age := now.Unix()/60 - l.minutes[i].minute; age < 0 || age >= 60 {
			continue
		}
		for j, n := range l.minutes[i].counts {
			counts[j] += int(n)
			d.Count += int(n)
		}
	}
	if d.Count == 0 {
		return nil
	}
	// at is the middle of the length in which the product of a rank is.
	at := func(rank int) time.Duration {
		for j, n := range counts {
			if rank -= n; rank <= 0 {
				return time.Duration(float64(time.Millisecond) * math.Exp2((float64(j)-0.5)/4)).Round(100 * time.Microsecond)
			}
		}
		return 0
	}
	d.P50, d.P99 = at((d.Count+1)/2), at((99*d.Count+99)/100)
	return d
}
