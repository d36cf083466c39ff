package syncer

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/logs"
)

// What channels know that is costly to find out again ([channel.Keeper]) is kept
// in the queue's store: restored before a process works for the first time, and
// kept after each complete run over the catalogue. It is cut into records, under
// one of two prefixes by turns, so that what was kept before stays whole until
// the new one is.

// keptSet and a channel's name is the set of what it knows.
const keptSet = "kept/"

const (
	keptHead = "head"
	// keptPiece is the size of a record.
	keptPiece = 256 << 10
	// maxKeptPieces bounds what a channel may keep: 128 MB.
	maxKeptPieces = 512
	// keptSeldom is how often it is kept again at most.
	keptSeldom = time.Hour
)

// A keptNote says under which prefix what is kept is, and how much.
type keptNote struct {
	Prefix string `json:"prefix"`
	Pieces int    `json:"pieces"`
}

func (n keptNote) key(piece int) string { return fmt.Sprintf("%s%06d", n.Prefix, piece) }

// restoreWithin is how long the work waits for what the channels knew. It goes on
// being restored beside that.
const restoreWithin = 10 * time.Second

// recollect restores what the channels knew, once, and side by side.
func (s *Syncer) recollect(ctx context.Context) {
	s.recollectIndex(ctx)
	var restoring sync.WaitGroup
	for _, t := range s.targets {
		k, ok := channel.As[channel.Keeper](t.Channel)
		if !ok || s.forgets() || !t.recollected.CompareAndSwap(false, true) {
			continue
		}
		restoring.Go(func() { // ends with the call, or soon after ctx
			err := s.restoreKept(ctx, keptSet+t.name, func(r *keptReader) error {
				return t.apart(ctx, s, "Restore", func(ctx context.Context) error { r.ctx = ctx; return k.Restore(r) })
			})
			if err != nil && ctx.Err() == nil {
				s.logger.LogAttrs(ctx, slog.LevelWarn, "what a channel had kept is not restored; it costs requests to find it out again",
					slog.String("channel", t.name), slog.Any("err", err))
			}
		})
	}
	restored := make(chan struct{})
	go func() { restoring.Wait(); close(restored) }()
	timer := time.NewTimer(restoreWithin)
	defer timer.Stop()
	select {
	case <-restored:
	case <-timer.C:
	}
}

// apart calls a method of a channel's that asks its service for nothing: also while
// that is paused, or left alone. If it is left behind it holds up nothing but itself.
func (t *target) apart(ctx context.Context, s *Syncer, op string, f func(context.Context) error) error {
	_, err := bounded(logs.With(ctx, logs.Channel, t.name), s, t.name+": "+op, s.patience, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, f(ctx)
	})
	return err
}

// keep keeps what the channels, and the index, know by now.
func (s *Syncer) keep(ctx context.Context) {
	s.keepIndex(ctx)
	for _, t := range s.targets {
		k, ok := channel.As[channel.Keeper](t.Channel)
		if !ok || s.forgets() || time.Since(t.keptAt) < keptSeldom && !t.keptAt.IsZero() {
			continue
		}
		t.keptAt = time.Now()
		if err := t.keep(ctx, s, k); err != nil && ctx.Err() == nil {
			s.logger.LogAttrs(ctx, slog.LevelWarn, "what a channel knows is not kept; a restart costs requests to find it out again",
				slog.String("channel", t.name), slog.Any("err", err))
		}
	}
}

// forgets reports whether the store ends with the process.
func (s *Syncer) forgets() bool {
	h, ok := s.queue.(*hostQueue)
	if !ok {
		return false
	}
	_, memory := h.q.(*MemoryQueue)
	return memory
}

func (s *Syncer) keptHead(ctx context.Context, set string) (head keptNote, err error) {
	value, err := s.on(ctx).Load(ctx, set, keptHead)
	if err == nil && value != nil {
		err = json.Unmarshal(value, &head)
	}
	return head, err
}

// restoreKept reads what is kept in a set, if anything is.
func (s *Syncer) restoreKept(ctx context.Context, set string, restore func(*keptReader) error) error {
	head, err := s.keptHead(ctx, set)
	if err != nil || head.Pieces == 0 {
		return err
	}
	return restore(&keptReader{ctx: ctx, s: s, set: set, note: head})
}

func (t *target) keep(ctx context.Context, s *Syncer, k channel.Keeper) error {
	return s.keepIn(ctx, keptSet+t.name, func(w *keptWriter) error {
		return t.apart(ctx, s, "Keep", func(ctx context.Context) error { w.ctx = ctx; return k.Keep(w) })
	})
}

// keepIn keeps what write writes, in the place of what was kept in a set before.
func (s *Syncer) keepIn(ctx context.Context, set string, write func(*keptWriter) error) error {
	old, err := s.keptHead(ctx, set)
	if err != nil {
		old = keptNote{} // it is replaced
	}
	w := &keptWriter{ctx: ctx, s: s, set: set, note: keptNote{Prefix: "a"}}
	if old.Prefix == "a" {
		w.note.Prefix = "b"
	}
	if err := write(w); err != nil {
		return err
	}
	if err := w.flush(ctx); err != nil {
		return err
	}
	value, err := json.Marshal(w.note)
	if err != nil {
		return err
	}
	records := []Record{{keptHead, value}}
	for i := range old.Pieces {
		records = append(records, Record{Key: old.key(i)})
	}
	return s.on(ctx).Save(ctx, w.set, records...)
}

// A keptWriter saves what is written in pieces.
type keptWriter struct {
	ctx  context.Context
	s    *Syncer
	set  string
	note keptNote
	buf  []byte
}

func (w *keptWriter) Write(p []byte) (int, error) {
	w.buf = append(w.buf, p...)
	for len(w.buf) >= keptPiece {
		rest := w.buf[keptPiece:]
		w.buf = w.buf[:keptPiece]
		if err := w.flush(w.ctx); err != nil {
			return 0, err
		}
		w.buf = rest
	}
	return len(p), nil
}

func (w *keptWriter) flush(ctx context.Context) error {
	switch {
	case len(w.buf) == 0:
		return nil
	case w.note.Pieces == maxKeptPieces:
		return fmt.Errorf("it is more than %d MB", maxKeptPieces*keptPiece>>20)
	}
	err := w.s.on(ctx).Save(ctx, w.set, Record{w.note.key(w.note.Pieces), w.buf})
	w.note.Pieces++
	w.buf = nil
	return err
}

// A keptReader reads the pieces again.
type keptReader struct {
	ctx  context.Context
	s    *Syncer
	set  string
	note keptNote
	next int
	buf  []byte
}

func (r *keptReader) Read(p []byte) (int, error) {
	for len(r.buf) == 0 {
		if r.next == min(r.note.Pieces, maxKeptPieces) {
			return 0, io.EOF
		}
		piece, err := r.s.on(r.ctx).Load(r.ctx, r.set, r.note.key(r.next))
		if err != nil {
			return 0, err
		}
		if piece == nil {
			return 0, io.ErrUnexpectedEOF
		}
		r.buf, r.next = piece, r.next+1
	}
	n := copy(p, r.buf)
	r.buf = r.buf[n:]
	return n, nil
}
