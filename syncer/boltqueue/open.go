package boltqueue

import (
	"context"
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
// makes no folders. Every key in it is due, in the order of the oldest marks.
//
// The file can be read and written by its owner only: from one that exists,
// Open takes the rights of all others, and fails if it cannot. (Windows has
// no such rights; there the folder's apply.) What an interrupted Open left
// beside the file is removed.
//
// A file of an older version of this package is converted, and cannot be opened
// by that version afterwards. The error matches [ErrInUse], [ErrDamaged],
// [ErrFormat] or what the operating system said, such as [fs.ErrPermission].
// Then what is in the file is as it was.
func Open(path string) (*Queue, error) {
	q, err := open(path)
	if err != nil {
		return nil, fmt.Errorf("boltqueue: open %s: %w", path, err)
	}
	return q, nil
}

func open(path string) (*Queue, error) {
	path, err := filepath.Abs(path) // the process may change its folder
	if err != nil {
		return nil, err
	}
	removeLeftovers(path)
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

	db, file, err := openDB(path, false, lockWait)
	if err != nil {
		return nil, err
	}
	q := &Queue{
		db:      db,
		path:    path,
		mem:     syncer.NewMemoryQueue(),
		writing: make(chan struct{}, 1),
		stored:  make(map[syncer.Key]int64),
		behind:  make(map[syncer.Key]bool),
		waits:   make(map[*context.CancelFunc]bool),
	}
	if err := guard(func() error { return q.start(file) }); err != nil {
		_ = db.Close()
		return nil, err
	}
	return q, nil
}

// start makes the queue ready for use with an open file.
func (q *Queue) start(file *os.File) (err error) {
	if q.file, err = file.Stat(); err != nil {
		return err
	}
	if runtime.GOOS != "windows" && q.file.Mode()&0o077 != 0 {
		if err := file.Chmod(q.file.Mode().Perm() &^ 0o077); err != nil {
			return fmt.Errorf("others may use it (%v): %w", q.file.Mode().Perm(), err)
		}
	}
	// Another process may have had the file since it was checked.
	var version uint32
	if err := q.db.View(func(tx *bolt.Tx) error {
		if err := checkFormat(tx); err != nil {
			return err
		}
		version, err = formatOf(tx)
		return err
	}); err != nil {
		return err
	}
	if version < format {
		if err := q.db.Update(migrate); err != nil {
			return fmt.Errorf("converting version %d: %w", version, err)
		}
	}
	return q.db.View(q.load)
}

// openDB opens a database, and returns its file too, which is closed with it.
func openDB(path string, readOnly bool, wait time.Duration) (db *bolt.DB, file *os.File, err error) {
	err = guard(func() error {
		// The list of free pages is kept in the file: to find them anew bbolt
		// would start a goroutine whose panics nobody can recover from.
		db, err = bolt.Open(path, 0o600, &bolt.Options{
			Timeout: wait, ReadOnly: readOnly, NoStatistics: true,
			OpenFile: func(name string, flag int, mode fs.FileMode) (*os.File, error) {
				f, err := os.OpenFile(name, flag, mode)
				file = f
				return f, err
			},
		})
		return err
	})
	if err == nil {
		return db, file, nil
	}
	if errors.Is(err, bolterrors.ErrTimeout) {
		return nil, nil, ErrInUse
	}
	_, isPath := errors.AsType[*fs.PathError](err)
	_, isErrno := errors.AsType[syscall.Errno](err)
	if isPath || isErrno || errors.Is(err, ErrDamaged) {
		return nil, nil, err
	}
	return nil, nil, fmt.Errorf("%w: %w", ErrDamaged, err)
}

// withDB opens a database for the time of one call.
func withDB(path string, readOnly bool, f func(*bolt.DB) error) error {
	db, _, err := openDB(path, readOnly, lockWait)
	if err != nil {
		return err
	}
	return errors.Join(guard(func() error { return f(db) }), db.Close())
}

// load reads the marks into memory, and checks the records.
func (q *Queue) load(tx *bolt.Tx) error {
	var marks []syncer.Mark
	if err := tx.Bucket(marksBucket).ForEach(func(k, v []byte) error {
		v, err := parseRecord(k, v)
		if err != nil {
			return err
		}
		m, err := parseMark(k, v)
		if err != nil {
			return err
		}
		marks = append(marks, m)
		q.stored[m.Key] = m.First.UnixNano()
		return nil
	}); err != nil {
		return err
	}
	q.mem.Restore(marks...)
	return tx.Bucket(recordsBucket).ForEach(func(k, v []byte) error {
		if _, err := parseRecord(k, v); err != nil {
			return err
		}
		_, _, err := parseRecordKey(k)
		return err
	})
}
