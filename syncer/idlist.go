package syncer

import (
	"encoding/binary"
	"iter"
	"slices"
)

// An idList is the ids of products that a channel is behind with, first in, first
// out. One takes 17 bytes if it is a UUID, and its length and two otherwise;
// as texts they would keep the rows that they are of.
type idList struct {
	chunks [][]byte
	count  int
}

// idChunk is the size of a chunk, which is given back as it is taken.
const idChunk = 16 << 10

// add adds ids at the end.
func (l *idList) add(ids ...string) {
	for _, id := range ids {
		n := len(l.chunks)
		if n == 0 || len(l.chunks[n-1])+binary.MaxVarintLen64+len(id) > cap(l.chunks[n-1]) {
			l.chunks = append(l.chunks, make([]byte, 0, max(idChunk, binary.MaxVarintLen64+len(id))))
			n++
		}
		b := &l.chunks[n-1]
		if u, ok := uuid(id); ok {
			*b = append(append(*b, 0), u[:]...)
		} else {
			*b = append(binary.AppendUvarint(*b, uint64(len(id))+1), id...)
		}
		l.count++
	}
}

// take takes off the first ids, up to n of them.
func (l *idList) take(n int) []string {
	ids := make([]string, 0, min(n, l.count))
	for len(ids) < cap(ids) {
		b := l.chunks[0]
		size, used := binary.Uvarint(b)
		if b = b[used:]; size == 0 {
			ids, b = append(ids, uuidText(b[:16])), b[16:]
		} else {
			ids, b = append(ids, string(b[:size-1])), b[size-1:]
		}
		if l.chunks[0] = b; len(b) == 0 {
			l.chunks[0], l.chunks = nil, l.chunks[1:]
		}
	}
	l.count -= len(ids)
	return ids
}

// all yields the ids, and takes none off.
func (l *idList) all() iter.Seq[string] {
	return func(yield func(string) bool) {
		for rest := (idList{slices.Clone(l.chunks), l.count}); rest.count > 0; {
			for _, id := range rest.take(groupSize) {
				if !yield(id) {
					return
				}
			}
		}
	}
}

// join adds all of another list at the end, and leaves that one empty.
func (l *idList) join(more *idList) {
	l.chunks, l.count = append(l.chunks, more.chunks...), l.count+more.count
	*more = idList{}
}
