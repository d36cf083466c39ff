package syncer

import (
	"context"
	"fmt"
	"slices"

	"github.com/ecosire/stocksync/channel"
	"github.com/ecosire/stocksync/internal/logs"
	"github.com/ecosire/stocksync/internal/text"
)

// look reads what the channel shows of the wants. Those whose reading fails
// alone go to out, and are not among the ones returned. An error means that
// the channel as a whole could not be read.
func (p *pass) look(ctx context.Context, wants []want, out *outcome) ([]want, []channel.Level, error) {
	if p.t.reader == nil {
		return wants, nil, nil
	}
	var levels []channel.Level
	blamed := make(map[string]error)
	read := func(some []string) error {
		ctx := ctx
		if len(some) == 1 {
			ctx = logs.With(ctx, logs.SKU, text.Clean(some[0]))
		}
		ls, err := p.t.levels(ctx, p.s, some)
		if err != nil {
			return err
		}
		out.answered = true
		if levels == nil { // in most cases there is one batch
			levels = slices.Clip(ls)
		} else {
			levels = append(levels, ls...)
		}
		return nil
	}
	alone := func(sku string, err error) { blamed[sku] = err }
	// One product that is known to break its batches says nothing of the channel:
	// it neither takes it down nor finds it up.
	skus, suspects := p.apart(skusOf(wants))
	if p.t.state.probing(false) && len(skus) > 0 { // one is enough to see whether the channel is back
		if err := read(skus[:1]); err != nil {
			return nil, nil, err
		}
		p.t.worked(ctx, p.s, false)
		skus = skus[1:]
	}
	for some := range batches(skus, p.t.size) {
		if err := halve(some, maxCalls, read, alone); err != nil {
			return nil, nil, err
		}
	}
	for sku := range blamed {
		p.t.memory.setAlone(sku, true)
	}
	for i := range suspects {
		if err := read(suspects[i : i+1]); err != nil {
			if isContext(ctx, err) {
				return nil, nil, err
			}
			blamed[suspects[i]] = err
			continue
		}
		p.t.memory.setAlone(suspects[i], false)
	}
	if len(blamed) > 0 {
		wants = slices.DeleteFunc(wants, func(w want) bool {
			err, bad := blamed[w.sku]
			if bad {
				out.add(result{want: w, state: failed, err: err})
			}
			return bad
		})
	}
	return wants, levels, nil
}

// levels asks the channel once. What is no quantity is its level's Err.
func (t *target) levels(ctx context.Context, s *Syncer, skus []string) ([]channel.Level, error) {
	return called(ctx, s, t, "Levels", func(ctx context.Context) ([]channel.Level, error) {
		levels, err := t.reader.Levels(ctx, skus)
		for i := range levels {
			l := &levels[i]
			if l.Err == nil && !sound(l.Quantity) {
				l.Err = fmt.Errorf("%w: %d is no quantity", channel.ErrInvalid, l.Quantity)
			}
			if l.Err != nil {
				l.Err = s.tame(logs.With(ctx, logs.SKU, text.Clean(l.SKU)), "a level's Err", l.Err)
			}
		}
		return levels, err
	})
}

// maxCalls bounds the calls that find out which of a batch is to blame: enough
// for a few in a batch of 1,000.
const maxCalls = 64

// apart takes out the SKUs that broke a batch before: each is read and written
// alone, after the others.
func (p *pass) apart(skus []string) (together, alone []string) {
	m := &p.t.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, sku := range skus {
		if e, _ := m.get(sku); !e.alone {
			if alone != nil {
				together = append(together, sku)
			}
			continue
		}
		if alone == nil {
			together = slices.Clone(skus[:i])
		}
		alone = append(alone, sku)
	}
	if alone == nil {
		return skus, nil
	}
	return together, alone
}

func skusOf(wants []want) []string {
	skus := make([]string, len(wants))
	for i := range wants {
		skus[i] = wants[i].sku
	}
	return skus
}

// batches cuts s into slices of at most size; 0 means any size.
func batches[T any](s []T, size int) func(yield func([]T) bool) {
	if size <= 0 {
		size = max(1, len(s))
	}
	return slices.Chunk(s, size)
}
