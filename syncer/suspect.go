package syncer

import (
	"context"
	"errors"
	"time"

	"github.com/ecosire/stocksync/channel"
)

// Suspects are products with which a read of the source failed that took long: it may
// be for one of them that the source hangs. They are not asked for again at once, as
// with failures that come quickly (halve): that would take hours. But from then on
// they are read apart from all others, and by halves, as they are tried again. So
// none waits for long that only happened to be read with the one.

// suspicious reports whether a failure may be that of one product for which the source
// hangs.
func suspicious(err error, took time.Duration) bool {
	if _, throttled := channel.RetryAfter(err); throttled {
		return false
	}
	return (took >= quick || errors.Is(err, context.DeadlineExceeded)) && !errors.Is(err, channel.ErrUnauthorized) && !errors.Is(err, errStuck) &&
		!errors.Is(err, context.Canceled)
}

// suspects notes how a read of products fared that began some time ago.
func (r *stockReader) suspects(ids []string, err error, took time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	switch {
	case err == nil:
		r.answered = now
		for _, id := range ids {
			delete(r.suspected, id)
		}
	case suspicious(err, took):
		if r.suspected == nil {
			r.suspected = make(map[string]time.Time)
		}
		for _, id := range ids {
			if _, known := r.suspected[id]; !known && len(r.suspected) < maxListed {
				r.suspected[id] = now
			}
		}
	}
}

// apart divides tasks into those that may be read together, and suspects.
func (r *stockReader) apart(tasks []Task) (sound, suspects []Task) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.suspected) == 0 {
		return tasks, nil
	}
	for _, t := range tasks {
		if _, ok := r.suspected[t.ID]; ok {
			suspects = append(suspects, t)
		} else {
			sound = append(sound, t)
		}
	}
	return sound, suspects
}

// convicted reports whether a suspect that has failed alone is to blame: the source
// has answered for others since it is one.
func (r *stockReader) convicted(tasks []Task) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	since, suspected := r.suspected[tasks[0].ID]
	return len(tasks) == 1 && suspected && r.answered.After(since)
}

// syncApart is syncMarked, for suspects apart from the others and by halves.
func (s *Syncer) syncApart(ctx context.Context, r *stockReader, t *target, tasks []Task, noticed bool) time.Duration {
	sound, suspects := r.apart(tasks)
	if len(sound) > 0 {
		wait := s.syncMarked(ctx, r, t, sound, noticed)
		if wait > 0 && len(suspects) > 0 { // the source answers nobody
			o := &settlement{s: s, channel: t.name, t: t}
			for _, task := range suspects {
				o.putBack(task, wait)
			}
			o.settle(ctx)
			return wait
		}
		if len(suspects) == 0 {
			return wait
		}
	}
	half := (len(suspects) + 1) / 2
	wait := s.syncMarked(ctx, r, t, suspects[:half], noticed)
	if half < len(suspects) {
		wait = min(wait, s.syncMarked(ctx, r, t, suspects[half:], noticed)) // where one half fares well the lane goes on
	}
	if len(sound) > 0 {
		return 0
	}
	return wait
}
