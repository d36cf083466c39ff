package boltqueue

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/ecosire/stocksync/syncer"
)

// lockWait is how long Open waits for another process to close the file, such
// as the one that this process replaces.
const lockWait = time.Second

// Open opens the queue in a file, or makes a new one if there is no file. It
// makes no folders. The file can be read by its owner only. Every key in it is
// due, in the order of the oldest marks.
//
// The error matches [ErrInUse], [ErrDamaged], [ErrFormat] or what the operating
// system said, such as [fs.ErrPermission]. The file is then as it was.
func Open(path string) (*Queue, error) {
	q, err := open(path)
	if err != nil {
		return nil, fmt.Errorf("boltqueue: open %s: %w", path, err)
	}
	return q, nil
}

func open(path string) (*Queue, error) {
	switch info, err := os.Stat(path); {
	case errors.Is(err, fs.ErrNotExist):
		if err := create(path); err != nil {
			return nil, err
		}
	case err != nil:
		return nil, err
	case info.Size() == 0:
		// create never leaves one behind, and bbolt would take it for new.
		return nil, fmt.Errorf("%w: it is empty", ErrDamaged)
	}

	// bbolt trusts what is in the file, and where that is wrong may crash the
	// process from goroutines of its own. So it gets a file to work with only
	// after all that it will rely on has been checked.
	if err := withDB(path, true, func(db *bolt.DB) error {
		if err := verify(path); err != nil {
			return err
		}
		return db.View(checkFormat)
	}); err != nil {
		return nil, err
	}

	db, err := openDB(path, false)
	if err != nil {
		return nil, err
	}
	q := &Queue{
		db:      db,
		mem:     syncer.NewMemoryQueue(),
		writing: make(chan struct{}, 1),
		stored:  make(map[syncer.Key]bool),
		waits:   make(map[*context.CancelFunc]bool),
	}
	if err := guard(func() error { return db.View(q.load) }); err != nil {
		_ = db.Close()
		return nil, err
	}
	return q, nil
}

// create makes a new file whole or not at all, so that one which is there but
// not whole was damaged. If another process is first, its file is left alone.
func create(path string) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, filepath.Base(path)+".new*")
	if err != nil {
		return err
	}
	_ = f.Close()
	defer os.Remove(f.Name())
	if err := withDB(f.Name(), false, func(db *bolt.DB) error { return db.Update(initialize) }); err != nil {
		return err
	}
	err = os.Link(f.Name(), path)
	switch {
	case errors.Is(err, fs.ErrExist):
		return nil
	case err != nil: // not every file system has links
		if err := os.Rename(f.Name(), path); err != nil {
			return err
		}
	}
	return syncDir(dir)
}

// syncDir puts the names in a folder on disk. Windows has no such thing.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

func openDB(path string, readOnly bool) (db *bolt.DB, err error) {
	err = guard(func() error {
		// The list of free pages is kept in the file: to find them anew bbolt
		// would start a goroutine whose panics nobody can recover from.
		db, err = bolt.Open(path, 0o600, &bolt.Options{Timeout: lockWait, ReadOnly: readOnly, NoStatistics: true})
		return err
	})
	if err == nil {
		return db, nil
	}
	if errors.Is(err, bolterrors.ErrTimeout) {
		return nil, ErrInUse
	}
	_, isPath := errors.AsType[*fs.PathError](err)
	_, isErrno := errors.AsType[syscall.Errno](err)
	if isPath || isErrno || errors.Is(err, ErrDamaged) {
		return nil, err
	}
	return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
}

// withDB opens a database for the time of one call.
func withDB(path string, readOnly bool, f func(*bolt.DB) error) error {
	db, err := openDB(path, readOnly)
	if err != nil {
		return err
	}
	return errors.Join(guard(func() error { return f(db) }), db.Close())
}

func initialize(tx *bolt.Tx) error {
	for _, name := range [][]byte{metaBucket, marksBucket, valuesBucket} {
		if _, err := tx.CreateBucket(name); err != nil {
			return err
		}
	}
	return putRecord(tx.Bucket(metaBucket), formatKey, binary.BigEndian.AppendUint32(nil, format))
}

func checkFormat(tx *bolt.Tx) error {
	meta := tx.Bucket(metaBucket)
	if meta == nil {
		return fmt.Errorf("%w: it is another program's database", ErrFormat)
	}
	version, err := parseRecord(formatKey, meta.Get(formatKey))
	if err != nil {
		return err
	}
	if len(version) != 4 || binary.BigEndian.Uint32(version) != format {
		return fmt.Errorf("%w: it has version %x, and this is version %d", ErrFormat, version, format)
	}
	if tx.Bucket(marksBucket) == nil || tx.Bucket(valuesBucket) == nil {
		return fmt.Errorf("%w: a bucket is missing", ErrDamaged)
	}
	return nil
}

// load reads the file into memory.
func (q *Queue) load(tx *bolt.Tx) error {
	// Another process may have had the file since it was checked.
	if err := checkFormat(tx); err != nil {
		return err
	}
	var marks []syncer.Mark
	if err := tx.Bucket(marksBucket).ForEach(func(k, v []byte) error {
		v, err := parseRecord(k, v)
		if err != nil {
			return err
		}
		var t syncer.Mark
		if t.Key, err = parseRecordKey(k); err != nil {
			return err
		}
		if t.First, t.Last, err = parseTimes(v); err != nil {
			return err
		}
		marks = append(marks, t)
		q.stored[t.Key] = true
		return nil
	}); err != nil {
		return err
	}
	q.mem.Restore(marks...)
	return tx.Bucket(valuesBucket).ForEach(func(k, v []byte) error {
		v, err := parseRecord(k, v)
		if err != nil {
			return err
		}
		key, err := parseRecordKey(k)
		if err != nil {
			return err
		}
		return q.mem.Save(context.Background(), key.Lane, syncer.Record{Key: key.ID, Value: v})
	})
}
