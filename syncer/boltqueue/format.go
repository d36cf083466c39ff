package boltqueue

import (
	"encoding/binary"
	"fmt"

	bolt "go.etcd.io/bbolt"
)

// initialize makes an empty database a queue's.
func initialize(tx *bolt.Tx) error {
	for _, name := range [][]byte{metaBucket, marksBucket, recordsBucket} {
		if _, err := tx.CreateBucket(name); err != nil {
			return err
		}
	}
	return putFormat(tx)
}

func putFormat(tx *bolt.Tx) error {
	return putRecord(tx.Bucket(metaBucket), formatKey, binary.BigEndian.AppendUint32(nil, format))
}

// formatOf returns the version of the file's format.
func formatOf(tx *bolt.Tx) (uint32, error) {
	meta := tx.Bucket(metaBucket)
	if meta == nil {
		return 0, fmt.Errorf("%w: it is another program's database", ErrFormat)
	}
	version, err := parseRecord(formatKey, meta.Get(formatKey))
	if err != nil {
		return 0, err
	}
	if len(version) != 4 {
		return 0, fmt.Errorf("%w: its version is %x", ErrFormat, version)
	}
	return binary.BigEndian.Uint32(version), nil
}

// checkFormat refuses a file that this version does not know.
func checkFormat(tx *bolt.Tx) error {
	version, err := formatOf(tx)
	if err != nil {
		return err
	}
	buckets := [][]byte{marksBucket, recordsBucket}
	switch version {
	case 1:
		buckets[1] = valuesBucket
	case format:
	default:
		return fmt.Errorf("%w: it has version %d, and this package writes version %d", ErrFormat, version, format)
	}
	for _, name := range buckets {
		if tx.Bucket(name) == nil {
			return fmt.Errorf("%w: bucket %q is missing", ErrDamaged, name)
		}
	}
	return nil
}

// valuesBucket had, in format 1, values under a name that followed a '='. They
// are in the set stateSet now. The marks of format 1 are as they were.
var valuesBucket = []byte("values")

const stateSet = "state"

// migrate converts a file of format 1.
func migrate(tx *bolt.Tx) error {
	records, err := tx.CreateBucket(recordsBucket)
	if err != nil {
		return err
	}
	if err := tx.Bucket(valuesBucket).ForEach(func(k, v []byte) error {
		value, err := parseRecord(k, v)
		if err != nil {
			return err
		}
		return putRecord(records, recordKey(stateSet, string(k[1:])), value)
	}); err != nil {
		return err
	}
	if err := tx.DeleteBucket(valuesBucket); err != nil {
		return err
	}
	return putFormat(tx)
}
