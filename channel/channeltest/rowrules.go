package channeltest

import (
	"fmt"
	"net/http"
	"sync"

	"github.com/ecosire/stocksync/channel"
)

func resultMissing(k *kit) {
	const n = 30
	tried := false
	for _, lose := range []func(lost *bool) Fault{loseRequestRow, loseAnswerRow} {
		levels, updates := numbered(n, 1000)
		for i := range levels { // down, as a channel.Deductor may show less than was pushed
			levels[i].Quantity += 2000
		}
		k.open(levels...)
		k.wired()
		var lost bool
		k.Wire.Inject(lose(&lost))
		out := k.push(k.t.Context(), updates...)
		k.Wire.Heal()
		if lost {
			tried = true
			k.truthful(out, updates...)
		}
	}
	if !tried {
		k.t.Skip("no answer to a Push has rows in JSON")
	}
}

// loseRequestRow loses the last row of a request that is answered in rows: the
// service neither does nor answers it.
func loseRequestRow(lost *bool) Fault {
	var mu sync.Mutex
	sent := 0 // rows of the request
	return Fault{Times: -1, request: func(body []byte) []byte {
		mu.Lock()
		defer mu.Unlock()
		if sent > 0 {
			return body
		}
		shorter, left := withoutLast(body)
		if left > 0 {
			sent = left + 1
		}
		return shorter
	}, Rewrite: func(status int, _ http.Header, body []byte) (int, []byte) {
		mu.Lock()
		defer mu.Unlock()
		if d, ok := parseDocument(body); ok && sent > 0 && !*lost {
			rows, _, _ := d.rows()
			*lost = len(rows) == sent-1
		}
		return status, body
	}}
}

// loseAnswerRow loses the last row of each answer: the service has done it.
func loseAnswerRow(lost *bool) Fault {
	var mu sync.Mutex
	return Fault{Times: -1, Rewrite: func(status int, _ http.Header, body []byte) (int, []byte) {
		mu.Lock()
		defer mu.Unlock()
		shorter, left := withoutLast(body)
		*lost = *lost || left > 0
		return status, shorter
	}}
}

// spoil has one row odd in all that the service answers, and returns whether
// there was an answer with it.
func (k *kit) spoil(bad *badRow, path string, value any) (hit func() bool) {
	k.wired()
	k.when = fmt.Sprintf("%s is %s in one row", path[1:], show(value))
	var mu sync.Mutex
	spoilt := false
	k.Wire.Inject(Fault{Times: -1, Rewrite: func(status int, _ http.Header, body []byte) (int, []byte) {
		mu.Lock()
		defer mu.Unlock()
		changed, ok := bad.spoil(body, path, value)
		spoilt = spoilt || ok
		return status, changed
	}})
	return func() bool {
		mu.Lock()
		defer mu.Unlock()
		return spoilt
	}
}

// odd calls try for each place in each row that the service answers to probe,
// and each value that does not belong there.
func (k *kit) odd(try func(bad *badRow, path string, value any), probe func([]channel.Update)) {
	const n = 6
	levels, updates := numbered(n, 1000)
	k.open(levels...)
	k.wired()
	var mu sync.Mutex
	var rows []*badRow
	k.Wire.Inject(Fault{Times: -1, Rewrite: func(status int, _ http.Header, body []byte) (int, []byte) {
		mu.Lock()
		defer mu.Unlock()
		if row, ok := chooseRow(body); ok {
			rows = append(rows, row)
		}
		return status, body
	}})
	probe(updates)
	k.Wire.Heal()
	if len(rows) == 0 {
		k.t.Skip("no answer has rows in JSON")
	}
	tried := make(map[string]bool)
	for _, row := range rows {
		for _, path := range row.paths {
			if tried[path] {
				continue
			}
			tried[path] = true
			for _, value := range junk {
				if _, truth := value.(bool); truth && row.truths[path] {
					continue
				}
				if try(row, path, value); k.t.Failed() {
					return // the others most often fail for the same cause
				}
			}
		}
	}
}

func (k *kit) oddLevel(bad *badRow, path string, value any) {
	const n = 6
	levels, updates := numbered(n, 1000)
	k.open(levels...)
	hit := k.spoil(bad, path, value)
	got, err := k.levels(k.t.Context(), skusOf(updates)...)
	k.Wire.Heal()
	if !hit() {
		return
	}
	if err != nil {
		k.errorf("Levels failed as a whole: %v", err)
		return
	}
	wrong := 0
	for _, l := range levels {
		ls := got[l.SKU]
		if len(ls) == 1 && ls[0].Err == nil && !ls[0].Unset && !ls[0].Inexact && ls[0].Quantity == l.Quantity {
			continue
		}
		wrong++
		switch {
		case len(ls) == 0:
			k.errorf("%q is absent: that is for an SKU that the service does not have", l.SKU)
		case len(ls) > 1:
			k.errorf("Levels returned %d levels for %q", len(ls), l.SKU)
		case ls[0].Err == nil && !ls[0].Unset && !ls[0].Inexact:
			k.errorf("%q is read as %d, and shows %d", l.SKU, ls[0].Quantity, l.Quantity)
		}
	}
	if wrong > 1 {
		k.errorf("%d SKUs could not be read", wrong)
	}
}

func skusOf(updates []channel.Update) []string {
	skus := make([]string, len(updates))
	for i, u := range updates {
		skus[i] = u.SKU
	}
	return skus
}
