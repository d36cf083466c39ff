package boltqueue

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/ecosire/stocksync/syncer"
)

// The file has three buckets. meta says what the file is. marks has a record
// for each pending key: lane and id, and the marks as they were when it was
// written. records has what was saved: set and key, and the value.
//
// Every value ends with a checksum of the key and of what precedes it, because
// bbolt has checksums for its two header pages only.
var (
	metaBucket    = []byte("stocksync queue")
	marksBucket   = []byte("marks")
	recordsBucket = []byte("records")

	formatKey = []byte("format")
)

const (
	format  = 2
	sumSize = 4
)

// recordKey is the length of a, then a and b, so that no two pairs have the
// same one whatever bytes are in them. Those with one a are in the order of b.
func recordKey(a, b string) []byte {
	k := make([]byte, 0, binary.MaxVarintLen64+len(a)+len(b))
	k = binary.AppendUvarint(k, uint64(len(a)))
	k = append(k, a...)
	return append(k, b...)
}

func parseRecordKey(k []byte) (a, b string, err error) {
	n, size := binary.Uvarint(k)
	if size <= 0 || n > uint64(len(k)-size) {
		return "", "", fmt.Errorf("%w: malformed key", ErrDamaged)
	}
	k = k[size:]
	return string(k[:n]), string(k[n:]), nil
}

// checkKey refuses what bbolt cannot store, before it spoils a batch.
func checkKey(a, b string) error {
	if len(recordKey(a, b)) > bolt.MaxKeySize {
		return fmt.Errorf("boltqueue: a key of %d bytes is too long", len(a)+len(b))
	}
	return nil
}

// encodeMark writes First and Last, in nanoseconds; Count; the length of Why,
// Why; and Trace. Format 1 had the times alone.
func encodeMark(m syncer.Mark) []byte {
	b := binary.BigEndian.AppendUint64(nil, uint64(m.First.UnixNano()))
	b = binary.BigEndian.AppendUint64(b, uint64(m.Last.UnixNano()))
	b = binary.AppendUvarint(b, uint64(m.Count))
	b = binary.AppendUvarint(b, uint64(len(m.Why)))
	b = append(b, m.Why...)
	return append(b, m.Trace...)
}

func parseMark(key, b []byte) (m syncer.Mark, err error) {
	if m.Lane, m.ID, err = parseRecordKey(key); err != nil {
		return m, err
	}
	malformed := fmt.Errorf("%w: malformed mark", ErrDamaged)
	if len(b) < 16 {
		return m, malformed
	}
	m.First = time.Unix(0, int64(binary.BigEndian.Uint64(b)))
	m.Last = time.Unix(0, int64(binary.BigEndian.Uint64(b[8:])))
	if b = b[16:]; len(b) == 0 {
		return m, nil
	}
	count, size := binary.Uvarint(b)
	if size <= 0 {
		return m, malformed
	}
	b = b[size:]
	n, size := binary.Uvarint(b)
	if size <= 0 || n > uint64(len(b)-size) {
		return m, malformed
	}
	b = b[size:]
	m.Count, m.Why, m.Trace = int(count), syncer.Cause(b[:n]), string(b[n:])
	return m, nil
}

func putRecord(b *bolt.Bucket, key, value []byte) error {
	sum := crc32.Update(crc32.ChecksumIEEE(key), crc32.IEEETable, value)
	return b.Put(key, binary.BigEndian.AppendUint32(value[:len(value):len(value)], sum))
}

// parseRecord returns the value that putRecord was given.
func parseRecord(key, record []byte) ([]byte, error) {
	n := len(record) - sumSize
	if n < 0 || binary.BigEndian.Uint32(record[n:]) != crc32.Update(crc32.ChecksumIEEE(key), crc32.IEEETable, record[:n]) {
		return nil, fmt.Errorf("%w: a record does not match its checksum", ErrDamaged)
	}
	return record[:n], nil
}
