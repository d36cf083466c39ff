package syncer

import (
	"context"
	"log/slog"
	"time"

	"github.com/ecosire/stocksync/channel"
)

const (
	// mostWatchWait bounds how rarely a failing watcher is asked.
	mostWatchWait = time.Hour
	// leastWatchWait keeps a watcher of four requests at a sixth of ECOSIRE's
	// 60 a minute.
	leastWatchWait = 24 * time.Second
	cursorName     = "watch"
)

// watch marks what moved. Its trouble is logged and is nobody else's: events
// and reconciliation go on without it.
func (s *Syncer) watch(ctx context.Context) error {
	wait := s.watchEvery
	for {
		err := s.look(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			wait = min(2*wait, mostWatchWait)
			s.logger.LogAttrs(ctx, slog.LevelWarn, "watching for changes failed", slog.Duration("wait", wait), slog.Any("err", err))
		default:
			wait = s.watchEvery
		}
		if sleep(ctx, wait) != nil {
			return nil
		}
	}
}

// look asks once. The cursor is saved after the marks: what is asked for twice
// is marked twice, and what was not marked is asked for again.
func (s *Syncer) look(ctx context.Context) error {
	cursor, err := s.queue.Load(ctx, stateSet, cursorName)
	if err != nil {
		return err
	}
	// A third of what a reconciliation leaves may go for this.
	ids, next, err := s.watcher.Changes(channel.WithReserve(ctx, s.reserve*2/3), string(cursor))
	if err != nil {
		return err
	}
	if err := s.accept(ctx, channel.Event{Type: "watch", ProductIDs: ids}, Watched, quietLane); err != nil {
		return err
	}
	if next == string(cursor) {
		return nil
	}
	return s.queue.Save(ctx, stateSet, Record{Key: cursorName, Value: []byte(next)})
}
