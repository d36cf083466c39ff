package syncer

import (
	"context"
	"log/slog"
	"time"

	"github.com/ecosire/stocksync/channel"
)

const (
	// maxWatchWait bounds how rarely a failing watcher is asked.
	maxWatchWait = time.Hour
	// minWatchWait keeps a watcher of four requests at a sixth of ECOSIRE's
	// 60 a minute.
	minWatchWait = 24 * time.Second
	cursorName   = "watch"
)

// watch marks what moved. Its trouble is logged and is nobody else's: events
// and reconciliation go on without it.
func (s *Syncer) watch(ctx context.Context) {
	wait := s.watchEvery
	for first := true; ; first = false {
		err := s.askChanges(ctx)
		onceOf(ctx).did("watch", err)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			wait = max(s.watchEvery, min(2*wait, maxWatchWait))
			s.logger.LogAttrs(ctx, slog.LevelWarn, "watching for changes failed", slog.Duration("wait", wait), slog.Any("err", err))
		default:
			wait = s.watchEvery
			if first {
				wait = s.firstWait()
			}
		}
		if sleep(ctx, wait) != nil {
			return
		}
	}
}

// askChanges asks once. The cursor is saved after the marks: what is asked for twice
// is marked twice, and what was not marked is asked for again.
func (s *Syncer) askChanges(ctx context.Context) error {
	cursor, err := s.on(ctx).Load(ctx, stateSet, cursorName)
	if err != nil {
		return err
	}
	type changes struct {
		ids  []string
		next string
	}
	found, err := bounded(channel.WithUrgency(ctx, channel.Soon), s, "the source: Changes", s.patience, func(ctx context.Context) (c changes, err error) {
		c.ids, c.next, err = s.watcher.Changes(ctx, string(cursor))
		return c, err
	})
	s.gotOn()
	next := found.next
	if err != nil {
		return err
	}
	if err := s.mark(ctx, noticedLane, CauseWatch, channel.Event{Type: "watch", ProductIDs: found.ids}); err != nil {
		return err
	}
	s.alarms.events.noticed(found.ids)
	if next == string(cursor) {
		return nil
	}
	return s.on(ctx).Save(ctx, stateSet, Record{cursorName, []byte(next)})
}
