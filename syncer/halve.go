package syncer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ecosire/stocksync/channel"
)

// quick is how soon a call must have failed to be made again with halves: a
// service that takes long to fail is not asked many times.
const quick = 30 * time.Second

// halve does something with items, and where that fails for what may be the
// fault of one of them, with halves until it is clear which. An item that
// fails alone while others do not is given to blame. It returns the error if
// the service as a whole is to blame; what was not done then, and for which
// reason, is given to blame as well.
//
// A refusal for good ([channel.Permanent]) is always about an item. Any other
// failure is if a part of the items fares better: where both halves fail, the
// service is down. calls bounds how often do is called; what is not clear then
// shares the error.
func halve[T any](items []T, calls int, do func([]T) error, blame func(item T, err error)) (whole error) {
	h := &halving[T]{calls: calls, do: do, blame: blame}
	err, took := h.call(items)
	if err == nil {
		return nil
	}
	return h.fail(items, err, took)
}

type halving[T any] struct {
	calls  int
	do     func([]T) error
	blame  func(T, error)
	proven bool // something succeeded, so that the service works
}

func (h *halving[T]) call(items []T) (error, time.Duration) {
	h.calls--
	began := time.Now()
	err := h.do(items)
	if err == nil {
		h.proven = true
	}
	return err, time.Since(began)
}

// fail deals with items whose call failed.
func (h *halving[T]) fail(items []T, err error, took time.Duration) (whole error) {
	permanent := channel.Permanent(err)
	if len(items) == 1 || h.calls < 2 || !permanent && !mayBeOne(err, took) {
		if permanent && len(items) > 1 { // not all of them are to blame
			err = fmt.Errorf("%w: refused with %d others: %v", channel.ErrUnavailable, len(items)-1, err)
		}
		for _, it := range items {
			h.blame(it, err)
		}
		if permanent || h.proven && mayBeOne(err, took) {
			return nil
		}
		return err
	}
	a, b := items[:len(items)/2], items[len(items)/2:]
	errA, tookA := h.call(a)
	if errA != nil && !permanent && !mayBeOne(errA, tookA) {
		return h.give(items, errA)
	}
	errB, tookB := h.call(b)
	if errA != nil && errB != nil && !channel.Permanent(errA) && !channel.Permanent(errB) && !h.proven {
		return h.give(items, errB) // nothing works: it is not one of them
	}
	if errA != nil {
		whole = h.fail(a, errA, tookA)
	}
	if errB != nil {
		if whole != nil {
			return h.give(b, whole)
		}
		whole = h.fail(b, errB, tookB)
	}
	return whole
}

func (h *halving[T]) give(items []T, err error) error {
	for _, it := range items {
		h.blame(it, err)
	}
	return err
}

// mayBeOne reports whether a passing failure may be about one item of the
// call: not if the service asked to be left alone, refuses the credentials, or
// took its time.
func mayBeOne(err error, took time.Duration) bool {
	if _, throttled := channel.RetryAfter(err); throttled {
		return false
	}
	return took < quick && !errors.Is(err, channel.ErrUnauthorized) && !errors.Is(err, errStuck) && !errors.Is(err, ErrPaused) &&
		!errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded)
}
