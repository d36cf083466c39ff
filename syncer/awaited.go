package syncer

import (
	"context"
	"log/slog"
	"slices"

	"github.com/ecosire/stocksync/channel"
)

// awaitedSet and a channel's name is the set of the products of writes that take
// longer to show than the channel's usually do, such as by a file, by SKU. A
// channel that is a [channel.Resumer] tells of their outcome by SKUs, hours
// later, perhaps to a process that has not made them.
const awaitedSet = "awaited/"

// await keeps the products of such writes.
func (t *target) await(ctx context.Context, s *Syncer, records []Record) {
	if len(records) == 0 {
		return
	}
	err := s.safely(ctx, "the queue: Save", func() error { return s.on(ctx).Save(ctx, awaitedSet+t.name, records...) })
	if err != nil { // this process knows them all the same
		s.logger.LogAttrs(ctx, slog.LevelWarn, "a restart will forget what is to be compared when the channel is done",
			slog.String("channel", t.name), slog.Any("err", err))
	}
}

// outcomes marks the products of SKUs whose writes the channel is done with. It
// fails only when ctx is done.
func (t *target) outcomes(ctx context.Context, s *Syncer, skus []string) error {
	unknown := 0
	for some := range slices.Chunk(skus, groupSize) {
		var marks []Mark
		gone := make([]Record, len(some))
		for i, sku := range some {
			gone[i].Key = sku
			id := t.memory.endLag(sku, t.lag)
			if id == "" {
				if err := s.insist(ctx, "Load", func() error {
					value, err := s.on(ctx).Load(ctx, awaitedSet+t.name, sku)
					id = string(value)
					return err
				}); err != nil {
					return err
				}
			}
			if id == "" {
				unknown++
				continue
			}
			marks = append(marks, Mark{Key: Key{Lane: t.eventLane(), ID: id}, Why: CauseRetry})
		}
		if err := s.insist(ctx, "Mark", func() error {
			if len(marks) == 0 {
				return nil
			}
			return s.on(ctx).Mark(ctx, marks...)
		}); err != nil {
			return err
		}
		if err := s.insist(ctx, "Save", func() error { return s.on(ctx).Save(ctx, awaitedSet+t.name, gone...) }); err != nil {
			return err
		}
	}
	if unknown > 0 {
		s.logger.LogAttrs(ctx, slog.LevelWarn, "a channel is done with writes of which nothing is remembered; the next reconciliation compares them",
			slog.String("channel", t.name), slog.Int("skus", unknown))
	}
	return nil
}

// resumes reports whether the target's channel has work that outlasts calls.
func (t *target) resumes() bool {
	_, ok := channel.As[channel.Resumer](t.Channel)
	return ok
}
