package syncer

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"time"
)

// pendingSet and a channel's name is the set of writes that were accepted and did
// not show yet when a process ended, by SKU. So the next one does not send them
// again, or take what they will change for drift. After a crash it does, once.
const pendingSet = "pending/"

// A pendingWrite is kept of such a write.
type pendingWrite struct {
	ProductID string        `json:"productID"`
	Quantity  int           `json:"quantity"`
	Before    int           `json:"before"`
	Unset     bool          `json:"unset,omitempty"`
	Wrote     time.Time     `json:"wrote"`
	Lag       time.Duration `json:"lag"`
}

// keepPending keeps what is pending on channels that lag.
func (s *Syncer) keepPending(ctx context.Context) {
	for _, t := range s.targets {
		if t.lag <= 0 || s.forgets() {
			continue
		}
		var records []Record
		for sku, w := range t.memory.pendingWrites() {
			value, err := json.Marshal(w)
			if err == nil {
				records = append(records, Record{sku, value})
			}
		}
		for some := range slices.Chunk(records, groupSize) {
			if err := s.on(ctx).Save(ctx, pendingSet+t.name, some...); err != nil {
				s.logger.LogAttrs(ctx, slog.LevelWarn, "what is pending is not kept; the next process writes it again",
					slog.String("channel", t.name), slog.Any("err", err))
				break
			}
		}
	}
}

// recallPending takes over what was pending when the last process ended.
func (s *Syncer) recallPending(ctx context.Context) error {
	for _, t := range s.targets {
		if t.lag <= 0 || s.forgets() {
			continue
		}
		var read []Record
		for rec, err := range s.on(ctx).Records(ctx, pendingSet+t.name, "") {
			if err != nil {
				return err
			}
			read = append(read, Record{Key: rec.Key})
			var w pendingWrite
			now := time.Now()
			if json.Unmarshal(rec.Value, &w) == nil && w.Quantity >= 0 && !w.Wrote.After(now) {
				w.Wrote = now.Add(w.Wrote.Sub(now)) // which stays as long ago if the clock is set
				t.memory.recallPending(rec.Key, w)
			}
		}
		for some := range slices.Chunk(read, groupSize) {
			if err := s.on(ctx).Save(ctx, pendingSet+t.name, some...); err != nil {
				return err
			}
		}
	}
	return nil
}

// pendingWrites are the writes that may not show yet, by SKU.
func (m *memory) pendingWrites() map[string]pendingWrite {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make(map[string]pendingWrite)
	for _, entries := range []map[string]*shown{m.old, m.young} { // the young are the newer
		for sku, e := range entries {
			delete(all, sku)
			if e.awaited() {
				all[sku] = pendingWrite{e.productID, e.quantity, e.before, e.unset, e.wrote, e.lag}
			}
		}
	}
	return all
}

func (m *memory) recallPending(sku string, w pendingWrite) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, known := m.get(sku); !known {
		m.set(sku, shown{
			quantity: w.Quantity, productID: w.ProductID, before: w.Before, unset: w.Unset,
			wrote: w.Wrote, at: w.Wrote, pending: true, lag: w.Lag,
		})
	}
}
