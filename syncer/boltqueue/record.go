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
// for each pending key: lane and id, and the times of the oldest mark and of
// the newest when it was written. values has what was saved.
//
// Every value ends with a checksum of the key and of what precedes it, because
// bbolt has checksums for its two header pages only.
var (
	metaBucket   = []byte("stocksync queue")
	marksBucket  = []byte("marks")
	valuesBucket = []byte("values")

	formatKey = []byte("format")
)

const (
	format  = 1
	sumSize = 4
)

// recordKey is the length of the lane, the lane and the id, so that no two
// keys have the same one whatever bytes are in them.
func recordKey(k syncer.Key) []byte {
	b := make([]byte, 0, binary.MaxVarintLen64+len(k.Lane)+len(k.ID))
	b = binary.AppendUvarint(b, uint64(len(k.Lane)))
	b = append(b, k.Lane...)
	return append(b, k.ID...)
}

func parseRecordKey(b []byte) (syncer.Key, error) {
	n, size := binary.Uvarint(b)
	if size <= 0 || n > uint64(len(b)-size) {
		return syncer.Key{}, fmt.Errorf("%w: malformed key", ErrDamaged)
	}
	b = b[size:]
	return syncer.Key{Lane: string(b[:n]), ID: string(b[n:])}, nil
}

func encodeTimes(t syncer.Mark) []byte {
	b := binary.BigEndian.AppendUint64(nil, uint64(t.First.UnixNano()))
	return binary.BigEndian.AppendUint64(b, uint64(t.Last.UnixNano()))
}

func parseTimes(b []byte) (first, last time.Time, err error) {
	if len(b) != 16 {
		return first, last, fmt.Errorf("%w: malformed times", ErrDamaged)
	}
	first = time.Unix(0, int64(binary.BigEndian.Uint64(b)))
	return first, time.Unix(0, int64(binary.BigEndian.Uint64(b[8:]))), nil
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
