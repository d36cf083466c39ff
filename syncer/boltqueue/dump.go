package boltqueue

import (
	"context"
	"iter"

	bolt "go.etcd.io/bbolt"

	"github.com/ecosire/stocksync/syncer"
)

var _ syncer.Dumper = (*Queue)(nil)

// Sets implements [syncer.Dumper]. It reads the file.
func (q *Queue) Sets(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		var names []string
		err := ctx.Err()
		if err == nil {
			err = q.view(func(records *bolt.Bucket) error {
				c := records.Cursor()
				for k, _ := c.First(); k != nil; {
					set, _, err := parseRecordKey(k)
					if err != nil {
						return err
					}
					names = append(names, set)
					// To the first key behind the set's.
					if k, _ = c.Seek(after(recordKey(set, ""))); k == nil {
						break
					}
				}
				return nil
			})
		}
		for _, name := range names {
			if !yield(name, nil) {
				return
			}
		}
		if err != nil {
			yield("", err)
		}
	}
}

// after is the least key that is greater than all with a prefix, which is not all
// 0xff: a set's begins with its length.
func after(prefix []byte) []byte {
	i := len(prefix) - 1
	for prefix[i] == 0xff {
		i--
	}
	prefix[i]++
	return prefix[:i+1]
}

// Marked implements [syncer.Dumper].
func (q *Queue) Marked(ctx context.Context) iter.Seq2[syncer.Mark, error] {
	return func(yield func(syncer.Mark, error) bool) {
		if err := q.err(); err != nil {
			yield(syncer.Mark{}, err)
			return
		}
		q.mem.Marked(ctx)(yield)
	}
}
